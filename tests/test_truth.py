"""The judge of the other tests is judged: whatever a row tells wrong is found, and nothing else is."""

import heapq
import itertools
from typing import Any

import pytest

from ringledger.ledger.times import to_ms, to_text
from ringledger.simulator import CallTruth, Office, Pbx, default_extensions
from tests.truth import differences


def _truth() -> list[CallTruth]:
    """Two hours of an office, over in an instant."""
    pbx = Pbx(default_extensions(20), seed=9)
    calls = Office(list(pbx.extensions.values()), calls_per_hour=60, seed=9).day(1_800_000_000_000, 2)
    order = itertools.count()
    steps = [(step.at, next(order), call, step) for call in calls for step in call.plan]
    heapq.heapify(steps)
    while steps:
        _, _, call, step = heapq.heappop(steps)
        pbx.apply(call, step)
    return pbx.truth()


def _row(call: CallTruth, *, confirmed: bool) -> dict[str, Any]:
    assert call.ended_at is not None
    talked = 0 if call.answered_at is None else call.ended_at - call.answered_at
    return {
        "session_id": call.session_id,
        "disposition": call.disposition,
        "part_of": call.part_of,
        "started_at": to_text(call.started_at),
        "answered_at": None if call.answered_at is None else to_text(call.answered_at),
        "ended_at": to_text(call.ended_at),
        "duration_seconds": (call.ended_at - call.started_at if confirmed else talked) / 1000,
        "confirmed_at": to_text(call.ended_at + 60_000) if confirmed else None,
    }


def _later(row: dict[str, Any], column: str, ms: int) -> None:
    row[column] = to_text(to_ms(row[column]) + ms)


@pytest.mark.parametrize("confirmed", [True, False])
def test_the_truth_differs_from_itself_in_nothing(confirmed: bool) -> None:
    truth = _truth()
    assert {call.kind for call in truth} >= {"answered", "missed", "ringout", "queue", "transfer", "hold"}
    assert differences([_row(call, confirmed=confirmed) for call in truth], truth) == []


@pytest.mark.parametrize("column", ["started_at", "ended_at"])
def test_a_confirmed_time_is_right_to_the_millisecond(column: str) -> None:
    truth = _truth()
    rows = [_row(call, confirmed=True) for call in truth]
    _later(rows[3], column, 1)
    assert differences(rows, truth) == [f"{truth[3].session_id} ({truth[3].kind}): {column} off by 1 ms"]
    assert differences(rows, truth, whole_seconds=True) == []


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_duration_is_right_to_the_millisecond(confirmed: bool) -> None:
    truth = _truth()
    rows = [_row(call, confirmed=confirmed) for call in truth]
    for row in rows:
        row["duration_seconds"] = 7 * row["duration_seconds"] + 12.345
    found = differences(rows, truth)
    assert len(found) == len(truth)
    assert all("duration off by" in line for line in found)


def test_calls_lost_invented_doubled_and_judged_otherwise_are_named() -> None:
    truth = _truth()
    rows = [_row(call, confirmed=True) for call in truth]
    lost, other = rows.pop(0), rows[0]
    rows += [rows[1], rows[1] | {"session_id": "1"}]
    other["disposition"], other["part_of"] = "blocked", "2"
    assert differences(rows, truth) == sorted(
        [
            f"{lost['session_id']} was lost",
            f"{rows[1]['session_id']} is there twice",
            "1 was invented",
            f"{other['session_id']} ({truth[1].kind}): blocked instead of {truth[1].disposition}",
            f"{other['session_id']} ({truth[1].kind}): part of 2 instead of {truth[1].part_of}",
        ]
    )
