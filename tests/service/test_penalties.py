"""A daemon and a command are one user of the platform: neither starts the other's penalty anew.

Both are in this process; what they have in common are the settings and the file beside the database.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.service.commands.platform import one_shot
from ringledger.simulator import Options, SimClock, Simulator
from tests.rig import Rig, running, settings_for

PENALTY = 4.0
#: The polls of a start, at most: one before the daemon is ready, and two for the gap before its feed.
STARTING = 3


def _polls(rig: Rig) -> float:
    return rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200")


@asynccontextmanager
async def _daemon(tmp_path: Path) -> AsyncIterator[Rig]:
    """One that polls every second and asks nothing else of the heavy group."""
    options = Options(rate_limits={"heavy": 200})
    async with Simulator(clock=SimClock(speed=1), options=options) as sim:
        sim.limits.penalty = PENALTY
        settings = settings_for(
            sim, tmp_path / "r.db", poll__interval_seconds=1, confirm__enabled=False, backfill__max_days=0
        )
        async with running(sim, settings) as rig:
            await rig.until(lambda: _polls(rig) >= STARTING + 2, "the next poll is a second away")
            yield rig


async def test_a_command_waits_for_the_daemons_penalty(tmp_path: Path) -> None:
    told: list[str] = []
    async with _daemon(tmp_path) as rig, one_shot(rig.daemon.settings, told.append) as asking:
        rig.sim.faults.add("429=1x", path="active-calls")
        await rig.until(lambda: rig.sim.limits.refused == {"heavy": 1})
        await asking.client.call_log(CallLogQuery(), account_id="1001")
        assert "Heavy group's penalty" in told[0]
        assert rig.sim.limits.refused == {"heavy": 1}
        assert rig.sim.limits.violations == 0


async def test_the_daemon_waits_for_the_penalty_a_command_has_earned(tmp_path: Path) -> None:
    async with _daemon(tmp_path) as rig, one_shot(rig.daemon.settings, lambda _: None) as asking:
        rig.sim.faults.add("429=1x", path="call-log")
        await asking.client.call_log(CallLogQuery(), account_id="1001")  # sits its penalty out
        polls = _polls(rig)
        await rig.until(lambda: _polls(rig) > polls, "the daemon goes on")
        assert rig.sim.limits.refused == {"heavy": 1}
        assert rig.sim.limits.violations == 0
