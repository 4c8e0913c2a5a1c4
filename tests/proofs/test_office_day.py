"""Office days of which three notifications in ten never arrive: every call is in the ledger, and as it was."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from ringledger.ledger.schema.migrate import upgrade
from ringledger.service.ingest.lookups import LOOKUPS
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.rig import Rig, running, settings_for
from tests.truth import differences

pytestmark = pytest.mark.timeout(240)

#: Faster, and a machine that is late by a twentieth of a second has a platform that is late by half a minute.
SPEED = 400.0
HOURS = 8
CALLS_PER_HOUR = 60
LOST = 0.3
#: Calls are over, settled, polled and confirmed within minutes of the platform; one that is looked up by itself has to
#: wait for that in our own time.
COMPLETE_WITHIN = LOOKUPS[1] + 60.0


async def _complete(rig: Rig) -> None:
    pending = "SELECT 1 FROM active_calls UNION ALL SELECT 1 FROM unconfirmed_calls"
    await rig.until(
        lambda: len(rig.query("SELECT 1 FROM all_calls")) >= len(rig.sim.pbx.truth()) and not rig.query(pending),
        "every call is there and confirmed",
        seconds=COMPLETE_WITHIN,
    )


def _settings(sim: Simulator, directory: Path, transport: str):
    scaled = {"calls__settle_seconds": 10, "poll__interval_seconds": 180, "confirm__sync_interval_seconds": 60}
    return settings_for(
        sim, directory / f"{transport}.db", transport, **{key: value / SPEED for key, value in scaled.items()}
    )


async def _office(
    transport: str, seed: int, directory: Path, fault: str, *, path: str = "", hours: int = HOURS
) -> Counter[str]:
    """Raises when the ledger is not true; returns what happened."""
    clock, pbx = SimClock(speed=SPEED), Pbx(default_extensions(20), seed=seed)
    async with (
        Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True, fault_seed=seed)) as sim,
        running(sim, _settings(sim, directory, transport)) as rig,
    ):
        sim.faults.add(fault, path=path)
        office = Office(list(pbx.extensions.values()), calls_per_hour=CALLS_PER_HOUR, seed=seed)
        await sim.run_office(office, until=clock.now_ms() + hours * 3_600_000)
        await rig.until(lambda: not pbx.open_calls(), "the office closes")
        await _complete(rig)
        rows = rig.query("SELECT * FROM all_calls")
        assert differences(rows, pbx.truth()) == []
        heard = {row["session_id"] for row in rig.query("SELECT session_id FROM call_events WHERE source = 'presence'")}
        return Counter(
            calls=len(rows),
            told=sum(len(call.changes()) for call in pbx.calls.values()),
            struck=sum(sim.faults.happened.values()),
            unheard=len(pbx.calls.keys() - heard),
        ) + Counter(f"end told by {row['end_source']}" for row in rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_day_of_which_three_in_ten_notifications_are_lost(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two offices at a time, one with each feed: six days, no two alike."""
    for name in FEEDS:
        upgrade(f"sqlite+aiosqlite:///{tmp_path}/{name}.db")  # a process migrates one database at a time
    async with asyncio.TaskGroup() as group:
        days = {name: group.create_task(_office(name, seed + n, tmp_path, f"drop={LOST}")) for name, n in FEEDS.items()}
    for name, day in days.items():
        figures = day.result()
        with capsys.disabled():
            print(f"\nday: {name}, seed {seed + FEEDS[name]},", dict(figures), end="")
        assert figures["calls"] > 0.85 * HOURS * CALLS_PER_HOUR
        assert figures["struck"] > 0.25 * figures["told"]
        assert figures["unheard"] > 0, "calls of which no notification arrived at all"


async def test_an_hour_of_which_the_log_keeps_records_back(transport: str, tmp_path: Path) -> None:
    """A synchronisation that comes empty moves its token on: the calls it should have brought are looked up singly."""
    figures = await _office(transport, 20, tmp_path, "empty-listing=0.3", path="call-log-sync", hours=1)
    assert figures["calls"] > 0.7 * CALLS_PER_HOUR
    assert figures["struck"] > 3


#: What is added to the seed.
FEEDS = {"pubnub": 0, "websocket": 10}
