"""What has been read is not taken again, answers are taken in portions, and the feed goes between them."""

import asyncio
import time

import pytest

from ringledger.domain.observation import CallKey, Delivery, RecordClaim
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.service.ingest import pipeline
from ringledger.service.ingest.lookups import Waiting, may_mean
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.readings import MOST_REMEMBERED, PORTION, RememberedReadings, portions
from tests.builders import ACCOUNT, EXTENSION, SESSION, T0, claim, item, presence
from tests.template import migrated


class Silent:
    def retrying(self, error: Exception) -> None:
        raise error

    full = retrying

    def recovered(self, attempts: int) -> None:
        """Nothing."""


@pytest.fixture
async def desk(tmp_path):
    ledger = await Ledger.open(migrated(tmp_path / "r.db"))
    intake = Pipeline(CallTracker(), ledger, ACCOUNT)
    writer = intake.commit_by(LedgerWriter(
        ledger, intake.take, commit_interval=0.001, commit_batch=1, on_committed=intake.committed, notices=Silent(),
        now_ms=lambda: T0,
    ))  # fmt: skip
    writing = asyncio.create_task(writer.run())
    yield intake, ledger
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


def log(count: int, **fields):
    return [
        claim("Accepted", session=f"s{n}", record=f"r{n}", started=T0 + 1_000 * n, duration=9_000, **fields)
        for n in range(count)
    ]


async def facts(ledger: Ledger) -> int:
    async with ledger.reader.connect() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM fact")).scalar_one()


async def test_a_record_that_says_the_same_again_is_not_taken_again(desk):
    intake, ledger = desk
    listed = await intake.take_claims(log(5), asked=0.0)
    told = await facts(ledger)
    again = await intake.take_claims(log(5, read_at=T0 + 900_000), asked=0.0)
    assert again == listed == {CallKey(ACCOUNT, f"s{n}") for n in range(5)}
    assert (await facts(ledger), intake.tracker.calls) == (told, {})
    await intake.take_claims([log(1)[0]._replace(result="Voicemail", read_at=T0 + 900_000)], asked=0.0)
    assert await facts(ledger) == told + 1


async def test_what_is_asked_for_or_retried_is_taken_however_often(desk):
    intake, ledger = desk
    for number, way in enumerate(({}, {"about": [CallKey(ACCOUNT, "s0")]}, {"again": True})):
        await intake.take_claims(log(1, read_at=T0 + 100_000 * number), asked=0.0, **way)
    assert await facts(ledger) == 3


async def test_a_call_in_memory_hears_each_reading(desk):
    """It has come to life again: a record that tells its end once more ends it once more."""
    intake, ledger = desk
    await intake.take_claims(log(1), asked=0.0)
    alive = presence(EXTENSION, 4, T0 + 30_000, item("CallConnected", session="s0"))
    await intake.deliver(Delivery((alive,), (), None))
    assert intake.tracker.calls
    told = await facts(ledger)
    await intake.take_claims(log(1, read_at=T0 + 60_000), asked=0.0)
    assert await facts(ledger) == told + 1


@pytest.mark.parametrize("session", [SESSION, f"{SESSION}9"])
@pytest.mark.parametrize("records_first", [False, True])
async def test_a_call_that_is_not_confirmed_hears_each_reading(desk, records_first, session):
    """It went on after its record's end, and counts only when it is read once more after its own; it may have another
    session than the call, and a telephony session in common with it."""
    intake, ledger = desk
    about = {"session": session, "telephony": "s-1"}
    early, late = (claim("Missed", duration=9_000, read_at=T0 + at, **about) for at in (30_000, 120_000))
    told = [
        presence(EXTENSION, number, T0 + at, item(status, telephony="s-1"))
        for number, (status, at) in enumerate([("Ringing", 0), ("Ringing", 60_000), ("NoCall", 90_000)])
    ]
    if records_first:
        await intake.take_claims([early], asked=0.0)
    await intake.deliver(Delivery(tuple(told), (), None))
    if not records_first:
        await intake.take_claims([early], asked=0.0)
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert not intake.tracker.calls
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, SESSION)])
    assert call.published.result is None
    await intake.take_claims([late], asked=0.0)
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, SESSION)])
    assert call.published.result == "Missed"
    known = await facts(ledger)
    await intake.take_claims([late._replace(read_at=T0 + 180_000)], asked=0.0)
    assert await facts(ledger) == known


async def test_a_reading_that_was_not_committed_is_not_known(desk):
    intake, _ = desk
    readings = RememberedReadings()
    assert readings.fresh(log(1), intake.tracker.concerns) == log(1)
    assert readings.fresh(log(1), intake.tracker.concerns) == log(1)
    readings.committed(log(1))
    assert readings.fresh(log(1), intake.tracker.concerns) == []


@pytest.mark.slow
def test_memory_of_readings_is_bounded():
    readings = RememberedReadings()
    readings.committed(log(MOST_REMEMBERED + 10))
    assert len(readings.fresh(log(MOST_REMEMBERED + 10), lambda _: False)) == 10
    nameless = claim("Missed", duration=9_000)._replace(session_id=None, telephony_session_id=None)
    readings.committed([nameless])
    assert readings.fresh([nameless], lambda _: False) == [nameless]


def test_records_of_a_session_stay_together():
    told = log(PORTION) + log(PORTION) + log(5)
    taken = list(portions(told))
    assert sorted(one for portion in taken for one in portion) == sorted(told)
    assert max(map(len, taken)) <= PORTION
    sessions = [{one.session_id for one in portion} for portion in taken]
    assert sum(map(len, sessions)) == len(set().union(*sessions))
    assert list(portions([])) == [[]]


@pytest.mark.slow
async def test_the_feed_does_not_wait_for_a_whole_answer(desk):
    """An event that comes while a long answer is taken is committed before the answer is."""
    intake, _ = desk
    answer = asyncio.create_task(intake.take_claims(log(10 * PORTION), asked=0.0))
    while not intake.tracker.calls:
        await asyncio.sleep(0)
    ringing = presence(EXTENSION, 1, T0, item("Ringing", session="feed"))
    await intake.deliver(Delivery((ringing,), (), None))
    assert not answer.done()
    assert len(await answer) == 10 * PORTION


async def test_records_wait_until_a_feed_that_is_behind_has_caught_up(desk):
    """What it has still to tell is not written from the books first, to be made anew with each event."""
    intake, ledger = desk
    told = [presence(EXTENSION, n, T0 + n, item("Ringing", session="feed")) for n in range(1, 9)]
    await intake.deliver(Delivery((told[0],), (), None, more=True))
    answer = asyncio.create_task(intake.take_claims(log(5), asked=0.0))
    for one in told[1:-1]:
        await intake.deliver(Delivery((one,), (), None, more=True))
    assert not answer.done()
    assert await facts(ledger) == 7
    await intake.deliver(Delivery((told[-1],), (), None))
    assert len(await answer) == 5


async def test_a_feed_that_is_always_behind_holds_no_records_back_for_ever(desk, monkeypatch):
    intake, _ = desk
    monkeypatch.setattr(pipeline, "CATCH_UP_SECONDS", 0.1)
    ringing = presence(EXTENSION, 1, T0, item("Ringing", session="feed"))
    await intake.deliver(Delivery((ringing,), (), None, more=True))
    assert len(await intake.take_claims(log(5), asked=0.0)) == 5


async def test_a_feed_that_is_cut_while_it_is_behind_is_not_waited_for(desk):
    intake, _ = desk
    ringing = presence(EXTENSION, 1, T0, item("Ringing", session="feed"))
    await intake.deliver(Delivery((ringing,), (), None, more=True))
    began = time.monotonic()
    assert len(await intake.take_claims(log(3 * PORTION), asked=0.0)) == 3 * PORTION
    assert pipeline.CUT_SECONDS <= time.monotonic() - began < pipeline.CUT_SECONDS + 1


@pytest.mark.slow
async def test_answers_that_come_together_share_the_time_that_the_feed_leaves(desk, monkeypatch):
    """While a feed is behind for long it has four fifths of the time, however many listings are taken: a few records
    of one of them, then its turn.
    """
    intake, _ = desk
    monkeypatch.setattr(pipeline, "CATCH_UP_SECONDS", 0.0)
    turns: list[str] = []
    calm, committed = intake.calm, intake._readings.committed

    async def begins(seconds: float) -> None:
        turns.append("begins")
        await calm(seconds)

    def ends(fresh: list[RecordClaim]) -> None:
        committed(fresh)
        turns.append("ends")

    monkeypatch.setattr(intake, "calm", begins)
    monkeypatch.setattr(intake._readings, "committed", ends)
    ringing = presence(EXTENSION, 1, T0, item("Ringing", session="feed"))
    await intake.deliver(Delivery((ringing,), (), None, more=True))
    others = [[one._replace(session_id=f"{n}{one.session_id}") for one in log(PORTION + 1)] for n in range(3)]
    await asyncio.gather(*(intake.take_claims(told, asked=0.0) for told in others))
    assert turns == ["begins", "ends"] * 6


def test_only_calls_that_a_record_may_mean_are_fetched_for_it():
    """Of ten thousand that wait, those with its numbers or one of them, of its minute, that never connected."""
    (record,) = log(1)
    number = record.from_party.number.removeprefix("+")
    other = ("13025550000", "13025550001")
    waiting = {CallKey(ACCOUNT, f"w{n}"): Waiting(0.0, T0, None, other, answered=False) for n in range(10_000)}
    waiting[CallKey(ACCOUNT, "meant")] = Waiting(0.0, T0 + 59_000, None, (number, other[1]), answered=False)
    waiting[CallKey(ACCOUNT, "answered")] = Waiting(0.0, T0, None, (number, other[1]))
    waiting[CallKey(ACCOUNT, "later")] = Waiting(0.0, T0 + 61_000, None, (number, other[1]), answered=False)
    assert may_mean(waiting, [record]) == [CallKey(ACCOUNT, "meant")]
    assert may_mean(waiting, []) == []
