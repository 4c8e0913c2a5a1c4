"""At the platform's own limits: half of the Heavy group suffices for a large account; a penalty is sat out."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringledger.ledger.times import to_ms
from ringledger.ringcentral.api.pace import Pace
from ringledger.service import Daemon
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from ringledger.simulator.rest.limits import DEFAULTS, Counter
from tests.crash.child import environment
from tests.ending import ended_here
from tests.rig import Rig, running, settings_for
from tests.truth import differences
from tests.until import PATIENCE

SPEED = 30.0
MINUTE_MS = 60_000
#: ``Retry-After`` of the refusals that are obeyed to the second, at life's own pace.
PENALTY = 20.0
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


def _heavy(sim: Simulator) -> Counter:
    (counter,) = [counter for (_, group), counter in sim.limits._counters.items() if group == "heavy"]
    return counter


def _first_after(sim: Simulator) -> float | None:
    """How long after the end of the penalty the first request came, platform seconds; ``None``: none yet."""
    heavy = _heavy(sim)
    return min([at - heavy.closed_until for at in heavy.spent if at >= heavy.closed_until], default=None)


@pytest.mark.parametrize("asked", ["active-calls", "call-log-sync"])
async def test_a_penalty_is_obeyed_to_the_second_by_loops_that_ask_every_second(
    asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Poll and confirmation ask each second or two, at life's own pace; one of them is refused."""
    sim = Simulator(clock=SimClock(speed=1), options=Options(rate_limits={"heavy": 200}))
    sim.limits.penalty = PENALTY
    async with sim, running(sim, settings_for(sim, tmp_path / "r.db", poll__interval_seconds=1)) as rig:
        await rig.until(lambda: len(_heavy(sim).spent) >= 4, "both loops ask")
        sim.faults.add("429=1x", path=asked)
        await rig.until(lambda: sim.limits.refused == {"heavy": 1}, "the group is closed")
        after = await rig.until(lambda: _first_after(sim), "it goes on", seconds=PENALTY + PATIENCE)
        with capsys.disabled():
            print(f"\npenalty of {PENALTY:.0f} s at {asked}: the first request {after * 1000:.0f} ms after its end")
        assert sim.limits.violations == 0
        assert after <= 1.0


async def test_a_penalty_is_obeyed_to_the_second_by_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it waits for before it waits, and goes on when the penalty is over."""
    async with Simulator(clock=SimClock(speed=1), options=Options(rate_limits="default")) as sim:
        sim.limits.penalty = PENALTY
        sim.faults.add("429=1x", path="active-calls")
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ringledger", "platform", "active-calls", "--json",
            env=environment(sim, tmp_path / "r.db", "pubnub"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stderr is not None
        async with ended_here(child), asyncio.timeout(PENALTY + PATIENCE):
            told = (await child.stderr.readline()).decode()
            left = _heavy(sim).closed_until - sim.clock.now_ms() / 1000
            out, _ = await child.communicate()
        after = _first_after(sim)
        assert after is not None
        with capsys.disabled():
            print(f"\npenalty of {PENALTY:.0f} s: {told.strip()!r} told {left:.1f} s before its end, ", end="")
            print(f"the request {after * 1000:.0f} ms after it")
        assert told == f"ringledger: waiting {PENALTY:.0f} s: Heavy group's penalty\n"
        assert left > PENALTY / 2
        assert (child.returncode, out.strip()) == (0, b"[]")
        assert sim.limits.violations == 0
        assert after <= 1.0
