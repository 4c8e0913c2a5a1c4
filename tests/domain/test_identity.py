"""Which facts are of one call follows from the facts, whatever came first and however it was cut into batches (rules 1,
2.7, 7).
"""

import random

import pytest

from ringledger.domain.observation import CallKey, PresenceObservation, RecordClaim, Source
from tests.builders import ACCOUNT, SESSION, T0, Desk, claim, item, presence, presence_read
from tests.domain.orders import one_outcome

S = 1_000
DAY = 86_400_000


def ringing(at: int = 0, sequence: int = 1, **about: object) -> PresenceObservation:
    return presence(101, sequence, T0 + at * S, item("Ringing", **about))


def ended(at: int = 9, sequence: int = 9, **about: object) -> PresenceObservation:
    return presence(101, sequence, T0 + at * S, item("NoCall", **about))


def missed(at: int = 0, seconds: int = 9, **about: object) -> RecordClaim:
    told: dict[str, object] = {"session": "S2", "record": "r2", "extension": "101", "source": Source.CALL_LOG}
    told |= {"started": T0 + at * S, "duration": seconds * S, "read_at": T0 + DAY}
    return claim("Missed", **(told | about))  # type: ignore[arg-type]


# -- by name -------------------------------------------------------------------------------------------------------


def test_an_item_that_names_its_telephony_session_alone_finds_its_call_in_any_batch() -> None:
    both = presence(101, 2, T0 + 5 * S, item("CallConnected", telephony="T"))
    desk = one_outcome(ringing(), both, ended(session="", telephony="T"))
    assert list(desk.rows()) == [SESSION]


@pytest.mark.parametrize("blank", ["", "0", None])
def test_a_call_is_named_by_its_session_whenever_that_is_told(blank: str | None) -> None:
    desk = one_outcome(ringing(session=blank, telephony="T"), ended(telephony="T"))
    assert list(desk.rows()) == [SESSION]
    assert desk.rows()[SESSION].ring_ms == 9_000


def test_an_answer_that_has_a_call_under_another_name_is_no_answer_without_it() -> None:
    """It is known only later that both names are one call's."""
    running = claim(duration=5 * S, record="r1", extension="101", direction="Outbound", read_at=T0 + 6 * S)
    read = presence_read(101, T0 + 70 * S, item("OnHold", session="0", telephony="T"))
    both = missed(0, 60, session=SESSION, telephony="T", extension=None, read_at=T0 + 80 * S)
    desk = one_outcome(running, read, both)
    assert all(read.items for read in desk.call().facts.reads)


@pytest.mark.parametrize("told", [
    presence_read(101, T0 + 20 * S, item("NoCall", telephony="T")),
    presence(101, 2, T0 + 5 * S, item("Teleported", telephony="T")),
])  # fmt: skip
def test_what_is_no_fact_of_a_call_does_not_name_it(told: PresenceObservation) -> None:
    """Before the call was known it left nothing behind, afterwards it gave the call another key."""
    desk = one_outcome(ringing(session="0", telephony="T"), told, ended(session="0", telephony="T"))
    assert list(desk.rows()) == ["T"]


def test_a_fact_that_names_both_unites_what_was_apart() -> None:
    both = presence(101, 2, T0 + 5 * S, item("CallConnected", telephony="T"))
    desk = one_outcome(ringing(), ended(session="", telephony="T"), both, missed(session="", telephony="T"))
    assert list(desk.rows()) == [SESSION]


def test_calls_that_are_united_are_one_row_under_one_key() -> None:
    desk = Desk().batch(ringing()).batch(ended(2)).settle()
    desk.batch(ended(9, session="", telephony="T")).settle()
    assert desk.rows().keys() == {"T", SESSION}
    desk.batch(presence(101, 2, T0 + 5 * S, item("CallConnected", telephony="T"))).settle()
    assert list(desk.rows()) == [SESSION]
    assert desk.changes.united == {CallKey(ACCOUNT, "T"): CallKey(ACCOUNT, SESSION)}
    assert {key for key, _ in desk.changes.facts} == {CallKey(ACCOUNT, SESSION)}
    assert {key for key, *_ in desk.changes.claims} == {CallKey(ACCOUNT, SESSION)}


def test_what_came_in_one_notification_is_one_event_although_nobody_knew_that_its_calls_are_one() -> None:
    """Each part seemed to be the whole snapshot and to end the legs of the other."""
    first = item("NoCall", "leg-1", session="", telephony="T"), item("CallConnected", "leg-2")
    snapshot = presence(101, 2, T0 + 5 * S, *first)
    both = presence(101, 1, T0, item("Ringing", "leg-1", telephony="T"), item("Ringing", "leg-2", telephony="T"))
    desk = one_outcome(both, snapshot, ended(9, leg="leg-2"))
    assert (desk.record().answered_at, desk.record().ring_ms) == (T0 + 5 * S, 5 * S)


def test_a_record_finds_its_call_by_telephony_session_before_the_call_is_known() -> None:
    desk = one_outcome(missed(telephony="T"), ringing(telephony="T"), ended(telephony="T"))
    assert list(desk.rows()) == [SESSION]
    assert desk.rows()[SESSION].result == "Missed"


def test_a_reading_without_session_is_of_the_call_of_its_record() -> None:
    own = missed(session=SESSION)
    desk = one_outcome(ringing(), ended(), own)
    desk.batch(own._replace(session_id=None, result="Voicemail", read_at=T0 + 2 * DAY))
    assert desk.rows()[SESSION].result == "Voicemail"


# -- by numbers and start ------------------------------------------------------------------------------------------


def test_a_record_of_another_session_finds_a_missed_call_whichever_is_known_first() -> None:
    desk = one_outcome(ringing(), ended(), missed())
    assert list(desk.rows()) == [SESSION]
    assert desk.rows()[SESSION].result == "Missed"


def test_of_two_records_the_nearer_is_the_calls() -> None:
    far = missed(3, 5, session="S3", record="r3")
    desk = one_outcome(ringing(), ended(), missed(1, 8), far)
    assert desk.rows().keys() == {"S3", SESSION}
    assert desk.rows()["S3"].started_at == T0 + 3 * S


def test_of_a_call_of_two_sessions_the_record_that_was_over_with_it_is_its_own() -> None:
    """Of the first it was the own before it rang again, and again afterwards, unless that was found no more."""
    again = {"session": "67029198022", "telephony": "T", "leg": "b"}
    first, second = missed(session="S3", record="r3"), missed(40, 10)
    desk = one_outcome(ringing(telephony="T"), ringing(40, 10, **again), ended(50, 20, **again), first, second)
    assert desk.rows().keys() == {"S3", SESSION}
    assert desk.rows()[SESSION].ended_at == T0 + 50 * S


def test_what_a_matched_record_says_brings_it_no_nearer_to_its_call() -> None:
    """It moved the start of the call, so that of two records the one that came first was kept."""
    early, late = missed(-20, 30, session="S3", record="r3"), missed(5, 4)
    desk = one_outcome(ringing(), ended(), early, late)
    assert desk.rows().keys() == {"S3", SESSION}


def test_a_restart_keeps_what_was_matched_after_its_own_was_asked_for_in_vain() -> None:
    desk = Desk().batch(ringing(), ended()).settle().books(missed(40, 5), not_found=[CallKey(ACCOUNT, SESSION)])
    again = Desk()
    again.tracker.restore([call.saved() for call in desk.tracker.calls.values()], now=again.now)
    assert again.books(missed(40, 5, read_at=T0 + 2 * DAY)).rows().keys() == {SESSION}


def test_a_record_of_its_own_sends_the_other_away() -> None:
    desk = one_outcome(ringing(), ended(), missed(), missed(session=SESSION, record="own", at=1, seconds=8))
    assert desk.rows().keys() == {"S2", SESSION}


def test_a_call_that_was_answered_after_all_lets_the_record_go() -> None:
    answered = presence(101, 3, T0 + 5 * S, item("CallConnected"))
    desk = one_outcome(ringing(), ended(), missed(), answered)
    assert desk.rows().keys() == {"S2", SESSION}
    assert desk.rows()[SESSION].result is None


def test_a_session_that_presence_shows_is_a_call_of_its_own() -> None:
    desk = one_outcome(ringing(), ended(), missed(), ringing(session="S2", leg="b", sequence=20))
    assert desk.rows().keys() == {"S2", SESSION}


@pytest.mark.slow
@pytest.mark.parametrize("shown", [None, "S3"])
@pytest.mark.parametrize("session", ["S2", None])
def test_whoever_shares_the_telephony_session_of_a_record_has_the_record(
    session: str | None, shown: str | None
) -> None:
    """The record was matched with another call by numbers; its telephony session was looked for without end."""
    own = ended(sequence=30, session=shown, telephony="T2", leg="b")
    desk = one_outcome(ringing(), ended(), missed(session=session, telephony="T2"), own)
    assert desk.rows().keys() == {SESSION, shown or session or "T2"}
    assert desk.rows()[SESSION].result is None


@pytest.mark.slow
def test_names_that_are_shared_across_calls_end_nothing() -> None:
    """Two records that were matched with two calls, and records that have the session of one and the telephony session
    of the other."""
    other = {"sender": "+13025550199", "extension": "102"}
    about = {"session": "7002", "sender": "+13025550199", "telephony": "T4"}
    told: list[PresenceObservation | RecordClaim] = [
        ringing(), ended(), presence(102, 1, T0, item("Ringing", "x", **about)),
        presence(102, 2, T0 + 9 * S, item("NoCall", "x", **about)),
        missed(telephony="T2"), missed(session="S3", record="r3", telephony="T3", **other),
        missed(record="r4", telephony="T3"), missed(session="S3", record="r5", telephony="T2"),
        missed(session=None, record="r6", telephony="T4"), missed(session=None, record="r2", telephony="T3"),
    ]  # fmt: skip
    dice = random.Random(7)
    for _ in range(300):
        dice.shuffle(told)
        desk = Desk()
        for one in told:
            desk.batch(one)
        assert SESSION in desk.settle().rows()


@pytest.mark.parametrize("withheld", [{"sender": None}, {"sender": "anonymous"}, {"to": None}])
def test_who_withholds_a_number_is_matched_by_none(withheld: dict[str, str | None]) -> None:
    stranger = missed(5, 20, **withheld)
    desk = one_outcome(ringing(**withheld), ended(20, **withheld), stranger)
    assert desk.rows().keys() == {"S2", SESSION}
    assert desk.rows()[SESSION].ended_at == T0 + 20 * S


@pytest.mark.parametrize("other", [{"extension": "102"}, {"direction": "Outbound"}])
def test_a_record_of_another_extension_or_direction_is_another_calls(other: dict[str, str]) -> None:
    desk = one_outcome(ringing(), ended(), missed(**other))
    assert desk.rows().keys() == {"S2", SESSION}


def test_the_record_of_a_talk_is_not_that_of_a_call_that_never_connected() -> None:
    talk = missed(5, 20)._replace(result="Accepted")
    desk = one_outcome(ringing(), ended(20), talk)
    assert {name: str(row.disposition) for name, row in desk.rows().items()} == {SESSION: "missed", "S2": "answered"}


def test_a_record_of_a_time_in_which_the_call_still_rings_is_another_calls() -> None:
    again = presence(101, 2, T0 + 40 * S, item("Ringing"))
    desk = one_outcome(ringing(), again, missed(seconds=5))
    assert desk.rows().keys() == {"S2", SESSION}


def test_a_record_without_session_is_matched_when_its_call_was_asked_for_in_vain() -> None:
    desk = Desk().batch(ringing(), ended()).settle()
    far = missed(40, 5, session=None)
    assert desk.books(far).reasons() == []
    assert desk.rows()[SESSION].result is None
    assert [told.reason for told in desk.changes.announcements if told.kind == "event.ignored"] == ["untrackable"]
    desk.books(far, not_found=[CallKey(ACCOUNT, SESSION)])
    assert desk.rows()[SESSION].result == "Missed"


def test_a_record_without_session_is_matched_by_numbers_and_start() -> None:
    desk = Desk().batch(ringing(), ended()).settle().books(missed(session=None))
    assert desk.rows()[SESSION].result == "Missed"
    assert list(desk.rows()) == [SESSION]


def test_a_restart_keeps_what_was_matched() -> None:
    desk = Desk().batch(ringing(), ended()).settle().books(missed())
    saved = [call.saved() for call in desk.tracker.calls.values()]
    again = Desk()
    again.tracker.restore(saved, now=again.now)
    later = missed()._replace(result="Voicemail", read_at=T0 + 2 * DAY)
    assert list(again.books(later).rows()) == [SESSION]
    assert again.rows()[SESSION].result == "Voicemail"
    own = missed(session=SESSION, record="own")
    assert again.books(own).rows().keys() == {"S2", SESSION}
    assert again.rows()[SESSION].result == "Missed"
