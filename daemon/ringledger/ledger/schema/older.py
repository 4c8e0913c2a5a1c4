"""What the versions before schema 8 remembered of a call as JSON (``call_state.state``), for the upgrade alone."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import DecodeError, ValidationError, convert
from msgspec.json import decode

from ringledger.domain.call import held
from ringledger.domain.facts import EndSource, LegSummary, Record, StatusChange, Summary, Watermark
from ringledger.domain.observation import UNKNOWN_PARTY, Direction, RecordClaim, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.ledger.errors import LedgerBroken


class _OldLeg(NamedTuple):
    """A leg as version 2 of the schema kept it."""

    summary: LegSummary
    records: list[str]


def summary_of_state(state: str, history: Sequence[StatusChange], confirmed_at: int | None) -> Summary:
    """What the JSON says of a call. ``history``: its changes of status as they were written; ``confirmed_at``: of its
    row, if it has one. Raises ``LedgerBroken`` when it cannot be read.
    """
    try:
        return _summary(decode(state), tuple(history), confirmed_at)
    except (DecodeError, ValidationError, KeyError, TypeError, ValueError) as error:
        raise LedgerBroken(f"database: a call's state cannot be read ({error}); ringledger doctor") from error


def _summary(old: dict[str, Any], history: tuple[StatusChange, ...], confirmed_at: int | None) -> Summary:
    legs = [_old_leg(leg, old) for leg in old["legs"]]
    answered_at, found_at = old.get("first_answered_at"), old.get("answered_hint")
    hold_since = old.get("hold_since")
    open_hold = bool(history) and hold_since is not None
    closed = held(history, 0, hold_since if open_hold and hold_since is not None else 2**62) if history else 0
    return Summary(
        at=max([mark[2] for mark in old.get("marks", {}).values()], default=old["last_seen_at"]),
        legs=tuple(leg.summary for leg in legs),
        watermarks=tuple(Watermark(name, *mark) for name, mark in old.get("marks", {}).items()),
        changes=history,
        status=TelephonyStatus(old["status"]),
        started_at=old["started_at"],
        start_estimated=old.get("start_estimated", False),
        rung_at=None if old.get("rung_estimated") else old.get("first_rung_at"),
        answered_at=found_at if answered_at is None else answered_at,
        answer_estimated=answered_at is None and found_at is not None,
        held_ms=old.get("hold_ms", 0) - closed,
        hold_since=None if open_hold else hold_since,
        ended_at=old.get("ended_at") if old["phase"] == "finished" else None,
        end_source=EndSource(old.get("end_source", "presence")),
        end_estimated=old.get("end_estimated", False),
        seen_at=old["last_seen_at"],
        telephony_session_id=old.get("telephony_session_id"),
        internal=old.get("internal", False),
        events_accepted=old.get("events_accepted", 0),
        events_ignored=old.get("events_ignored", 0),
        records=tuple(_old_records(old, legs)),
        confirmed_at=confirmed_at,
    )


def _old_leg(leg: dict[str, Any], old: dict[str, Any]) -> _OldLeg:
    seen_at = old["last_seen_at"] if leg["live"] else leg.get("ended_at") or leg["started_at"]
    wanted = {name: leg[name] for name in LegSummary._fields if name in leg} | {"seen_at": seen_at}
    values = [wanted.get(name, LegSummary._field_defaults.get(name)) for name in LegSummary._fields]
    return _OldLeg(convert(values, LegSummary), list(leg.get("records", ())))


def _old_records(old: dict[str, Any], legs: Sequence[_OldLeg]) -> Iterable[Record]:
    for record_id, told in old.get("verdicts", {}).items():
        source, _, result, started_at, duration_ms, coarse, confirmed_at, extension_id, *_ = told
        of = next((leg.summary for leg in legs if record_id in leg.records), legs[0].summary if legs else None)
        yield Record(
            RecordClaim(
                old["account_id"], old["session_id"], old.get("telephony_session_id"), record_id, Source(source),
                Direction.INBOUND if of is None else of.direction, UNKNOWN_PARTY, UNKNOWN_PARTY, extension_id,
                started_at, duration_ms, result, None, running=False, read_at=confirmed_at, coarse=coarse,
            )
        )  # fmt: skip
