"""A feed that was cut, a daemon that was stopped: everything is there afterwards, and `coverage` says what happened."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from ringledger.ledger.times import to_ms
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.crash.child import environment
from tests.rig import Rig, running, settings_for
from tests.truth import differences

from .stage import LOG_DELAY_SECONDS, Door, door_to, happen

HOUR = 3_600
EXTENSIONS = default_extensions(30)
pytestmark = pytest.mark.timeout(300)


def _platform(seed: int = 1) -> Simulator:
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
    assert rig.daemon.parts is not None
    span = rig.daemon.parts.sight.book.current
    return str(span.state) if span else ""


def _told(rig: Rig) -> set[str]:
    """The calls of which the feed has told anything."""
    return {row["session_id"] for row in rig.query("SELECT session_id FROM call_events WHERE source = 'presence'")}


async def _healed(rig: Rig) -> None:
    """Until every hole is healed; meanwhile time passes, as a hole is read when the log is sure to be complete."""

    def healed() -> bool:
        rig.sim.clock.advance(1)
        return all(one["state"] in {"live", "healed"} for one in _spans(rig))

    await rig.until(healed, "all is healed", seconds=60)


async def test_the_feed_is_cut_for_an_hour_of_500_calls(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _platform() as sim, door_to(sim) as door:  # noqa: SIM117 - the settings need both
        async with running(sim, _settings(sim, door, tmp_path, transport)) as rig:
            office = Office(EXTENSIONS, calls_per_hour=520, seed=1)
            await door.shut()
            await rig.until(lambda: _state(rig) == "blind", "the cut is noticed")
            calls = office.day(sim.clock.now_ms(), 1.0)
            await happen(sim, calls, real_seconds=4)
            await door.open()
            await rig.until(lambda: _state(rig) == "live", "the feed is back", seconds=150)
            sim.clock.advance(LOG_DELAY_SECONDS)
            await _complete(rig)
            await _healed(rig)
            truth = sim.pbx.truth()
            assert len(truth) >= 500
            assert differences(rig.query("SELECT * FROM all_calls"), truth) == []
            holes = [one for one in _spans(rig) if one["state"] == "healed" and one["recovered_calls"]]
            with capsys.disabled():
                print(f"\ncut: {transport}, {len(truth)} calls in an hour", [tuple(one.values())[1:] for one in holes])
            assert len(truth) - len(_told(rig)) <= sum(one["recovered_calls"] for one in holes) <= len(truth)


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
            sim.clock.advance(LOG_DELAY_SECONDS)
            await _complete(rig)
            await _healed(rig)
            truth = sim.pbx.truth()
            assert differences(rig.query("SELECT * FROM all_calls"), truth) == []
            (down,) = [one for one in _spans(rig) if (one["cause"] or "").startswith("daemon_down")]
            with capsys.disabled():
                print(f"\nstopped: {transport}, {len(truth)} calls in a day", tuple(down.values())[1:])
            assert len(truth) - len(_told(rig)) <= down["recovered_calls"] <= len(truth)


async def _coverage(sim: Simulator, rig: Rig, *words: str) -> tuple[int, str]:
    """What the command says of this ledger, and its exit code."""
    env = environment(sim, rig.database, "pubnub") | {"COLUMNS": "200", "NO_COLOR": "1"}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringledger", "coverage", *words, env=env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


async def test_a_day_with_two_holes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are named to the second, with what healed them and how many calls came back."""
    async with _platform() as sim, door_to(sim) as door:  # noqa: SIM117 - the settings need both
        async with running(sim, _settings(sim, door, tmp_path, "pubnub")) as rig:
            await _passes(rig, LOG_DELAY_SECONDS)
            await _healed(rig)
            begun = sim.clock.now_ms()
            holes = []
            for number, minutes in enumerate((10, 30)):
                await _passes(rig, 6 * HOUR)
                cut = sim.clock.now_ms()
                await door.shut()
                await rig.until(lambda: _state(rig) == "blind", "the cut is noticed")
                office = Office(EXTENSIONS, calls_per_hour=240, seed=10 + number)
                calls = [call for call in office.day(cut, minutes / 60) if call.part_of is None]
                before = {call.session_id for call in sim.pbx.truth()}
                await happen(sim, [_numbered(call, number) for call in calls], real_seconds=1)
                await _passes(rig, LOG_DELAY_SECONDS)
                await door.open()
                await rig.until(lambda: _state(rig) == "live", "the feed is back", seconds=40)
                holes.append((cut, sim.clock.now_ms(), {call.session_id for call in sim.pbx.truth()} - before))
                await rig.daemon.parts.sight.commit()
                code, _ = await _coverage(sim, rig)
                assert code == 1, "a hole that nothing has healed yet"
                await _passes(rig, LOG_DELAY_SECONDS)
                await _complete(rig)
                await _healed(rig)
            await _passes(rig, HOUR)
            period = ["--since", _text(begun), "--until", _text(sim.clock.now_ms() - 30_000)]
            code, text = await _coverage(sim, rig, *period)
            with capsys.disabled():
                print("\nholes:", [(cut, back, len(lost)) for cut, back, lost in holes], f"\n{text}")
            assert code == 0
            told = [one for one in _spans(rig) if one["state"] == "healed" and one["cause"] != "before_first_start"][
                -2:
            ]
            for one, (cut, back, lost) in zip(told, holes, strict=True):
                assert abs(to_ms(one["from_at"]) - cut) <= 1_000
                assert abs(to_ms(one["until_at"]) - back) <= 1_000
                assert len(lost - _told(rig)) <= one["recovered_calls"] <= len(lost)
                assert one["cause"].endswith("healed by call-log")
            assert differences(rig.query("SELECT * FROM all_calls"), sim.pbx.truth()) == []


def _numbered(call: Any, number: int) -> Any:
    """Two offices count their sessions alike."""
    call.session_id = f"{number + 1}{call.session_id}"
    return call


def _text(at: int) -> str:
    from ringledger.ledger.times import to_text

    return to_text(at)


async def _passes(rig: Rig, seconds: int) -> None:
    """Time passes, and the daemon has heard of it."""
    rig.sim.clock.advance(seconds)
    before = rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200")
    await rig.until(
        lambda: rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200") >= before + 2
    )
