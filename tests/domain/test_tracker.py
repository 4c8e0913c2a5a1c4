"""One example for each rule of the tracker: identity, flows, restarts, corners (rules 1, 9, 11)."""

import copy
import itertools

import pytest

from ringledger.domain.call import Phase
from ringledger.domain.changes import Changes
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import CallKey, Direction, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracker import CallTracker
from tests.builders import ACCOUNT, SESSION, T0, Desk, answered_call, claim, item, ms, observations, play, presence

SECOND = 1_000
RINGING, CONNECTED, NO_CALL = TelephonyStatus.RINGING, TelephonyStatus.CALL_CONNECTED, TelephonyStatus.NO_CALL


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
    assert desk.announced().count("call.finished") == 1


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
    desk = play(observations("ringout"))
    began, told = desk.call("915021981016").started_at, {"extension": "255537016", "direction": "Outbound"}
    answer = claim("No Answer", started=began, duration=40_000, session="915021981016", coarse=True, **told)
    record = desk.books(answer).record("915021981016")
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


# -- going on after a restart (section 9) --------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(4))
def test_a_restart_goes_on_mid_call(stop: int) -> None:
    events = answered_call()
    first = Desk().see(*events[:stop])
    saved = (
        [call.saved() for call in first.tracker.calls.values()],
        copy.deepcopy(list(first.tracker.extensions.values())),
    )
    again = Desk()
    again.tracker.restore(*saved, now=again.now)
    again.see(*events[stop:]).settle()
    assert again.record() == play(events).record()


def test_a_settling_call_settles_after_a_restart() -> None:
    first = Desk().see(*answered_call())
    again = Desk()
    again.tracker.restore([first.call().saved()], now=again.now)
    assert again.tracker.next_deadline == again.now + 10.0
    assert again.settle().record().revision == 1


def test_replaying_everything_after_a_restart_is_harmless() -> None:
    events = answered_call()
    first = play(events)
    again = Desk()
    again.tracker.restore([call.saved() for call in first.tracker.calls.values()], now=again.now)
    again.see(*events).settle()
    assert set(again.reasons()) == {"duplicate"}
    assert not again.changes.records or again.record().revision == 1
    assert "call.finished" not in again.announced()


def test_restoring_a_call_twice_keeps_the_one_in_memory() -> None:
    desk = Desk().see(*answered_call()[:2])
    older = desk.call().saved()
    desk.see(answered_call()[2])
    desk.tracker.restore([older], now=desk.now)
    assert desk.call().phase is Phase.SETTLING


def test_changes_are_handed_over_once() -> None:
    tracker = CallTracker()
    assert not tracker.has_changes
    tracker.take(answered_call()[0], 0.0)
    assert (tracker.pending, tracker.has_changes) == (1, True)
    changes = tracker.drain()
    assert list(changes.sessions) == [CallKey(ACCOUNT, SESSION)]
    assert tracker.drain() == Changes()
    assert tracker.pending == 0


def test_transitions_tell_the_calls_story() -> None:
    desk = Desk().see(*answered_call())
    told = [(move.status, move.at) for move in desk.changes.transitions[desk.call().key]]
    assert told == [(RINGING, T0), (CONNECTED, T0 + 5_000), (NO_CALL, T0 + 25_000)]


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


def test_a_connected_item_tells_when_the_call_began() -> None:
    events = [presence(1, 1, T0 + 6_000, item("CallConnected", started=T0)), presence(1, 2, T0 + 9_000, item("NoCall"))]
    record = play(events).record()
    assert (record.started_at, record.ring_ms, record.talk_ms) == (T0, None, 3_000)
    assert record.answer_estimated  # nobody saw the answer itself (rule 4)
    at_once = [events[0]._replace(items=(item("CallConnected", started=T0 + 5_000),)), events[1]]
    assert (play(at_once).record().ring_ms, play(at_once).record().answer_estimated) == (1_000, False)
    later = [events[0]._replace(items=(item("CallConnected", started=T0 + 4_999),)), events[1]]
    assert (play(later).record().ring_ms, play(later).record().answer_estimated) == (None, True)


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
    desk.tracker.take(presence("101", 9, T0 - 5_000, item("Ringing")), desk.now)
    desk.tracker.release(list(desk.tracker.calls))
    assert desk.call().revision == 2
    desk.tracker.drain()
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
    assert "call.reopened" not in desk.announced()


def test_a_later_end_that_says_nothing_new_is_no_amendment() -> None:
    desk = play(answered_call()).see(presence("101", 13, T0 + 25_000, item("NoCall"))).settle()
    assert (desk.call().revision, desk.announced().count("call.amended")) == (1, 0)


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
