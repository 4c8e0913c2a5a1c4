"""Two daemons, one account: one works, the other stands by and takes over. Real processes, a real server, kills.

What was committed is where the successor goes on, so nothing is lost and nothing doubled, and whoever was superseded
while it was stopped writes nothing when it goes on.
"""

import asyncio
import signal
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from ringledger.exits import Exit
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.crash.child import Child, pace
from tests.crash.test_kill import _settled, _told_twice, _work
from tests.postgresql.server import asked, needs_postgresql, server
from tests.truth import differences, seen_whole
from tests.until import PATIENCE

pytestmark = [needs_postgresql, pytest.mark.crash, pytest.mark.timeout(300)]

SPEED = 20.0
LEASE_SECONDS = 5
#: Another process has the account of one that was killed within so long, seconds.
TAKEN_WITHIN = 15.0
PACE = pace(SPEED) | {"database__lease_seconds": LEASE_SECONDS}


class Pair:
    """Two daemons of one account, each with a folder and a log of its own."""

    def __init__(self, sim, tmp_path, url, transport="pubnub", **changes):
        self.sim, self.url = sim, url
        self.children = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            self.children.append(Child(sim, tmp_path / name, transport, url=url, **PACE | changes))
        self.closed = asyncio.Event()
        self.office = None

    async def start(self):
        """The first one works, the second stands by."""
        first, second = self.children
        await first.start()
        await first.until("service.ready")
        await second.start()
        await second.until("lease.waiting")
        await second.until("service.ready")
        office = Office([*self.sim.pbx.extensions.values()], calls_per_hour=600, seed=5)
        self.office = asyncio.create_task(_work(self.sim, office, self.closed))
        return first, second

    async def recorded(self, more):
        """So many calls more than there are."""
        count = len(asked(self.url, "SELECT 1 FROM all_calls")) + more
        async with asyncio.timeout(PATIENCE):
            while len(asked(self.url, "SELECT 1 FROM all_calls")) < count:
                await asyncio.sleep(0.1)

    def commits(self, child):
        """How many transactions the process has made: each counts itself."""
        found = asked(self.url, "SELECT process, commits FROM writer")
        return next(one["commits"] for one in found if one["process"].startswith(f"process {child.pid} "))

    def holder(self):
        (row,) = asked(self.url, "SELECT process, term FROM lease")
        return row["process"].split()[1], row["term"]

    async def told_whole(self, child):
        """The day ends; what the ledger says is what was, and nothing was told twice."""
        self.closed.set()
        assert self.office is not None
        await self.office
        await _settled(self.sim, child)
        truth = self.sim.pbx.truth()
        assert differences(child.query("SELECT * FROM all_calls"), truth) == []
        twice = "SELECT 1 FROM call_transitions GROUP BY account_id, session_id, at, to_status HAVING count(*) > 1"
        assert child.query(twice) == []
        assert _told_twice([line for one in self.children for line in one.lines()]) == []
        return len(truth)


@asynccontextmanager
async def pair(tmp_path, transport="pubnub", **changes):
    pbx = Pbx(default_extensions(40), seed=5)
    sim = Simulator(clock=SimClock(speed=SPEED), pbx=pbx, options=Options(real_lifetimes=True, queue_limit=2_000))
    async with sim:
        made = Pair(sim, tmp_path, server().url(), transport, **changes)
        try:
            yield made
        finally:
            for child in made.children:
                if child.running:
                    child.signal(signal.SIGCONT)
                    await child.kill()
            if made.office is not None:
                made.office.cancel()
                await asyncio.wait({made.office})


def at(child, event):
    """When a process logged it last, seconds since 1970."""
    found = [line["timestamp"] for line in child.lines() if line["event"] == event]
    return datetime.fromisoformat(found[-1]).timestamp()


def now():
    return datetime.now(UTC).timestamp()


@pytest.mark.parametrize("transport", ["pubnub", "websocket"])
async def test_a_holder_that_is_killed_is_followed_and_nothing_is_lost_or_doubled(tmp_path, transport, capsys):
    async with pair(tmp_path, transport) as made:
        first, second = await made.start()
        await made.recorded(20)
        killed = now()
        await first.kill()
        await second.until("feed.connected" if transport == "websocket" else "lease.taken")
        taken = at(second, "lease.taken") - killed
        await made.recorded(10)
        assert made.holder() == (str(second.pid), 2)
        calls = await made.told_whole(second)
        if transport == "pubnub":  # the feed was taken up where it had been committed
            seen = seen_whole(second.query("SELECT * FROM call_events"), made.sim.pbx.calls.values())
            assert len(seen) == calls
        assert await second.stop() == 0
    with capsys.disabled():
        print(f"\n{transport}: taken {taken:.1f} s after the kill (leases of {LEASE_SECONDS} s), {calls} calls")
    assert taken < TAKEN_WITHIN


async def test_a_holder_that_was_stopped_writes_nothing_when_it_goes_on(tmp_path, capsys):
    async with pair(tmp_path) as made:
        first, second = await made.start()
        await made.recorded(20)
        first.signal(signal.SIGSTOP)
        await second.until("lease.taken")
        await made.recorded(10)
        before = made.commits(first)
        first.signal(signal.SIGCONT)
        assert await first.until_ended() == Exit.TRY_AGAIN
        assert made.commits(first) == before
        assert [line["event"] for line in first.lines()].count("lease.lost") == 1
        await first.start()  # as systemd does; now it is the one that stands by
        await first.until("lease.waiting")
        assert made.holder() == (str(second.pid), 2)
        calls = await made.told_whole(second)
        assert await second.stop() == 0
        assert await first.stop() == 0
    with capsys.disabled():
        print(f"\nstopped and fenced: {calls} calls")


async def test_a_planned_stop_hands_over_at_once(tmp_path, capsys):
    async with pair(tmp_path) as made:
        first, second = await made.start()
        await made.recorded(20)
        assert await first.stop() == 0
        await second.until("lease.taken")
        (taken,) = (line for line in second.lines() if line["event"] == "lease.taken")
        calls = await made.told_whole(second)
        assert await second.stop() == 0
    with capsys.disabled():
        print(f"\nhanded over after {taken['seconds']} s, {calls} calls")
    assert taken["seconds"] < 1.0


async def test_one_that_is_started_again_takes_at_once_what_it_held_before_its_kill(tmp_path, capsys):
    """The lease would run for a minute; that its holder is dead is known on its own machine."""
    async with pair(tmp_path, database__lease_seconds=60) as made:
        first, second = await made.start()
        await made.recorded(20)
        await first.kill()
        await first.start()
        await first.until("lease.taken")
        taken = at(first, "lease.taken") - at(first, "service.started")
        assert made.holder() == (str(first.pid), 2)
        processes = asked(made.url, "SELECT process FROM writer")
        assert {one["process"].split()[1] for one in processes} == {str(first.pid), str(second.pid)}
        await made.recorded(10)
        calls = await made.told_whole(first)
        assert await first.stop() == 0
        assert await second.stop() == 0
    with capsys.disabled():
        print(f"\nstarted again: taken {taken:.1f} s after the start (leases of 60 s), {calls} calls")
    assert taken < TAKEN_WITHIN
