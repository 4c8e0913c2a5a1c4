"""Simulated time: stepped by hand, or fast."""

import asyncio
from datetime import UTC, datetime

import pytest

from ringledger.simulator import Office, Simulator
from ringledger.simulator.clock import SimClock, iso_offset, iso_z

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


async def test_a_stepped_clock_wakes_sleepers_in_the_order_of_their_times():
    clock, woken = SimClock(START, speed=0), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 2)]
    await asyncio.sleep(0)
    clock.advance(2.5)
    await asyncio.gather(tasks[1], tasks[2])
    assert woken == [1, 2]
    assert not tasks[0].done()
    clock.advance(0.5)
    await tasks[0]
    assert clock.now_iso() == "2026-01-05T10:00:03.000Z"


async def test_a_fast_clock_is_never_early():
    clock = SimClock(START, speed=10_000)
    wanted = clock.now_ms() + 60_000
    await clock.sleep_until(wanted)
    assert clock.now_ms() >= wanted


async def test_a_fast_clock_can_be_moved_as_well():
    clock = SimClock(START, speed=1)
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.advance(3600)
    await asyncio.wait_for(sleeper, 10)


async def test_time_waits_for_what_is_to_happen():
    """No answer is given at a time by which something should have happened that has not."""
    clock = SimClock(START, speed=0)
    begin, woken = clock.now_ms(), []

    async def sleeper() -> None:
        await clock.sleep_until(begin + 2_500)
        woken.append(clock.now_ms())

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    with clock.held() as hold, clock.held() as other:
        hold(begin + 1_000)
        other(begin + 3_000)
        clock.advance(60)
        assert clock.now_ms() == begin + 1_000
        hold(begin + 2_000)
        assert clock.now_ms() == begin + 2_000
        hold(begin)
        assert clock.now_ms() == begin + 2_000
        hold(begin + 9_000)
        assert clock.now_ms() == begin + 3_000
        await task
        assert woken == [begin + 3_000]
    assert clock.now_ms() == begin + 60_000


async def test_an_office_that_is_late_tells_nothing_twice():
    """The machine was busy for a simulated minute: each change is told of at its own time all the same."""
    sim = Simulator(clock=SimClock(START, speed=20))
    told: list[tuple[str, str]] = []
    async with sim:
        sim.pbx.listeners.append(lambda envelope: told.append((envelope["timestamp"], sim.clock.now_iso())))
        begin = sim.clock.now_ms()
        office = Office([*sim.pbx.extensions.values()], calls_per_hour=3_600, seed=1)
        playing = asyncio.create_task(sim.run_office(office, until=begin + 60_000, drain=False))
        await asyncio.sleep(0)
        sim.clock.advance(60)
        await playing
    assert len(told) > 20
    assert [at for at, now in told if at != now] == []


def test_time_does_not_go_backwards():
    with pytest.raises(ValueError, match="backwards"):
        SimClock(START, speed=0).advance(-1)
    with pytest.raises(ValueError, match="negative"):
        SimClock(START, speed=-1)


def test_both_written_forms():
    assert iso_z(1428691735133) == "2015-04-10T18:48:55.133Z"
    assert iso_offset(1428691735133) == "2015-04-10T18:48:55.133+0000"
