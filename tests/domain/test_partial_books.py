"""Records that tell of a part of a call: of one extension, of a time before its end, of somebody else's telephone.

A record is true of what it tells of, whenever it was read (rules 6, 7). It must not end, cut, turn or confirm a
call of which it does not tell the whole.
"""

import pytest

from ringledger.domain.call import CallRecord, Phase
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import RecordClaim, Source
from ringledger.domain.status import TelephonyStatus
from tests.builders import CALLEE, CALLER, SESSION, T0, Desk, claim, item, presence, presence_read

LOG = Source.CALL_LOG
NO_CALL = TelephonyStatus.NO_CALL


def span(record: CallRecord) -> tuple[float, float | None, float]:
    """Start, answer and end in seconds from ``T0``."""
    answered = None if record.answered_at is None else (record.answered_at - T0) / 1_000
    return (record.started_at - T0) / 1_000, answered, (record.ended_at - T0) / 1_000


def forwarded(action: str, result: str, *, started: int, duration: int) -> RecordClaim:
    """The record of a leg to somebody's mobile telephone."""
    told = claim(result, started=started, duration=duration, record="mobile", direction="Outbound", source=LOG)
    return told._replace(action=action)


# -- hunting: one extension's record while another rings or talks --------------------------------------------------


def test_a_missed_record_of_one_agent_does_not_end_the_ringing_of_the_next() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a", queue=True)))
    desk.see(presence(101, 2, T0 + 20_000, item("NoCall", "a")), after=20)
    desk.see(presence(102, 1, T0 + 20_100, item("Ringing", "b", queue=True))).wait(8)
    desk.books(claim("Missed", duration=20_000, record="R-101", extension="101", read_at=T0 + 28_000))
    assert (desk.call().phase, desk.status_of(102)) == (Phase.OPEN, TelephonyStatus.RINGING)
    assert desk.call().suspect  # its presence is read at once


def test_who_answers_first_talks_on_though_the_others_are_recorded_as_missed() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a")), presence(102, 1, T0, item("Ringing", "b")))
    desk.see(presence(102, 2, T0 + 10_000, item("CallConnected", "b")), after=10)
    desk.see(presence(101, 2, T0 + 10_050, item("NoCall", "a"))).wait(4)
    desk.books(claim("Missed", duration=10_050, record="R-101", extension="101", read_at=T0 + 14_000))
    assert desk.call().phase is Phase.OPEN
    desk.see(presence(102, 3, T0 + 200_000, item("NoCall", "b")), after=186).settle()
    assert (span(desk.record()), str(desk.record().disposition)) == ((0, 10, 200), "answered")
    assert desk.record().confirmed_at is None
    desk.books(claim("Accepted", duration=200_000, record="R-102", extension="102", source=LOG, read_at=T0 + 230_000))
    assert (desk.record().result, desk.record().confirmed_at) == ("Accepted", T0 + 230_000)


def test_a_side_no_record_tells_of_ends_when_its_presence_is_read() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a")), presence(102, 1, T0, item("Ringing", "b")))
    desk.wait(60).books(claim("Accepted", duration=50_000, record="R-101", extension="101", source=LOG))
    assert (desk.call().phase, desk.status_of(101)) == (Phase.OPEN, NO_CALL)
    desk.read(presence_read(102, T0 + 60_000))
    assert (span(desk.record())[2], desk.record().confirmed_at is not None) == (50, True)


# -- transfer: two extensions, two records -------------------------------------------------------------------------

FIRST = claim("Accepted", duration=120_000, record="R-101", extension="101", source=LOG, read_at=T0 + 150_000)
SECOND = claim(
    "Accepted", started=T0 + 120_000, duration=1_080_000, record="R-102", extension="102", source=LOG
)._replace(read_at=T0 + 1_240_000)


def transferred() -> Desk:
    """101 answers after 5 s and hands over to 102 after two minutes."""
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a")))
    desk.see(presence(101, 2, T0 + 5_000, item("CallConnected", "a")), after=5)
    desk.see(presence(102, 1, T0 + 120_000, item("Ringing", "b")), after=115)
    desk.see(presence(101, 3, T0 + 120_080, item("NoCall", "a", termination="final")))
    return desk.see(presence(102, 2, T0 + 126_000, item("CallConnected", "b")), after=6)


def hung_up(desk: Desk) -> Desk:
    """The end, twenty minutes after the start."""
    return desk.see(presence(102, 3, T0 + 1_200_000, item("NoCall", "b", termination="final"))).settle()


@pytest.mark.parametrize("order", ["both after", "first while it goes on", "first, then second"])
def test_a_transferred_call_is_confirmed_by_the_records_of_both_and_keeps_its_span(order: str) -> None:
    desk = transferred()
    if order == "first while it goes on":
        desk.wait(30).books(FIRST)
        assert desk.call().phase is Phase.OPEN
    hung_up(desk)
    assert (span(desk.record()), desk.record().confirmed_at) == ((0, 5, 1200), None)
    for told in {"both after": [[FIRST, SECOND]], "first, then second": [[FIRST], [SECOND]]}.get(order, [[SECOND]]):
        desk.books(*told)
    record = desk.record()
    assert (span(record), record.ring_ms, record.talk_ms) == ((0, 5, 1200), 5_000, 1_195_000)
    assert record.confirmed_at == SECOND.read_at


def test_the_record_of_one_side_confirms_nothing_of_a_call_that_went_on_at_another() -> None:
    desk = hung_up(transferred()).books(FIRST._replace(read_at=T0 + 1_240_000))
    assert (span(desk.record()), desk.record().confirmed_at, desk.record().result) == ((0, 5, 1200), None, None)


def test_a_side_no_record_tells_of_was_there_before_those_they_tell_of() -> None:
    desk = hung_up(transferred()).books(SECOND)
    assert (span(desk.record()), desk.record().ring_ms) == ((0, 5, 1200), 5_000)


def test_the_books_win_over_the_side_they_tell_of() -> None:
    """Not a part of the call, but another opinion of it."""
    desk = Desk().see(presence(101, 1, T0, item("CallConnected")), presence(101, 2, T0 + 90_000, item("NoCall")))
    desk.settle().books(claim("Accepted", duration=60_000, source=LOG, read_at=T0 + 120_000))
    assert (span(desk.record())[2], desk.record().confirmed_at) == (60, T0 + 120_000)


def test_a_record_read_while_the_call_went_on_does_not_cut_it_and_is_read_again() -> None:
    desk = Desk().see(presence(101, 1, T0, item("CallConnected"))).wait(70)
    early = claim("Accepted", duration=60_000, source=LOG, read_at=T0 + 70_000)
    desk.books(early)
    desk.see(presence(101, 2, T0 + 75_000, item("OnHold")), after=5)  # the sign of life that proves it wrong
    desk.see(presence(101, 3, T0 + 300_000, item("NoCall"))).settle()
    assert (span(desk.record())[2], desk.record().confirmed_at) == (300, None)
    desk.books(early._replace(duration_ms=299_500, read_at=T0 + 340_000))
    assert (span(desk.record())[2], desk.record().confirmed_at) == (299.5, T0 + 340_000)


def test_an_end_that_is_only_told_later_makes_no_record_too_early() -> None:
    """A snapshot about another call may list one as over long after its own end was lost; who read the record again by
    then learned nothing new, and may have kept nothing of it.
    """
    told = claim("Missed", duration=38_000, read_at=T0 + 51_000)
    desk = Desk().see(presence(101, 1, T0, item("Ringing")))
    desk.books(told).see(presence(101, 9, T0 + 73_000, item("NoCall"))).settle()
    record = desk.record()
    assert (span(record), record.ring_ms, record.result) == ((0, None, 38), 38_000, "Missed")
    assert record.confirmed_at == T0 + 51_000
    assert desk.books(told._replace(read_at=T0 + 81_000)).record() == record


# -- records in progress -------------------------------------------------------------------------------------------


def test_a_record_that_runs_on_after_the_last_leg_wakes_nobody() -> None:
    """The caller talks to the voicemail, or was handed over to a mobile telephone."""
    desk = Desk().see(presence(101, 1, T0, item("Ringing")))
    desk.see(presence(101, 2, T0 + 20_000, item("NoCall", termination="final")), after=20).settle()
    for seconds in (45, 225):
        desk.books(claim(duration=seconds * 1_000, read_at=T0 + seconds * 1_000)).wait(5)
        assert (desk.call().phase, desk.status_of(101), desk.call().suspect) == (Phase.OPEN, NO_CALL, False)
    desk.books(claim("Voicemail", duration=230_000, read_at=T0 + 260_000))
    assert (span(desk.record()), str(desk.record().disposition)) == ((0, None, 230), "voicemail")
    assert desk.announced().count("call.reopened") == 1


def test_a_running_record_in_a_queues_name_is_of_the_agent_who_talks() -> None:
    desk = Desk().see(presence(102, 1, T0, item("Ringing", "b", queue=True)))
    desk.see(presence(102, 2, T0 + 5_000, item("CallConnected", "b", queue=True)), after=5).wait(55)
    desk.books(claim(duration=50_000, extension="900", read_at=T0 + 60_000))
    desk.see(presence(102, 3, T0 + 120_000, item("NoCall", "b", termination="final")), after=60).settle()
    assert (span(desk.record()), desk.record().end_source) == ((0, 5, 120), EndSource.PRESENCE)


def test_two_running_records_are_of_two_sides() -> None:
    desk = Desk().see(presence(102, 1, T0 - 90_000), presence(101, 1, T0, item("CallConnected", "a"))).wait(60)
    desk.books(claim(duration=60_000, extension="102", record="two"), claim(duration=55_000, extension="101"))
    assert [(leg.extension_id, leg.live) for leg in desk.call().legs] == [("101", True), ("102", True)]


def test_a_queue_and_its_agent_are_one_side_though_both_records_run() -> None:
    desk = Desk().see(presence(102, 1, T0, item("CallConnected", "b", queue=True))).wait(60)
    desk.books(claim(duration=50_000, extension="900", record="queue"), claim(duration=50_000, extension="102"))
    desk.see(presence(102, 2, T0 + 120_000, item("NoCall", "b", termination="final")), after=60).settle()
    assert (desk.call().phase, span(desk.record())[2]) == (Phase.FINISHED, 120)


def test_a_voicemail_that_a_poll_saw_keeps_its_extension() -> None:
    desk = Desk().see(presence(101, 1, T0 + 150, item("Ringing")), presence(101, 2, T0 + 20_150, item("NoCall")))
    desk.settle().books(claim(duration=45_000)).books(claim("Voicemail", duration=60_000, source=LOG))
    assert (desk.record().extension_id, str(desk.record().disposition)) == ("101", "voicemail")


def test_what_ran_longer_than_it_lasted_is_ended_by_its_own_record() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 20_000, item("NoCall"))).settle()
    desk.books(claim(duration=225_000, read_at=T0 + 225_000)).wait(40)
    desk.books(claim("Voicemail", duration=220_000, source=LOG, read_at=T0 + 265_000))
    assert (desk.call().phase, span(desk.record())[2]) == (Phase.FINISHED, 220)


# -- records of others who did not answer --------------------------------------------------------------------------


def test_the_missed_record_of_one_confirms_nothing_of_the_short_talk_of_another() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a")), presence(102, 1, T0, item("Ringing", "b")))
    desk.see(
        presence(102, 2, T0 + 20_000, item("CallConnected", "b")), presence(101, 2, T0 + 20_050, item("NoCall", "a"))
    )
    desk.see(presence(102, 3, T0 + 45_000, item("NoCall", "b"))).settle()
    desk.books(claim("Missed", duration=20_000, record="R-101", extension="101", source=LOG, read_at=T0 + 75_000))
    assert (span(desk.record()), str(desk.record().disposition)) == ((0, 20, 45), "answered")
    assert desk.record().confirmed_at is None


@pytest.mark.parametrize("over", [False, True])
def test_the_record_of_somebody_nobody_watches_ends_and_confirms_no_talk(over: bool) -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", queue=True)))
    desk.see(presence(101, 2, T0 + 14_900, item("CallConnected", queue=True)), after=15)
    if over:
        desk.see(presence(101, 3, T0 + 600_000, item("NoCall")), after=585).settle()
    elsewhere = claim("Answered Elsewhere", duration=15_000, record="R-103", extension="103", source=LOG)
    desk.wait(35).books(elsewhere._replace(read_at=T0 + 650_000))
    if over:
        assert (span(desk.record()), desk.record().confirmed_at) == ((0, 14.9, 600), None)
    else:
        assert (desk.call().phase, desk.status_of(101)) == (Phase.OPEN, TelephonyStatus.CALL_CONNECTED)


# -- somebody else's telephone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["FindMe", "FollowMe"])
@pytest.mark.parametrize("first", [0, 1])
def test_the_record_of_a_mobile_that_was_tried_as_well_tells_nothing_of_the_call(action: str, first: int) -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 20_000, item("NoCall"))).settle()
    own = claim("Missed", duration=20_000, record="own", source=LOG)
    mobile = forwarded(action, "No Answer", started=T0 + 5_000, duration=15_000)
    desk.books(*([own, mobile] if first == 0 else [mobile, own]))
    record = desk.record()
    assert (str(record.disposition), str(record.direction), record.internal) == ("missed", "Inbound", False)
    assert len(desk.call().legs) == 1


def test_a_call_of_which_nothing_else_is_recorded_is_not_lost() -> None:
    desk = Desk().books(forwarded("FindMe", "Accepted", started=T0, duration=15_000))
    assert str(desk.record().disposition) == "answered"


def test_a_call_opened_by_such_a_record_alone_is_ended_by_it() -> None:
    running = claim(duration=5_000, record="mobile", direction="Outbound")._replace(action="FindMe")
    desk = Desk().books(running).wait(60).books(forwarded("FindMe", "Accepted", started=T0, duration=15_000))
    assert (desk.call().phase, desk.record().confirmed_at is not None) == (Phase.FINISHED, True)


def test_an_internal_call_whose_ringing_was_lost_is_told_from_the_caller() -> None:
    desk = Desk().see(presence(102, 1, T0, item("Ringing", "b", sender="101", to="102")))
    calls = {"direction": "Outbound", "sender": "16505551001", "to": "102"}
    desk.see(presence(101, 1, T0 + 8_000, item("CallConnected", "a", **calls)))
    desk.see(presence(101, 2, T0 + 60_000, item("NoCall", "a", **calls)))
    desk.see(presence(102, 2, T0 + 60_000, item("NoCall", "b", sender="101", to="102"))).settle()
    record = desk.record()
    assert (str(record.direction), record.extension_id, record.internal) == ("Outbound", "101", True)


def test_a_call_somebody_fetched_by_dialling_stays_what_it_was() -> None:
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a")))
    fetched = item("CallConnected", "b", direction="Outbound", sender="102", to=CALLEE)
    desk.see(presence(102, 1, T0 + 6_000, fetched), presence(101, 2, T0 + 6_050, item("NoCall", "a")))
    desk.see(presence(102, 2, T0 + 60_000, item("NoCall", "b", direction="Outbound"))).settle()
    record = desk.record()
    assert (str(record.direction), record.internal, span(record)) == ("Inbound", False, (0, 6, 60))
    assert (record.from_number, record.to_number) == (f"+{CALLER}", f"+{CALLEE}")


def test_a_call_that_was_known_from_a_listing_and_then_handed_over_stays_outbound() -> None:
    outside = {"sender": "16502008440", "to": "102"}
    running = claim(duration=60_000, direction="Outbound", sender="16509540334", to="16502008440")
    desk = Desk().books(running).wait(60)
    desk.see(presence(102, 1, T0 + 120_000, item("Ringing", "b", **outside)))
    gone = item("NoCall", "a", direction="Outbound", sender="16509540334", to="16502008440", termination="final")
    desk.see(presence(101, 9, T0 + 121_000, gone))
    desk.see(presence(102, 2, T0 + 123_000, item("CallConnected", "b", **outside)))
    desk.see(presence(102, 3, T0 + 183_000, item("NoCall", "b", termination="final", **outside))).settle()
    record = desk.record()
    assert (str(record.direction), record.internal, record.extension_id) == ("Outbound", False, "101")
    assert (record.from_number, record.to_number) == ("+16509540334", "+16502008440")


# -- items that name their telephony session alone ------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["Inbound", None])
def test_a_parked_call_is_known_by_its_telephony_session(direction: str | None) -> None:
    seen = {"telephony": "s-1"}
    parked = {"session": None, "direction": direction, "sender": None, "to": None, **seen}
    desk = Desk().see(presence(101, 1, T0, item("Ringing", "a", **seen)))
    desk.see(presence(101, 2, T0 + 5_000, item("CallConnected", "a", **seen)), after=5)
    desk.see(presence(950, 1, T0 + 60_000, item("ParkedCall", None, **parked)), after=55)
    desk.see(presence(101, 3, T0 + 60_050, item("NoCall", "a", termination="final", **seen))).wait(60)
    desk.see(presence(102, 1, T0 + 150_000, item("CallConnected", "b", **seen)), after=30)
    desk.see(presence(950, 2, T0 + 150_050, item("NoCall", None, **parked)))
    desk.see(presence(102, 2, T0 + 200_000, item("NoCall", "b", termination="final", **seen))).settle()
    assert list(desk.changes.records) == [desk.call().key]
    assert (span(desk.record()), desk.record().hold_ms) == ((0, 5, 200), 89_950)


def test_an_end_that_names_its_telephony_session_alone_ends_the_call() -> None:
    desk = Desk().see(presence(101, 1, T0, item("CallConnected", telephony="s-1")))
    desk.see(presence(101, 2, T0 + 60_000, item("NoCall", session="", telephony="s-1", termination="final"))).settle()
    assert [(key.session_id, call.phase) for key, call in desk.tracker.calls.items()] == [(SESSION, Phase.FINISHED)]


def test_a_conference_that_learns_its_session_is_named_by_it() -> None:
    told = {"telephony": "s-9", "direction": "Outbound", "to": "conference"}
    desk = Desk().see(presence(101, 1, T0, item("CallConnected", "c", session="0", **told)))
    desk.see(presence(101, 2, T0 + 5_000, item("CallConnected", "c", session="777", **told)))
    desk.see(presence(101, 3, T0 + 9_000, item("NoCall", "c", session="777", **told))).settle()
    assert [(key.session_id, call.phase) for key, call in desk.tracker.calls.items()] == [("777", Phase.FINISHED)]


# -- answers that are older than they look --------------------------------------------------------------------------


def test_a_read_that_is_behind_the_end_wakes_nobody() -> None:
    desk = Desk().see(presence(101, 1, T0, item("CallConnected")), presence(101, 2, T0 + 60_000, item("NoCall")))
    desk.wait(2).read(presence_read(101, T0 + 61_000, item("CallConnected"))).settle()
    assert (desk.call().phase, span(desk.record())[2]) == (Phase.FINISHED, 60)


def test_a_ringout_whose_first_ringing_was_lost_is_still_one_call() -> None:
    inner = {"session": "in", "leg": "i", "sender": CALLEE, "to": CALLER}
    outer = {"session": "out", "leg": "o", "direction": "Outbound", "sender": CALLER, "to": CALLEE}
    desk = Desk().see(presence(101, 1, T0 + 300, item("Ringing", **outer)))
    desk.see(presence(101, 2, T0 + 4_000, item("CallConnected", **inner), item("Ringing", **outer)))
    desk.see(presence(101, 3, T0 + 30_000, item("NoCall", **inner), item("NoCall", **outer))).settle()
    assert desk.record("in").part_of == "out"


# -- what looks like a RingOut -------------------------------------------------------------------------------------


def test_calling_back_who_rings_at_others_too_is_no_ringout() -> None:
    inner = {"session": "in", "sender": CALLER, "to": CALLEE}
    outer = {"session": "out", "direction": "Outbound", "sender": CALLEE, "to": CALLER}
    desk = Desk().see(presence(102, 1, T0, item("Ringing", "b", **inner)))
    desk.see(presence(101, 1, T0 + 10, item("Ringing", "a", **inner)))
    desk.see(presence(101, 2, T0 + 3_000, item("Ringing", "a", **inner), item("Ringing", "o", **outer)))
    desk.see(presence(102, 2, T0 + 6_000, item("CallConnected", "b", **inner)))
    desk.see(presence(101, 3, T0 + 12_000, item("NoCall", "a", **inner), item("NoCall", "o", **outer)))
    desk.see(presence(102, 3, T0 + 200_000, item("NoCall", "b", **inner))).settle()
    assert [desk.record(session).part_of for session in ("in", "out")] == [None, None]
