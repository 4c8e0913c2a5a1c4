"""Clocks that are wrong: the platform's, and this machine's. Our sight is told truly, and nothing young is deleted."""

import asyncio
import time
from pathlib import Path

import pytest

from ringledger.ledger.times import to_ms
from ringledger.service.health.status import LAST_WRITE_MS
from ringledger.service.maintenance import FIRST_CARE_SECONDS, ROUND_SECONDS
from ringledger.service.own_time import OwnTime
from ringledger.service.webhooks.worker import RetrySchedule
from ringledger.simulator import Options, Simulator, load_story
from tests.receiver import receiving
from tests.rig import STORIES, Rig, running, settings_for

HOUR_MS = 3_600_000
#: Letters for a receiver that is down, and the attempts after which one that is old enough is given up.
WAITING = "SELECT attempts FROM outbox WHERE gave_up_at IS NULL"
LEAST = RetrySchedule().least_attempts
DAY_MS = 24 * HOUR_MS


def now_ms() -> int:
    return round(time.time() * 1000)


def ordinary() -> Options:
    """A platform like the real one: it announces no pace."""
    return Options(announces_pace=False)


async def pass_time(rig: Rig, seconds: float) -> None:
    """Let time pass (it jumps), with the daemon at work."""
    await asyncio.wait({rig.task}, timeout=seconds)
    assert not rig.task.done()


def spans(rig: Rig) -> list[tuple[int, int, str]]:
    """Coverage, oldest first, without spans that lasted no time."""
    rows = rig.query("SELECT from_at, until_at, state FROM coverage ORDER BY from_at")
    told = [(to_ms(row["from_at"]), to_ms(row["until_at"]), row["state"]) for row in rows]
    return [one for one in told if one[1] > one[0]]


async def test_a_platform_that_is_five_hours_ahead_hides_no_hole(tmp_path: Path) -> None:
    """Its clock was wrong for 20 s with one reconnect in between; the span was kept five hours ahead, so that 36 s
    without a feed an hour later were "live"."""
    async with (
        Simulator(options=ordinary()) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", "websocket")) as rig,
    ):
        await pass_time(rig, 30)
        sim.clock.told_ahead_ms = 5 * HOUR_MS
        await pass_time(rig, 5)
        await sim.websocket.cut()
        await pass_time(rig, 15)
        sim.clock.told_ahead_ms = 0
        await pass_time(rig, 60)
        assert all(until <= now_ms() for _, until, _ in spans(rig)), "no span lies in the future"
        began = now_ms()
        await sim.websocket.cut(36.0)
        await pass_time(rig, 60)
        ended = now_ms()
        lost = [one for one in spans(rig) if one[2] in {"blind", "healed"} and one[0] >= began - 2_000]
        assert sum(min(until, ended) - start for start, until, _ in lost) >= 30_000
        assert all(until <= now_ms() for _, until, _ in spans(rig))


async def test_the_account_goes_on_while_the_log_is_read_for_a_hole(tmp_path: Path) -> None:
    """Reading a month takes minutes under the platform's limits; after a kill in that time all of it was blind."""
    async with Simulator(options=ordinary()) as sim:
        sim.limits.penalty = 600.0
        sim.faults.add("429=1x", path="call-log")
        async with running(sim, settings_for(sim, tmp_path / "r.db", "websocket", backfill__max_days=30)) as rig:
            await pass_time(rig, 200)
            assert sim.limits.refused["heavy"] <= 2, "only who was on his way already asks within a penalty"
            *_, (_, until, state) = spans(rig)
            assert state == "live"
            assert now_ms() - until <= LAST_WRITE_MS


@pytest.mark.slow
@pytest.mark.parametrize("days", [40, -40])
@pytest.mark.parametrize("whose", ["the platform's", "ours"])
async def test_no_single_clock_deletes_what_is_young(whose: str, days: int, tmp_path: Path, logs) -> None:
    """Care ran while one clock was 40 days off: a call of two minutes ago was deleted."""
    settings = {"retention__calls_days": 30, "retention__mask_numbers_after_days": 20, "journal__days": 30}
    async with (
        Simulator(options=ordinary()) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", **settings)) as rig,
    ):
        story = load_story(STORIES / "hold_and_resume.story")
        story = story.shifted(sim.clock.now_ms() - story.deliveries[-1].at)
        for delivery in story.deliveries:
            sim.publish_envelope(delivery.envelope, forced=True)
        (before,) = await rig.until(rig.calls)
        if whose == "ours":
            assert rig.daemon.parts is not None
            rig.daemon.parts.sight.time.wall = lambda: time.time() + days * 86_400
        else:
            sim.clock.told_ahead_ms = days * DAY_MS
        await pass_time(rig, FIRST_CARE_SECONDS + 3 * ROUND_SECONDS)
        (after,) = rig.calls()
        assert (after["from_number"], after["to_name"]) == (before["from_number"], before["to_name"])
        assert "database.purged" not in logs.events
        assert logs.events.count("clock.disagrees") == 1
        assert rig.query("SELECT 1 FROM call_events")


async def test_a_clock_that_was_set_gives_up_no_webhook(tmp_path: Path, logs, monkeypatch) -> None:
    """This machine's clock was set 40 days ahead while a receiver was down: its letters were given up in a minute."""
    true = time.time_ns
    async with receiving() as hook, Simulator(options=ordinary()) as sim:
        hook.answer = lambda _: 503
        webhooks = [{"url": hook.url, "events": ["call.finished"]}]
        async with running(sim, settings_for(sim, tmp_path / "r.db", webhooks=webhooks)) as rig:
            await sim.play_story(load_story(STORIES / "hold_and_resume.story"), rebase=True)
            await rig.until(lambda: rig.query(WAITING), "the end of the call waits")
            monkeypatch.setattr(time, "time_ns", lambda: true() + 40 * DAY_MS * 1_000_000)
            monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
            await rig.until(lambda: [one["attempts"] for one in rig.query(WAITING)] > [LEAST], "more attempts")
            assert logs.named("webhook.failed") == []


class Dated:
    """A platform whose ``Date`` is as far from the truth as a test wants; ``None``: it tells none."""

    simulated = False

    def __init__(self) -> None:
        self.ahead: float | None = 0.0
        self.true = 1_000_000.0

    def platform_now_ms(self) -> int:
        return round((self.true + (self.ahead or 0.0)) * 1000)

    def dated_now_ms(self) -> int | None:
        return None if self.ahead is None else self.platform_now_ms()


class Machine:
    """Clocks to be set: ``true`` passes, ``step`` is how far the wall clock is wrong (seconds)."""

    def __init__(self, step: float = 0.0) -> None:
        self.platform, self.step = Dated(), step
        self.time = OwnTime(self.platform, wall=self._wall, clock=lambda: self.platform.true)

    def _wall(self) -> float:
        return self.platform.true + self.step

    def after(self, seconds: float):
        self.platform.true += seconds
        return self.time.watch()

    @property
    def error(self) -> float:
        """How far our time is from the truth, seconds."""
        return self.time.now() / 1000 - self.platform.true


@pytest.mark.parametrize("step", [40 * 86_400.0, -40 * 86_400.0, 300.0])
@pytest.mark.parametrize("told", [0.0, None])
def test_a_step_that_is_taken_back_is_never_followed(step: float, told: float | None) -> None:
    machine = Machine()
    machine.platform.ahead = told
    machine.step = step
    for _ in range(20):
        assert machine.after(10) is None
        assert machine.error == 0
    machine.step = 0.0
    assert machine.after(10) is None
    assert machine.error == 0


def test_a_clock_that_was_wrong_at_the_start_is_followed_when_it_is_put_right() -> None:
    machine = Machine(-86_400.0)
    assert machine.error == -86_400
    machine.step = 0.0
    step = machine.after(5)
    assert step is not None
    assert (step.after - step.before, machine.error) == (86_400_000, 0)


def test_a_step_nobody_confirms_is_followed_after_a_while() -> None:
    machine = Machine()
    machine.platform.ahead = None
    machine.step = 7_200.0
    assert machine.after(300) is None
    assert machine.after(300) is None
    assert machine.after(300) is not None
    assert machine.error == 7_200


def test_drift_is_followed_at_once() -> None:
    machine = Machine()
    for n in range(20):
        machine.step = n * 5.0
        assert machine.after(5) is None
        assert machine.error == n * 5.0


def test_what_is_old_is_old_by_every_clock() -> None:
    machine = Machine()
    for step, ahead in ((0.0, 9e6), (9e6, 0.0), (9e6, 9e6), (-9e6, 0.0), (0.0, -9e6)):
        machine.step, machine.platform.ahead = step, ahead
        assert machine.time.earliest() <= machine.platform.true * 1000
        assert machine.time.disagreement() == 9_000_000_000
