"""A feed that was cut, a daemon that was stopped: everything is there afterwards, and `coverage` says what happened."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ringledger.cli import main
from ringledger.ledger.times import to_ms
from ringledger.simulator import Office, Pbx, SimClock, Simulator, default_extensions
from tests.rig import Rig, running, settings_for
from tests.truth import differences

from .stage import LOG_DELAY_SECONDS, Door, door_to, happen

HOUR = 3_600
EXTENSIONS = default_extensions(30)
pytestmark = pytest.mark.timeout(150)


def _platform(seed: int = 1) -> Simulator:
    from ringledger.simulator import Options

    # an hour that passes in seconds leaves no time for renewals: what would be renewed lives longer instead
    options = Options(subscription_seconds=10 * 86_400, token_seconds=10 * 86_400)
    return Simulator(clock=SimClock(speed=1), pbx=Pbx(EXTENSIONS, seed=seed), options=options)


def _settings(sim: Simulator, door: Door, tmp_path: Path, transport: str, **overrides: Any):
    sim.websocket.base_url = door.url
    feed = {"feed__pubnub_origin": door.url, "backfill__max_days": 2, "poll__interval_seconds": 1}
    return settings_for(sim, tmp_path / "r.db", transport, **(feed | overrides))


async def _complete(rig: Rig) -> None:
    await rig.until(
        lambda: (
            len(rig.query("SELECT 1 FROM all_calls")) >= len(rig.sim.pbx.truth())
            and not rig.query("SELECT 1 FROM active_calls")
            and not rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NULL")
        ),
        "every call is there and confirmed",
        seconds=40,
    )


def _spans(rig: Rig) -> list[dict[str, Any]]:
    return [row for row in rig.query("SELECT * FROM coverage ORDER BY from_at") if row["from_at"] < row["until_at"]]


def _state(rig: Rig) -> str:
    newest = rig.query("SELECT state FROM coverage ORDER BY from_at DESC LIMIT 1")
    return newest[0]["state"] if newest else ""


async def _healed(rig: Rig) -> None:
    await rig.until(lambda: all(one["state"] in {"live", "healed"} for one in _spans(rig)), "all is healed", seconds=40)


async def test_the_feed_is_cut_for_an_hour_of_500_calls(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _platform() as sim, door_to(sim) as door:
        async with running(sim, _settings(sim, door, tmp_path, transport)) as rig:
            office = Office(EXTENSIONS, calls_per_hour=520, seed=1)
            await door.shut()
            await rig.until(lambda: _state(rig) == "blind", "the cut is noticed")
            calls = office.day(sim.clock.now_ms(), 1.0)
            await happen(sim, calls, real_seconds=4)
            await door.open()
            await rig.until(lambda: _state(rig) == "live", "the feed is back", seconds=40)
            sim.clock.advance(LOG_DELAY_SECONDS)
            await _complete(rig)
            await _healed(rig)
            truth = sim.pbx.truth()
            assert len(truth) >= 500
            assert differences(rig.query("SELECT * FROM all_calls"), truth) == []
            holes = [one for one in _spans(rig) if one["state"] == "healed" and one["recovered_calls"]]
            with capsys.disabled():
                print(f"\ncut: {transport}, {len(truth)} calls in an hour", [tuple(one.values())[1:] for one in holes])
            told = {
                row["session_id"] for row in rig.query("SELECT session_id FROM call_events WHERE source = 'presence'")
            }
            assert len(truth) - len(told) <= sum(one["recovered_calls"] for one in holes) <= len(truth)


async def test_the_daemon_is_stopped_for_a_day(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _platform() as sim, door_to(sim) as door:
        settings = _settings(sim, door, tmp_path, transport)
        office = Office(EXTENSIONS, calls_per_hour=60, seed=2)
        async with running(sim, settings):
            pass
        calls = office.day(sim.clock.now_ms(), 23.5)
        await happen(sim, calls)
        sim.clock.advance(HOUR)
        async with running(sim, settings) as rig:
            await _complete(rig)
            await _healed(rig)
            truth = sim.pbx.truth()
            assert differences(rig.query("SELECT * FROM all_calls"), truth) == []
            (down,) = [one for one in _spans(rig) if one["cause"].startswith("daemon_down")] or [None]
            with capsys.disabled():
                print(f"\nstopped: {transport}, {len(truth)} calls in a day", tuple(down.values())[1:])
            assert down["recovered_calls"] == len(truth)
