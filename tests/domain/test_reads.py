"""Presence, read over REST: how it stands to what the feed tells (rule 6)."""

import pytest

from ringledger.domain.call import CallRecord, Phase
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import Source
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracked import restored
from tests.builders import T0, Desk, claim, item, presence, presence_read

NO_CALL, CONNECTED = TelephonyStatus.NO_CALL, TelephonyStatus.CALL_CONNECTED


def test_a_read_moves_a_call_the_feed_was_silent_about() -> None:
    desk = Desk().see(presence(1, 5, T0, item("Ringing"))).wait(8)
    desk.read(presence_read(1, T0 + 9_000, item("CallConnected"))).wait(3)
    assert desk.call().status is CONNECTED
    desk.see(presence(1, 6, T0 + 12_000, item("NoCall"))).settle()
    assert desk.record().ended_at == T0 + 12_000


def test_an_event_outranks_a_read_that_was_asked_for_before() -> None:
    desk = Desk().see(presence(1, 5, T0, item("Ringing"))).wait(8)
    desk.wait(1).see(presence(1, 6, T0 + 9_000, item("NoCall")))
    desk.read(presence_read(1, T0 + 8_000, item("Ringing")))
    assert desk.call().status is NO_CALL
    assert desk.settle().record().ended_at == T0 + 9_000


def test_a_read_from_before_a_call_says_nothing_about_it() -> None:
    desk = Desk()
    desk.wait(5).see(presence(1, 5, T0, item("Ringing"))).read(presence_read(1, T0 - 5_000))
    assert (desk.call().phase, desk.call().suspect) == (Phase.OPEN, False)


def test_a_read_without_the_call_ends_it_at_its_last_sign_of_life() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected"))).wait(60)
    desk.read(presence_read(1, T0 + 60_000))
    record = desk.record()
    assert (record.ended_at, record.end_source, record.end_estimated) == (T0, EndSource.RECONCILED, True)
    assert desk.status_of(1) is NO_CALL


def test_an_estimated_end_is_one_until_the_call_is_confirmed() -> None:
    desk = Desk().see(presence(1, 1, T0, item("Ringing")), presence(1, 2, T0 + 5_000, item("CallConnected")))
    desk.read(presence_read(1, T0 + 60_000)).settle()
    assert (desk.record().end_source, desk.record().end_estimated) == (EndSource.RECONCILED, True)
    desk.books(claim("Accepted", duration=5_000, extension="1", source=Source.CALL_LOG, read_at=T0 + 90_000))
    assert not desk.record().end_estimated


def test_a_ring_whose_end_nobody_saw_has_no_length() -> None:
    desk = Desk().see(presence(1, 5, T0, item("Ringing"))).wait(60).read(presence_read(1, T0 + 60_000))
    record = desk.record()
    assert (str(record.disposition), record.end_estimated, record.ring_ms) == ("missed", True, None)
    desk.books(claim("Missed", duration=20_000, extension="1", source=Source.CALL_LOG, read_at=T0 + 90_000))
    assert (desk.record().end_estimated, desk.record().ring_ms) == (False, 20_000)


def test_a_read_ends_only_the_legs_of_its_own_extension() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected", "a")), presence(2, 5, T0, item("CallConnected", "b")))
    desk.wait(60).read(presence_read(1, T0 + 60_000))
    assert desk.call().phase is Phase.OPEN
    assert [(leg.leg_id, leg.live) for leg in desk.call().legs] == [("a", False), ("b", True)]


@pytest.mark.parametrize(("termination", "lives"), [("final", False), (None, False), ("intermediate", True)])
def test_a_read_that_lists_a_leg_as_ended_ends_it(termination: str | None, lives: bool) -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected", "a"), item("CallConnected", "b"))).wait(60)
    ended = item("NoCall", "b", termination=termination)
    desk.read(presence_read(1, T0 + 60_000, item("OnHold", "a"), ended))
    assert [(leg.leg_id, leg.live) for leg in desk.call().legs] == [("a", True), ("b", lives)]


def test_a_read_does_not_resurrect_what_ended_after_it_was_asked_for() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected"))).wait(1)
    desk.see(presence(1, 6, T0 + 9_000, item("NoCall"))).settle()
    desk.read(presence_read(1, T0 + 8_000, item("CallConnected")))
    assert desk.call().phase is Phase.FINISHED


def test_a_read_opens_a_call_nobody_told_of() -> None:
    desk = Desk().read(presence_read(1, T0, item("CallConnected")))
    assert desk.call().status is CONNECTED
    assert desk.status_of(1) is CONNECTED
    desk.see(presence(1, 6, T0 + 9_000, item("NoCall"))).settle()
    assert desk.record().ended_at == T0 + 9_000


@pytest.mark.parametrize("status", ["NoCall", "Teleported"])
def test_a_read_of_nothing_alive_opens_nothing(status: str) -> None:
    desk = Desk().read(presence_read(1, T0, item(status)))
    assert not desk.tracker.calls


def test_a_cut_read_proves_no_absence() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected"))).wait(60)
    desk.read(presence_read(1, T0 + 60_000, truncated=True))
    assert desk.call().phase is Phase.OPEN


def test_an_item_with_a_status_nobody_knows_is_still_there() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected"))).wait(60)
    desk.read(presence_read(1, T0 + 60_000, item("Teleported")))
    assert desk.call().phase is Phase.OPEN


def test_a_read_does_not_raise_the_guard() -> None:
    desk = Desk().see(presence(1, 5, T0, item("Ringing"))).wait(5)
    desk.read(presence_read(1, T0 + 5_000, item("Ringing")))
    desk.see(presence(1, 6, T0 + 5_001, item("CallConnected")))
    assert desk.call().status is CONNECTED
    assert desk.reasons() == []


def test_the_true_end_corrects_an_estimated_one() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected"))).wait(60)
    desk.read(presence_read(1, T0 + 60_000))
    desk.see(presence(1, 6, T0 + 58_000, item("NoCall"))).settle()
    assert (desk.record().ended_at, desk.record().end_estimated) == (T0 + 58_000, False)


def test_a_read_that_ends_one_side_leaves_the_call_as_the_other_side_is() -> None:
    desk = Desk().see(presence(101, 1, T0, item("OnHold", "a")))
    desk.see(presence(102, 1, T0 + 1_000, item("CallConnected", "b", direction="Outbound")))
    desk.wait(60).read(presence_read(102, T0 + 61_000))
    assert (desk.call().status, desk.call().hold_since) == (TelephonyStatus.ON_HOLD, T0 + 1_000)
    assert desk.changes.transitions[desk.call().key][-1].source is Source.PRESENCE_READ


def test_an_extensions_status_is_as_old_as_the_read_that_showed_it() -> None:
    desk = Desk().see(presence(101, 1, T0))
    desk.wait(100).read(presence_read(101, T0 + 100_000, item("CallConnected")))
    extension = desk.tracker.extensions["400100", "101"]
    assert (extension.since, extension.updated_at) == (T0 + 100_000, T0)


# -- estimates -----------------------------------------------------------------------------------------------------


def answered_as_read(at: int) -> Desk:
    """Rings at T0; a read that was asked for at ``at`` shows it answered."""
    desk = Desk().see(presence(1, 5, T0, item("Ringing"))).wait(20)
    return desk.read(presence_read(1, at, item("CallConnected"))).wait(1)


def ended(desk: Desk) -> CallRecord:
    return desk.see(presence(1, 9, T0 + 60_000, item("NoCall"))).settle().record()


@pytest.mark.parametrize("really", [T0 + 11_000, T0 + 19_999, T0 + 20_800, T0 + 25_000])
def test_an_event_says_when_a_call_was_answered_that_a_read_showed_answered(really: int) -> None:
    desk = answered_as_read(T0 + 20_000).see(presence(1, 6, really, item("CallConnected")))
    record = ended(desk)
    assert (record.answered_at, record.ring_ms, record.talk_ms) == (really, really - T0, T0 + 60_000 - really)
    assert desk.call().legs[0].answered_at == really


@pytest.mark.parametrize("really", [T0 + 11_000, T0 + 20_800])
def test_an_event_says_so_even_after_the_call_is_over(really: int) -> None:
    desk = answered_as_read(T0 + 20_000)
    assert ended(desk).answered_at == T0 + 20_000
    desk.see(presence(1, 6, really, item("CallConnected")))
    assert (desk.record().answered_at, desk.record().revision) == (really, 2)


def test_an_event_long_after_a_read_only_repeats_what_the_read_had_shown() -> None:
    desk = answered_as_read(T0 + 20_000).see(presence(1, 6, T0 + 40_000, item("OnHold")))
    record = ended(desk)
    assert (record.answered_at, desk.call().legs[0].answered_at) == (T0 + 20_000, T0 + 20_000)
    assert (record.talk_ms, record.hold_ms) == (20_000, 20_000)


def test_a_read_does_not_move_an_answer_an_event_has_told() -> None:
    desk = Desk().see(presence(1, 5, T0, item("Ringing")), presence(1, 6, T0 + 20_000, item("CallConnected"))).wait(9)
    desk.read(presence_read(1, T0 + 19_000, item("CallConnected")))
    assert ended(desk).answered_at == T0 + 20_000


@pytest.mark.parametrize("really", [T0 - 4_000, T0 + 1_200])
def test_an_event_says_when_a_call_first_rang_that_a_read_showed_ringing(really: int) -> None:
    desk = Desk().read(presence_read(1, T0, item("Ringing")))
    desk.see(presence(1, 5, really, item("Ringing")), presence(1, 6, T0 + 9_000, item("CallConnected")))
    record = ended(desk)
    assert (record.started_at, record.ring_ms) == (really, T0 + 9_000 - really)
    assert desk.call().legs[0].started_at == really


def test_a_start_the_platform_names_is_no_estimate() -> None:
    desk = Desk().read(presence_read(1, T0, item("Ringing", started=T0 - 3_000)))
    desk.see(presence(1, 5, T0 + 500, item("Ringing")))
    assert ended(desk).started_at == T0 - 3_000


def test_what_presence_claims_to_have_seen_counts_from_the_answer_a_read_has_shown() -> None:
    desk = answered_as_read(T0 + 20_000)
    ended(desk)
    (seen,) = [one for (_, source, _), one in desk.changes.claims.items() if source is Source.PRESENCE]
    assert seen.duration_ms == 40_000


def test_a_read_between_two_that_show_the_same_counts_after_a_restart_as_before() -> None:
    """The call was taken off hold and put on hold again, and both notifications were lost."""
    desk = Desk().see(presence(1, 1, T0, item("Ringing")), presence(1, 2, T0 + 5_000, item("CallConnected")))
    desk.see(presence(1, 3, T0 + 60_000, item("OnHold")), presence(1, 6, T0 + 360_000, item("CallConnected")))
    for seconds in (30, 200, 400):
        desk.read(presence_read(1, T0 + seconds * 1_000, item("CallConnected")))
    desk.see(presence(1, 7, T0 + 460_000, item("NoCall"))).settle()
    assert desk.record().hold_ms == 140_000
    assert restored(desk.call().saved()).row() == desk.record()
