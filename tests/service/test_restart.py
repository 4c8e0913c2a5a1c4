"""A restart in the middle of calls: what was missed in between comes back, whether the feed can be taken up or not.

A restarted daemon logs in anew, and a WebSocket session of another authorisation is not recovered (WSG-1003); a PubNub
channel is read on from the stored cursor.
"""

from pathlib import Path

from ringledger.simulator import Office, Pbx, SimCall, Simulator, default_extensions
from ringledger.simulator.model import Step
from tests.conftest import LogLines
from tests.rig import Rig, running, settings_for
from tests.truth import differences

#: After so many simulated seconds the platform's log has every call that has ended.
LOG_DELAY = 70


def _call(pbx: Pbx, n: int, sim: Simulator) -> SimCall:
    """An answered call of the nth extension; nothing of it has happened yet."""
    (call,) = Office([list(pbx.extensions.values())[n]] * 2, seed=n).plan_answered("answered", sim.clock.now_ms())
    return call


def _goes(sim: Simulator, status: str, *calls: SimCall) -> None:
    """The calls go to ``status``, a few simulated seconds after what was before."""
    sim.clock.advance(4)
    for call in calls:
        sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status, "final" if status == "NoCall" else None))


async def _open(rig: Rig, count: int, status: str) -> None:
    sql = f"SELECT 1 FROM active_calls WHERE status = '{status}'"
    await rig.until(lambda: len(rig.query(sql)) == count, f"{count} {status}")


async def test_nothing_is_lost_between_two_runs(transport: str, tmp_path: Path, logs: LogLines) -> None:
    pbx = Pbx(default_extensions(5))
    async with Simulator(pbx=pbx) as sim:
        settings = settings_for(sim, tmp_path / "r.db", transport, poll__interval_seconds=1)
        ends, within, begins, spans, repeats = (_call(pbx, n, sim) for n in range(5))
        async with running(sim, settings) as rig:
            _goes(sim, "Ringing", ends, spans, repeats)
            _goes(sim, "CallConnected", ends, spans)
            await _open(rig, 2, "CallConnected")
        _goes(sim, "CallConnected", repeats)
        _goes(sim, "NoCall", ends)
        _goes(sim, "Ringing", within)
        _goes(sim, "CallConnected", within)
        _goes(sim, "NoCall", within)
        _goes(sim, "Ringing", begins)
        _goes(sim, "CallConnected", begins)
        sim.clock.advance(12)  # active-calls is some seconds behind
        async with running(sim, settings) as rig:
            await _open(rig, 3, "CallConnected")
            _goes(sim, "NoCall", begins, spans, repeats)
            await rig.until(lambda: not rig.query("SELECT 1 FROM active_calls"), "all have ended")
            sim.clock.advance(LOG_DELAY)
            await rig.until(
                lambda: len(rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL")) == 5,
                "five calls, confirmed",
            )
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
    lost = [line["reason"] for line in logs.named("subscription.lost")]
    assert lost == (["recovery failed WSG-1003"] if transport == "websocket" else [])
    assert ("feed.resumed" in logs.events) == (transport == "pubnub")
