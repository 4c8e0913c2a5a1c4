"""A day in minutes: tokens expire every hour, connections are ended by age, the feed is cut ten times, and an office is
at work. No call is lost, the rate limits hold, and memory does not grow."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.proofs.fast import FastChild, complete
from tests.proofs.stage import Door, door_to
from tests.truth import differences

pytestmark = pytest.mark.timeout(420)

SPEED = 400.0
HOUR = 3_600.0
HOURS = 24
CUTS = 10
CALLS_PER_HOUR = 240
#: The daemon's memory is measured from here on: by then the caches of numbers and names are mostly full.
WARM_HOURS = 12
GROWTH_MIB = 5.0


@asynccontextmanager
async def _platform() -> AsyncIterator[tuple[Simulator, Door]]:
    """Today's platform with its own limits, in fast motion; the feed goes through a door."""
    clock, pbx = SimClock(speed=SPEED), Pbx(default_extensions(20), seed=24)
    async with Simulator(clock=clock, pbx=pbx, options=Options(rate_limits="default")) as sim, door_to(sim) as door:
        gateway = sim.websocket
        gateway.base_url = door.url
        gateway.absolute_seconds = 4 * HOUR / SPEED  # a day's connection would not end within the day
        gateway.idle_seconds = 1800 / SPEED
        gateway.sessions.recovery_seconds = 180 / SPEED
        yield sim, door


def _daemon(sim: Simulator, door: Door, directory: Path, transport: str) -> FastChild:
    child = FastChild(
        sim,
        directory,
        transport,
        feed__pubnub_origin=door.url,
        feed__silence_timeout_seconds=1800 / SPEED,
        calls__settle_seconds=10 / SPEED,
        calls__stale_after_seconds=4 * HOUR / SPEED,
        poll__interval_seconds=180 / SPEED,
        confirm__sync_interval_seconds=60 / SPEED,
    )
    child.speed = SPEED
    return child


async def _cut_now_and_then(sim: Simulator, door: Door, chance: random.Random) -> None:
    """Ten cuts at random instants, from seconds to a quarter of an hour long."""
    begin = sim.clock.now_ms()
    for at in sorted(chance.uniform(0.5, HOURS - 1) for _ in range(CUTS)):
        await sim.clock.sleep_until(begin + round(at * HOUR * 1000))
        await door.shut()
        await sim.clock.sleep(chance.choice((5, 30, 120, 300, 900)))
        await door.open()


async def _expire_tokens(sim: Simulator) -> None:
    """Every hour no access token works any more, whatever its age."""
    for _ in range(HOURS):
        await sim.clock.sleep(HOUR)
        sim.oauth.expire_access_tokens()


async def _weigh(sim: Simulator, child: FastChild) -> list[float]:
    """Resident MiB at every full hour."""
    weights = []
    for _ in range(HOURS):
        await sim.clock.sleep(HOUR)
        weights.append(child.resident_mib)
    return weights


async def test_a_day_of_everything(transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with _platform() as (sim, door), _daemon(sim, door, tmp_path, transport) as child:
        await child.start()
        await child.until("service.ready")
        office = Office(list(sim.pbx.extensions.values()), calls_per_hour=CALLS_PER_HOUR, seed=24)
        until = sim.clock.now_ms() + round(HOURS * HOUR * 1000)
        async with asyncio.TaskGroup() as group:
            group.create_task(sim.run_office(office, until=until))
            group.create_task(_cut_now_and_then(sim, door, random.Random(24)))
            group.create_task(_expire_tokens(sim))
            weighing = group.create_task(_weigh(sim, child))
        weights, limits = weighing.result(), sim.limits
        with capsys.disabled():
            print(f"\n{transport}, MiB by the hour:", " ".join(f"{one:.1f}" for one in weights))
        await complete(sim, child)
        assert await child.stop() == 0
        events = Counter(line["event"] for line in child.lines())
        truth, rows = sim.pbx.truth(), child.query("SELECT * FROM all_calls")
        told: tuple[str, ...] = (
            "auth.token_obtained",
            "auth.token_refreshed",
            "feed.disconnected",
            "feed.resumed",
            "feed.connected",
        )
        told += ("subscription.created", "subscription.renewed", "subscription.lost", "feed.gap", "feed.silent")
        with capsys.disabled():
            print(f"\nday: {transport}, {len(truth)} calls,", {name: events[name] for name in told})
            print("requests in a minute at most:", limits.usage(), "refused:", limits.refused)
            if transport == "websocket":
                print("connections:", sim.websocket.connects)
        assert differences(rows, truth) == []
        assert events["auth.token_obtained"] + events["auth.token_refreshed"] >= HOURS
        assert limits.usage()["auth"] <= 5
        assert (limits.refused, limits.violations) == ({}, 0)
        assert weights[-1] - weights[WARM_HOURS - 1] < GROWTH_MIB
