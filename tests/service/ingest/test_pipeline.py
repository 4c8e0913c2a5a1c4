"""The one way in: what is in the ledger is never taken for something new."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from ringledger.domain.call import CallRecord
from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey, Delivery, Source
from ringledger.domain.tracked import TrackedCall, restored
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.privacy.purge import purge_number
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.service.ingest.pipeline import Pipeline
from tests.builders import ACCOUNT, EXTENSION, SESSION, T0, claim, item, presence, presence_read
from tests.template import migrated

OTHER = "67029198022"


class Slow(Ledger):
    """Answers only when everything that waits for its commit is in."""

    writer: LedgerWriter | None = None

    async def load_sessions(self, keys):
        if self.writer is not None:
            await self.writer.flush()
        return await super().load_sessions(keys)


class Silent:
    """Hears of no trouble."""

    def retrying(self, error):
        raise error

    full = retrying

    def recovered(self, attempts):
        pass


@pytest.fixture
async def desk(tmp_path: Path):
    """An intake whose ledger is slow, with one call that has ended and waits for its commit."""
    url = migrated(tmp_path / "r.db")
    ledger = await Slow.open(url)
    told: list[Changes] = []
    intake = Pipeline(CallTracker(settle_seconds=0), ledger, ACCOUNT, announce=told.append)
    ledger.writer = intake.commit_by(LedgerWriter(
        ledger, intake.take, commit_interval=60, commit_batch=100, on_committed=intake.committed, notices=Silent(),
        now_ms=lambda: T0,
    ))  # fmt: skip
    writing = asyncio.create_task(ledger.writer.run())
    await intake.deliver(Delivery((presence(EXTENSION, 1, T0, item("Ringing")),), (), None))
    await intake.deliver(Delivery((presence(EXTENSION, 2, T0 + 5_000, item("CallConnected")),), (), None))
    await intake.deliver(Delivery((presence(EXTENSION, 3, T0 + 9_000, item("NoCall")),), (), None))
    intake.tracker.advance(1e12)
    ledger.writer.notify(0)
    assert intake.tracker.calls
    yield intake, ledger
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


async def _kept(ledger: Ledger) -> TrackedCall:
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, SESSION)])
    return restored(call)


async def test_a_record_of_a_call_that_is_committed_meanwhile_is_not_a_new_call(desk):
    intake, ledger = desk
    records = [claim("Accepted", duration=9_000), claim("Missed", session=OTHER, record="record-2")]
    await intake.take_claims(records, asked=0.0)
    call = await _kept(ledger)
    assert (call.fold().answered_at, call.revision, len(call.legs)) == (T0 + 5_000, 2, 1)


async def test_an_event_of_a_call_that_is_committed_meanwhile_opens_no_new_call(desk):
    intake, ledger = desk
    late = presence(EXTENSION, 4, T0 + 9_000, item("NoCall"), item("Ringing", "leg-2", session=OTHER))
    await intake.deliver(Delivery((late,), (), None))
    call = await _kept(ledger)
    assert (call.fold().answered_at, call.revision) == (T0 + 5_000, 1)


async def _ring(intake: Pipeline, session: str, *, answered: bool = False, **parties: str) -> None:
    """A call of nine seconds that is over, committed and out of memory."""
    for number, status in enumerate(["Ringing", "CallConnected" if answered else "Ringing", "NoCall"]):
        told = item(status, "leg", session=session, **parties)
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, told),), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert CallKey(ACCOUNT, session) not in intake.tracker.calls


async def _sessions(ledger: Ledger) -> dict[str, str | None]:
    known = await ledger.load_sessions([CallKey(ACCOUNT, one) for one in (OTHER, "log", "outer")])
    return {call.session_id: call.published.part_of if call.published else None for call in known}


@pytest.mark.parametrize("telephony", [None, "s-1"])
async def test_a_record_under_another_session_finds_its_call_however_often_it_is_read(desk, telephony):
    intake, ledger = desk
    await _ring(intake, OTHER)
    record = claim("Missed", duration=9_000, session="log", telephony=telephony)
    for _ in range(2):
        await intake.take_claims([record], asked=0.0, candidates=lambda _: [CallKey(ACCOUNT, OTHER)])
        assert not intake.tracker.calls
    await intake.take_claims([record], asked=0.0)
    assert await _sessions(ledger) == {OTHER: None}


async def test_a_record_without_a_session_finds_its_call_however_often_it_is_read(desk):
    """Nothing but numbers and start tells whose it is (rule 7.2), and the call is long out of memory."""
    intake, ledger = desk
    await _ring(intake, OTHER)
    record = claim("Missed", duration=9_000, session=None)
    await intake.take_claims([record], asked=0.0, candidates=lambda _: [CallKey(ACCOUNT, OTHER)])
    voicemail = record._replace(result="Voicemail", read_at=record.read_at + 60_000)
    await intake.take_claims([voicemail], asked=0.0)
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, OTHER)])
    assert (call.published.confirmed_at, call.published.result) == (record.read_at, "Voicemail")
    assert not intake.tracker.calls


async def _row(ledger: Ledger, session: str) -> CallRecord:
    calls = await ledger.load_sessions([CallKey(ACCOUNT, session)])
    (record,) = [call.published for call in calls if call.published and call.session_id == session]
    return record


async def _ring_as_logged(intake: Pipeline) -> None:
    """What a record was taken for another call's rings by itself."""
    for number, status in enumerate(["Ringing", "NoCall"]):
        told = presence(EXTENSION, 30 + number, T0 + 6_000 + number * 3_000, item(status, "leg", session="log"))
        await intake.deliver(Delivery((told,), (), None))
    await _settle(intake)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_record_that_was_matched_and_has_a_call_of_its_own_leaves_that_as_it_is(desk, restarted):
    """Its facts stand with the call it was matched with, too: what it says is not told anew as a new call's."""
    intake, ledger = desk
    await _ring(intake, OTHER)
    other = claim("Missed", started=T0 + 6_000, duration=3_000, session="log", record="r-2")
    await intake.take_claims([other], asked=0.0, candidates=lambda _: [CallKey(ACCOUNT, OTHER)])
    await _ring_as_logged(intake)
    before = await _row(ledger, "log")
    assert (before.ring_ms, before.events_accepted, before.result) == (3_000, 2, "Missed")
    if restarted:
        alive = item("Ringing", "leg-2", session=OTHER)
        await intake.deliver(Delivery((presence("102", 40, T0 + 12_000, alive),), (), None))
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
        assert {key.session_id for key in intake.tracker.calls} == {OTHER}
    await intake.take_claims([claim("Missed", duration=9_000, session=OTHER, record="r-1")], asked=0.0)
    over = item("NoCall", "leg-2", session=OTHER)
    await intake.deliver(Delivery((presence("102", 41, T0 + 15_000, over),), (), None))
    await _settle(intake)
    assert await _row(ledger, "log") == before
    assert not intake.tracker.calls


async def test_an_event_of_a_call_takes_its_record_back_from_the_one_it_was_matched_with(desk):
    intake, ledger = desk
    await _ring(intake, OTHER)
    other = claim("Missed", started=T0 + 6_000, duration=3_000, session="log", record="r-2")
    await intake.take_claims([other], asked=0.0, candidates=lambda _: [CallKey(ACCOUNT, OTHER)])
    assert (await _row(ledger, OTHER)).confirmed_at == other.read_at
    await _ring_as_logged(intake)
    await intake.take_claims([other._replace(read_at=T0 + 900_000)], asked=0.0, about=[CallKey(ACCOUNT, "log")])
    late = item("NoCall", "leg", session=OTHER)
    await intake.deliver(Delivery((presence(EXTENSION, 40, T0 + 12_000, late),), (), None))
    await _settle(intake)
    assert ((await _row(ledger, OTHER)).confirmed_at, (await _row(ledger, "log")).result) == (None, "Missed")
    assert not intake.tracker.calls


async def test_the_telephony_session_finds_a_call_that_is_out_of_memory(desk):
    intake, ledger = desk
    await _ring(intake, OTHER, telephony="s-1", answered=True)
    await intake.take_claims([claim("Accepted", session="log", telephony="s-1")], asked=0.0)
    assert await _sessions(ledger) == {OTHER: None}


MONTH = 30 * 86_400_000


@pytest.mark.parametrize("session", [None, "another"])
@pytest.mark.parametrize("later", [20_000, MONTH])
async def test_a_telephony_session_speaks_of_its_call_whether_that_is_in_memory_or_not(desk, session, later):
    """What is taken in one go is one call (rule 1.1); so is what comes when the first part of it is long released."""
    intake, ledger = desk
    await _ring(intake, OTHER, telephony="s-1")
    again = item("Ringing", "leg-2", session=session, telephony="s-1")
    await intake.deliver(Delivery((presence("102", 60, T0 + later, again),), (), None))
    assert {key.session_id for key in intake.tracker.calls} == {min(OTHER, session or OTHER, key=len)}
    assert len(await _all(ledger, "live_call")) == 1


async def test_two_records_of_one_telephony_session_are_one_call_however_far_apart(desk):
    intake, ledger = desk
    first = claim("Accepted", duration=9_000, session="1", telephony="s-1", record="r-1")
    second = claim("Accepted", started=T0 + MONTH, duration=9_000, session="2", telephony="s-1", record="r-2")
    for one in (first, second):
        await intake.take_claims([one], asked=0.0)
    assert await _all(ledger, "call") == {SESSION, "1"}
    assert (await _row(ledger, "1")).ended_at == T0 + MONTH + 9_000


@pytest.mark.parametrize("restarted", [False, True])
async def test_since_when_the_feed_is_seen_outlives_the_process(desk, restarted):
    """After a restart without a gap the first call that came back from the ledger seemed to bring a blind span with it,
    in the middle of another: its answer was told as one that nobody saw."""
    intake, ledger = desk
    intake.sees_since(T0 - 1_000)
    await _ring(intake, OTHER)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    about = {"session": "log", "sender": "16505550199"}
    await _tell(intake, 20, 10_000, "Ringing", about)
    late = presence("102", 1, T0 + 4_000, item("Ringing", "leg-2", session=OTHER))
    await intake.deliver(Delivery((late,), (), None))
    await _tell(intake, 21, 15_000, "CallConnected", about)
    await _tell(intake, 22, 25_000, "NoCall", about)
    await _settle(intake)
    row = await _row(ledger, "log")
    assert (row.answer_estimated, row.ring_ms) == (False, 5_000)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_read_that_came_before_its_call_was_known_outlives_the_process(desk, restarted):
    """The end of a call that a read no longer had was never told after a kill, if its events came later than the read:
    the call stayed open for hours, and expired."""
    intake, ledger = desk
    other = item("CallConnected", "leg-2", session="other")
    await intake.take_presence(presence_read("102", T0 + 60_000, other), asked=0.0)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    for sequence, told in enumerate([other._replace(session_id="log"), other], start=1):
        await intake.deliver(Delivery((presence("102", sequence, T0 + sequence * 1_000, told),), (), None))
    await _settle(intake)
    assert await _all(ledger, "live_call") == {"other"}
    row = await _row(ledger, "log")
    assert (row.end_source, row.ended_at, row.end_estimated) == ("reconciled", T0 + 1_000, True)


@pytest.mark.parametrize("restarted", [False, True])
async def test_listings_that_came_before_their_call_was_known_outlive_the_process(desk, restarted):
    """A record that was put aside as unreadable may be read by a later version. The call that it tells of stayed open
    until it expired, or was missing from two more listings."""
    intake, ledger = desk
    for at in (T0 + 300_000, T0 + 60_000, T0 + 240_000):
        await intake.take_listing([CallKey(ACCOUNT, OTHER)], read_at=at)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    running = claim(None, extension=None, duration=10_000, session="log")
    await intake.take_claims([running, running._replace(record_id="record-2", session_id=OTHER)], asked=0.0)
    await _settle(intake)
    assert await _all(ledger, "live_call") == {OTHER}
    row = await _row(ledger, "log")
    assert (row.end_source, row.ended_at, row.end_estimated) == ("reconciled", T0 + 10_000, True)


async def test_only_reads_of_the_last_hour_come_back(desk):
    intake, ledger = desk
    for hours in (0, 2):
        at = T0 + hours * 3_600_000
        await intake.take_presence(presence_read("102", at)._replace(received_at=at), asked=0.0)
    assert [had.at for had in (await ledger.load_open(ACCOUNT)).inventories] == [T0 + 2 * 3_600_000]
    assert (await ledger.load_open("another")).inventories == []


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_record_that_comes_before_the_events_of_its_call_is_found_by_them(desk, restarted):
    """It stayed a call of its own until the third look-up: it was out of memory when its call began."""
    intake, ledger = desk
    await intake.take_claims([claim("Missed", duration=9_000, session="log")], asked=0.0)
    assert "log" in await _all(ledger, "call")
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    await _ring(intake, OTHER)
    assert await _all(ledger, "call") == {SESSION, OTHER}
    assert (await _row(ledger, OTHER)).result == "Missed"


ENDS = {"sender": "16509540334", "to": "16502008440"}
OUTER = {"session": "outer", "direction": "Outbound", **ENDS}
INNER = {"session": OTHER, "sender": ENDS["to"], "to": ENDS["sender"]}


async def _tell(intake: Pipeline, sequence: int, at: int, status: str, about: dict[str, str]) -> None:
    told = presence(EXTENSION, sequence, T0 + at, item(status, about["session"], **about))
    await intake.deliver(Delivery((told,), (), None))


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("first", [OTHER, "outer"])
@pytest.mark.parametrize("begins", [0, 20_000])
async def test_the_halves_of_a_ringout_find_each_other_by_events_alone(desk, restarted, first, begins):
    """One half is over and out of memory when the other is heard of, or when a late event tells how much earlier than
    known it began."""
    intake, ledger = desk
    one, other = (INNER, OUTER) if first == OTHER else (OUTER, INNER)
    await _tell(intake, 10, 0, "Ringing", one)
    await _tell(intake, 20, 40_000, "NoCall", one)
    await _settle(intake)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    await _tell(intake, 19, begins, "Ringing", other)
    await _tell(intake, 21, 40_100, "NoCall", other)
    await _settle(intake)
    await _tell(intake, 11, 0, "Ringing", other)
    await _settle(intake)
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}
    assert not intake.tracker.calls


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("goes_on", "whole"), [(False, "second"), (True, "outer")])
async def test_a_half_goes_to_the_other_ringout_whatever_is_in_memory(desk, restarted, goes_on, whole):
    """Two RingOuts at once, of which the second is nearer to the inner leg and still open when the others are over. The
    first was out of memory when the second turned out to be no pair with it, and nobody got the inner leg; or when the
    second was written, and the first got it."""
    intake, ledger = desk
    second = {**OUTER, "session": "second"}
    await _tell(intake, 10, 0, "Ringing", INNER)
    await _tell(intake, 11, 100, "Ringing", second)
    await _tell(intake, 12, 900, "Ringing", OUTER)
    over = [item("NoCall", one["session"], **one) for one in (INNER, OUTER)]
    going_on = item("Ringing", "second", **second)
    await intake.deliver(Delivery((presence(EXTENSION, 13, T0 + 10_000, *over, going_on),), (), None))
    await _settle(intake)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    if goes_on:
        await _tell(intake, 14, 30_000, "CallConnected", second)
    await _tell(intake, 15, 40_000 if goes_on else 10_500, "NoCall", second)
    await _settle(intake)
    assert (await _sessions(ledger))[OTHER] == whole
    assert not intake.tracker.calls


@pytest.mark.parametrize("half", [OTHER, "outer"])
async def test_a_half_of_a_ringout_that_comes_back_brings_the_other(desk, half):
    """The pair is derived, never stored: whatever comes of either half is judged with both (rule 7.9)."""
    intake, ledger = desk
    ends = {"sender": "16509540334", "to": "16502008440"}
    outer, inner = {"direction": "Outbound", **ends}, {"sender": ends["to"], "to": ends["sender"]}
    for number, status in enumerate(["Ringing", "CallConnected", "NoCall"]):
        told = item(status, "o", session="outer", **outer), item(status, "i", session=OTHER, **inner)
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, *told),), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert not intake.tracker.calls
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}
    about = outer if half == "outer" else inner
    later = presence(EXTENSION, 50, T0 + 60_000, item("Ringing", "leg-2", session=half, **about))
    await intake.deliver(Delivery((later,), (), None))
    ended = presence(EXTENSION, 51, T0 + 80_000, item("NoCall", "leg-2", session=half, **about))
    await intake.deliver(Delivery((ended,), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert await _sessions(ledger) == {OTHER: None, "outer": None}


@pytest.mark.parametrize("telephony", ["s-1", None])
async def test_a_purged_call_does_not_come_back_under_another_name(desk, telephony):
    """The log calls it otherwise than presence did (rule 7.2), and its telephony session speaks of it, too."""
    intake, ledger = desk
    await _ring(intake, OTHER, telephony=telephony, sender="14155550199")
    record = claim("Missed", duration=9_000, session="log", telephony=telephony, sender="14155550199")
    await intake.take_claims([record], asked=0.0, candidates=lambda _: [CallKey(ACCOUNT, OTHER)])
    assert (await purge_number(ledger, "+14155550199", now_ms=T0)).calls == 1
    again = record._replace(result="Voicemail", read_at=record.read_at + 60_000)
    await intake.take_claims([again], asked=0.0)
    if telephony:
        late = item("Ringing", "leg-2", session=None, telephony=telephony, sender="14155550199")
        await intake.deliver(Delivery((presence("102", 60, T0 + 12_000, late),), (), None))
    assert not intake.tracker.calls
    assert await _all(ledger, "call") == {SESSION}


async def _all(ledger: Ledger, table: str) -> set[str]:
    async with ledger.reader.connect() as connection:
        return set((await connection.execute(text(f"SELECT session_id FROM {table}"))).scalars())


async def test_calls_that_turn_out_to_be_one_are_one_row_with_all_their_facts(desk):
    intake, ledger = desk
    await _ring(intake, "", telephony="s-1")
    await intake.take_claims([claim("Missed", duration=9_000, session="log", telephony="s-2")], asked=0.0)
    await _ring(intake, OTHER, telephony="s-2")
    assert await _all(ledger, "call") == {SESSION, "s-1", OTHER}
    told = item("CallConnected", "leg", session=OTHER, telephony="s-1")
    await intake.deliver(Delivery((presence(EXTENSION, 11, T0 + 4_500, told, uuid="both"),), (), None))
    looked_up = claim("Missed", duration=9_000, session="log", telephony="s-2")
    await intake.take_claims([looked_up], asked=0.0, about=[CallKey(ACCOUNT, OTHER)])
    for table in ("call", "fact", "call_leg", "call_source", "call_transition"):
        assert await _all(ledger, table) == {SESSION, OTHER}, table
    (saved,) = await ledger.load_sessions([CallKey(ACCOUNT, OTHER)])
    assert (len(saved.events), len(saved.records)) == (7, 2)
    again = restored(saved)
    assert again.names.keys() >= {OTHER, "s-1", "s-2", "log"}
    assert (again.call.started_at, again.call.answered_at) == (T0, T0 + 4_500)


@pytest.mark.parametrize("result", ["Accepted", None])
async def test_the_halves_of_a_ringout_find_each_other_when_one_is_out_of_memory(desk, result):
    intake, ledger = desk
    await _ring(intake, OTHER, answered=True, sender="16502008440", to="16509540334")
    outer = {"session": "outer", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
    await intake.take_claims([claim(result, started=T0 + 2_000, duration=7_000, **outer)], asked=0.0)
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("late", ["inner", "outer"])
@pytest.mark.parametrize("settled", [False, True])
async def test_a_half_of_a_ringout_that_ends_late_finds_the_other(desk, late, settled, restarted):
    """One half is over and its row is written while the other, whose record has come too, is still open or settles: no
    record will speak of it again.
    """
    intake, ledger = desk
    ends = {"sender": "16509540334", "to": "16502008440"}
    halves = {
        "outer": {"session": "outer", "direction": "Outbound", **ends},
        "inner": {"session": OTHER, "sender": ends["to"], "to": ends["sender"]},
    }
    for number, status in enumerate(["Ringing", "CallConnected"]):
        told = [item(status, half, **about) for half, about in halves.items()]
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, *told),), (), None))
    early = next(half for half in halves if half != late)
    over = item("NoCall", early, **halves[early])
    await intake.deliver(Delivery((presence(EXTENSION, 12, T0 + 9_000, over),), (), None))
    if settled:
        await _settle(intake)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    for half, about in halves.items():
        record = claim("Accepted", record=half, duration=9_000, source=Source.CALL_LOG, **about)
        await intake.take_claims([record], asked=0.0)
    over = item("NoCall", late, **halves[late])
    await intake.deliver(Delivery((presence(EXTENSION, 13, T0 + 9_090, over),), (), None))
    await _settle(intake)
    assert not intake.tracker.calls
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_half_of_a_ringout_is_kept_until_the_other_is_written(desk, restarted):
    """No record has come yet, and both rows are right."""
    intake, ledger = desk
    ends = {"sender": "16509540334", "to": "16502008440"}
    outer = {"session": "outer", "direction": "Outbound", **ends}
    inner = {"session": OTHER, "sender": ends["to"], "to": ends["sender"]}
    for number, status in enumerate(["Ringing", "CallConnected"]):
        told = item(status, "o", **outer), item(status, "i", **inner)
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, *told),), (), None))
    over = item("NoCall", "o", **outer)
    await intake.deliver(Delivery((presence(EXTENSION, 12, T0 + 9_000, over),), (), None))
    await _settle(intake)
    if restarted:
        intake.tracker = CallTracker(settle_seconds=0)
        intake.resume(await ledger.load_open(ACCOUNT))
    assert {key.session_id for key in intake.tracker.calls} == {OTHER, "outer"}
    over = item("NoCall", "i", **inner)
    await intake.deliver(Delivery((presence(EXTENSION, 13, T0 + 9_090, over),), (), None))
    await _settle(intake)
    assert not intake.tracker.calls
    assert not ledger.lent
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}


_OUTER = {"session": "outer", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
_INNER = {"session": OTHER, "sender": "16502008440", "to": "16509540334"}


async def _transfer(intake: Pipeline, sequence: int, at: int) -> None:
    """The outer call is given away to somebody else, so it is no half of anything, and ends there."""
    for number, status in enumerate(["CallConnected", "NoCall"]):
        told = item(status, "t", **_INNER | {"session": "outer"})
        await intake.deliver(Delivery((presence("102", 1 + number, at + number * 5_000, told),), (), None))
    over = item("NoCall", "o", **_OUTER)
    await intake.deliver(Delivery((presence(EXTENSION, sequence, at + 2_000, over),), (), None))
    await _settle(intake)


async def test_a_half_is_not_kept_for_what_turned_out_to_be_none(desk):
    """It was kept for ever, and data care passed it by as one in the tracker's hands."""
    intake, ledger = desk
    for number, status in enumerate(["Ringing", "CallConnected", "NoCall"]):
        told = item(status, "i", **_INNER), item("CallConnected", "o", **_OUTER)
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, *told),), (), None))
    goes_on = item("OnHold", "o", **_OUTER)
    await intake.deliver(Delivery((presence(EXTENSION, 13, T0 + 12_000, goes_on),), (), None))
    await _settle(intake)
    assert {key.session_id for key in intake.tracker.calls} == {OTHER, "outer"}
    await _transfer(intake, 14, T0 + 20_000)
    assert not intake.tracker.calls
    assert not ledger.lent
    assert await _sessions(ledger) == {OTHER: None, "outer": None}


@pytest.mark.parametrize(("after_gap", "estimated"), [((False, True), True), ((True, False), False)])
async def test_an_answer_was_seen_if_nothing_may_be_missing_since_it_rang(desk, after_gap, estimated):
    """The ringing and the answer come in two deliveries; something may be missing before one of them (rule 4.3)."""
    intake, ledger = desk
    for number, (status, gap) in enumerate(zip(["Ringing", "CallConnected"], after_gap, strict=True)):
        told = presence(EXTENSION, 10 + number, T0 + number * 4_500, item(status, session=OTHER))
        await intake.deliver(Delivery((told,), (), None, after_gap=gap))
    over = presence(EXTENSION, 12, T0 + 9_000, item("NoCall", session=OTHER))
    await intake.deliver(Delivery((over,), (), None))
    await _settle(intake)
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, OTHER)])
    assert call.published is not None
    assert call.published.answer_estimated is estimated
    assert call.published.ring_ms == (None if estimated else 4_500)


async def test_a_late_event_finds_the_other_half_when_both_are_out_of_memory(desk):
    """Until it came the inner one seemed to begin with its end, seven seconds after the outer one."""
    intake, ledger = desk
    steps = ["Ringing", "CallConnected", "NoCall"]
    told = [(13, T0 + 9_300, "NoCall", "i", _INNER), *((10 + n, T0 + n * 4_500, one, "o", _OUTER)
            for n, one in enumerate(steps)), (11, T0 + 1_000, "CallConnected", "i", _INNER)]  # fmt: skip
    for sequence, at, status, leg, about in told:
        await intake.deliver(Delivery((presence(EXTENSION, sequence, at, item(status, leg, **about)),), (), None))
        if leg == "i" or status == "NoCall":
            await _settle(intake)
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}
    assert not intake.tracker.calls


async def test_a_restart_brings_back_a_half_that_its_record_dates_later(desk):
    """Presence showed the halves 4.8 s apart; by the record the row of the outer one is 5.3 s apart."""
    intake, ledger = desk
    await intake.deliver(Delivery((presence(EXTENSION, 10, T0, item("Ringing", "i", **_INNER)),), (), None))
    for number, status in enumerate(["Ringing", "CallConnected", "NoCall"]):
        told = item(status, "o", **_OUTER), item("CallConnected", "i", **_INNER)
        seen = presence(EXTENSION, 11 + number, T0 + 4_800 + number * 2_000, *told)
        await intake.deliver(Delivery((seen,), (), None))
    await _settle(intake)
    record = claim("Accepted", started=T0 + 5_300, duration=3_500, source=Source.CALL_LOG, **_OUTER)
    await intake.take_claims([record], asked=0.0)
    intake.tracker = CallTracker(settle_seconds=0)
    intake.resume(await ledger.load_open(ACCOUNT))
    over = item("NoCall", "i", **_INNER)
    await intake.deliver(Delivery((presence(EXTENSION, 14, T0 + 9_000, over),), (), None))
    await _settle(intake)
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}


async def _settle(intake: Pipeline) -> None:
    """Until what has settled is written; an open call stays open."""
    intake.tracker.advance(time.monotonic() + 1)
    await intake.change(lambda: None)


async def test_a_record_that_the_platform_has_forgotten_speaks_of_no_call(desk):
    """It is listed for ever; the call is as one that is not listed, so its presence is read (rule 6.5)."""
    intake, _ = desk
    told = claim(session=OTHER, duration=20_000, read_at=T0 + 25_000)
    assert await intake.take_claims([told], asked=0.0) == {CallKey(ACCOUNT, OTHER)}
    day_later = told._replace(read_at=T0 + 2 * 86_400_000)
    known = await intake.take_claims([day_later], asked=0.0)
    assert (known, intake.tracker.calls.keys()) == (set(), {CallKey(ACCOUNT, OTHER)})
    assert intake.tracker.doubtful(known, read_at=day_later.read_at) == {(ACCOUNT, EXTENSION)}


async def test_calls_that_records_have_brought_are_told_to_whoever_counts(desk) -> None:
    """Two back-fills at once: each had counted the calls of the other as its own."""
    intake, *_ = desk
    with intake.bringing() as brought, intake.bringing() as others:
        first = await intake.take_claims([claim("Missed", session=OTHER, record="r-1", duration=4_000)], asked=0.0)
        second = await intake.take_claims([claim("Missed", session="1", record="r-2", started=T0 + 60_000)], asked=0.0)
    assert brought == others == {CallKey(ACCOUNT, OTHER), CallKey(ACCOUNT, "1")}
    assert (brought & first, others & second) == ({CallKey(ACCOUNT, OTHER)}, {CallKey(ACCOUNT, "1")})
    await intake.take_claims([claim("Missed", session="2", record="r-3", started=T0 + 120_000)], asked=0.0)
    assert CallKey(ACCOUNT, "2") not in brought
