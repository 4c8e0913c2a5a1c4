"""What a start goes on from may have been changed by hand: it costs what it told, and nothing else (rule 9.5)."""

from pathlib import Path

from ringledger.simulator import Office, Pbx, Simulator, default_extensions
from ringledger.simulator.exchange.model import Step
from tests.conftest import LogLines
from tests.rig import Rig, running, settings_for
from tests.truth import differences

#: A list of listings one of which says nothing.
SPOILT = "[[1]]"


def _tokens(rig: Rig) -> dict[str, str]:
    return {row["feed"]: row["token"] for row in rig.query("SELECT feed, token FROM feed_position")}


async def test_positions_that_cannot_be_read_end_no_start(transport: str, tmp_path: Path, logs: LogLines) -> None:
    pbx = Pbx(default_extensions(3))
    async with Simulator(pbx=pbx) as sim:
        settings = settings_for(sim, tmp_path / "r.db", transport, poll__interval_seconds=1)
        (call,) = Office(list(pbx.extensions.values()), seed=1).plan_answered("answered", sim.clock.now_ms())
        async with running(sim, settings) as rig:
            sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "Ringing", None))
            sim.clock.advance(4)
            sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "CallConnected", None))
            await rig.until(lambda: rig.query("SELECT 1 FROM active_calls WHERE status = 'CallConnected'"))
            kept = {"sight", "listings", transport}
            await rig.until(lambda: _tokens(rig).keys() >= kept, "all positions are stored")
            await rig.stop()
            for name in kept:
                rig.execute(f"UPDATE feed_position SET token = '{SPOILT}' WHERE feed = '{name}'")
        async with running(sim, settings) as rig:
            assert {line["row"] for line in logs.named("database.unreadable")} == kept
            assert rig.daemon.metrics.value("store_unreadable_total", table="feed_position") == len(kept)
            sim.clock.advance(4)
            sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "NoCall", "final"))
            sim.clock.advance(70)  # the platform's log has it
            await rig.until(lambda: rig.query("SELECT 1 FROM calls WHERE confirmed_at IS NOT NULL"), "it is confirmed")
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
            await rig.until(lambda: SPOILT not in _tokens(rig).values(), "each is written anew")
