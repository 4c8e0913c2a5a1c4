"""At the platform's own limits: half of the Heavy group suffices for a large account; a penalty is sat out."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringledger.ledger.times import to_ms
from ringledger.platform.pace import Pace
from ringledger.service import Daemon
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from ringledger.simulator.limits import DEFAULTS
from tests.rig import PATIENCE, Rig, settings_for
from tests.truth import differences

SPEED = 30.0
MINUTE_MS = 60_000
#: A call is confirmed within this time of the log having it.
CONFIRMED_WITHIN_MS = 2 * MINUTE_MS
pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def paced(sim: Simulator, tmp_path: Path):
    """A daemon for which the platform's seconds pass as fast as the simulator's."""
    settings = settings_for(
        sim, tmp_path / "r.db", "pubnub", calls__settle_seconds=10 / SPEED, poll__interval_seconds=180 / SPEED,
        confirm__sync_interval_seconds=60 / SPEED,
    )  # fmt: skip
    daemon = Daemon(settings, pace=Pace(SPEED))
    task = asyncio.create_task(daemon.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await daemon.ready.wait()
        yield Rig(sim, daemon, settings.database.path, task)
        daemon.stop("test")
        await asyncio.wait_for(task, PATIENCE)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_large_account_at_the_default_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pbx = Pbx(default_extensions(500), seed=4)
    clock = SimClock(speed=SPEED)
    sim = Simulator(clock=clock, pbx=pbx, options=Options(rate_limits="default"))
    async with sim, paced(sim, tmp_path) as rig:
        office = Office(list(pbx.extensions.values()), calls_per_hour=1_200, seed=4)
        await sim.run_office(office, until=clock.now_ms() + 8 * MINUTE_MS)
        await rig.until(
            lambda: len(rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL")) == len(pbx.truth()),
            "everything is confirmed",
            seconds=40,
        )
        rows = {row["session_id"]: row for row in rig.query("SELECT * FROM all_calls")}
        usage, refused = sim.limits.usage(), sim.limits.refused
        late = [
            to_ms(rows[call.session_id]["confirmed_at"]) - call.changes()[-1][0].at - call.logged_after_ms
            for call in pbx.calls.values()
        ]
        with capsys.disabled():
            print(
                f"\nthrottling: {len(rows)} calls, most in a minute {usage}, refused {refused}, "
                f"violations {sim.limits.violations}, latest confirmation {max(late) / 1000:.0f} s after the log"
            )
        assert differences(rows.values(), pbx.truth()) == []
        assert usage["heavy"] <= DEFAULTS["heavy"] // 2
        assert usage["light"] <= DEFAULTS["light"] // 2
        assert refused == {}
        assert sim.limits.violations == 0
        assert max(late) <= CONFIRMED_WITHIN_MS


async def test_a_penalty_is_obeyed_to_the_second(tmp_path: Path) -> None:
    """Requests that wait for the end of a penalty leave when it is over, and not one before."""
    sim = Simulator(clock=SimClock(speed=SPEED), options=Options(rate_limits="default"))
    async with sim, paced(sim, tmp_path) as rig:
        assert rig.daemon.parts is not None
        sim.faults.add("429=1x", path="active-calls")
        rig.daemon.parts.poller.soon()
        await rig.until(lambda: sim.limits.refused == {"heavy": 1}, "the group is closed")
        (counter,) = [counter for (_, group), counter in sim.limits._counters.items() if group == "heavy"]
        over, before = counter.closed_until, len(counter.spent)
        rig.daemon.parts.poller.soon()
        await rig.until(
            lambda: len([at for at in counter.spent if at >= over]) > 0 and before, "it is over", seconds=30
        )
        first = min(at for at in counter.spent if at >= over)
        assert sim.limits.violations == 0
        assert first - over < 20  # a poll that was refused is made again: jitter of the clocks at this speed
