"""A feed that was cut, a daemon that was stopped: everything is there afterwards, and `coverage` says what happened."""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ringledger.ledger.times import to_ms, to_text
from ringledger.service.ingest.coverage import EXTEND_MS
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.crash.child import environment
from tests.ending import ended_here
from tests.proofs.stage import LOG_DELAY_SECONDS, Door, door_to, happen
from tests.rig import Rig, running, settings_for
from tests.truth import differences

HOUR = 3_600
EXTENSIONS = default_extensions(30)
pytestmark = pytest.mark.timeout(300)


def _platform(seed: int = 1, *, hours_ago: float = 0.0) -> Simulator:
    # an hour that passes in seconds leaves no time for renewals: what would be renewed lives longer instead
    options = Options(subscription_seconds=10 * 86_400, token_seconds=10 * 86_400)
    clock = SimClock(datetime.now(UTC) - timedelta(hours=hours_ago), speed=1)
    return Simulator(clock=clock, pbx=Pbx(EXTENSIONS, seed=seed), options=options)


def _settings(sim: Simulator, door: Door, tmp_path: Path, transport: str, **overrides: Any):
    sim.websocket.base_url = door.url
    feed = {"feed__pubnub_origin": door.url, "backfill__max_days": 2, "poll__interval_seconds": 1}
    return settings_for(sim, tmp_path / "r.db", transport, **(feed | overrides))


async def _complete(rig: Rig) -> None:
    await rig.until(
        lambda: (
            len(rig.query("SELECT 1 FROM all_calls")) >= len(rig.sim.pbx.truth())
            and not rig.query("SELECT 1 FROM active_calls")
            and not rig.query("SELECT 1 FROM unconfirmed_calls")
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


async def _command(sim: Simulator, rig: Rig, *words: str) -> tuple[int, Any]:
    """A command about this ledger and platform: its exit code, and the JSON it prints."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringledger", *words, "--json",
        env=environment(sim, rig.database, "pubnub", database__url=rig.daemon.settings.database.url),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with ended_here(child):
        out, _ = await child.communicate()
    return child.returncode or 0, json.loads(out)


async def test_the_daemon_is_stopped_for_a_day(
    transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands take their time from the machine, so this day is over about now."""
    async with _platform(hours_ago=25) as sim, door_to(sim) as door:
        settings = _settings(sim, door, tmp_path, transport)
        office = Office(EXTENSIONS, calls_per_hour=60, seed=2)
        async with running(sim, settings):
            pass
        begun = sim.clock.now_ms()
        calls = office.day(begun, 23.5)
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
            await _a_row_is_deleted_by_hand(sim, rig, begun)
            assert differences(rig.query("SELECT * FROM all_calls"), truth) == []


async def _a_row_is_deleted_by_hand(sim: Simulator, rig: Rig, begun: int) -> None:
    """`audit` agrees, names the row that is missing, and agrees again after `backfill`."""
    period = ("--since", to_text(begun), "--until", to_text(sim.clock.now_ms()))
    wholes = [call for call in sim.pbx.truth() if call.part_of is None]
    code, report = await _command(sim, rig, "audit", *period)
    assert (code, report["differences"], report["left_out"]) == (0, [], 0)
    assert report["compared"] >= len(wholes)
    victim = wholes[len(wholes) // 2]
    rig.execute(f"DELETE FROM call WHERE session_id = '{victim.session_id}'")
    code, report = await _command(sim, rig, "audit", *period)
    named = [(one["kind"], one["session_id"], to_ms(one["started_at"])) for one in report["differences"]]
    assert (code, named) == (1, [("missing_in_ledger", victim.session_id, victim.started_at)])
    code, done = await _command(sim, rig, "backfill", *period[:2])
    assert (code, done["written"]) == (0, 1)
    code, report = await _command(sim, rig, "audit", *period)
    assert (code, report["differences"]) == (0, [])


async def test_a_day_with_two_holes(tmp_path: Path) -> None:
    """`coverage` names both to the second, with what healed them and how many calls came back; while one of them is
    not healed the answer is no."""
    async with _platform(hours_ago=14) as sim, door_to(sim) as door:  # noqa: SIM117 - the settings need both
        async with running(sim, _settings(sim, door, tmp_path, "pubnub")) as rig:
            await _passes(rig, LOG_DELAY_SECONDS)
            await _healed(rig)
            begun = sim.clock.now_ms()
            holes: list[Hole] = []
            for number, minutes in enumerate((10, 30)):
                await _passes(rig, 6 * HOUR)
                holes.append(hole := await _cut(rig, door, number, minutes))
                code, rows = await _coverage(sim, rig, begun)
                assert code == 1, "a hole that nothing has healed yet"
                (open_one,) = [one for one in rows if one["state"] not in {"live", "healed"}]
                assert open_one["state"] == "blind"
                hole.is_named_by(open_one)
                assert [one["state"] for one in rows].count("healed") == number
                await _passes(rig, LOG_DELAY_SECONDS)
                await _complete(rig)
                await _healed(rig)
            await _passes(rig, HOUR)
            code, rows = await _coverage(sim, rig, begun)
            assert code == 0
            assert [one["state"] for one in rows] == ["live", "healed", "live", "healed", "live"]
            for hole, row in zip(holes, rows[1::2], strict=True):
                hole.is_named_by(row)
                assert row["cause"].endswith("healed by call-log")
                assert len(hole.lost - _told(rig)) <= row["recovered_calls"] <= len(hole.lost)
            assert differences(rig.query("SELECT * FROM all_calls"), sim.pbx.truth()) == []


@dataclass(slots=True)
class Hole:
    """When the feed was cut and back (ms), and the calls that happened meanwhile."""

    cut: int
    back: int
    lost: set[str]

    def is_named_by(self, row: dict[str, Any]) -> None:
        """Whether a row of `coverage` has both its ends to the second."""
        assert abs(to_ms(row["from_at"]) - self.cut) <= 1_000
        assert abs(to_ms(row["until_at"]) - self.back) <= 1_000


async def _cut(rig: Rig, door: Door, number: int, minutes: float) -> Hole:
    """So many minutes of calls nobody hears of; the feed is back afterwards."""
    sim = rig.sim
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
    return Hole(cut, sim.clock.now_ms(), {call.session_id for call in sim.pbx.truth()} - before)


async def _coverage(sim: Simulator, rig: Rig, begun: int) -> tuple[int, list[dict[str, Any]]]:
    """What the command says of the time from then to now, and its exit code."""
    assert rig.daemon.parts is not None
    await rig.daemon.parts.sight.commit()  # what is otherwise written every five seconds
    now = sim.clock.now_ms()
    reached = to_text(now - EXTEND_MS)
    await rig.until(lambda: _spans(rig)[-1]["until_at"] >= reached, "the account reaches so far")
    period = ("--since", to_text(begun), "--until", to_text(now))
    code, rows = await _command(sim, rig, "coverage", *period)
    return code, rows


def _numbered(call: Any, number: int) -> Any:
    """Two offices count their sessions alike."""
    call.session_id = f"{number + 1}{call.session_id}"
    return call


async def _passes(rig: Rig, seconds: int) -> None:
    """Time passes, and the daemon has heard of it."""
    rig.sim.clock.advance(seconds)
    before = rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200")
    await rig.until(
        lambda: rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200") >= before + 2
    )
