"""One example for each rule of the tracker (semantics 1 to 6, 9, 11)."""

import copy
import itertools

import pytest

from ringledger.domain.call import EndSource, Phase, Verdict
from ringledger.domain.changes import Changes
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import CallKey, Direction, PresenceObservation, Source
from ringledger.domain.record import derive_record
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracker import CallTracker
from tests.builders import ACCOUNT, SESSION, T0, Desk, claim, item, ms, observations, play, presence

SECOND = 1_000
RINGING, CONNECTED, NO_CALL = TelephonyStatus.RINGING, TelephonyStatus.CALL_CONNECTED, TelephonyStatus.NO_CALL


def answered_call(
    extension: str = "101", sequence: int = 10, at: int = T0, **about: object
) -> list[PresenceObservation]:
    """Rings for 5 s, talks for 20 s."""
    words = [("Ringing", 0), ("CallConnected", 5), ("NoCall", 25)]
    return [
        presence(extension, sequence + turn, at + seconds * SECOND, item(status, **about))
        for turn, (status, seconds) in enumerate(words)
    ]


# -- the tutorial's flows (section 11) -----------------------------------------------------------------------------


def test_flow_1_is_one_missed_call() -> None:
    record = play(observations("missed")).record()
    assert (record.direction, record.from_number, record.to_number) == (
        Direction.INBOUND,
        "+13027430863",
        "+18885434778",
    )
    assert (record.disposition, record.ring_ms, record.talk_ms) == (Disposition.MISSED, 19_546, 0)
    assert (record.leg_count, record.answered_at, record.revision) == (1, None, 1)


def test_flow_2_is_one_answered_call_and_keeps_its_callee() -> None:
    record = play(observations("answered")).record()
    assert (record.disposition, record.ring_ms, record.talk_ms) == (Disposition.ANSWERED, 5_829, 15_141)
    assert (record.to_number, record.to_raw) == ("+18885434778", "18885434778")


def test_flows_1_and_2_are_one_answered_call() -> None:
    events = observations("missed") + observations("answered")
    desk = Desk()
    for before, event in zip([events[0], *events], events, strict=False):
        desk.wait((event.at - before.at) / 1000).see(event)
    desk.settle()
    record = desk.record()
    assert len(desk.changes.records) == 1
    assert (record.disposition, record.leg_count, record.revision) == (Disposition.ANSWERED, 2, 1)
    assert record.started_at == ms("2015-04-10T18:48:55.133Z")
    assert record.ended_at == ms("2015-04-10T18:49:41.828Z")
    assert desk.happenings().count("call.finished") == 1


def test_flow_3_is_one_outbound_call_of_one_leg() -> None:
    record = play(observations("ringout")).record("915021981016")
    assert (record.direction, record.from_number, record.to_number) == (
        Direction.OUTBOUND,
        "+16509540334",
        "+16502008440",
    )
    assert (record.leg_count, record.ring_ms, record.talk_ms) == (1, 13_232, 27_222)
    assert record.disposition is Disposition.ANSWERED


def test_flow_3_is_unanswered_when_the_books_say_so() -> None:
    call = play(observations("ringout")).call("915021981016")
    told = Verdict(Source.CALL_LOG, "r1", "No Answer", call.started_at, 40_000, coarse=True, confirmed_at=T0)
    call.verdict, call.verdicts = told, {told.record_id: told}
    record = derive_record(call)
    assert (record.disposition, record.talk_ms, record.hold_ms) == (Disposition.NO_ANSWER, 0, 0)
    assert record.answered_at is None


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_flow_2_in_any_order_is_the_same_row(order: tuple[int, ...]) -> None:
    events = observations("answered")
    told = play([events[index] for index in order]).record()
    expected = play(events).record()
    assert told._replace(events_accepted=0, events_ignored=0) == expected._replace(events_accepted=0, events_ignored=0)


# -- identity (section 1) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", ["", "0", None])
def test_without_a_session_the_telephony_session_names_the_call(blank: str | None) -> None:
    desk = play(answered_call(session=blank, telephony="s-1"))
    assert desk.record("s-1").telephony_session_id == "s-1"
    assert len(desk.tracker.calls) == 1


@pytest.mark.parametrize("blank", ["", "0", None])
def test_without_any_session_an_item_is_counted_and_left(blank: str | None) -> None:
    desk = play([presence(1, 1, T0, item(session=blank), item())])
    assert desk.reasons() == ["untrackable"]
    assert [call.session_id for call in desk.tracker.calls.values()] == [SESSION]
    assert desk.status_of(1) is RINGING


def test_accounts_are_apart() -> None:
    desk = play(answered_call())
    desk.see(*[event._replace(account_id="other") for event in answered_call()]).settle()
    assert len(desk.changes.records) == 2


def test_an_anonymous_leg_is_adopted() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", None, direction="Outbound")))
    desk.see(presence(1, 2, T0 + 1, item("CallConnected", "x", direction="Outbound")))
    (leg,) = desk.call().legs
    assert (leg.leg_id, leg.status, leg.started_at) == ("x", CONNECTED, T0)


def test_an_anonymous_leg_is_adopted_once() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", None)))
    desk.see(presence(1, 2, T0 + 1, item("Ringing", "x"), item("Ringing", "y")))
    assert [leg.leg_id for leg in desk.call().legs] == ["x", "y"]


@pytest.mark.parametrize(("extension", "direction"), [(2, "Inbound"), (1, "Outbound")])
def test_an_anonymous_leg_is_not_adopted_by_a_stranger(extension: int, direction: str) -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", None)))
    desk.see(presence(extension, 2, T0 + 1, item("Ringing", "x", direction=direction)))
    assert [leg.leg_id for leg in desk.call().legs] == [None, "x"]


def test_an_item_without_id_beside_one_with_id_hides_nothing() -> None:
    both = [item("CallConnected", "x"), item("Ringing", None)]
    for items in (both, both[::-1]):
        desk = Desk().see(presence(1, 1, T0, *items))
        assert desk.call().status is CONNECTED


def test_a_self_call_has_two_legs() -> None:
    both = [item("Ringing", "a", direction="Outbound"), item("Ringing", "b", direction="Inbound")]
    desk = play([presence(1, 1, T0, *both), presence(1, 2, T0 + 9, item("NoCall", "a", direction="Outbound"))])
    assert desk.record().leg_count == 2
    assert len(desk.changes.records) == 1


def test_an_internal_call_is_one_call_told_from_the_callers_side() -> None:
    desk = play(
        [
            presence(2, 900, T0 + 50, item("Ringing", "b", sender="101", to="102")),
            presence(1, 10, T0, item("Ringing", "a", direction="Outbound", sender="101", to="102")),
            presence(2, 901, T0 + 3_000, item("CallConnected", "b", sender="101", to="102")),
            presence(1, 11, T0 + 3_010, item("CallConnected", "a", direction="Outbound")),
            presence(1, 12, T0 + 9_000, item("NoCall", "a", direction="Outbound")),
            presence(2, 902, T0 + 9_020, item("NoCall", "b")),
        ]
    )
    record = desk.record()
    assert (record.internal, record.leg_count, record.direction) == (True, 2, Direction.OUTBOUND)
    assert (record.extension_id, record.started_at, record.ended_at) == ("1", T0, T0 + 9_020)
    assert (record.ring_ms, record.talk_ms) == (3_000, 6_020)
    assert len(desk.changes.records) == 1


def test_a_mirrored_call_is_not_a_leg() -> None:
    desk = play([presence(1, 1, T0, item(monitored=True))])
    assert desk.reasons() == ["monitored"]
    assert not desk.tracker.calls
    assert desk.status_of(1) is NO_CALL


def test_on_behalf_of_stays_with_its_leg() -> None:
    desk = play([presence(1, 1, T0, item(on_behalf_of="77")), presence(1, 2, T0 + 1, item("NoCall"))])
    assert desk.call().legs[0].on_behalf_of == "77"


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
    assert desk.happenings().count("sequence.restarted") == 1
    desk.see(presence(1, 4, T0 + 60_002, item("OnHold")))
    assert desk.call().status is TelephonyStatus.ON_HOLD
    assert desk.happenings().count("sequence.restarted") == 1


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
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")), presence(1, 3, T0 + 61_000, item("CallConnected")))
    desk.see(presence(1, 5_001, T0 + 1_000, item("NoCall")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == ["stale_sequence"]


def test_a_restart_is_noticed_on_an_extension_that_never_rests() -> None:
    desk = Desk().see(presence(1, 5_000, T0, item("Ringing")))
    for turn in range(1, 5):
        desk.see(presence(1, turn, T0 + turn * 30_000, item("CallConnected")))
    assert desk.happenings().count("sequence.restarted") == 1
    assert desk.call().status is CONNECTED


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
    assert desk.happenings().count("call.opened") == 1
    assert "call.reopened" not in desk.happenings()


def test_the_guard_outlives_the_call_over_a_restart_and_a_release() -> None:
    desk = play(answered_call())
    saved = copy.deepcopy(desk.call())
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
    desk.tracker.observe(presence("101", 13, T0 + 30_000, item("Ringing")), desk.now)
    desk.tracker.release(list(desk.tracker.calls))
    assert desk.call().phase is Phase.OPEN


def test_an_unknown_status_is_counted_and_its_call_has_not_vanished() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing")), presence(1, 2, T0 + 1, item("Teleported")))
    assert desk.reasons() == ["unknown_status"]
    assert desk.call().status is RINGING
    assert not desk.call().suspect


def test_an_unknown_status_opens_no_call() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Teleported")))
    assert not desk.tracker.calls


def test_every_ignored_item_is_counted_with_its_session() -> None:
    desk = Desk().see(presence(1, 2, T0, item()), presence(1, 1, T0, item(), item("Ringing", "b", session="s9")))
    told = [(a.reason, a.session_id) for a in desk.changes.announcements if a.happening == "event.ignored"]
    assert told == [("stale_sequence", SESSION)]
    assert desk.call().events_ignored == 1


def test_a_stale_item_moves_first_rung_and_first_answered_back_and_fills_blanks() -> None:
    desk = Desk().see(presence(1, 12, T0 + 9_000, item("CallConnected", sender="", to="")))
    desk.see(presence(1, 11, T0 + 5_000, item("CallConnected", sender="")))
    desk.see(presence(1, 10, T0, item("Ringing", to="")))
    record = derive_record(desk.call())
    assert (desk.call().first_rung_at, desk.call().first_answered_at) == (T0, T0 + 5_000)
    assert (record.from_number, record.to_number) == ("+13027430863", "+18885434778")


def test_a_stale_answer_amends_a_missed_call() -> None:
    rings, connects, ends = answered_call()
    desk = play([rings, ends]).see(connects).settle()
    record = desk.record()
    assert (record.disposition, record.revision, record.ended_at) == (Disposition.ANSWERED, 2, T0 + 25_000)
    assert desk.happenings().count("call.amended") == 1


def test_a_call_whose_first_item_is_its_end_is_still_a_call() -> None:
    desk = play([presence(1, 9, T0, item("NoCall"))])
    record = desk.record()
    assert (record.disposition, record.ring_ms, record.talk_ms) == (Disposition.UNKNOWN, 0, 0)
    assert (record.started_at, record.ended_at) == (T0, T0)


def test_an_end_of_a_call_the_ledger_already_holds_is_a_late_repeat() -> None:
    held = copy.deepcopy(play(answered_call()).call())
    held.marks.clear()
    held.uuids.clear()
    desk = Desk()
    desk.tracker.restore([held], now=desk.now)
    desk.see(presence("101", 13, T0 + 26_000, item("NoCall"))).settle()
    assert desk.call().phase is Phase.FINISHED
    assert (desk.call().revision, desk.call().ended_at) == (1, T0 + 25_000)
    assert "call.amended" not in desk.happenings()
    assert desk.tracker.next_deadline is None


def test_a_late_repeat_under_another_leg_id_changes_nothing_either() -> None:
    held = copy.deepcopy(play(answered_call()).call())
    held.marks.clear()
    held.uuids.clear()
    desk = Desk()
    desk.tracker.restore([held], now=desk.now)
    desk.see(presence("101", 13, T0 + 26_000, item("NoCall", "never-heard-of"))).settle()
    assert (desk.call().revision, len(desk.call().legs)) == (1, 1)


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


def test_a_withheld_number_keeps_its_first_text() -> None:
    desk = Desk().see(presence(1, 10, T0, item(sender="anonymous")), presence(1, 9, T0, item(sender="unavailable")))
    assert desk.call().legs[0].from_party.raw == "anonymous"


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
    assert not desk.tracker.take_changes().records
    desk.wait(4.0)
    assert desk.record().ended_at == T0 + 25_000
    assert desk.happenings()[-1] == "call.finished"
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
    assert desk.record().ended_at == T0 + 26_000


def test_a_sign_of_life_after_the_end_reopens_and_the_same_row_is_amended() -> None:
    desk = play(answered_call())
    desk.see(presence("101", 13, T0 + 60_000, item("CallConnected")))
    assert (desk.call().phase, desk.call().status) == (Phase.OPEN, CONNECTED)
    assert desk.status_of("101") is CONNECTED
    desk.see(presence("101", 14, T0 + 70_000, item("NoCall"))).settle()
    record = desk.record()
    assert (record.revision, record.started_at, record.ended_at) == (2, T0, T0 + 70_000)
    told = [name for name in desk.happenings() if name in {"call.finished", "call.reopened", "call.amended"}]
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
    assert desk.happenings().count("call.suspect") == 1


def test_a_suspect_call_is_reported_once_and_cleared_when_it_shows() -> None:
    desk = Desk().see(presence(1, 1, T0, item("CallConnected")), presence(1, 2, T0 + 5), presence(1, 3, T0 + 6))
    assert desk.happenings().count("call.suspect") == 1
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


# -- going on after a restart (section 9) --------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(4))
def test_a_restart_goes_on_mid_call(stop: int) -> None:
    events = answered_call()
    first = Desk().see(*events[:stop])
    saved = copy.deepcopy((list(first.tracker.calls.values()), list(first.tracker.extensions.values())))
    again = Desk()
    again.tracker.restore(*saved, now=again.now)
    again.see(*events[stop:]).settle()
    assert again.record() == play(events).record()


def test_a_settling_call_settles_after_a_restart() -> None:
    first = Desk().see(*answered_call())
    again = Desk()
    again.tracker.restore([copy.deepcopy(first.call())], now=again.now)
    assert again.tracker.next_deadline == again.now + 10.0
    assert again.settle().record().revision == 1


def test_replaying_everything_after_a_restart_is_harmless() -> None:
    events = answered_call()
    first = play(events)
    again = Desk()
    again.tracker.restore(copy.deepcopy(list(first.tracker.calls.values())), now=again.now)
    again.see(*events).settle()
    assert set(again.reasons()) == {"duplicate"}
    assert not again.changes.records or again.record().revision == 1
    assert "call.finished" not in again.happenings()


def test_restoring_a_call_twice_keeps_the_one_in_memory() -> None:
    desk = Desk().see(*answered_call()[:2])
    older = copy.deepcopy(desk.call())
    desk.see(answered_call()[2])
    desk.tracker.restore([older], now=desk.now)
    assert desk.call().phase is Phase.SETTLING


def test_changes_are_handed_over_once() -> None:
    tracker = CallTracker()
    assert not tracker.has_changes
    tracker.observe(answered_call()[0], 0.0)
    assert (tracker.pending, tracker.has_changes) == (1, True)
    changes = tracker.take_changes()
    assert list(changes.sessions) == [CallKey(ACCOUNT, SESSION)]
    assert tracker.take_changes() == Changes()
    assert tracker.pending == 0


def test_transitions_tell_the_calls_story() -> None:
    desk = Desk().see(*answered_call())
    told = [(move.from_status, move.to_status, move.at) for move in desk.changes.transitions]
    assert told == [
        (None, RINGING, T0),
        (RINGING, CONNECTED, T0 + 5_000),
        (CONNECTED, NO_CALL, T0 + 25_000),
    ]


# -- corners -------------------------------------------------------------------------------------------------------


def test_a_known_name_or_number_is_never_replaced() -> None:
    desk = Desk().see(presence(1, 1, T0, item(sender="13027430863", sender_name="Ada")))
    desk.see(presence(1, 2, T0 + 1, item("CallConnected", sender="16502008440", sender_name="Grace")))
    known = desk.call().legs[0].from_party
    assert (known.number, known.name, known.raw) == ("+13027430863", "Ada", "13027430863")


def test_a_number_found_later_brings_its_own_text() -> None:
    desk = Desk().see(presence(1, 1, T0, item(sender="anonymous")), presence(1, 2, T0 + 1, item("CallConnected")))
    known = desk.call().legs[0].from_party
    assert (known.number, known.raw) == ("+13027430863", "13027430863")


def test_a_connected_item_tells_when_the_ringing_began() -> None:
    events = [presence(1, 1, T0 + 6_000, item("CallConnected", started=T0)), presence(1, 2, T0 + 9_000, item("NoCall"))]
    assert (play(events).record().ring_ms, play(events).record().talk_ms) == (6_000, 3_000)


def test_an_item_with_an_unknown_status_is_not_replaced_by_the_others() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing", "a"), item("Ringing", "b")))
    desk.see(presence(1, 2, T0 + 1, item("CallConnected", "a"), item("Teleported", "b")))
    assert [leg.live for leg in desk.call().legs] == [True, True]


def test_the_end_is_the_last_event_not_the_last_listing() -> None:
    desk = Desk().see(presence(1, 1, T0, item("CallConnected")))
    desk.books(claim(duration=20_000, extension="1"))
    desk.see(presence(1, 2, T0 + 15_000, item("NoCall"))).settle()
    assert desk.record().ended_at == T0 + 15_000


def test_a_reopened_call_waits_for_a_new_verdict() -> None:
    desk = play(answered_call()).books(claim("Accepted", duration=25_000))
    assert desk.record().confirmed_at is not None
    desk.see(presence("101", 13, T0 + 60_000, item("CallConnected")))
    desk.see(presence("101", 14, T0 + 70_000, item("NoCall"))).settle()
    assert (desk.record().confirmed_at, desk.record().result, desk.record().ended_at) == (None, None, T0 + 70_000)


def test_the_end_of_a_reopened_call_is_no_estimate() -> None:
    desk = Desk(CallTracker(stale_after_seconds=100.0)).see(presence(1, 1, T0, item("CallConnected"))).wait(101)
    assert desk.record().end_estimated
    desk.see(presence(1, 2, T0 + 200_000, item("CallConnected")), presence(1, 3, T0 + 201_000, item("NoCall")))
    record = desk.settle().record()
    assert (record.end_estimated, record.end_source, record.ended_at) == (False, EndSource.PRESENCE, T0 + 201_000)


def test_a_call_does_not_expire_while_nobody_could_be_asked() -> None:
    desk = Desk(CallTracker(stale_after_seconds=100.0)).see(presence(1, 1, T0, item("CallConnected")))
    desk.tracker.asked_at = desk.now - 50
    desk.wait(101)
    assert desk.call().phase is Phase.OPEN
    desk.tracker.asked_at = desk.now
    assert desk.wait(100).record().end_source is EndSource.EXPIRED


def test_release_keeps_a_finished_call_whose_amendment_is_not_yet_committed() -> None:
    desk = play(answered_call())
    desk.tracker.observe(presence("101", 9, T0 - 5_000, item("Ringing")), desk.now)
    desk.tracker.release(list(desk.tracker.calls))
    assert desk.call().revision == 2
    desk.tracker.take_changes()
    desk.tracker.release(list(desk.tracker.calls))
    assert not desk.tracker.calls


def test_extensions_of_one_call_have_their_own_status() -> None:
    desk = Desk().see(presence(1, 1, T0, item("CallConnected", "a")), presence(2, 1, T0, item("Ringing", "b")))
    assert (desk.status_of(1), desk.status_of(2)) == (CONNECTED, RINGING)


def test_the_row_is_told_from_the_leg_that_answered_first() -> None:
    desk = play(
        [
            presence(1, 1, T0, item("Ringing", "a", to="101")),
            presence(2, 1, T0 + 10, item("Ringing", "b", to="102")),
            presence(2, 2, T0 + 4_000, item("CallConnected", "b", to="102")),
            presence(1, 2, T0 + 4_010, item("NoCall", "a", to="101")),
            presence(2, 3, T0 + 9_000, item("NoCall", "b", to="102")),
        ]
    )
    assert (desk.record().extension_id, desk.record().to_number) == ("2", "+102")
    assert desk.record().started_at == T0


@pytest.mark.parametrize("leg", ["leg-1", "another"])
def test_an_intermediate_end_after_the_end_is_neither_a_sign_of_life_nor_an_end(leg: str) -> None:
    desk = play(answered_call())
    desk.see(presence("101", 13, T0 + 40_000, item("NoCall", leg, termination="intermediate"))).settle()
    assert (desk.call().phase, desk.call().ended_at) == (Phase.FINISHED, T0 + 25_000)
    assert "call.reopened" not in desk.happenings()


def test_a_later_end_that_says_nothing_new_is_no_amendment() -> None:
    desk = play(answered_call()).see(presence("101", 13, T0 + 25_000, item("NoCall"))).settle()
    assert (desk.call().revision, desk.happenings().count("call.amended")) == (1, 0)


@pytest.mark.parametrize(("sequence", "uuid", "accepted", "ignored"), [(2, "u", 2, 1), (1, "x", 2, 1), (2, "x", 3, 0)])
def test_the_row_counts_what_came_after_the_end(sequence: int, uuid: str, accepted: int, ignored: int) -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 9_000, item("NoCall"), uuid="u"))
    desk.settle().see(presence(101, sequence, T0 + 9_000, item("NoCall"), uuid=uuid))
    record = desk.record()
    assert (record.events_accepted, record.events_ignored, record.revision) == (accepted, ignored, 1)


def test_what_presence_showed_is_one_claim_among_others() -> None:
    desk = play(answered_call())
    (claim,) = desk.changes.claims.values()
    assert (claim.source, claim.record_id, claim.result) == (Source.PRESENCE, "", None)
    assert (claim.started_at, claim.ended_at) == (desk.record().started_at, desk.record().ended_at)
    assert claim.duration_ms == desk.record().talk_ms


def test_items_without_an_id_mean_different_legs_in_an_outdated_event_too() -> None:
    events = [
        presence(1, 1, T0, item("Ringing", None), item("CallConnected", None)),
        presence(1, 2, T0 + 1_000, item("CallConnected", "a")),
    ]
    assert len(Desk().see(*events).call().legs) == len(Desk().see(*events[::-1]).call().legs) == 2
