"""Comparisons on the clock: when the next one is due, and an extension that does not answer holds up nobody else."""

from pathlib import Path

import pytest

from ringledger.domain.changes import Changes
from ringledger.service.ingest.poller import OUTAGE, pause_after
from ringledger.simulator import Simulator
from tests.conftest import LogLines
from tests.rig import Rig, running, settings_for
from tests.service.test_bad_answers import _open, _platform, _settings, _step, _struck


@pytest.mark.parametrize("interval", [0.3, 120.0, 180.0, 290.0, 300.0, 600.0])
def test_the_pause_is_never_shorter_than_the_interval_nor_longer_than_permitted(interval: float) -> None:
    drawn = [pause_after(interval) for _ in range(500)]
    assert interval <= min(drawn)
    assert max(drawn) <= max(interval, 300.0)
    assert max(drawn) <= interval * 1.1
    assert (len(set(drawn)) > 1) is (interval < 300), "daemons do not ask all at once"


def _still_open(rig: Rig) -> set[str]:
    return {row["extension_id"] for row in rig.query("SELECT extension_id FROM active_calls")}


async def test_an_extension_whose_presence_fails_holds_up_no_other(tmp_path: Path, logs: LogLines) -> None:
    async with _platform() as sim, running(sim, _settings(sim, tmp_path)) as rig:
        calls = await _open(rig, 3)
        bad, *others = sorted(call.legs[0].extension_id for call in calls)
        for listing in ("active-calls", "call-log"):  # only presence tells
            sim.faults.add("empty-listing=1", path=listing)
        sim.faults.add("status-5xx=1", path=f"/extension/{bad}/presence")
        sim.faults.add("drop=1")
        _step(sim, calls, "NoCall")
        sim.clock.advance(60)
        await rig.until(lambda: _still_open(rig) == {bad}, f"{others} are settled")
        await _struck(rig, "status-5xx", 2)
        assert _still_open(rig) == {bad}, "who did not answer has proved nothing"
        told = logs.named("poll.failed")
        assert {(line["source"], line["reason"]) for line in told} == {("presence", "PlatformUnavailable")}
        assert logs.named("poll.finished")[-1]["open"] == 1
        sim.faults.clear()
        await rig.until(lambda: not _still_open(rig), "it answers again")


@pytest.fixture
async def idle(tmp_path: Path):
    """A daemon nobody calls: its polls ask for no presence."""
    async with _platform(12) as sim:
        settings = settings_for(sim, tmp_path / "r.db", poll__interval_seconds=0.5)
        async with running(sim, settings) as rig:
            yield sim, rig


async def test_another_interval_counts_from_now(tmp_path: Path, logs: LogLines) -> None:
    async with (
        _platform() as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", poll__interval_seconds=300)) as rig,
    ):
        assert rig.daemon.parts is not None
        before = len(logs.named("poll.finished"))
        rig.daemon.parts.poller.pace_to(0.3)
        await rig.until(lambda: len(logs.named("poll.finished")) >= before + 2, "nobody waits the old one out")


def _answers(rig: Rig) -> float:
    return rig.daemon.metrics.value("api_requests_total", endpoint="presence", code="200")


def _doubt(rig: Rig, sim: Simulator) -> int:
    """Every extension's snapshot was cut; how many."""
    assert rig.daemon.parts is not None
    cut = dict.fromkeys(("1001", one) for one in sim.pbx.extensions)
    rig.daemon.parts.poller.committed(Changes(cut=cut))
    return len(cut)


async def test_a_doubt_that_was_not_answered_is_raised_again_until_it_is(idle: tuple[Simulator, Rig]) -> None:
    sim, rig = idle
    sim.faults.add("status-5xx=2x", path="/extension/2001/presence")
    many = _doubt(rig, sim)
    await rig.until(lambda: _answers(rig) == many, "all have been heard of")
    assert sim.faults.happened == {"status-5xx": 2}


async def test_an_outage_is_not_asked_through_extension_by_extension(
    idle: tuple[Simulator, Rig], logs: LogLines
) -> None:
    sim, rig = idle
    sim.faults.add(f"status-5xx={OUTAGE}x", path="/presence")
    many = _doubt(rig, sim)
    await rig.until(lambda: _answers(rig) == many, "all have been heard of")
    (told,) = logs.named("poll.failed")
    assert told["unanswered"] == many, "after so many failures in a row nobody else was asked"


async def test_a_penalty_ends_the_round_and_loses_no_doubt(idle: tuple[Simulator, Rig]) -> None:
    sim, rig = idle
    sim.limits.penalty = 1.0
    sim.faults.add("429=1x", path="/extension/2003/presence")
    many = _doubt(rig, sim)
    await rig.until(lambda: _answers(rig) == many, "all have been heard of")
    assert sim.limits.violations == 0
    assert sim.faults.happened == {"429": 1}
