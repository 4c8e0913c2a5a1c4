"""The numbered tables of what records say: each row is needed, and blanks say nothing (rules 6, 7)."""

from collections.abc import Callable, Iterable

import pytest

from ringledger import tracker_kind
from ringledger.domain import record_rules
from ringledger.domain.call import Phase
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import UNKNOWN_PARTY, CallKey, Source
from ringledger.domain.record_rules import RULES, Rule
from ringledger.domain.tracker import Records
from tests.builders import ACCOUNT, EXTENSION, T0, Desk, claim, item, presence, presence_read
from tests.domain import test_partial_books
from tests.domain.orders import one_outcome

DAY = 86_400_000


def test_each_rule_has_its_own_number_and_says_why() -> None:
    assert len({rule.number for rule in RULES}) == len(RULES)
    assert all(rule.why.endswith(".") for rule in RULES)


@pytest.mark.skipif(tracker_kind() == "compiled", reason="compiled code has its tables for itself")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_each_rule_has_a_story_that_fails_without_it(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    story = globals().get(rule.story) or getattr(test_partial_books, rule.story)
    marks = [mark for mark in getattr(story, "pytestmark", ()) if mark.name == "parametrize"]
    cases = [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]
    _play(story, cases)
    for table in ("RUNNING", "ENDS", "RESULTS"):
        rows = getattr(record_rules, table)
        monkeypatch.setattr(record_rules, table, tuple(row for row in rows if row[0] != rule))
    with pytest.raises((AssertionError, KeyError)):
        _play(story, cases)


def _play(story: Callable[..., None], cases: Iterable[dict[str, object]]) -> None:
    for case in cases:
        story(**case)


def test_a_record_in_progress_adds_no_leg_to_the_side_that_presence_shows() -> None:
    desk = talking().books(claim(duration=50_000, read_at=T0 + 50_000))
    assert [leg.extension_id for leg in desk.call().legs] == [EXTENSION]


def test_a_record_in_progress_in_a_queues_name_adds_no_leg() -> None:
    desk = talking().books(claim(duration=50_000, extension="900", read_at=T0 + 50_000))
    assert [leg.extension_id for leg in desk.call().legs] == [EXTENSION]


def test_a_record_in_progress_that_is_behind_wakes_no_call() -> None:
    desk = talking().see(presence(EXTENSION, 3, T0 + 20_000, item("NoCall"))).settle()
    assert desk.books(claim(duration=25_000, read_at=T0 + 29_000)).call().phase is Phase.FINISHED


def test_a_record_that_is_over_ends_no_side_whose_other_record_runs_on() -> None:
    over = claim("Accepted", duration=10_000, record="one", read_at=T0 + 50_000)
    runs = claim(started=T0 + 30_000, duration=20_000, record="two", read_at=T0 + 50_000)
    assert talking().books(over, runs).call().phase is Phase.OPEN


def test_a_record_that_is_over_ends_no_leg_that_lived_on() -> None:
    desk = talking().see(presence(EXTENSION, 3, T0 + 60_000, item("OnHold")))
    call = desk.books(claim("Accepted", duration=20_000, read_at=T0 + 70_000)).call()
    assert [str(change.status) for change in call.call.changes] == ["Ringing", "CallConnected", "OnHold"]


def test_a_record_that_is_over_and_says_no_result_ends_a_call() -> None:
    told = claim("Accepted", duration=20_000, source=Source.CALL_LOG, read_at=T0 + 70_000)._replace(result=None)
    desk = talking().books(told).settle()
    record = desk.record()
    assert (record.ended_at, record.end_estimated, record.confirmed_at) == (T0 + 20_000, False, None)


@pytest.mark.parametrize("first", ["read", "listing"])
def test_a_listing_that_a_later_read_refutes_tells_of_a_call_that_is_over(first: str) -> None:
    desk, refuted, running = Desk(), presence_read(EXTENSION, T0 + 40_000), claim(duration=20_000)
    desk = desk.batch(refuted, running) if first == "read" else desk.batch(running, refuted)
    record = desk.settle().record()
    assert (record.ended_at, record.end_estimated, str(record.end_source)) == (T0 + 20_000, True, "reconciled")
    assert (record.started_at, record.answer_estimated, record.ring_ms) == (T0, True, None)


def talking() -> Desk:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing")))
    return desk.see(presence(EXTENSION, 2, T0 + 5_000, item("CallConnected")))


def test_a_record_without_duration_ends_nothing() -> None:
    told = claim("Accepted", source=Source.CALL_LOG)._replace(duration_ms=None)
    assert talking().books(told).call().phase is Phase.OPEN


def test_a_record_without_duration_cuts_nothing_and_confirms_the_rest() -> None:
    desk = talking().see(presence(EXTENSION, 3, T0 + 25_000, item("NoCall"))).settle()
    record = desk.books(claim("Accepted", read_at=T0 + 60_000)._replace(duration_ms=None)).record()
    assert (record.ended_at, record.ring_ms, record.talk_ms, record.duration_ms) == (T0 + 25_000, 5_000, 20_000, 20_000)
    assert (record.confirmed_at, record.result) == (T0 + 60_000, "Accepted")


@pytest.mark.parametrize("running", [False, True])
def test_a_reading_that_lacks_start_and_duration_takes_back_neither(running: bool) -> None:
    first = claim(duration=20_000, read_at=T0 + 30_000)._replace(running=running)
    blank = claim("Accepted", source=Source.CALL_LOG, read_at=T0 + 300_000)
    record = Desk().books(first).books(blank._replace(started_at=None, duration_ms=None)).record()
    assert (record.started_at, record.result) == (T0, "Accepted")
    assert running or record.duration_ms == 20_000


@pytest.mark.parametrize("result", [None, "Accepted"])
def test_of_three_readings_the_one_between_may_alone_say_who_called(result: str | None) -> None:
    told = claim(result, duration=20_000, read_at=T0 + 30_000)
    readings = [told._replace(read_at=T0 + 30_000 + turn * 60_000) for turn in range(3)]
    for turn in (0, 2):
        readings[turn] = readings[turn]._replace(from_party=UNKNOWN_PARTY)
    desk = Desk()
    for reading in readings:
        desk.books(reading)
    assert desk.call().row().from_number == told.from_party.number


def test_a_call_known_from_a_record_without_result_is_written_and_not_confirmed() -> None:
    told = claim("Accepted", duration=9_000, source=Source.CALL_LOG)._replace(result=None)
    record = Desk().books(told).record()
    assert (record.disposition, record.confirmed_at) == (Disposition.UNKNOWN, None)
    assert (record.started_at, record.ended_at) == (T0, T0 + 9_000)


@pytest.mark.parametrize(("seen", "duration", "becomes"), [
    (True, 0, Disposition.ANSWERED), (False, 7_000, Disposition.ANSWERED), (False, 0, Disposition.NO_ANSWER),
])  # fmt: skip
def test_911_says_where_a_call_went(seen: bool, duration: int, becomes: Disposition) -> None:
    out = {"direction": "Outbound"}
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", **out)))
    if seen:
        desk.see(presence(EXTENSION, 2, T0 + 2_000, item("CallConnected", **out)))
    desk.see(presence(EXTENSION, 3, T0 + 9_000, item("NoCall", **out))).settle()
    desk.books(claim("911", duration=duration, direction="Outbound", source=Source.CALL_LOG, read_at=T0 + DAY))
    assert desk.record().disposition is becomes


def test_a_log_that_keeps_a_record_in_progress_opens_no_ghost() -> None:
    ghost = claim(started=T0 - 5 * DAY, duration=5 * DAY, source=Source.CALL_LOG)
    assert not Desk().books(ghost).tracker.calls


def test_a_record_of_the_log_in_progress_is_no_fact_whenever_it_is_read() -> None:
    """One read before all else left nothing behind, one read later gave the call its name and its caller."""
    going_on = claim(telephony="s-1", duration=5_000, source=Source.CALL_LOG)
    bridge = [
        presence(EXTENSION, 5 + number, T0 + number * 5_000, item(status, session="0", telephony="s-1", sender=""))
        for number, status in enumerate(("Ringing", "CallConnected", "NoCall"))
    ]
    desk = one_outcome(going_on, *bridge)
    assert [(name, row.from_number) for name, row in desk.rows().items()] == [("s-1", None)]
    finished = claim("Accepted", duration=60_000, source=Source.CALL_LOG, read_at=T0 + 90_000, sender="")
    assert one_outcome(going_on, finished).record().from_number is None
    running = Desk().see(*bridge[:2]).wait(14_000).books(going_on)
    assert running.wait(500).record("s-1").end_source is EndSource.EXPIRED
    assert running.changes.claims[CallKey(ACCOUNT, "s-1"), Source.CALL_LOG, "record-1"].ended_at is None


def test_the_log_outranks_active_calls_whichever_was_read_last() -> None:
    log = claim("Voicemail", duration=9_000, source=Source.CALL_LOG, read_at=T0 + 60_000)
    listed = claim("Missed", duration=9_000, read_at=T0 + 90_000)
    record = one_outcome(log, listed).record()
    assert (record.result, record.result_source) == ("Voicemail", Source.CALL_LOG)


def test_an_old_record_in_progress_is_believed_when_it_grows() -> None:
    old = claim(started=T0 - 2 * DAY, duration=2 * DAY, read_at=T0)
    desk = Desk().books(old).books(old._replace(read_at=T0 + 180_000))
    assert not desk.call().call.live
    desk.books(old._replace(duration_ms=2 * DAY + 360_000, read_at=T0 + 360_000))
    assert desk.call().phase is Phase.OPEN


def forgotten(extension: str | None) -> tuple[Desk, set[CallKey]]:
    """A call that a record in progress opened, and what its reading of a day later speaks of: it has not grown."""
    told = claim(extension=extension, duration=20_000, read_at=T0 + 25_000)
    desk = Desk().books(told)
    for at in (T0 + 3_600_000, T0 + DAY - 1_000):
        desk.books(told._replace(read_at=at))
    assert desk.call().phase is Phase.OPEN
    listed = desk.tracker.take(Records((told._replace(read_at=T0 + DAY + 1_000),)), desk.now)
    return desk, listed


def test_a_record_in_progress_that_has_ceased_to_grow_is_as_good_as_none() -> None:
    desk, listed = forgotten(None)
    assert listed == set()
    desk.listing(read_at=T0 + DAY + 1_000).listing(read_at=T0 + DAY + 181_000)
    record = desk.record()
    assert (record.ended_at, str(record.end_source), record.end_estimated) == (T0 + 20_000, "reconciled", True)


def test_presence_is_asked_about_a_record_in_progress_that_has_ceased_to_grow() -> None:
    desk, listed = forgotten(EXTENSION)
    assert desk.tracker.doubtful(listed, read_at=T0 + DAY + 1_000) == {(ACCOUNT, EXTENSION)}
    assert desk.read(presence_read(EXTENSION, T0 + DAY + 2_000)).record().ended_at == T0 + 20_000


def test_a_record_in_progress_that_has_ceased_to_grow_is_no_sign_of_life() -> None:
    desk, _ = forgotten(None)
    told = claim(extension=None, duration=20_000)
    for poll in range(1, 6):
        desk.wait(3_600).books(told._replace(read_at=T0 + DAY + poll * 3_600_000))
    assert str(desk.record().end_source) == "expired"
