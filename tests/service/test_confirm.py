"""The loop that asks for verdicts, on the simulator's own clock: what a refusal (429) costs it, to the millisecond."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from ringledger.domain.observation import CallKey
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.memory import UnconfirmedCall
from ringledger.ledger.upgrade import upgrade
from ringledger.ledger.writer import LedgerWriter
from ringledger.platform.errors import Throttled
from ringledger.platform.limits import RateLimits
from ringledger.platform.pace import Pace
from ringledger.service.build import authenticator, platform_client
from ringledger.service.confirm import Confirmer
from ringledger.service.intake import Intake
from ringledger.service.scope import PlatformBooks
from ringledger.simulator import Options, SimClock, Simulator
from tests.rig import PATIENCE, settings_for
from tests.service.test_intake import Silent

ACCOUNT = "1001"
#: So long that a turn which is lost is not made up for within the test.
INTERVAL = 3_600.0


class StandingPace(Pace):
    """The platform's seconds pass only while somebody waits for them."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    def now(self) -> float:
        return self._clock.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)


@pytest.fixture
async def sim():
    async with Simulator(clock=SimClock(speed=0), options=Options(rate_limits="default")) as simulator:
        yield simulator


@pytest.fixture
async def confirmer(sim: Simulator, tmp_path: Path):
    settings = settings_for(sim, tmp_path / "r.db")
    upgrade(settings.database.url)
    ledger = await Ledger.open(settings.database.url)
    intake = Intake(CallTracker(), ledger, ACCOUNT)
    intake.writer = LedgerWriter(
        ledger, intake.take, commit_interval=0, commit_batch=1, on_committed=intake.committed, notices=Silent(),
        now_ms=sim.clock.now_ms,
    )  # fmt: skip
    writing = asyncio.create_task(intake.writer.run())
    pace = StandingPace(sim.clock)
    limits = RateLimits(pace=pace)
    async with aiohttp.ClientSession() as session:
        client = platform_client(settings, session, authenticator(settings, session, limits), limits)
        books = PlatformBooks(client, ACCOUNT, None)
        yield Confirmer(books, intake, interval=INTERVAL, idle_interval=0.05, clock=pace.now)
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


async def test_a_refused_synchronisation_is_made_when_the_penalty_is_over_and_not_before(sim, confirmer):
    sim.faults.add("429=1x", path="call-log-sync")
    sim.clock.advance(1)
    running = asyncio.create_task(confirmer.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not (heavy := [one for (_, group), one in sim.limits._counters.items() if group == "heavy"]) or (
                not heavy[0].spent
            ):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert sim.limits.refused == {"heavy": 1}
    assert sim.limits.violations == 0
    assert heavy[0].spent[0] == pytest.approx(heavy[0].closed_until, abs=0.002)


async def test_a_refused_look_up_was_none(sim, confirmer):
    key = CallKey(ACCOUNT, "67029198021")
    now_ms = sim.clock.now_ms()
    confirmer.resume([UnconfirmedCall(*key, None, now_ms - 90_000, now_ms - 60_000)], None, now_ms=now_ms)
    sim.faults.add("429=1x", path="call-log")
    with pytest.raises(Throttled):
        await confirmer.look_up(key)
    assert confirmer.waiting[key].lookups == 0
    await confirmer.look_up(key)
    assert confirmer.waiting[key].lookups == 1
