import random

import pytest

from ringledger.ringcentral.websocket.reconnect import CONNECTS, PAUSES, WINDOW_SECONDS, ReconnectPace


def lowest() -> ReconnectPace:
    return ReconnectPace(lambda low, _high: low)


def test_the_first_connect_waits_for_nothing() -> None:
    assert lowest().wait(1000.0) == 0.0


def test_each_failure_is_followed_by_a_longer_pause() -> None:
    pace, now, pauses = lowest(), 0.0, []
    for _ in range(8):
        pace.lost(now, lived=0.0)
        pauses.append(pace.wait(now))
        now += 1000
    assert pauses == [1, 2, 10, 20, 40, 80, 80, 80]


def test_pauses_are_drawn_from_their_ranges() -> None:
    drawn: list[tuple[float, float]] = []
    pace = ReconnectPace(lambda low, high: drawn.append((low, high)) or low)  # type: ignore[func-returns-value]
    for _ in range(len(PAUSES)):
        pace.lost(0.0, lived=0.0)
    assert drawn == list(PAUSES)


def test_a_connection_that_lived_begins_anew() -> None:
    pace = lowest()
    for _ in range(5):
        pace.lost(0.0, lived=59.0)
    pace.lost(0.0, lived=60.0)
    assert pace.wait(0.0) == 1.0


def test_an_ordinary_end_is_followed_at_once() -> None:
    pace = lowest()
    pace.lost(0.0, lived=0.0)
    pace.lost(0.0, lived=0.0, ordinary=True)
    assert pace.wait(0.0) == 0.0
    pace.lost(0.0, lived=0.0)
    assert pace.wait(0.0) == 1.0


def test_the_platform_may_ask_for_more() -> None:
    pace = lowest()
    pace.lost(10.0, lived=0.0, at_least=60.0)
    assert pace.wait(10.0) == 60.0


@pytest.mark.parametrize("ordinary", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_three_a_minute(seed: int, ordinary: bool) -> None:
    pace, now, connects = ReconnectPace(random.Random(seed).uniform), 0.0, []
    for _ in range(60):
        now += pace.wait(now)
        pace.connecting(now)
        connects.append(now)
        now += 0.1
        pace.lost(now, lived=0.1, ordinary=ordinary)
    for at in connects:
        assert sum(at <= other < at + WINDOW_SECONDS for other in connects) <= CONNECTS
