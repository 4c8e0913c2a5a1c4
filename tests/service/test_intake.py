"""The one way in: what is in the ledger is never taken for something new."""

import asyncio
from pathlib import Path

import pytest

from ringledger.domain.call import CallSession
from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey, Delivery
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.upgrade import upgrade
from ringledger.ledger.writer import LedgerWriter
from ringledger.service.intake import Intake
from tests.builders import ACCOUNT, EXTENSION, SESSION, T0, claim, item, presence

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
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    upgrade(url)
    ledger = await Slow.open(url)
    told: list[Changes] = []
    intake = Intake(CallTracker(settle_seconds=0), ledger, ACCOUNT, announce=told.append)
    ledger.writer = intake.writer = LedgerWriter(
        ledger, intake.take, commit_interval=60, commit_batch=100, on_committed=intake.committed, notices=Silent(),
        now_ms=lambda: T0,
    )  # fmt: skip
    writing = asyncio.create_task(intake.writer.run())
    await intake.deliver(Delivery((presence(EXTENSION, 1, T0, item("Ringing")),), (), None))
    await intake.deliver(Delivery((presence(EXTENSION, 2, T0 + 5_000, item("CallConnected")),), (), None))
    await intake.deliver(Delivery((presence(EXTENSION, 3, T0 + 9_000, item("NoCall")),), (), None))
    intake.tracker.advance(1e12)
    intake.writer.notify(0)
    assert intake.tracker.calls
    yield intake, ledger
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


async def _kept(ledger: Ledger) -> CallSession:
    (call,) = await ledger.load_sessions([CallKey(ACCOUNT, SESSION)])
    return call


async def test_a_record_of_a_call_that_is_committed_meanwhile_is_not_a_new_call(desk):
    intake, ledger = desk
    records = [claim("Accepted", duration=9_000), claim("Missed", session=OTHER, record="record-2")]
    await intake.take_claims(records, asked=0.0)
    call = await _kept(ledger)
    assert (call.first_answered_at, call.revision, len(call.legs)) == (T0 + 5_000, 2, 1)


async def test_an_event_of_a_call_that_is_committed_meanwhile_opens_no_new_call(desk):
    intake, ledger = desk
    late = presence(EXTENSION, 4, T0 + 9_000, item("NoCall"), item("Ringing", "leg-2", session=OTHER))
    await intake.deliver(Delivery((late,), (), None))
    call = await _kept(ledger)
    assert (call.first_answered_at, call.revision) == (T0 + 5_000, 1)


async def _ring(intake: Intake, session: str, *, answered: bool = False, **parties: str) -> None:
    """A call of nine seconds that is over, committed and out of memory."""
    for number, status in enumerate(["Ringing", "CallConnected" if answered else "Ringing", "NoCall"]):
        told = item(status, "leg", session=session, **parties)
        await intake.deliver(Delivery((presence(EXTENSION, 10 + number, T0 + number * 4_500, told),), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert CallKey(ACCOUNT, session) not in intake.tracker.calls


async def _sessions(ledger: Ledger) -> dict[str, str | None]:
    known = await ledger.load_sessions([CallKey(ACCOUNT, one) for one in (OTHER, "log", "outer")])
    return {call.session_id: call.part_of for call in known}


@pytest.mark.parametrize("telephony", [None, "s-1"])
async def test_a_record_under_another_session_finds_its_call_however_often_it_is_read(desk, telephony):
    intake, ledger = desk
    await _ring(intake, OTHER)
    record = claim("Missed", duration=9_000, session="log", telephony=telephony)
    for _ in range(2):
        await intake.take_claims([record], asked=0.0, candidates=[CallKey(ACCOUNT, OTHER)])
        assert not intake.tracker.calls
    await intake.take_claims([record], asked=0.0)
    assert await _sessions(ledger) == {OTHER: None}


async def test_the_telephony_session_finds_a_call_that_is_out_of_memory(desk):
    intake, ledger = desk
    await _ring(intake, OTHER, telephony="s-1", answered=True)
    await intake.take_claims([claim("Accepted", session="log", telephony="s-1")], asked=0.0)
    assert await _sessions(ledger) == {OTHER: None}


@pytest.mark.parametrize("result", ["Accepted", None])
async def test_the_halves_of_a_ringout_find_each_other_when_one_is_out_of_memory(desk, result):
    intake, ledger = desk
    await _ring(intake, OTHER, answered=True, sender="16502008440", to="16509540334")
    outer = {"session": "outer", "direction": "Outbound", "sender": "16509540334", "to": "16502008440"}
    await intake.take_claims([claim(result, started=T0 + 2_000, duration=7_000, **outer)], asked=0.0)
    assert await _sessions(ledger) == {OTHER: "outer", "outer": None}
