"""When a single call is looked up, and how it is asked for: arithmetic over given instants."""

from itertools import pairwise

import pytest

from ringledger.domain.observation import CallKey
from ringledger.ledger.read.restart import UnconfirmedCall
from ringledger.service.ingest.lookups import Waiting, Way
from tests.builders import ACCOUNT, CALLEE, CALLER, T0, claim

KEY = CallKey(ACCOUNT, "session")


def _call(telephony: str | None = "s-1", answered_at: int | None = None, session: str = "session") -> UnconfirmedCall:
    return UnconfirmedCall(ACCOUNT, session, telephony, T0, T0 + 9_000, answered_at, f"+{CALLER}", f"+{CALLEE}")


def _attempts(one: Waiting, *, first: float, count: int, late: float = 0.0) -> list[float]:
    """The ages at which a call is looked up whose first attempt is at ``first``, each ``late`` after it is due."""
    ages = [first]
    one.tried(one.ended + first)
    while len(ages) < count:
        ages.append(one.due_at - one.ended + late)
        one.tried(one.due_at + late)
    return ages


def test_the_schedule_is_30_60_120_300_seconds_and_then_hourly() -> None:
    one = Waiting.of(_call(), 5_000.0)
    assert one.due_at == 5_030.0
    assert _attempts(one, first=30, count=6) == [30, 60, 120, 300, 3_900, 7_500]


@pytest.mark.parametrize("first", [30.5, 59.0, 115.0, 120.0, 299.0, 400.0])
def test_attempts_that_are_overdue_are_not_made_up_for_one_after_the_other(first: float) -> None:
    ages = _attempts(Waiting.of(_call(), 5_000.0), first=first, count=8, late=7.0)
    steps = {30: 30, 60: 30, 120: 60, 300: 180}
    for before, age in pairwise(ages):
        latest = max([at for at in steps if at <= age and age < 3_600], default=None)
        assert age - before >= (3_600 if latest is None else steps[latest])


def test_after_synchronisations_that_were_waited_for_there_is_one_attempt_and_not_four() -> None:
    assert _attempts(Waiting.of(_call(), 0.0), first=120.0, count=3) == [120, 300, 3_900]


@pytest.mark.parametrize(
    ("age", "tried", "next_age"),
    [(0.0, 0, 30), (45.0, 1, 60), (119.0, 2, 120), (400.0, 4, 3_600), (36_000.0, 14, 39_600)],
)
def test_a_restart_knows_from_a_calls_age_what_has_been_tried(age: float, tried: int, next_age: float) -> None:
    one = Waiting.resumed(_call(), age, 100_000.0)
    assert one.lookups == tried
    assert one.due_at == 100_000.0 - age + next_age


@pytest.mark.parametrize(
    ("call", "ways"),
    [
        (_call(), [Way.SESSION, Way.TELEPHONY, Way.WINDOW, Way.SESSION]),
        (_call(answered_at=T0), [Way.SESSION, Way.TELEPHONY, Way.SESSION]),
        (_call(None), [Way.SESSION, Way.WINDOW, Way.SESSION]),
        (_call(None, T0), [Way.SESSION, Way.SESSION]),
        (_call("session"), [Way.TELEPHONY, Way.WINDOW, Way.TELEPHONY]),
        (_call("session", T0), [Way.TELEPHONY, Way.TELEPHONY]),
    ],
)
def test_each_attempt_asks_another_way(call: UnconfirmedCall, ways: list[Way]) -> None:
    one = Waiting.of(call, 0.0)
    for way in ways:
        assert one.way(KEY) is way
        one.tried(one.due_at)


def test_what_each_way_asks() -> None:
    one = Waiting.of(_call(), 0.0)
    assert one.query(KEY, Way.SESSION, None).params() == {"perPage": "250", "sessionId": "session"}
    assert one.query(KEY, Way.TELEPHONY, None).params() == {"perPage": "250", "telephonySessionId": "s-1"}
    window = one.query(KEY, Way.WINDOW, "101")
    assert (window.extension_id, window.since_ms, window.until_ms) == ("101", T0 - 60_000, T0 + 60_000)
    assert window.params().keys() == {"perPage", "type", "dateFrom", "dateTo"}


def test_of_a_window_only_records_between_the_same_numbers_are_taken() -> None:
    mine = claim("Missed", session="log")
    assert Waiting.of(_call(), 0.0).between_its_ends([mine, claim("Missed", sender="16505550199")]) == [mine]
