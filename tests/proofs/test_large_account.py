"""An account of 2,000 extensions: one subscription, ready within the platform's limits, 1,000 events a second.

RATE (events a second) and SECONDS come from the environment. The figures are printed.
"""

import asyncio
import os
import statistics
import time
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimCall, Simulator, default_extensions
from ringledger.simulator.exchange.model import Step
from tests.crash.child import Child

pytestmark = pytest.mark.timeout(150)

EXTENSIONS = 2_000
PER_SECOND = int(os.environ.get("RATE", "1000"))
SECONDS = int(os.environ.get("SECONDS", "20"))
#: What happens to a call and when, ms; an extension is free again when its turn comes anew.
PLAN = ((0, "Ringing", None), (2_000, "CallConnected", None), (5_000, "NoCall", "final"))


def _calls(sim: Simulator, count: int) -> list[SimCall]:
    """So many calls, one after another through all extensions."""
    extensions = list(sim.pbx.extensions.values())
    office, made = Office(extensions, seed=1), []
    for n in range(count):
        (call,) = office.plan_answered("answered", 0)
        call.legs[0].extension_id = extensions[n % len(extensions)].id
        made.append(call)
    return made


def _steps(calls: list[SimCall], per_second: float) -> list[tuple[int, SimCall, str, str | None]]:
    """What happens when (ms from the beginning), in order."""
    steps = [
        (round(n * 1000 / per_second) + after, call, status, termination)
        for n, call in enumerate(calls)
        for after, status, termination in PLAN
    ]
    return sorted(steps, key=lambda step: step[0])


async def _flood(sim: Simulator, steps: list[tuple[int, SimCall, str, str | None]], told: list[float]) -> None:
    """Every step at its time; ``told``: when it happened, monotonic seconds."""
    begin = time.monotonic()
    for at, call, status, termination in steps:
        if (early := begin + at / 1000 - time.monotonic()) > 0:
            await asyncio.sleep(early)
        sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status, termination))
        told.append(time.monotonic())


def _committed(child: Child) -> int:
    return int(child.query("SELECT count(*) AS n FROM call_events WHERE source = 'presence'")[0]["n"])


async def _watch(child: Child, told: list[float], total: int) -> tuple[list[float], float]:
    """How old the oldest uncommitted event is, looked at now and then (s), and when the last one was committed."""
    lags: list[float] = []
    async with asyncio.timeout(90):
        while (done := await asyncio.to_thread(_committed, child)) < total:
            now = time.monotonic()
            lags.append(now - told[done] if done < len(told) else 0.0)
            await asyncio.sleep(0.2)
    return lags, time.monotonic()


async def test_two_thousand_extensions(transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # PubNub's own hundred messages would be a tenth of a second: a pause of that length is possible on any machine
    options = Options(rate_limits="default", queue_limit=PER_SECOND)
    intervals = {"poll__interval_seconds": 180, "confirm__sync_interval_seconds": 60, "calls__settle_seconds": 10}
    async with (
        Simulator(pbx=Pbx(default_extensions(EXTENSIONS)), options=options) as sim,
        Child(sim, tmp_path, transport, **intervals) as child,
    ):
        begun = time.monotonic()
        await child.start()
        await child.until("service.ready")
        ready = time.monotonic() - begun
        (one,) = sim.subscriptions.alive()
        filters, usage = len(one.filters), sim.limits.usage()

        rate = PER_SECOND / len(PLAN)
        steps = _steps(_calls(sim, round(SECONDS * rate)), rate)
        told: list[float] = []
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(child, told, len(steps)))
            group.create_task(_flood(sim, steps, told))
        lags, finished = watching.result()
        assert await child.stop() == 0
        busiest = max(sum(start <= at < start + 10 for at in told) for start in told[::500]) / 10
        with capsys.disabled():
            print(f"\n2,000 extensions: {transport}, ready after {ready:.1f} s with {usage}")
            print(
                f"{len(steps)} events told in {told[-1] - told[0]:.1f} s, {busiest:.0f} a second in the busiest ten;"
                f" all committed {finished - told[-1]:.2f} s after the last; the oldest uncommitted one was"
                f" {statistics.median(lags):.2f} s old in the median, {max(lags):.2f} s at most"
            )
        assert filters == EXTENSIONS
        assert ready < 30
        assert (sim.limits.refused, sim.limits.violations) == ({}, 0)
        assert "event.unreadable" not in {line["event"] for line in child.lines()}
