import itertools

import pytest

from ringledger.domain.status import (
    LEG_TRANSITIONS,
    STRENGTH,
    LegChange,
    TelephonyStatus,
    aggregate,
    none_living,
    strongest,
)
from tests.builders import T0, Desk, item, presence

NO_CALL, RINGING, CONNECTED, ON_HOLD, PARKED = "NoCall", "Ringing", "CallConnected", "OnHold", "ParkedCall"
STATUSES = [NO_CALL, RINGING, CONNECTED, ON_HOLD, PARKED]

#: Written by hand: (status before, status reported, effect, is the leg live afterwards).
EXPECTED = [
    (None, NO_CALL, "ended", False),
    (None, RINGING, "rings", True),
    (None, CONNECTED, "answered", True),
    (None, ON_HOLD, "held", True),
    (None, PARKED, "parked", True),
    (NO_CALL, NO_CALL, "repeated", False),
    (NO_CALL, RINGING, "rings again", True),
    (NO_CALL, CONNECTED, "revived", True),
    (NO_CALL, ON_HOLD, "revived", True),
    (NO_CALL, PARKED, "revived", True),
    (RINGING, NO_CALL, "ended", False),
    (RINGING, RINGING, "repeated", True),
    (RINGING, CONNECTED, "answered", True),
    (RINGING, ON_HOLD, "held", True),
    (RINGING, PARKED, "parked", True),
    (CONNECTED, NO_CALL, "ended", False),
    (CONNECTED, RINGING, "rings again", True),
    (CONNECTED, CONNECTED, "repeated", True),
    (CONNECTED, ON_HOLD, "held", True),
    (CONNECTED, PARKED, "parked", True),
    (ON_HOLD, NO_CALL, "ended", False),
    (ON_HOLD, RINGING, "rings again", True),
    (ON_HOLD, CONNECTED, "resumed", True),
    (ON_HOLD, ON_HOLD, "repeated", True),
    (ON_HOLD, PARKED, "parked", True),
    (PARKED, NO_CALL, "ended", False),
    (PARKED, RINGING, "rings again", True),
    (PARKED, CONNECTED, "resumed", True),
    (PARKED, ON_HOLD, "held", True),
    (PARKED, PARKED, "repeated", True),
]


@pytest.mark.parametrize(("before", "told", "effect", "_live"), EXPECTED)
def test_each_pair_has_its_effect(before: str | None, told: str, effect: str, _live: bool) -> None:
    pair = (None if before is None else TelephonyStatus(before), TelephonyStatus(told))
    assert LEG_TRANSITIONS[pair] is LegChange(effect)


@pytest.mark.parametrize(("before", "told", "_effect", "live"), EXPECTED)
def test_a_leg_ends_up_as_told(before: str | None, told: str, _effect: str, live: bool) -> None:
    desk = Desk()
    for at, status in enumerate([status for status in (before, told) if status], T0):
        desk.see(presence(1, at, at, item(status)))
    (leg,) = desk.call().legs
    assert (leg.status, leg.live) == (TelephonyStatus(told), live)
    assert (leg.ended_at is None) is live


def test_the_table_is_total_and_holds_nothing_else() -> None:
    named = [(before, told) for before, told, _, _ in EXPECTED]
    assert sorted(named, key=str) == sorted(itertools.product([None, *STATUSES], STATUSES), key=str)
    assert len(LEG_TRANSITIONS) == len(EXPECTED)


def test_every_effect_is_used() -> None:
    assert set(LEG_TRANSITIONS.values()) == set(LegChange)


#: rule 3, strongest first
ORDER = [CONNECTED, ON_HOLD, PARKED, RINGING, NO_CALL]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_strongest_status_wins_wherever_it_stands(size: int) -> None:
    for statuses in itertools.product(ORDER, repeat=size):
        expected = ORDER[min(ORDER.index(status) for status in statuses)]
        legs = [TelephonyStatus(status) for status in statuses]
        tally = none_living()
        for status in legs:
            tally[STRENGTH[status]] += 1
        assert aggregate(legs) == strongest(tally) == expected


def test_nothing_at_all_is_no_call() -> None:
    assert aggregate([]) is strongest(none_living()) is TelephonyStatus.NO_CALL
