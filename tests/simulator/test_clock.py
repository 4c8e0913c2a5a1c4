"""Simulated time: stepped by hand, or fast."""

import asyncio
from datetime import UTC, datetime

import pytest

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


def test_time_does_not_go_backwards():
    with pytest.raises(ValueError, match="backwards"):
        SimClock(START, speed=0).advance(-1)
    with pytest.raises(ValueError, match="negative"):
        SimClock(START, speed=-1)


def test_both_written_forms():
    assert iso_z(1428691735133) == "2015-04-10T18:48:55.133Z"
    assert iso_offset(1428691735133) == "2015-04-10T18:48:55.133+0000"
