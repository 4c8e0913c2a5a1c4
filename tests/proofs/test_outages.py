"""The platform is away for hours, at the start and at work: the daemon stays, and afterwards it has every call."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.proofs.fast import FastChild, complete
from tests.proofs.stage import door_to
from tests.truth import differences

pytestmark = pytest.mark.timeout(240)

SPEED = 200.0
HOUR = 3_600.0


async def test_hours_without_a_platform(transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An hour of closed port before the first login, two of nothing but 5xx, three of a closed port."""
    clock, pbx = SimClock(speed=SPEED), Pbx(default_extensions(10), seed=5)
    async with (
        Simulator(clock=clock, pbx=pbx, options=Options(rate_limits="default")) as sim,
        door_to(sim) as door,
        AsyncExitStack() as stack,
    ):
        sim.websocket.base_url = door.url
        child = FastChild(
            sim,
            tmp_path,
            transport,
            platform__server_url=door.url,
            feed__pubnub_origin=door.url,
            calls__settle_seconds=10 / SPEED,
            poll__interval_seconds=180 / SPEED,
            confirm__sync_interval_seconds=60 / SPEED,
        )
        child.speed = SPEED
        await stack.enter_async_context(child)
        await door.shut()
        await child.start()
        await clock.sleep(HOUR)
        assert child.pid, "still there"
        await door.open()
        await child.until("feed.connected")
        office = Office(list(pbx.extensions.values()), calls_per_hour=30, seed=5)
        calls = asyncio.create_task(sim.run_office(office, until=clock.now_ms() + round(7 * HOUR * 1000)))
        await clock.sleep(HOUR / 2)
        sim.faults.add("status-5xx=1")
        await clock.sleep(2 * HOUR)
        sim.faults.clear()
        await clock.sleep(HOUR / 2)
        await door.shut()
        await clock.sleep(3 * HOUR)
        assert child.pid, "still there"
        await door.open()
        await calls
        await complete(sim, child)
        assert await child.stop() == 0
        events, usage = Counter(line["event"] for line in child.lines()), sim.limits.usage()
        told = ("platform.unavailable", "platform.recovered", "poll.failed", "feed.disconnected", "auth.rejected")
        with capsys.disabled():
            print(f"\noutages: {transport}, {len(pbx.truth())} calls,", {name: events[name] for name in told}, usage)
        assert differences(child.query("SELECT * FROM all_calls"), pbx.truth()) == []
        assert usage["auth"] <= 5
        assert sim.limits.refused == {}
        assert events["auth.rejected"] == 0
