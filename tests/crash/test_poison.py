"""Poison over both feeds, with `kill -9` and a start after it: each message is met once, the good calls are recorded.

Real processes, real sockets, a real file. What the kill interrupts is what the commit of the poison was part of.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringledger.simulator import Options, SimClock, Simulator, load_story
from ringledger.simulator.faults.poison import notifications
from tests.crash.child import Child
from tests.manager import Manager
from tests.rig import STORIES

EARLIER = STORIES / "late_after_the_end.story"
GOOD = STORIES / "answered.story"
ASIDE = "SELECT body FROM quarantine ORDER BY id"
#: What the unit allows; the daemon stays far below it whatever it is sent.
MOST_BYTES = 512 * 1024 * 1024


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.parametrize("transport", ["pubnub", "websocket"])
async def test_poison_is_met_once(transport: str, tmp_path: Path, manager: Manager) -> None:
    poisoned = list(notifications(load_story(EARLIER).deliveries[0].envelope))
    uuids = [one["uuid"] for one in poisoned]
    async with (
        Simulator(clock=SimClock(), options=Options(real_lifetimes=True)) as sim,
        Child(sim, tmp_path, transport, forked=True, manager=manager) as child,
    ):
        await child.start()
        await child.until("service.ready")
        for envelope in poisoned[:3]:
            sim.publish_envelope(envelope, forced=True)
        await child.until_lines("event.unreadable", 3)
        assert await child.kill()
        for envelope in poisoned[3:]:  # it waits for the daemon in the platform's memory
            sim.publish_envelope(envelope, forced=True)
        await child.start()
        await child.until("feed.resumed")
        await child.until_lines("event.unreadable", len(poisoned))
        assert await child.kill()
        await child.start()
        await child.until("feed.resumed")
        await sim.play_story(load_story(GOOD), pace=False)
        await child.until("call.finished")
        assert await child.stop() == 0
        unreadable = [line for line in child.lines() if line["event"] == "event.unreadable"]
        assert len(unreadable) == len(poisoned)
        assert [json.loads(row["body"])["uuid"] for row in child.query(ASIDE)] == uuids
        (call,) = child.query("SELECT disposition FROM calls")
        assert call["disposition"] == "answered"


async def test_records_that_cannot_be_read_are_met_once(tmp_path: Path, manager: Manager) -> None:
    async with (
        Simulator(clock=SimClock(), options=Options(real_lifetimes=True)) as sim,
        Child(sim, tmp_path, "pubnub", forked=True, manager=manager) as child,
    ):
        sim.faults.add("poison-record=1")
        for _ in range(3):
            await child.start()
            await child.until("service.ready")
            await child.until("poll.finished")
            assert await child.kill()
        told = [line for line in child.lines() if line["event"] == "event.unreadable"]
        assert len(told) == len(child.query(ASIDE)) == 7
        assert [line for line in child.lines() if line["event"] == "poll.failed"] == []


@pytest.mark.slow
async def test_an_answer_that_unpacks_to_gigabytes_fits_into_the_units_memory(tmp_path: Path, manager: Manager) -> None:
    async with (
        Simulator(clock=SimClock(), options=Options(real_lifetimes=True)) as sim,
        Child(sim, tmp_path, "pubnub", manager=manager) as child,
    ):
        await child.start()
        await child.until("service.ready")
        sim.faults.add("poll-bomb=2x")
        sim.faults.add("bomb=2x")
        await child.until("platform.recovered")
        await sim.wait_polling()
        assert not sim.pubnub.faults
        await sim.play_story(load_story(GOOD), pace=False)
        await child.until("call.finished")
        peak = _peak(child.pid)
        assert await child.stop() == 0
    assert peak < MOST_BYTES / 2


def _peak(pid: int) -> int:
    """The most memory a process has had, bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
