"""Listings and books against what we have: the table of rule 6, and the verdicts of rule 7."""

import pytest

from ringledger.domain.call import Phase
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import CallKey, Source
from ringledger.domain.status import TelephonyStatus
from tests.builders import ACCOUNT, EXTENSION, SESSION, T0, Desk, claim, item, presence, presence_read

CONNECTED = TelephonyStatus.CALL_CONNECTED
KEY = CallKey(ACCOUNT, SESSION)


def talking() -> Desk:
    """Rings at T0, answered 5 s later; it is 5 s since."""
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing"))).wait(5)
    return desk.see(presence(EXTENSION, 2, T0 + 5_000, item("CallConnected"))).wait(5)


def finished() -> Desk:
    return talking().see(presence(EXTENSION, 3, T0 + 10_000, item("NoCall"))).settle()


def doubtful(desk: Desk, *listed: CallKey, seconds: int) -> set[tuple[str, str]]:
    return desk.tracker.doubtful(set(listed), read_at=T0 + seconds * 1_000)


def test_running_and_unknown_is_opened() -> None:
    desk = Desk().books(claim(duration=20_000))
    call = desk.call()
    assert (call.phase, call.status, call.opened_by) == (Phase.OPEN, CONNECTED, Source.ACTIVE_CALLS)
    assert desk.status_of(EXTENSION) is CONNECTED
    assert "poll.corrected" in desk.announced()


def test_a_call_opened_by_a_listing_goes_on_with_events() -> None:
    desk = Desk().books(claim(duration=20_000))
    desk.see(presence(EXTENSION, 9, T0 + 31_000, item("NoCall", "leg-9"))).settle()
    record = desk.record()
    assert (record.started_at, record.ended_at, record.leg_count) == (T0, T0 + 31_000, 1)
    assert record.disposition is Disposition.ANSWERED


def test_running_and_open_is_seen() -> None:
    desk = talking().books(claim(duration=10_000))
    assert desk.call().last_seen_at == T0 + 10_000
    assert (desk.call().phase, len(desk.call().legs)) == (Phase.OPEN, 1)


@pytest.mark.parametrize(("duration", "phase"), [(9_000, Phase.FINISHED), (25_000, Phase.OPEN)])
def test_running_and_finished_reopens_only_when_newer(duration: int, phase: Phase) -> None:
    assert finished().books(claim(duration=duration)).call().phase is phase


def test_finished_and_open_ends_it_by_the_books() -> None:
    desk = talking().wait(60).books(claim("Accepted", duration=40_000))
    record = desk.record()
    assert (record.ended_at, record.disposition, record.talk_ms) == (T0 + 40_000, Disposition.ANSWERED, 35_000)
    assert (record.confirmed_at, record.revision) == (T0 + 40_000, 1)


@pytest.mark.parametrize("order", [1, -1])
def test_an_event_after_the_question_outranks_the_answer(order: int) -> None:
    """It does by its time, whichever comes first."""
    desk = talking()
    later, answer = presence(EXTENSION, 3, T0 + 13_000, item("OnHold")), claim("Accepted", duration=9_000)
    if order > 0:
        desk.see(later).books(answer)
    else:
        desk.books(answer).see(later)
    assert (desk.call().phase, desk.call().status) == (Phase.OPEN, TelephonyStatus.ON_HOLD)


@pytest.mark.parametrize("order", [1, -1])
def test_an_event_of_a_moment_before_the_answers_does_not(order: int) -> None:
    desk = talking()
    earlier, answer = presence(EXTENSION, 3, T0 + 8_000, item("OnHold")), claim("Accepted", duration=9_000)
    if order > 0:
        desk.see(earlier).books(answer)
    else:
        desk.books(answer).see(earlier)
    assert (desk.call().phase, desk.record().ended_at, desk.record().hold_ms) == (Phase.FINISHED, T0 + 9_000, 1_000)


def test_finished_and_unknown_is_written_in_one_go() -> None:
    desk = Desk().books(claim("Missed", duration=12_000, read_at=T0 + 60_000))
    record = desk.record()
    assert (record.disposition, record.started_at, record.ended_at) == (Disposition.MISSED, T0, T0 + 12_000)
    assert (record.confirmed_at, record.revision, record.talk_ms) == (T0 + 60_000, 1, 0)
    assert desk.announced().count("call.finished") == 1


def test_finished_and_finished_confirms() -> None:
    desk = finished().books(claim("Accepted", duration=10_000, read_at=T0 + 60_000))
    assert (desk.record().confirmed_at, desk.record().result) == (T0 + 60_000, "Accepted")
    assert "call.confirmed" in desk.announced()
    assert "call.amended" not in desk.announced()


def test_a_verdict_that_says_otherwise_amends() -> None:
    desk = finished().books(claim("No Answer", duration=10_000))
    assert (desk.record().disposition, desk.record().talk_ms) == (Disposition.NO_ANSWER, 0)
    assert "call.amended" in desk.announced()


def test_the_same_verdict_twice_is_one() -> None:
    desk = finished().books(claim("Accepted", duration=10_000))
    revision = desk.record().revision
    desk.books(claim("Accepted", duration=10_000, read_at=T0 + 99_000))
    assert desk.record().revision == revision
    assert desk.announced().count("call.confirmed") == 1


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_records_the_answered_one_wins(order: int) -> None:
    told = [
        claim("Missed", duration=20_000, record="r1", extension="102"),
        claim("Accepted", duration=10_000, record="r2"),
    ]
    desk = finished().books(*told[::order])
    assert (desk.record().result, desk.record().disposition) == ("Accepted", Disposition.ANSWERED)
    assert len(desk.call().legs) == 2


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_unanswered_records_the_latest_wins(order: int) -> None:
    told = [
        claim("Missed", duration=5_000, record="r1"),
        claim("Voicemail", duration=20_000, record="r2", extension="102"),
    ]
    assert finished().books(*told[::order]).record().result == "Voicemail"


def test_the_call_log_overrules_active_calls_and_not_the_other_way_round() -> None:
    log = claim("No Answer", duration=10_000, source=Source.CALL_LOG)
    active = claim("Accepted", duration=10_000)
    assert finished().books(active).books(log).record().result == "No Answer"
    assert finished().books(log).books(active).record().result == "No Answer"


def test_ringing_and_not_listed_is_no_proof_but_a_question() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing")))
    assert doubtful(desk, seconds=20) == {(ACCOUNT, EXTENSION)}
    assert desk.call().phase is Phase.OPEN


@pytest.mark.parametrize(("silent", "asks"), [(30, False), (31, True)])
def test_connected_and_not_listed_is_asked_after_half_a_minute(silent: int, asks: bool) -> None:
    assert bool(doubtful(talking(), seconds=5 + silent)) is asks


def test_listed_is_not_doubtful() -> None:
    assert doubtful(talking(), KEY, seconds=500) == set()


def test_suspect_is_doubtful_at_once() -> None:
    desk = talking().see(presence(EXTENSION, 3, T0 + 6_000))
    assert doubtful(desk, seconds=6) == {(ACCOUNT, EXTENSION)}


def test_a_record_under_another_session_is_found_by_its_telephony_session() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", telephony="s-7")))
    desk.see(presence(EXTENSION, 2, T0 + 9_000, item("NoCall", telephony="s-7"))).settle()
    desk.books(claim("Missed", duration=9_000, session="other", telephony="s-7"))
    assert desk.record().result == "Missed"
    assert len(desk.tracker.calls) == 1


@pytest.mark.parametrize(("shift", "found"), [(60_000, True), (-60_000, True), (60_001, False)])
def test_a_call_that_never_connected_is_found_by_numbers_and_start(shift: int, found: bool) -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing")))
    desk.see(presence(EXTENSION, 2, T0 + 9_000, item("NoCall"))).settle()
    desk.books(claim("Missed", started=T0 + shift, session="other"), not_found=[CallKey(ACCOUNT, SESSION)])
    assert (len(desk.tracker.calls) == 1) is found


def test_who_gives_up_and_dials_again_has_made_two_calls() -> None:
    """The first time nobody's telephone rang, so only the log knows; the second time it rang and was missed."""
    desk = Desk().wait(25).see(presence(EXTENSION, 1, T0 + 25_000, item("Ringing")))
    desk.see(presence(EXTENSION, 2, T0 + 45_000, item("NoCall")), after=20).settle()
    desk.books(claim("Hang Up", duration=10_000, record="first", session="other", extension=None))
    desk.books(claim("Missed", started=T0 + 25_000, duration=20_000, record="second"))
    assert (desk.record("other").disposition, desk.record("other").started_at) == ("abandoned", T0)
    assert (desk.record().disposition, desk.record().started_at) == ("missed", T0 + 25_000)


def test_two_sessions_of_one_answer_are_two_calls() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing")), presence(EXTENSION, 2, T0 + 30_000, item("NoCall")))
    first = claim("Missed", duration=9_000, record="r1", session="one")
    desk.settle().books(first, claim("Missed", started=T0 + 20_000, duration=9_000, record="r2", session="two"))
    assert [key.session_id for key in desk.tracker.calls] == [SESSION, "two"]


def test_a_call_that_connected_is_not_found_by_numbers() -> None:
    assert len(finished().books(claim("Missed", session="other")).tracker.calls) == 2


def test_a_record_without_any_session_is_counted() -> None:
    desk = Desk().books(claim("Missed", session="0"))
    assert [told.reason for told in desk.changes.announcements] == ["untrackable"]
    assert not desk.tracker.calls


def test_an_unnamed_call_that_is_no_longer_listed_has_ended() -> None:
    desk = Desk().books(claim(duration=20_000, extension=None)).wait(60)
    desk.listing(read_at=T0 + 80_000)
    assert desk.call().phase is Phase.OPEN  # an empty answer may be a fault
    record = desk.wait(180).listing(read_at=T0 + 260_000).record()
    assert (record.ended_at, record.end_estimated, record.end_source) == (T0 + 20_000, True, EndSource.RECONCILED)


def ringout(inner_at: int, outer_at: int) -> Desk:
    """A RingOut in newer payloads: two sessions, numbers crossed."""
    inner = {"session": "inner", "leg": "i", "sender": "16502008440", "to": "16509540334"}
    outer = {"session": "outer", "leg": "o", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
    desk = Desk().see(presence(EXTENSION, 1, inner_at, item("Ringing", **inner)))
    desk.see(presence(EXTENSION, 2, outer_at, item("CallConnected", **inner), item("Ringing", **outer)))
    desk.see(presence(EXTENSION, 3, T0 + 30_000, item("NoCall", **inner), item("NoCall", **outer)))
    return desk.settle()


@pytest.mark.parametrize(("apart", "part_of"), [(0, "outer"), (5_000, "outer"), (5_001, None)])
def test_the_two_sessions_of_a_ringout_are_one_call(apart: int, part_of: str | None) -> None:
    desk = ringout(T0, T0 + apart)
    assert desk.record("inner").part_of == part_of
    assert desk.record("outer").part_of is None


def talked_back(*, over: bool) -> Desk:
    """Somebody calls back, two seconds after it rang, the caller he has just talked to."""
    one = {"leg": "i", "session": "inner", "sender": "16502008440", "to": "16509540334"}
    two = {"leg": "o", "session": "outer", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", **one)))
    desk.see(presence(EXTENSION, 2, T0 + 500, item("CallConnected", **one)))
    desk.see(presence(EXTENSION, 3, T0 + 2_000, item("CallConnected", **one), item("Ringing", **two)))
    if over:
        desk.see(presence(EXTENSION, 4, T0 + 2_300, item("NoCall", **one), item("Ringing", **two)))
    desk.see(presence(EXTENSION, 5, T0 + 9_000, item("CallConnected", **two)))
    return desk.see(presence(EXTENSION, 6, T0 + 30_000, item("NoCall", **two)))


def test_who_calls_back_at_once_has_made_two_calls() -> None:
    assert talked_back(over=True).settle().record("inner").part_of is None


def test_an_end_nobody_saw_parts_no_ringout() -> None:
    desk = talked_back(over=False).read(presence_read(EXTENSION, T0 + 40_000)).settle()
    assert (desk.record("inner").end_estimated, desk.record("inner").part_of) == (True, "outer")


@pytest.mark.parametrize(("action", "part_of"), [("RingOut Web", "outer"), ("Phone Call", None)])
def test_the_action_of_a_record_outranks_what_it_looked_like(action: str, part_of: str | None) -> None:
    outer = claim("Accepted", started=T0 + 2_000, duration=28_000, record="r2", session="outer", direction="Outbound",
                  sender="16509540334", to="16502008440")  # fmt: skip
    for over in (True, False):
        desk = talked_back(over=over).read(presence_read(EXTENSION, T0 + 40_000)).settle()
        assert desk.books(outer._replace(action=action)).record("inner").part_of == part_of


def test_a_half_that_had_ended_before_is_written_again_when_its_pair_is_found() -> None:
    inner = {"leg": "i", "session": "inner", "sender": "16502008440", "to": "16509540334"}
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", **inner)))
    desk.see(presence(EXTENSION, 2, T0 + 10_500, item("NoCall", **inner))).settle()
    outer = {"session": "outer", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
    desk.books(claim("Accepted", started=T0 + 1_000, duration=9_000, record="r2", **outer))
    assert desk.record("inner").part_of == "outer"


def test_an_end_told_before_the_last_events_does_not_lengthen_a_hold() -> None:
    """After a restart the books may speak of the end before the feed has replayed what led to it."""
    desk = Desk().see(presence(1, 5, T0, item("CallConnected")), presence(1, 6, T0 + 10_000, item("OnHold")))
    desk.wait(120).books(claim("Accepted", started=T0, duration=60_000, extension="1"))
    assert desk.record().hold_ms == 50_000
    desk.see(presence(1, 7, T0 + 30_000, item("CallConnected")), presence(1, 8, T0 + 60_000, item("NoCall"))).settle()
    record = desk.record()
    assert (record.hold_ms, record.talk_ms, record.ended_at) == (20_000, 40_000, T0 + 60_000)


def test_a_hold_that_goes_on_to_an_end_told_before_is_whole() -> None:
    desk = Desk().see(presence(1, 5, T0, item("CallConnected")), presence(1, 6, T0 + 10_000, item("OnHold")))
    desk.wait(120).books(claim("Accepted", started=T0, duration=60_000, extension="1"))
    desk.see(presence(1, 7, T0 + 30_000, item("OnHold")), presence(1, 8, T0 + 60_000, item("NoCall"))).settle()
    assert (desk.record().hold_ms, desk.record().talk_ms) == (50_000, 10_000)


def missed() -> Desk:
    """A call that rang for nine seconds and is over, not confirmed."""
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing")))
    return desk.see(presence(EXTENSION, 2, T0 + 9_000, item("NoCall"))).settle()


def test_a_record_of_another_session_finds_its_call_again() -> None:
    told = claim("Missed", duration=9_000, session="other")
    desk = missed().books(told).books(told._replace(source=Source.CALL_LOG))
    assert set(desk.changes.records) == {CallKey(ACCOUNT, SESSION)}
    assert desk.record().result_source is Source.CALL_LOG


@pytest.mark.parametrize("result", ["Accepted", None])
def test_a_record_of_a_talk_is_a_call_of_its_own(result: str | None) -> None:
    desk = missed().books(claim(result, started=T0 + 40_000, duration=5_000, session="second"))
    assert desk.call().phase is Phase.FINISHED
    assert desk.record().disposition is Disposition.MISSED
    assert CallKey(ACCOUNT, "second") in desk.tracker.calls


def test_a_call_whose_own_record_is_at_hand_is_not_another_ones() -> None:
    own = claim("Missed", duration=9_000, record="r1")
    desk = missed().books(claim("Missed", started=T0 + 40_000, session="second", record="r2"), own)
    assert {key.session_id: row.started_at for key, row in desk.changes.records.items()} == {
        SESSION: T0,
        "second": T0 + 40_000,
    }


def test_a_call_that_rang_on_after_a_records_end_is_another_one() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0 + 30_000, item("Ringing")))
    desk.books(claim("Missed", duration=20_000, session="before"))
    assert desk.call().phase is Phase.OPEN
    assert desk.record("before").ended_at == T0 + 20_000


def test_a_call_first_seen_in_a_listing_was_answered_before_its_next_event() -> None:
    desk = Desk().books(claim(duration=600_000))
    desk.see(presence(EXTENSION, 5, T0 + 610_000, item("CallConnected", started=T0)))
    desk.see(presence(EXTENSION, 6, T0 + 660_000, item("NoCall", started=T0))).settle()
    assert (desk.record().ring_ms, desk.record().talk_ms, desk.record().answer_estimated) == (None, 660_000, True)


def test_a_late_event_tells_when_a_call_from_a_listing_was_answered() -> None:
    desk = Desk().books(claim(duration=600_000))
    desk.see(presence(EXTENSION, 1, T0 + 7_000, item("CallConnected", started=T0)))
    desk.see(presence(EXTENSION, 6, T0 + 660_000, item("NoCall"))).settle()
    record = desk.record()
    assert (record.answered_at, record.talk_ms) == (T0 + 7_000, 653_000)
    assert (record.ring_ms, record.answer_estimated) == (None, True)  # nobody saw it ring (rule 4)


def test_a_side_only_the_listing_shows_can_be_asked_about() -> None:
    desk = talking().books(claim(duration=6_000, extension="102", direction="Outbound"))
    assert desk.status_of("102") is CONNECTED
    assert {leg.extension_id for leg in desk.changes.legs[KEY]} == {EXTENSION, "102"}
    desk.wait(1).see(presence(EXTENSION, 3, T0 + 9_000, item("NoCall")))
    desk.wait(40).read(presence_read("102", T0 + 50_000))
    assert desk.call().phase is Phase.FINISHED
    assert desk.status_of("102") is TelephonyStatus.NO_CALL


def test_a_verdict_given_while_a_call_settled_does_not_outlive_its_next_sign_of_life() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", "a")))
    desk.see(presence(EXTENSION, 2, T0 + 5_000, item("NoCall", "a"))).books(claim("Missed", duration=5_000))
    desk.see(presence(EXTENSION, 3, T0 + 11_000, item("CallConnected", "b")))
    desk.see(presence(EXTENSION, 4, T0 + 60_000, item("NoCall", "b"))).settle()
    record = desk.record()
    assert (record.disposition, record.confirmed_at, record.ended_at) == (Disposition.ANSWERED, None, T0 + 60_000)


def test_a_listing_that_names_nobody_makes_no_extension() -> None:
    assert not Desk().books(claim(extension=None)).tracker.extensions


def test_a_record_that_changes_nothing_of_the_row_is_no_amendment() -> None:
    counts = claim("Accepted", duration=9_000, record="a")
    desk = missed().books(counts, claim("Missed", duration=4_000, record="b"))
    before = desk.record()
    assert desk.books(claim("Missed", duration=3_000, record="b")).record() == before


@pytest.mark.parametrize("source", [Source.ACTIVE_CALLS, Source.CALL_LOG])
def test_who_told_of_an_end_is_said(source: Source) -> None:
    desk = talking().wait(60).books(claim("Accepted", duration=40_000, source=source))
    assert desk.changes.transitions[KEY][-1].source is source
    assert {told.source for told in desk.changes.announcements if told.kind.value == "call.finished"} == {source}


@pytest.mark.parametrize("leg", ["leg-9", None])
def test_a_call_whose_extension_is_learnt_later_leaves_nothing_behind(leg: str | None) -> None:
    desk = Desk().books(claim(duration=20_000, extension=None))
    desk.see(presence(EXTENSION, 9, T0 + 21_000, item("CallConnected", leg)))
    assert desk.status_of(EXTENSION) is CONNECTED
    desk.see(presence(EXTENSION, 10, T0 + 31_000, item("NoCall", leg))).settle()
    desk.tracker.release([KEY])
    second = claim(started=T0 + 60_000, extension=None, session="second")
    desk.books(second, second._replace(record_id="2", session_id="third"))
    assert {key.session_id for key in desk.tracker.calls} == {"second", "third"}


def test_late_news_from_before_a_certain_end_leaves_the_verdict() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing"))).wait(40)
    desk.books(claim("Accepted", started=T0, duration=30_000))
    assert desk.record().confirmed_at is not None
    desk.see(presence(EXTENSION, 2, T0 + 5_000, item("CallConnected")))
    desk.see(presence(EXTENSION, 3, T0 + 30_000, item("NoCall"))).settle()
    assert desk.call().phase is Phase.FINISHED
    assert desk.record().confirmed_at is not None
    assert desk.record().answered_at == T0 + 5_000


@pytest.mark.parametrize("really", [T0 + 7_000, T0 + 11_200])
def test_an_event_says_when_a_call_was_answered_that_was_just_so_when_it_was_listed(really: int) -> None:
    """The listing is dated to the second, by a clock of its own: the call's answer may bear a later time."""
    desk = Desk().books(claim(duration=10_000, read_at=T0 + 10_000))
    desk.see(presence(EXTENSION, 5, really, item("CallConnected", started=T0)))
    desk.see(presence(EXTENSION, 6, T0 + 60_000, item("NoCall", started=T0))).settle()
    assert (desk.record().answered_at, desk.record().ring_ms) == (really, None)  # its ringing was not seen (rule 4)


@pytest.mark.parametrize("status", ["CallConnected", "OnHold"])
def test_an_event_just_after_an_old_call_was_listed_does_not_tell_of_its_answer(status: str) -> None:
    desk = Desk().books(claim(duration=480_000))
    desk.see(presence(EXTENSION, 5, T0 + 483_000, item(status)))
    desk.see(presence(EXTENSION, 6, T0 + 600_000, item("NoCall"))).settle()
    assert desk.record().answered_at == T0


def test_a_later_reading_without_numbers_blanks_nothing() -> None:
    first = claim("Missed", duration=5_000, source=Source.CALL_LOG)
    again = claim("Missed", duration=5_000, source=Source.CALL_LOG, sender=None, to=None, read_at=T0 + 90_000)
    said = Desk().books(first).settle().record()
    desk = Desk().books(first).settle().books(again).settle()
    assert said.from_number
    assert (desk.record().from_number, desk.record().to_number) == (said.from_number, said.to_number)


@pytest.mark.parametrize("order", [1, -1])
def test_a_call_heard_of_again_is_not_over_by_a_strangers_record(order: int) -> None:
    """Its repeated item says nothing new but that it rings still: a record that ended before is another call's."""
    events = [presence(EXTENSION, 1, T0, item("Ringing")), presence(EXTENSION, 2, T0 + 40_000, item("Ringing"))]
    desk = Desk()
    for event in events[::order]:
        desk.see(event)
        assert desk.call().call.seen_at == desk.call().last_seen_at
    desk.books(claim("Missed", duration=5_000, session="S2", record="record-2", source=Source.CALL_LOG))
    assert desk.call().phase is Phase.OPEN
    assert CallKey(ACCOUNT, "S2") in desk.tracker.calls
