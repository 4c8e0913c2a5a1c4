"""Facts are plain tuples that come back equal from JSON, and their order follows from them alone."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.domain.facts import (
    FACT_KINDS,
    RESTART_AFTER_MS,
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
    Watermark,
    ordered,
)
from ringledger.domain.observation import Direction, Source
from ringledger.domain.status import TelephonyStatus
from tests.builders import T0, claim, item

EXAMPLES: list[Fact] = [
    PresenceEvent(
        "101", 7, T0, (item("Ringing", started=T0 - 5),), whole=False, uuid="a", received_at=T0 + 80, live_since=T0
    ),
    PresenceEvent("101", 8, T0, ()),
    Read("101", T0, (item("OnHold", "leg-2", direction="Outbound"),), asked_at=T0 - 900, received_at=T0 + 40),
    Record(claim("Missed", duration=4_000, coarse=True), watched=False),
    Absence(T0, T0 - 1_000),
    Inventory("101", T0, ("session", "telephony"), asked_at=T0 - 900, received_at=T0 + 40),
    GivenUp(T0),
    Ignored("101", None, "Ringing", 3, T0, T0 + 80, Source.PRESENCE, "monitored"),
    Summary(
        T0,
        legs=(
            LegSummary(
                "101", Direction.INBOUND, "leg-1", Source.PRESENCE, TelephonyStatus.NO_CALL, live=False, started_at=T0
            ),
        ),
        watermarks=(Watermark("101", 1, 30, T0),),
        changes=(StatusChange(T0, TelephonyStatus.RINGING, Source.PRESENCE, 7),),
        held_ms=None,
        records=(Record(claim("Accepted", duration=4_000)),),
        confirmed_at=T0,
    ),
]


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_equal_from_json(fact: Fact) -> None:
    kind = next(kind for kind, type_ in FACT_KINDS.items() if type_ is type(fact))
    assert msgspec.json.decode(msgspec.json.encode(fact), type=FACT_KINDS[kind]) == fact


def test_each_type_of_fact_has_a_word() -> None:
    assert set(FACT_KINDS.values()) == set(get_args(Fact))
    assert {type(fact) for fact in EXAMPLES} == set(get_args(Fact))


def event(sequence: int, seconds: float, uuid: str = "") -> PresenceEvent:
    return PresenceEvent("101", sequence, T0 + round(seconds * 1000), (), uuid=uuid)


def order(*events: PresenceEvent) -> list[int]:
    return [one.sequence for _, one in ordered(events)]


def test_the_sequence_decides_then_the_time() -> None:
    assert order(event(3, 5), event(1, 9), event(2, 0)) == [1, 2, 3]
    assert [one.at - T0 for _, one in ordered([event(3, 5), event(3, 1)])] == [1_000, 5_000]


def test_a_smaller_sequence_begins_an_epoch_when_it_was_sent_much_later() -> None:
    later = RESTART_AFTER_MS / 1000
    assert order(event(1, later + 0.001), event(40, 0), event(2, later + 1)) == [40, 1, 2]
    assert order(event(1, later), event(40, 0)) == [1, 40]


def test_an_epoch_is_measured_from_the_newest_event_by_server_time() -> None:
    """Not from the one with the largest sequence (rule 2.3)."""
    assert order(event(40, 0), event(10, 50), event(11, 110)) == [10, 11, 40]
    assert order(event(40, 0), event(10, 50), event(11, 111)) == [10, 40, 11]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400)), unique=True, max_size=12), st.randoms())
def test_the_order_does_not_depend_on_that_of_arrival(told: list[tuple[int, int]], chance) -> None:
    events = [event(sequence, seconds) for sequence, seconds in told]
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert ordered(events) == ordered(shuffled)
