"""The books told of a call first, the feed tells of it afterwards: the row is what it would have been the other way."""

from collections.abc import Sequence

import pytest

from ringledger.domain.call import CallRecord, Phase
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import PresenceObservation, Source
from ringledger.domain.status import TelephonyStatus
from tests.builders import T0, Desk, claim, item, presence

HELD = [
    presence(1, 5, T0, item("Ringing")),
    presence(1, 6, T0 + 5_000, item("CallConnected")),
    presence(1, 7, T0 + 10_000, item("OnHold")),
    presence(1, 8, T0 + 30_000, item("CallConnected")),
    presence(1, 9, T0 + 60_000, item("NoCall")),
]
#: An internal call: the caller holds, then the callee.
BOTH_HOLD = [
    presence(1, 5, T0, item("Ringing", "a", direction="Outbound")),
    presence(2, 50, T0 + 100, item("Ringing", "b")),
    presence(1, 6, T0 + 5_000, item("CallConnected", "a", direction="Outbound")),
    presence(2, 51, T0 + 5_000, item("CallConnected", "b")),
    presence(1, 7, T0 + 10_000, item("OnHold", "a", direction="Outbound")),
    presence(2, 52, T0 + 15_000, item("OnHold", "b")),
    presence(1, 8, T0 + 20_000, item("CallConnected", "a", direction="Outbound")),
    presence(2, 53, T0 + 60_000, item("NoCall", "b")),
    presence(1, 9, T0 + 60_000, item("NoCall", "a", direction="Outbound")),
]
#: One leg takes another's place, which was on hold.
REPLACED = [
    presence(1, 5, T0, item("CallConnected", "a")),
    presence(1, 6, T0 + 5_000, item("OnHold", "a")),
    presence(1, 7, T0 + 20_000, item("Ringing", "b")),
    presence(1, 8, T0 + 25_000, item("CallConnected", "b")),
    presence(1, 9, T0 + 60_000, item("NoCall", "b")),
]
#: One extension rings in vain, then another one answers: the first one's end is not the call's.
ELSEWHERE = [
    presence(2, 50, T0, item("Ringing", "b")),
    presence(2, 51, T0 + 10_000, item("NoCall", "b")),
    presence(1, 5, T0 + 10_000, item("Ringing", "a")),
    presence(1, 6, T0 + 15_000, item("CallConnected", "a")),
    presence(1, 7, T0 + 20_000, item("OnHold", "a")),
    presence(1, 8, T0 + 30_000, item("CallConnected", "a")),
    presence(1, 9, T0 + 60_000, item("NoCall", "a")),
]
#: A leg that has not ended is on hold while another one rings.
INTERMEDIATE = [
    presence(1, 5, T0, item("CallConnected", "a")),
    presence(1, 6, T0 + 5_000, item("OnHold", "a")),
    presence(1, 7, T0 + 20_000, item("NoCall", "a", termination="intermediate"), item("Ringing", "b")),
    presence(1, 8, T0 + 40_000, item("CallConnected", "b")),
    presence(1, 9, T0 + 60_000, item("NoCall", "b")),
]
#: The feed comes back when one side has ended already; of a leg on hold nothing more is told than who replaced it.
MIDWAY = [
    presence(2, 51, T0, item("NoCall", "b")),
    presence(2, 52, T0 + 1_000, item("NoCall", "b")),
    presence(2, 53, T0 + 2_000, item("OnHold", "c")),
    presence(2, 54, T0 + 22_000, item("NoCall", "d")),
    presence(1, 5, T0 + 30_000, item("CallConnected", "a")),
    presence(1, 9, T0 + 60_000, item("NoCall", "a")),
]


def told(desk: Desk) -> CallRecord:
    """The row, without what tells of the order in which it was written."""
    return desk.record()._replace(revision=0, end_source=EndSource.PRESENCE)


def verdict(duration: int = 60_000) -> Desk:
    return Desk().books(claim("Accepted", started=T0, duration=duration, source=Source.CALL_LOG, extension="1"))


@pytest.mark.parametrize(
    "events",
    [HELD, BOTH_HOLD, REPLACED, ELSEWHERE, INTERMEDIATE, MIDWAY],
    ids=["held", "both hold", "replaced", "elsewhere", "intermediate", "midway"],
)
def test_the_feed_after_the_books_gives_the_row_of_the_feed_before_them(events: Sequence[PresenceObservation]) -> None:
    after = verdict().see(*events).settle()
    before = Desk().see(*events).settle()
    before.books(claim("Accepted", started=T0, duration=60_000, source=Source.CALL_LOG, extension="1"))
    assert told(after) == told(before)
    assert after.record().hold_ms > 0


@pytest.mark.parametrize("count", range(1, len(ELSEWHERE)))
@pytest.mark.parametrize("events", [HELD, ELSEWHERE, MIDWAY], ids=["held", "elsewhere", "midway"])
def test_what_is_told_afterwards_opens_nothing(events: Sequence[PresenceObservation], count: int) -> None:
    desk = verdict().see(*events[:count])
    assert desk.call().phase is Phase.FINISHED
    assert (desk.record().ended_at, desk.record().confirmed_at is not None) == (T0 + 60_000, True)
    assert "call.reopened" not in desk.announced()


def test_the_end_of_one_side_does_not_move_the_end_the_books_told_of_a_call_the_feed_had_begun() -> None:
    desk = Desk().see(presence(2, 50, T0, item("Ringing", "b")), presence(1, 5, T0, item("Ringing", "a"))).wait(90)
    desk.books(claim("Accepted", started=T0, duration=60_000, source=Source.CALL_LOG, extension="1"))
    assert (desk.status_of(1), desk.call().suspect) == (TelephonyStatus.NO_CALL, True)  # no record tells of 2's side
    desk.see(presence(2, 51, T0 + 10_000, item("NoCall", "b"))).settle()
    assert (desk.record().ended_at, desk.record().confirmed_at is not None) == (T0 + 60_000, True)
    desk.see(presence(1, 6, T0 + 10_000, item("CallConnected", "a")), presence(1, 7, T0 + 60_000, item("NoCall", "a")))
    assert desk.settle().record().confirmed_at is not None


@pytest.mark.parametrize("pair", [("a", "b"), ("b", "a")])
def test_an_intermediate_end_is_neither_an_end_nor_life(pair: tuple[str, str]) -> None:
    going, over = pair
    events = [
        presence(1, 5, T0, item("OnHold", "a")),
        presence(1, 6, T0 + 5_000, item("NoCall", going, termination="intermediate"), item("NoCall", over)),
        presence(1, 7, T0 + 60_000, item("NoCall", "a")),
    ]
    before = Desk().see(*events).settle()
    before.books(claim("Accepted", started=T0, duration=60_000, source=Source.CALL_LOG, extension="1"))
    after = verdict().see(*events).settle()
    assert told(after) == told(before)
    assert "call.reopened" not in after.announced()


def test_a_leg_that_was_replaced_ended_when_it_was() -> None:
    assert [leg.ended_at for leg in verdict().see(*REPLACED).settle().call().legs] == [T0 + 20_000, T0 + 60_000]


def test_a_hold_whose_end_is_not_told_lasts_to_the_end() -> None:
    desk = verdict().see(*HELD[:3])
    assert (desk.record().hold_ms, desk.record().talk_ms) == (50_000, 5_000)


def test_each_change_of_status_is_noted_at_its_time() -> None:
    changes = verdict().see(*HELD).settle().changes
    at = [(one.at - T0, one.status) for (history,) in [changes.transitions.values()] for one in history]
    assert at == [
        (0, "Ringing"),
        (5_000, "CallConnected"),
        (10_000, "OnHold"),
        (30_000, "CallConnected"),
        (60_000, "NoCall"),
    ]


def test_life_after_the_end_reopens_as_ever() -> None:
    desk = verdict().see(*HELD[:3]).see(presence(1, 8, T0 + 61_000, item("CallConnected")))
    assert desk.call().phase is Phase.OPEN
    desk.see(presence(1, 9, T0 + 90_000, item("NoCall"))).settle()
    assert (desk.record().ended_at, desk.record().hold_ms) == (T0 + 90_000, 51_000)


def test_an_outdated_event_is_outdated_in_hindsight_too() -> None:
    desk = verdict().see(HELD[0], HELD[2], HELD[1], *HELD[3:]).settle()
    assert (desk.record().hold_ms, desk.record().answered_at) == (20_000, T0 + 5_000)
    assert desk.reasons() == ["stale_sequence"]


def test_what_adds_nothing_is_no_amendment() -> None:
    desk = verdict().see(*HELD).settle()
    revision = desk.record().revision
    desk.see(presence(1, 9, T0 + 60_000, item("NoCall")))
    assert desk.record().revision == revision
