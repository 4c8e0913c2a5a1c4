"""From rows back to domain objects: what a restart goes on with.

A remembered session comes back as it was. An older one is rebuilt from its rows: the same record can be derived from
it again, the sequence marks are gone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder
from sqlalchemy import RowMapping

from ringledger.domain.call import CallSession, EndSource, Leg, Phase, Verdict
from ringledger.domain.changes import Extension
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Direction, FeedPosition, Party, PresenceObservation, RecordClaim, Source
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.ledger.errors import LedgerBroken

_session = Decoder(CallSession).decode
_presence = Decoder(PresenceObservation).decode
_record = Decoder(RecordClaim).decode


@dataclass(frozen=True, slots=True)
class OpenState:
    """What the ledger remembers of an account. ``positions``: by feed, the newest of each."""

    sessions: list[CallSession] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    positions: dict[str, FeedPosition] = field(default_factory=dict)


class UnconfirmedCall(NamedTuple):
    """A finished call that waits for the platform's verdict. Times ms."""

    account_id: str
    session_id: str
    telephony_session_id: str | None
    started_at: int
    ended_at: int
    answered_at: int | None = None
    from_number: str | None = None
    to_number: str | None = None


def session_of(state: str) -> CallSession:
    """A session from its JSON. Raises ``LedgerBroken`` when it is none."""
    try:
        return _session(state)
    except (DecodeError, ValidationError) as error:
        raise LedgerBroken(f"database: a call's state cannot be read ({error}); ringledger doctor") from error


def observation_of(kind: str, body: str) -> PresenceObservation | RecordClaim:
    """An observation from the journal. Raises ``LedgerBroken`` when it is none."""
    try:
        return _presence(body) if kind == "presence" else _record(body)
    except (DecodeError, ValidationError) as error:
        raise LedgerBroken(f"database: an observation cannot be read ({error})") from error


def extension_of(row: RowMapping) -> Extension:
    """An extension from its row."""
    return Extension(**{**row, "telephony_status": TelephonyStatus(row["telephony_status"])})


def position_of(row: RowMapping) -> FeedPosition:
    """A feed's position from its row."""
    return FeedPosition(feed=row["feed"], key=row["key"], token=row["token"], at=row["at"])


def leg_of(row: RowMapping) -> Leg:
    """A leg of a finished call from its row: no such leg is live."""
    termination = row["termination_type"]
    return Leg(
        number=row["leg_no"],
        leg_id=row["leg_id"],
        extension_id=row["extension_id"] or "",
        direction=Direction(row["direction"]),
        status=TelephonyStatus(row["status"]),
        live=False,
        source=Source(row["source"]),
        started_at=row["started_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        termination=None if termination is None else TerminationType(termination),
        from_party=Party(row["from_number"], row["from_name"], row["from_raw"]),
        to_party=Party(row["to_number"], row["to_name"], row["to_raw"]),
        queue_call=bool(row["queue_call"]),
        on_behalf_of=row["on_behalf_of"],
    )


def rebuilt(row: RowMapping, legs: Iterable[RowMapping], claims: Iterable[RowMapping]) -> CallSession:
    """A finished session from its row of ``call``, its legs and what the sources claimed."""
    found = [leg_of(leg) for leg in legs]
    verdicts = _verdicts(row, claims)
    return CallSession(
        account_id=row["account_id"],
        session_id=row["session_id"],
        telephony_session_id=row["telephony_session_id"],
        phase=Phase.FINISHED,
        legs=found,
        opened_by=found[0].source if found else Source.PRESENCE,
        discovered_at=row["started_at"],
        last_seen_at=row["ended_at"],
        started_at=row["started_at"],
        first_rung_at=_first_rung(row),
        first_answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        end_source=EndSource(row["end_source"]),
        end_estimated=bool(row["end_estimated"]),
        hold_ms=row["hold_ms"],
        events_accepted=row["events_accepted"],
        events_ignored=row["events_ignored"],
        revision=row["revision"],
        verdict=_counting(row, verdicts),
        verdicts={verdict.record_id: verdict for verdict in verdicts},
        part_of=row["part_of"],
        internal=bool(row["internal"]),
    )


def _first_rung(row: RowMapping) -> int | None:
    if row["answered_at"] is None and row["disposition"] == Disposition.UNKNOWN:
        return None
    until: int = row["ended_at"] if row["answered_at"] is None else row["answered_at"]
    return until - int(row["ring_ms"])


def _verdicts(row: RowMapping, claims: Iterable[RowMapping]) -> list[Verdict]:
    """One verdict per finished record; the call log overrules active-calls (semantics 7)."""
    if row["confirmed_at"] is None:
        return []
    finished = [claim for claim in claims if claim["result"] is not None and claim["ended_at"] is not None]
    finished.sort(key=lambda claim: claim["source"] == Source.CALL_LOG)
    return list({claim["record_id"]: _verdict(claim, row["confirmed_at"]) for claim in finished}.values())


def _verdict(claim: RowMapping, confirmed_at: int) -> Verdict:
    return Verdict(
        source=Source(claim["source"]),
        record_id=claim["record_id"],
        result=claim["result"],
        started_at=claim["started_at"],
        duration_ms=claim["duration_ms"],
        coarse=True,  # an end within a second of the record's is kept, as it was when the row was written
        confirmed_at=confirmed_at,
    )


def _counting(row: RowMapping, verdicts: Iterable[Verdict]) -> Verdict | None:
    told = row["result_source"], row["result"], row["duration_ms"]
    counting = (verdict for verdict in verdicts if (verdict.source, verdict.result, verdict.duration_ms) == told)
    return next(counting, None)


def by_key(rows: Iterable[RowMapping]) -> dict[tuple[str, str], list[Any]]:
    """Rows grouped by account and session."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        groups.setdefault((row["account_id"], row["session_id"]), []).append(row)
    return groups
