"""One example for each rule of aggregation, time and the end (rules 3 to 5)."""

import pytest

from ringledger.domain.call import Phase
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import CallKey
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracker import CallTracker
from tests.builders import ACCOUNT, SESSION, T0, Desk, answered_call, item, play, presence

SECOND = 1_000
RINGING, CONNECTED, NO_CALL = TelephonyStatus.RINGING, TelephonyStatus.CALL_CONNECTED, TelephonyStatus.NO_CALL


# -- aggregation (section 3) ---------------------------------------------------------------------------------------


def test_the_call_has_the_strongest_status_of_its_live_legs() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", "a")), presence(2, 1, T0, item("CallConnected", "b")))
    assert desk.call().status is CONNECTED
    desk.see(presence(2, 2, T0 + 1, item("NoCall", "b")))
    assert desk.call().status is RINGING


def test_an_extension_has_the_strongest_status_over_all_its_calls() -> None:
    desk = Desk().see(presence(1, 1, T0, item("OnHold", "a", session="1"), item("Ringing", "b", session="2")))
    assert desk.status_of(1) is TelephonyStatus.ON_HOLD
    desk.see(presence(1, 2, T0 + 1, item("NoCall", "a", session="1"), item("Ringing", "b", session="2")))
    assert desk.status_of(1) is RINGING
    desk.see(presence(1, 3, T0 + 2, item("NoCall", "b", session="2")))
    assert desk.status_of(1) is NO_CALL


def test_the_whole_array_is_walked() -> None:
    desk = Desk().see(presence(1, 1, T0, *[item("Ringing", f"l{n}", session=f"s{n}") for n in range(7)]))
    assert len(desk.tracker.calls) == 7


def test_a_blank_at_the_end_overwrites_nothing() -> None:
    rings, connects, _ = answered_call(sender_name="Ada")
    blank = presence("101", 12, T0 + 9_000, item("NoCall", sender="", to=None, sender_name=None))
    record = play([rings, connects, blank]).record()
    assert (record.from_number, record.from_name, record.to_number) == ("+13027430863", "Ada", "+18885434778")


def test_who_calls_himself_has_one_number_at_both_ends() -> None:
    ends = {"sender": "101", "to": "101"}
    out = item("Ringing", "out", direction="Outbound", **ends), item("Ringing", "in", **ends)
    over = item("NoCall", "out", direction="Outbound", **ends), item("NoCall", "in", **ends)
    record = play([presence(101, 1, T0, *out), presence(101, 2, T0 + 9_000, *over)]).record()
    assert (record.from_raw, record.to_raw, record.leg_count) == ("101", "101", 2)
    assert record.from_number == record.to_number is not None


def test_a_withheld_number_keeps_its_first_text() -> None:
    desk = Desk().see(presence(1, 10, T0, item(sender="anonymous")), presence(1, 9, T0, item(sender="unavailable")))
    assert desk.call().legs[0].from_party.raw == "unavailable"  # the first in the order of the facts (rule 2.7)


def test_a_withheld_number_is_filled_by_no_other_leg() -> None:
    desk = Desk().see(*answered_call("1", sender="anonymous"))
    desk.see(presence(2, 1, T0 + 24_000, item("CallConnected", "b", sender="16505552002")))
    record = desk.see(presence(2, 2, T0 + 60_000, item("NoCall", "b", sender="16505552002"))).settle().record()
    assert (record.from_number, record.from_raw, record.leg_count) == (None, "anonymous", 2)


def test_an_end_of_a_leg_that_was_never_shown_alive_adds_no_leg_to_a_call_that_has_others() -> None:
    desk = Desk().see(*answered_call("1")).see(presence(2, 1, T0 + 25_000, item("NoCall", "b"))).settle()
    assert [leg.extension_id for leg in desk.call().legs] == ["1"]
    assert (desk.record().leg_count, desk.record().internal) == (1, False)


def test_a_leg_replaced_by_another_under_the_same_call_is_over() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", "a")), presence(1, 2, T0 + 1, item("Ringing", "b")))
    assert [(leg.leg_id, leg.live) for leg in desk.call().legs] == [("a", False), ("b", True)]
    desk.see(presence(1, 3, T0 + 2, item("NoCall", "b"))).settle()
    assert desk.record().leg_count == 2


# -- time (section 4) ----------------------------------------------------------------------------------------------


def test_the_start_is_the_items_own_where_it_has_one() -> None:
    record = play([presence(1, 1, T0, item(started=T0 - 700)), presence(1, 2, T0 + 9_300, item("NoCall"))]).record()
    assert (record.started_at, record.ring_ms) == (T0 - 700, 10_000)


def test_a_start_at_the_epoch_is_a_start() -> None:
    assert play([presence(1, 1, 0, item()), presence(1, 2, 9_000, item("NoCall"))]).record().started_at == 0


def test_hold_and_park_are_hold_time() -> None:
    words = [("Ringing", 0), ("CallConnected", 4), ("OnHold", 10), ("CallConnected", 13), ("ParkedCall", 20)]
    words += [("OnHold", 25), ("CallConnected", 31), ("NoCall", 40)]
    record = play([presence(1, n, T0 + s * SECOND, item(word)) for n, (word, s) in enumerate(words)]).record()
    assert (record.ring_ms, record.hold_ms, record.talk_ms) == (4_000, 3_000 + 11_000, 22_000)
    assert record.ring_ms + record.hold_ms + record.talk_ms == record.ended_at - record.started_at


def test_a_held_leg_beside_a_talking_one_is_no_hold_time() -> None:
    desk = play(
        [
            presence(1, 1, T0, item("CallConnected", "a")),
            presence(1, 2, T0 + 1_000, item("OnHold", "a"), item("CallConnected", "b")),
            presence(1, 3, T0 + 5_000, item("NoCall", "a"), item("NoCall", "b")),
        ]
    )
    assert (desk.record().hold_ms, desk.record().talk_ms) == (0, 5_000)


def test_a_call_that_ends_on_hold_counts_the_hold_to_its_end() -> None:
    words = [("CallConnected", 0), ("OnHold", 5), ("NoCall", 12)]
    record = play([presence(1, n, T0 + s * SECOND, item(word)) for n, (word, s) in enumerate(words)]).record()
    assert (record.talk_ms, record.hold_ms) == (5_000, 7_000)


def test_no_delay_of_ours_changes_a_duration() -> None:
    slow, fast = Desk(), Desk()
    for number, event in enumerate(answered_call()):
        slow.wait(3.0 * number).see(event._replace(received_at=event.at + 10**9 * (-1) ** number))
        fast.see(event)
    assert slow.settle().record() == fast.settle().record()


@pytest.mark.parametrize(
    ("direction", "words", "disposition"),
    [
        ("Inbound", ["Ringing", "NoCall"], Disposition.MISSED),
        ("Inbound", ["Ringing", "CallConnected", "NoCall"], Disposition.ANSWERED),
        ("Outbound", ["Ringing", "NoCall"], Disposition.NO_ANSWER),
        ("Outbound", ["CallConnected", "NoCall"], Disposition.ANSWERED),
    ],
)
def test_dispositions_until_the_books_speak(direction: str, words: list[str], disposition: Disposition) -> None:
    events = [presence(1, n, T0 + n * SECOND, item(word, direction=direction)) for n, word in enumerate(words)]
    assert play(events).record().disposition is disposition


# -- the end (section 5) -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("termination", [None, "final"])
def test_an_end_is_an_end(termination: str | None) -> None:
    desk = play([presence(1, 1, T0, item()), presence(1, 2, T0 + 7, item("NoCall", termination=termination))])
    assert desk.record().ended_at == T0 + 7
    assert desk.record().end_source is EndSource.PRESENCE


def test_an_intermediate_end_is_none() -> None:
    desk = play([presence(1, 1, T0, item()), presence(1, 2, T0 + 7, item("NoCall", termination="intermediate"))])
    assert desk.call().phase is Phase.OPEN
    assert desk.call().legs[0].live
    desk.see(presence(1, 3, T0 + 9, item("NoCall", termination="final"))).settle()
    assert desk.record().ended_at == T0 + 9


def test_an_intermediate_end_heard_first_is_doubtful_and_ends_with_the_final_one() -> None:
    desk = Desk().see(presence(1, 2, T0, item("NoCall", termination="intermediate")))
    assert CallKey(ACCOUNT, SESSION) in desk.changes.suspects
    desk.see(presence(1, 3, T0 + 9, item("NoCall", termination="final"))).settle()
    assert desk.record().ended_at == T0 + 9


def test_settling_takes_its_time_and_the_end_is_the_platforms() -> None:
    desk = Desk(CallTracker(settle_seconds=4.0))
    desk.see(*answered_call())
    assert desk.call().phase is Phase.SETTLING
    assert desk.tracker.next_deadline == desk.now + 4.0
    desk.tracker.advance(desk.now + 3.999)
    assert not desk.tracker.drain().records
    desk.wait(4.0)
    assert desk.record().ended_at == T0 + 25_000
    assert desk.announced()[-1] == "call.finished"
    assert desk.tracker.next_deadline is None or desk.tracker.next_deadline > desk.now


def test_a_sign_of_life_stops_settling() -> None:
    desk = Desk().see(*answered_call()).wait(9.9)
    desk.see(presence("101", 13, T0 + 31_000, item("Ringing", "leg-2"))).wait(60)
    assert desk.call().phase is Phase.OPEN
    assert not desk.changes.records
    desk.see(presence("101", 14, T0 + 40_000, item("NoCall", "leg-2"))).wait(9.9)
    assert not desk.changes.records
    assert desk.wait(0.1).record().ended_at == T0 + 40_000


def test_repeated_ends_do_not_put_off_the_settling() -> None:
    desk = Desk().see(*answered_call()).wait(6)
    desk.see(presence("101", 13, T0 + 26_000, item("NoCall"))).wait(4)
    assert desk.record().ended_at == T0 + 25_000  # a repeat moves no end (rule 5.3)


def test_a_sign_of_life_after_the_end_reopens_and_the_same_row_is_amended() -> None:
    desk = play(answered_call())
    desk.see(presence("101", 13, T0 + 60_000, item("CallConnected")))
    assert (desk.call().phase, desk.call().status) == (Phase.OPEN, CONNECTED)
    assert desk.status_of("101") is CONNECTED
    desk.see(presence("101", 14, T0 + 70_000, item("NoCall"))).settle()
    record = desk.record()
    assert (record.revision, record.started_at, record.ended_at) == (2, T0, T0 + 70_000)
    told = [name for name in desk.announced() if name in {"call.finished", "call.reopened", "call.amended"}]
    assert told == ["call.finished", "call.reopened", "call.amended"]


def test_an_equal_sequence_does_not_reopen() -> None:
    desk = play(answered_call()).see(presence("101", 12, T0 + 26_000, item("CallConnected"), uuid="again"))
    assert desk.call().phase is Phase.FINISHED


def test_the_end_is_the_last_one_even_when_settled_in_between() -> None:
    rings, connects, ends = answered_call()
    again = presence("101", 14, T0 + 40_000, item("Ringing"))
    over = presence("101", 15, T0 + 50_000, item("NoCall"))
    in_order = play([rings, connects, ends]).see(again, over).settle()
    anyhow = play([rings, connects, ends]).see(over, again).settle()
    assert in_order.record().ended_at == T0 + 50_000
    assert anyhow.record().ended_at == T0 + 50_000


def test_a_late_item_of_another_extension_opens_no_ghost() -> None:
    desk = play(answered_call())
    desk.see(presence("102", 8, T0 + 28_000, item("NoCall", "b")))
    desk.see(presence("102", 7, T0 + 27_000, item("CallConnected", "b"))).settle()
    assert desk.call().phase is Phase.FINISHED


def test_a_call_that_vanishes_is_suspect_and_not_over() -> None:
    desk = Desk().see(presence(1, 1, T0, item("CallConnected")), presence(1, 2, T0 + 5)).settle()
    assert (desk.call().suspect, desk.call().phase, desk.call().status) == (True, Phase.OPEN, CONNECTED)
    assert list(desk.changes.suspects) == [CallKey(ACCOUNT, SESSION)]
    assert desk.announced().count("call.suspect") == 1


def test_a_call_that_vanishes_is_suspect_although_an_older_leg_of_it_ended_late() -> None:
    """What arrives late does not tell how the call stands, so it takes nothing from what the extension lists."""
    desk = Desk().see(presence(101, 1, T0, item("Ringing")))
    desk.see(presence(101, 3, T0 + 5_000, item("Ringing", "leg-2")))
    desk.see(presence(101, 4, T0 + 8_000, item("CallConnected", "leg-2")))
    desk.see(presence(101, 2, T0 + 2_000, item("NoCall"))).see(presence(101, 5, T0 + 12_000))
    assert (desk.call().suspect, desk.call().status) == (True, CONNECTED)
    assert list(desk.changes.suspects) == [CallKey(ACCOUNT, SESSION)]


def test_a_suspect_call_is_reported_once_and_cleared_when_it_shows() -> None:
    desk = Desk().see(presence(1, 1, T0, item("CallConnected")), presence(1, 2, T0 + 5), presence(1, 3, T0 + 6))
    assert desk.announced().count("call.suspect") == 1
    desk.see(presence(1, 4, T0 + 7, item("CallConnected")))
    assert not desk.call().suspect


def test_a_cut_array_makes_nothing_suspect_and_ends_no_leg() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", "a"), item("Ringing", "b")))
    desk.see(presence(1, 2, T0 + 5, truncated=True))
    desk.see(presence(1, 3, T0 + 6, item("CallConnected", "a"), truncated=True))
    assert not desk.changes.suspects
    assert all(leg.live for leg in desk.call().legs)


def test_an_old_snapshot_makes_nothing_suspect() -> None:
    desk = Desk().see(presence(1, 2, T0, item("CallConnected")), presence(1, 1, T0 - 5))
    assert not desk.call().suspect


def test_another_extensions_snapshot_makes_nothing_suspect() -> None:
    desk = Desk().see(presence(1, 2, T0, item("CallConnected")), presence(2, 5, T0 + 5))
    assert not desk.call().suspect


def test_a_call_nobody_speaks_of_expires() -> None:
    desk = Desk(CallTracker(stale_after_seconds=100.0))
    desk.see(presence(1, 1, T0, item("Ringing"))).wait(60)
    desk.see(presence(1, 2, T0 + 60_000, item("CallConnected"))).wait(99)
    assert desk.call().phase is Phase.OPEN
    record = desk.wait(1).record()
    assert (record.end_source, record.ended_at, record.end_estimated) == (EndSource.EXPIRED, T0 + 60_000, True)
    assert desk.status_of(1) is NO_CALL
    assert not any(leg.live for leg in desk.call().legs)


def test_a_reopened_call_expires_too() -> None:
    desk = Desk(CallTracker(stale_after_seconds=100.0)).see(*answered_call()).wait(50)
    desk.see(presence("101", 13, T0 + 60_000, item("CallConnected"))).wait(101)
    assert desk.record().end_source is EndSource.EXPIRED
    assert desk.record().revision == 2
