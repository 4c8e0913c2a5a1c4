"""From rows back to domain objects: what a restart goes on with (rule 9.2).

A call comes back as its facts, and its row if it was published. One whose facts are not kept (they were retired, or an
older version wrote it) comes back as a summary of its rows, from which the same row can be derived again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import RowMapping

from ringledger.domain.call import CallRecord, held
from ringledger.domain.changes import Extension
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import (
    Absence,
    Fact,
    GivenUp,
    Ignored,
    Inventory,
    LegSummary,
    PresenceEvent,
    Read,
    Record,
    StatusChange,
    Summary,
)
from ringledger.domain.observation import (
    PRESENCE_SOURCES,
    UNKNOWN_PARTY,
    CallKey,
    Direction,
    FeedPosition,
    Party,
    RecordClaim,
    Source,
)
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.domain.tracked import SavedCall
from ringledger.ledger.errors import reading
from ringledger.ledger.schema.calls import restored


@dataclass(frozen=True, slots=True)
class OpenState:
    """What the ledger remembers of an account. ``halves``: finished calls that may be the other half of a RingOut of
    which one is still open. ``inventories``: what reads of presence had, for calls that become known later.
    ``positions``: by feed, the newest of each. ``newest_start``: of all finished calls, ms.
    """

    sessions: list[SavedCall] = field(default_factory=list)
    halves: list[SavedCall] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    inventories: list[Inventory] = field(default_factory=list)
    positions: dict[str, FeedPosition] = field(default_factory=dict)
    newest_start: int | None = None


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


def call_of(key: CallKey, facts: Iterable[Fact], published: CallRecord | None, *, live: bool) -> SavedCall:
    """A call as the tracker takes it back. ``live``: it is open or settling, if published for the second time."""
    by_type: dict[type[Any], list[Any]] = {}
    for fact in facts:
        by_type.setdefault(type(fact), []).append(fact)
    events, summaries = by_type.get(PresenceEvent, []), by_type.get(Summary, [])
    ignored = len(by_type.get(Ignored, ())) + sum(len(event.items) for event in events if event.stale)
    return SavedCall(
        *key,
        opened_by=_opened_by(by_type),
        events=tuple(events),
        reads=tuple(by_type.get(Read, ())),
        records=tuple(by_type.get(Record, ())),
        absences=tuple(by_type.get(Absence, ())),
        given_up=tuple(by_type.get(GivenUp, ())),
        summary=summaries[-1] if summaries else None,
        ignored=ignored + sum(summary.events_ignored for summary in summaries),
        published=published,
        reopened=live and published is not None,
    )


def _opened_by(facts: dict[type[Any], list[Any]]) -> Source:
    """Who told of the call first, as far as its facts say."""
    first, told = next(iter(facts.items()), (PresenceEvent, []))
    if first is Read:
        return Source.PRESENCE_READ
    if first is Record:
        return Source(told[0].claim.source)
    if first is Summary and told[-1].legs:
        return Source(told[-1].legs[0].source)
    return Source.PRESENCE


def extension_of(row: RowMapping) -> Extension:
    """An extension from its row. Raises ``DatabaseUnreadable``."""
    with reading("extension"):
        return Extension(**{**row, "telephony_status": TelephonyStatus(row["telephony_status"])})


def span_of(row: RowMapping) -> CoverageSpan:
    """A span of coverage from its row. Raises ``DatabaseUnreadable``."""
    with reading("coverage_span"):
        return CoverageSpan(**{**row, "state": CoverageState(row["state"])})


def position_of(row: RowMapping) -> FeedPosition:
    """A feed's position from its row."""
    return FeedPosition(row["feed"], row["key"], row["token"], row["at"], row["account_id"])


def record_of(row: RowMapping) -> CallRecord:
    """The row of a finished call as it was written. Raises ``DatabaseUnreadable``."""
    with reading("call"):
        return restored(row)


# -- summaries of rows ---------------------------------------------------------------------------------------------


def summary_of(
    row: RowMapping, legs: Iterable[RowMapping], claims: Iterable[RowMapping], changes: Iterable[RowMapping]
) -> Summary:
    """What the rows of a finished call say together: its row of ``call``, its legs, what the sources claimed, its
    history. Raises ``DatabaseUnreadable``.
    """
    with reading("call"):
        return _summary_of(row, legs, claims, changes)


def _summary_of(
    row: RowMapping, legs: Iterable[RowMapping], claims: Iterable[RowMapping], changes: Iterable[RowMapping]
) -> Summary:
    record = record_of(row)
    history = tuple(_change_of(change) for change in changes)
    told = [_leg_of(leg) for leg in legs]
    watched = any(leg.source in PRESENCE_SOURCES for leg in told)
    return Summary(
        at=record.ended_at,
        legs=tuple(told),
        changes=history,
        started_at=record.started_at,
        rung_at=_first_rung(record),
        answered_at=record.answered_at if watched else None,
        answer_estimated=record.answer_estimated,
        held_ms=_unexplained_hold(record, history),
        ended_at=record.ended_at,
        end_source=record.end_source,
        end_estimated=record.end_estimated,
        seen_at=record.ended_at,
        telephony_session_id=record.telephony_session_id,
        internal=record.internal,
        events_accepted=record.events_accepted,
        events_ignored=record.events_ignored,
        records=tuple(_records(record, claims)),
        confirmed_at=record.confirmed_at,
    )


def _leg_of(row: RowMapping) -> LegSummary:
    """A leg of a finished call from its row: no such leg is live."""
    termination = row["termination_type"]
    return LegSummary(
        extension_id=row["extension_id"] or "",
        direction=Direction(row["direction"]),
        leg_id=row["leg_id"],
        source=Source(row["source"]),
        status=TelephonyStatus.NO_CALL,
        live=False,
        started_at=row["started_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        termination=None if termination is None else TerminationType(termination),
        from_party=Party(row["from_number"], row["from_name"], row["from_raw"]),
        to_party=Party(row["to_number"], row["to_name"], row["to_raw"]),
        queue_call=bool(row["queue_call"]),
        on_behalf_of=row["on_behalf_of"],
        seen_at=row["ended_at"] or row["started_at"],
    )


def _change_of(row: RowMapping) -> StatusChange:
    return StatusChange(row["at"], TelephonyStatus(row["to_status"]), Source(row["source"]), row["sequence"])


def _first_rung(record: CallRecord) -> int | None:
    if record.answered_at is None and record.disposition is Disposition.UNKNOWN:
        return None
    if record.ring_ms is None:  # one that rang without an answer, nobody saw for how long, began so
        return record.started_at if record.answered_at is None and record.end_estimated else None
    until = record.ended_at if record.answered_at is None else record.answered_at
    return until - record.ring_ms


def _unexplained_hold(record: CallRecord, history: Sequence[StatusChange]) -> int | None:
    """What of a hold time its history does not tell."""
    if record.hold_ms is None:
        return None
    return record.hold_ms - held(history, record.answered_at or record.started_at, record.ended_at)


def _records(record: CallRecord, claims: Iterable[RowMapping]) -> Iterable[Record]:
    """One reading of each record that is over; the call log overrules active-calls (rule 7.4)."""
    if record.confirmed_at is None:
        return []
    finished = [claim for claim in claims if claim["result"] is not None and claim["ended_at"] is not None]
    finished.sort(key=lambda claim: claim["source"] == Source.CALL_LOG)
    newest = {claim["record_id"]: claim for claim in finished}
    return [Record(_claim_of(claim, record)) for claim in newest.values()]


def _claim_of(row: RowMapping, record: CallRecord) -> RecordClaim:
    """A record as far as ``call_source`` keeps it. Its end is taken as coarse, so that the row's own is kept."""
    return RecordClaim(
        record.account_id, record.session_id, record.telephony_session_id, row["record_id"], Source(row["source"]),
        Direction(row["direction"] or record.direction), UNKNOWN_PARTY, UNKNOWN_PARTY, None, row["started_at"],
        row["duration_ms"], row["result"], None, running=False, read_at=record.confirmed_at or row["seen_at"],
        coarse=True,
    )  # fmt: skip


def by_key(rows: Iterable[RowMapping]) -> dict[CallKey, list[Any]]:
    """Rows grouped by account and session."""
    groups: dict[CallKey, list[Any]] = {}
    for row in rows:
        groups.setdefault(CallKey(row["account_id"], row["session_id"]), []).append(row)
    return groups
