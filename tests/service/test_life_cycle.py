"""What happens to the subscription and the feed over time, on both feeds alike."""

import asyncio
import time
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions, load_story
from tests.conftest import LogLines
from tests.rig import STORIES, running, settings_for
from tests.truth import differences

SPEED = 100.0


async def test_a_silent_subscription_is_found_out_and_replaced(transport: str, tmp_path: Path, logs: LogLines) -> None:
    """REST says Active, the connection stands, nothing comes although calls go on."""
    pbx = Pbx(default_extensions(5), seed=3)
    clock = SimClock(speed=SPEED)
    options = Options(real_lifetimes=True)
    async with Simulator(clock=clock, pbx=pbx, options=options) as sim:
        settings = settings_for(
            sim,
            tmp_path / "r.db",
            transport,
            feed__silence_timeout_seconds=2,
            calls__settle_seconds=0.1,
            poll__interval_seconds=1,
        )
        async with running(sim, settings) as rig:
            sim.faults.add("silent=1x")
            office = Office(list(pbx.extensions.values()), calls_per_hour=300, seed=3)
            playing = asyncio.create_task(sim.run_office(office, until=clock.now_ms() + 1_200_000))
            await rig.until(lambda: "subscription.lost" in logs.events, "the feed is declared dead", seconds=40)
            before = rig.daemon.metrics.value("events_received_total", source="presence")
            await rig.until(
                lambda: rig.daemon.metrics.value("events_received_total", source="presence") > before + 5,
                "the new subscription brings events",
                seconds=40,
            )
            await playing
            await rig.until(
                lambda: (
                    len(rig.query("SELECT 1 FROM all_calls")) >= len(pbx.truth())
                    and not rig.query("SELECT 1 FROM active_calls")
                    and not rig.query("SELECT 1 FROM unconfirmed_calls")
                ),
                "every call is there",
                seconds=60,
            )
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
            assert "feed.silent" in logs.events


async def test_extensions_have_names_and_numbers(transport: str, tmp_path: Path) -> None:
    async with (
        Simulator(pbx=Pbx(default_extensions(3))) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig,
    ):
        rows = await rig.until(
            lambda: rig.query("SELECT extension_id, extension_number, name FROM extension_presence ORDER BY 1")
        )
        expected = [(one.id, one.number, one.name) for one in sim.pbx.extensions.values()]
        assert [tuple(row.values()) for row in rows] == expected


@pytest.mark.parametrize("step", [86_400, -86_400, 600], ids=["a day ahead", "a day back", "ten minutes asleep"])
async def test_a_clock_that_jumps_changes_no_duration_and_rebuilds_the_feed(
    step: int, transport: str, tmp_path: Path, logs: LogLines
) -> None:
    story = load_story(STORIES / "hold_and_resume.story")
    async with Simulator() as sim, running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig:
        assert rig.daemon.parts is not None
        story = story.shifted(sim.clock.now_ms() - story.start)
        first, last = story.deliveries[:2], story.deliveries[2:]
        for delivery in first:
            sim.publish_envelope(delivery.envelope, forced=True)
        await rig.until(lambda: rig.query("SELECT 1 FROM active_calls"))
        rig.daemon.parts.sight.time.wall = lambda: time.time() + step
        await rig.until(lambda: logs.events.count("subscription.created") == 2, "the feed is rebuilt")
        for delivery in last:
            sim.publish_envelope(delivery.envelope, forced=True)
        (row,) = await rig.until(rig.calls)
        expected = story.expected[0]
        figures = {"ring_seconds", "talk_seconds", "hold_seconds", "started_at", "ended_at"} & expected.keys()
        assert {name: row[name] for name in figures} == {name: expected[name] for name in figures}


async def test_a_process_that_stood_still_does_not_trust_its_feed(
    transport: str, tmp_path: Path, logs: LogLines
) -> None:
    """Neither clock jumps against the other when a process is stopped for a while and goes on."""
    async with Simulator() as sim, running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig:
        assert rig.daemon.parts is not None
        sight = rig.daemon.parts.sight
        sight.clock, sight.time.wall = (lambda: time.monotonic() + 45.0), (lambda: time.time() + 45.0)
        stood = "SELECT 1 FROM coverage WHERE cause LIKE '%stood_still%'"
        await rig.until(lambda: rig.query(stood), "the time is doubtful", seconds=30)
        assert "subscription.lost" not in logs.events
