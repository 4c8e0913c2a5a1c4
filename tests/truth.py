"""Compares a ledger with what truly happened in the simulated office."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ringledger.ledger.times import to_ms
from ringledger.simulator import CallTruth, SimCall

#: How far times may be off that no record has confirmed, or one whose durations are whole seconds.
SLACK_MS = 1_000


def differences(
    rows: Iterable[dict[str, Any]], truth: Iterable[CallTruth], *, whole_seconds: bool = False
) -> list[str]:
    """One line for each call lost, invented or told wrong; ``rows`` are those of ``all_calls``.

    The simulator's books know milliseconds, so a confirmed call is compared to the millisecond; ``whole_seconds``:
    books that were told not to (``BooksOptions.milliseconds``).
    """
    rows = list(rows)
    by_session = {row["session_id"]: row for row in rows}
    many = Counter(row["session_id"] for row in rows)
    found = [f"{session} is there twice" for session, number in many.items() if number > 1]
    true = {call.session_id: call for call in truth if call.ended_at is not None}
    found += [f"{session} was lost" for session in true.keys() - by_session.keys()]
    found += [f"{session} was invented" for session in by_session.keys() - true.keys()]
    for session, call in true.items():
        if session in by_session:
            wrong = _wrong(by_session[session], call, whole_seconds=whole_seconds)
            found += [f"{session} ({call.kind}): {what}" for what in wrong]
    return sorted(found)


def _wrong(row: dict[str, Any], call: CallTruth, *, whole_seconds: bool) -> list[str]:
    assert call.ended_at is not None
    found = []
    if row["disposition"] != call.disposition:
        found.append(f"{row['disposition']} instead of {call.disposition}")
    if row["part_of"] != call.part_of:
        found.append(f"part of {row['part_of']} instead of {call.part_of}")
    confirmed = row["confirmed_at"] is not None
    slack = 0 if confirmed and not whole_seconds else SLACK_MS
    for column, true in (("started_at", call.started_at), ("ended_at", call.ended_at)):
        if abs(to_ms(row[column]) - true) > slack:
            found.append(f"{column} off by {to_ms(row[column]) - true} ms")
    duration, true = round(row["duration_seconds"] * 1000), _duration(row, call, confirmed=confirmed)
    if abs(duration - true) > (SLACK_MS if confirmed and whole_seconds else 0):
        found.append(f"duration off by {duration - true} ms")
    return found


def _duration(row: dict[str, Any], call: CallTruth, *, confirmed: bool) -> int:
    """Contract 5: the log's figure, which counts from the first ring to the end; until then from answer to end, as far
    as the row itself knows them."""
    assert call.ended_at is not None
    if confirmed:
        return call.ended_at - call.started_at
    return 0 if row["answered_at"] is None else to_ms(row["ended_at"]) - to_ms(row["answered_at"])


def inexact(rows: Iterable[dict[str, Any]], truth: Iterable[CallTruth], *, unseen: bool = False) -> list[str]:
    """One line for each time or duration that is not the true one to the millisecond; for calls whose events all came.
    ``unseen``: a row may say that nobody saw how long it rang (semantics 4.3)."""
    true = {call.session_id: call for call in truth if call.ended_at is not None}
    found = []
    for row in rows:
        call = true.get(row["session_id"])
        if call is None:
            continue
        told = {column: None if row[column] is None else to_ms(row[column]) for column in _TIMES}
        told |= {f"{name}_ms": _ms(row[f"{name}_seconds"]) for name in ("ring", "talk", "hold")}
        if unseen and row["answer_estimated"] and row["ring_seconds"] is None:
            del told["ring_ms"]
        wrong = {name: value for name, value in told.items() if value != getattr(call, name)}
        found += [
            f"{call.session_id} ({call.kind}): {name} {value}, is {getattr(call, name)}"
            for name, value in wrong.items()
        ]
    return sorted(found)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def seen_whole(events: Iterable[dict[str, Any]], calls: Iterable[SimCall]) -> set[str]:
    """The sessions of those calls each of whose changes is in the journal (``call_events``)."""
    journal = {
        (event["session_id"], event["extension_id"], to_ms(event["at"]), event["status"])
        for event in events
        if event["source"] == "presence"
    }
    return {
        call.session_id
        for call in calls
        if all((call.session_id, leg.extension_id, one.at, one.status) in journal for one, leg in call.changes())
    }


_TIMES = ("started_at", "answered_at", "ended_at")
