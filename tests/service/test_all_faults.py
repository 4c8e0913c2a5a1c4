"""Everything goes wrong at once, and the ledger is right all the same."""

from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.rig import running, settings_for
from tests.truth import differences

SPEED = 200.0
FAULTS = ("drop=0.1", "duplicate=0.2", "reorder=0.2", "delay:10=0.1", "garbage=0.05", "sequence-restart=0.02")
#: A WebSocket that is cut pauses for real minutes, as the platform wants it.
CUT = {"pubnub": ("disconnect=0.01",), "websocket": ("disconnect=1x",)}


@pytest.mark.timeout(180)
async def test_an_office_where_everything_goes_wrong(transport: str, tmp_path: Path) -> None:
    pbx = Pbx(default_extensions(20), seed=5)
    clock = SimClock(speed=SPEED)
    options = Options(real_lifetimes=True, faults=FAULTS + CUT[transport], fault_seed=5)
    async with Simulator(clock=clock, pbx=pbx, options=options) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", transport, calls__settle_seconds=10 / SPEED, poll__interval_seconds=150 / SPEED,
            confirm__sync_interval_seconds=60 / SPEED,
        )  # fmt: skip
        async with running(sim, settings) as rig:
            office = Office(list(pbx.extensions.values()), calls_per_hour=300, seed=5)
            await sim.run_office(office, until=clock.now_ms() + 1_000_000)
            sim.faults.clear()
            await rig.until(
                lambda: (
                    len(rig.query("SELECT 1 FROM all_calls")) >= len(pbx.truth())
                    and not rig.query("SELECT 1 FROM active_calls")
                    and not rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NULL")
                ),
                "everything is over and confirmed",
                seconds=100,  # a call the log was asked for in vain is asked for again after 30 and 60 s
            )
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
            names = {fault.partition("=")[0].partition(":")[0] for fault in FAULTS}
            assert names <= sim.faults.happened.keys()
