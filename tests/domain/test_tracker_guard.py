"""One example for each rule of which items count (rule 2)."""

import copy

import pytest

from ringledger.domain.call import Phase
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import CallKey
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracker import CallTracker
from tests.builders import ACCOUNT, SESSION, T0, Desk, answered_call, item, play, presence, presence_read

SECOND = 1_000
RINGING, CONNECTED, NO_CALL = TelephonyStatus.RINGING, TelephonyStatus.CALL_CONNECTED, TelephonyStatus.NO_CALL


# -- the sequence guard (section 2) --------------------------------------------------------------------------------


def test_a_smaller_sequence_changes_no_status() -> None:
    desk = Desk().see(presence(1, 10, T0, item("CallConnected")), presence(1, 9, T0 + 1, item("NoCall")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == ["stale_sequence"]


def test_an_equal_sequence_is_accepted() -> None:
    desk = Desk().see(presence(1, 10, T0, item("Ringing")), presence(1, 10, T0 + 1, item("CallConnected")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == []


def test_an_equal_sequence_again_changes_nothing() -> None:
    first = presence(1, 10, T0, item("Ringing"))
    desk = Desk().see(first)
    before = copy.deepcopy(desk.call().legs)
    desk.see(first._replace(uuid="another"))
    assert desk.call().legs == before
    assert desk.reasons() == []


def test_an_event_under_another_uuid_moves_no_leg_again():
    """Its items without id would mean other legs than the first time (rule 2.7)."""
    first = presence(101, 7, T0, item("NoCall", None), item("Ringing", None))
    again = first._replace(uuid="another")
    for events in ([first], [first, again], [again, first]):
        call = play(events).call()
        assert call.status is TelephonyStatus.RINGING
        assert sum(leg.live for leg in call.legs) == 1


def test_a_gap_is_not_a_loss() -> None:
    desk = Desk().see(presence(1, 10, T0, item("Ringing")), presence(1, 99_999, T0 + 1, item("CallConnected")))
    assert desk.call().status is CONNECTED
    assert not desk.changes.suspects


def test_counters_of_two_extensions_are_never_compared() -> None:
    desk = Desk().see(presence(1, 50_000, T0, item("Ringing", "a")), presence(2, 3, T0 + 1, item("Ringing", "b")))
    desk.see(presence(2, 4, T0 + 2, item("CallConnected", "b")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == []


def test_a_counter_may_restart() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")))
    desk.see(presence(1, 3, T0 + 60_001, item("CallConnected")))
    assert desk.call().status is CONNECTED
    assert desk.announced().count("sequence.restarted") == 1
    desk.see(presence(1, 4, T0 + 60_002, item("OnHold")))
    assert desk.call().status is TelephonyStatus.ON_HOLD
    assert desk.announced().count("sequence.restarted") == 1


def test_exactly_a_minute_later_is_no_restart_yet() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")), presence(1, 3, T0 + 60_000, item("CallConnected")))
    assert desk.call().status is RINGING
    assert desk.reasons() == ["stale_sequence"]


def test_after_a_restart_every_open_call_of_the_extension_still_moves() -> None:
    one, two = item("CallConnected", "a", session="1"), item("Ringing", "b", session="2")
    desk = Desk().see(presence(1, 5_000, T0, one, two))
    desk.see(presence(1, 3, T0 + 61_000, one))
    desk.see(presence(1, 4, T0 + 62_000, one, item("CallConnected", "b", session="2")))
    assert desk.call("2").status is CONNECTED
    desk.see(presence(1, 5, T0 + 63_000, item("NoCall", "a", session="1"))).settle()
    assert desk.record("1").ended_at == T0 + 63_000
    assert desk.reasons() == []


def test_a_restart_of_one_extension_leaves_the_others_guarded() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing", "a")), presence(2, 700, T0, item("Ringing", "b")))
    desk.see(presence(1, 3, T0 + 61_000, item("Ringing", "a")))
    desk.see(presence(2, 699, T0 + 100, item("NoCall", "b")))
    assert desk.reasons() == ["stale_sequence"]
    assert desk.status_of(2) is RINGING


def test_what_was_sent_before_a_restart_is_stale_after_it() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")), presence(1, 3, T0 + 62_000, item("CallConnected")))
    desk.see(presence(1, 5_001, T0 + 1_000, item("NoCall")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == ["stale_sequence"]


def test_a_restart_of_a_call_needs_a_minute_without_an_event() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")))
    for turn in range(1, 5):
        desk.see(presence(1, turn, T0 + turn * 30_000, item("CallConnected")))
    assert desk.announced().count("sequence.restarted") == 1  # of the extension, by what was in order
    assert desk.call().status is RINGING
    assert desk.see(presence(1, 9, T0 + 181_000, item("CallConnected"))).call().status is CONNECTED


@pytest.mark.parametrize("sequence", [9, 10, 99])
def test_the_same_uuid_is_a_duplicate_whatever_its_sequence(sequence: int) -> None:
    desk = Desk().see(presence(1, 10, T0, item("Ringing"), uuid="u"))
    desk.see(presence(1, sequence, T0 + 5, item("NoCall"), uuid="u"))
    assert desk.reasons() == ["duplicate"]
    assert desk.call().status is RINGING


def test_a_stale_event_again_is_a_duplicate() -> None:
    late = presence(1, 9, T0, item("Ringing"), uuid="u")
    desk = Desk().see(presence(1, 10, T0 + 1, item("CallConnected")), late, late)
    assert desk.reasons() == ["stale_sequence", "duplicate"]


def test_one_duplicate_spoils_no_other_call_of_the_event() -> None:
    desk = Desk().see(presence(1, 10, T0, item("Ringing", session="1"), uuid="u"))
    desk.see(presence(1, 11, T0 + 1, item("CallConnected", session="1"), item("Ringing", "b", session="2")))
    assert (desk.call("1").status, desk.call("2").status) == (CONNECTED, RINGING)


def test_the_guard_outlives_the_call() -> None:
    desk = play(answered_call())
    ended = copy.deepcopy(desk.record())
    desk.see(presence("101", 11, T0 + 5_000, item("CallConnected"), uuid="late")).settle()
    assert desk.call().phase is Phase.FINISHED
    assert desk.record()._replace(events_ignored=0) == ended
    assert desk.announced().count("call.opened") == 1
    assert "call.reopened" not in desk.announced()


def test_the_guard_outlives_the_call_over_a_restart_and_a_release() -> None:
    desk = play(answered_call())
    saved = desk.call().saved()
    desk.tracker.release(list(desk.tracker.calls))
    assert not desk.tracker.calls
    again = Desk(CallTracker())
    late = presence("101", 11, T0 + 5_000, item("CallConnected"), uuid="late")
    assert again.tracker.unknown_calls([late]) == {CallKey(ACCOUNT, SESSION)}
    again.tracker.restore([saved], now=again.now)
    again.see(late).settle()
    assert again.reasons() == ["stale_sequence"]
    assert again.record().revision == 1


def test_release_keeps_what_has_changed_since() -> None:
    desk = play(answered_call())
    desk.tracker.take(presence("101", 13, T0 + 30_000, item("Ringing")), desk.now)
    desk.tracker.release(list(desk.tracker.calls))
    assert desk.call().phase is Phase.OPEN


def test_an_unknown_status_is_counted_and_its_call_has_not_vanished() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing")), presence(1, 2, T0 + 1, item("Teleported")))
    assert desk.reasons() == ["unknown_status"]
    assert desk.call().status is RINGING
    assert not desk.call().suspect


def test_an_unknown_status_in_a_read_is_counted_and_its_call_has_not_vanished() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing"))).read(presence_read(1, T0 + 3 * SECOND, item("Teleported")))
    assert desk.reasons() == ["unknown_status"]
    assert desk.call().status is RINGING


def test_an_unknown_status_opens_no_call() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Teleported")))
    assert not desk.tracker.calls


def test_every_ignored_item_is_counted_with_its_session() -> None:
    desk = Desk().see(presence(1, 2, T0, item()), presence(1, 1, T0, item(), item("Ringing", "b", session="s9")))
    told = [(a.reason, a.session_id) for a in desk.changes.announcements if a.kind == "event.ignored"]
    assert told == [("stale_sequence", SESSION)]
    assert desk.call().events_ignored == 1


def test_a_stale_item_moves_first_rung_and_first_answered_back_and_fills_blanks() -> None:
    desk = Desk().see(presence(1, 12, T0 + 9_000, item("CallConnected", sender="", to="")))
    desk.see(presence(1, 11, T0 + 5_000, item("CallConnected", sender="")))
    desk.see(presence(1, 10, T0, item("Ringing", to="")))
    record = desk.call().row()
    assert (desk.call().call.rung_at, desk.call().fold().answered_at) == (T0, T0 + 5_000)
    assert (record.from_number, record.to_number) == ("+13027430863", "+18885434778")


def test_a_stale_answer_amends_a_missed_call() -> None:
    rings, connects, ends = answered_call()
    desk = play([rings, ends]).see(connects).settle()
    record = desk.record()
    assert (record.disposition, record.revision, record.ended_at) == (Disposition.ANSWERED, 2, T0 + 25_000)
    assert desk.announced().count("call.amended") == 1


def test_a_call_whose_first_item_is_its_end_is_still_a_call() -> None:
    desk = play([presence(1, 9, T0, item("NoCall"))])
    record = desk.record()
    assert (record.disposition, record.ring_ms, record.talk_ms) == (Disposition.UNKNOWN, None, 0)
    assert (record.started_at, record.ended_at) == (T0, T0)
