"""500 accounts of 20 extensions in one process: 512 MiB, one core, 100 events a second, and a `kill -9` on the way.

ACCOUNTS, RATE (events a second over all of them) and SECONDS come from the environment. The daemon is a process of its
own, bound to one core; the platforms are in this one. The figures are printed.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ringledger.service.control.server import request, socket_path
from tests.crash.child import Child
from tests.manager import Manager
from tests.proofs.companies import Companies, Told, companies
from tests.proofs.usage import Usage
from tests.truth import differences
from tests.until import until

ACCOUNTS = int(os.environ.get("ACCOUNTS", "500"))
EXTENSIONS = 20
RATE = float(os.environ.get("RATE", "100"))
SECONDS = float(os.environ.get("SECONDS", "180"))
#: What is promised.
MOST_MIB = 512.0
MOST_BUSY = 1.0
#: Processor seconds until each account is connected, the start of the process included; after the kill it has calls to
#: take up and events to take meanwhile.
MOST_TO_CONNECT = 60.0
#: Idle accounts are looked at for so long.
IDLE_SECONDS = SECONDS / 3
#: On a busy machine: until every account is connected, and until every call is there and confirmed.
CONNECTED_SECONDS, COMPLETE_SECONDS = 300.0, 400.0
#: Calls shorter than in life begin at their full rate from the first; so long after that as many end.
RAMP_SECONDS = 30.0

pytestmark = pytest.mark.timeout(4 * CONNECTED_SECONDS + COMPLETE_SECONDS + 3 * SECONDS)

#: What cost an account its run, or a call its place.
TROUBLE = {"account.failed", "event.unreadable", "store.retrying", "platform.throttled", "service.failed"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """As the unit has it: the platform's sessions outlive the daemon."""
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


class Watched:
    """A daemon of many accounts. ``committed``: when each event was seen in the database, monotonic seconds."""

    def __init__(self, made: Companies, child: Child) -> None:
        self.made, self.child = made, child
        self.committed: dict[Told, float] = {}
        self._last = 0

    @property
    def usage(self) -> Usage:
        return Usage.of(self.child.pid)

    async def start(self) -> tuple[float, float]:
        """Seconds and processor seconds until each account is connected."""
        began = time.monotonic()
        await self.child.start()
        os.sched_setaffinity(self.child.pid, {min(os.sched_getaffinity(0))})
        with suppress(PermissionError):  # what is promised is a core, not a share of one that others have as well
            os.setpriority(os.PRIO_PROCESS, self.child.pid, -10)
        await until(self._connected, lambda: f"{self.made.subscribed} are connected", CONNECTED_SECONDS)
        return time.monotonic() - began, self.usage.seconds

    async def _connected(self) -> bool:
        assert self.child.running, self.child.log.read_text()[-2000:]
        if self.made.subscribed < ACCOUNTS:
            return False
        told: Any = await request(socket_path(self.child.database), {"do": "status"}, lambda _: None)
        return told is not None and all(one["feed"]["state"] == "live" for one in told["accounts"].values())

    async def watch(self) -> None:
        """Note when each event is committed, for ever."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(0.1)

    def _look(self) -> None:
        columns = "id, account_id, extension_id, sequence"
        wanted = f"SELECT {columns} FROM fact WHERE id > {self._last} AND source = 'presence' ORDER BY id"
        now = time.monotonic()
        for row in self.child.query(wanted):
            self._last = row["id"]
            self.committed.setdefault((row["account_id"], row["extension_id"], row["sequence"]), now)

    def waits(self, since: float, until: float) -> list[float]:
        """How long the events of this time were on their way to the database, seconds, ascending."""
        told = [(one, at) for one, at in self.made.told.items() if since <= at < until]
        return sorted(self.committed[one] - at for one, at in told)

    async def complete(self) -> bool:
        """Whether every call is there, over and confirmed."""
        pending = "SELECT (SELECT count(*) FROM active_calls) + (SELECT count(*) FROM unconfirmed_calls) AS n"
        (there,), (left,) = self.child.query("SELECT count(*) AS n FROM all_calls"), self.child.query(pending)
        return there["n"] >= sum(len(sim.pbx.calls) for sim in self.made.sims.values()) and not left["n"]

    def wrong(self) -> list[str]:
        """Calls lost, invented, doubled or told wrong."""
        rows = defaultdict(list)
        for row in self.child.query("SELECT * FROM all_calls"):
            rows[row["account_id"]].append(row)
        found = []
        for name, sim in self.made.sims.items():
            mine = rows.pop(sim.pbx.account_id, [])
            found += [f"{name}: {what}" for what in differences(mine, sim.pbx.truth())]
        return found + [f"{account_id}: an account of nobody" for account_id in rows]


async def test_five_hundred_accounts(
    transport: str, tmp_path: Path, manager: Manager, capsys: pytest.CaptureFixture[str]
) -> None:
    async with companies(ACCOUNTS, EXTENSIONS) as made:
        made.write_configuration(tmp_path / "accounts.toml")
        child = Child(
            next(iter(made.sims.values())),
            tmp_path,
            transport,
            manager=manager,
            feed__pubnub_origin=made.origin,
            poll__interval_seconds=180,
            confirm__sync_interval_seconds=60,
            calls__settle_seconds=10,
        )
        child._environment["RINGLEDGER_CONFIG"] = str(tmp_path / "accounts.toml")
        async with child:
            await _proven(transport, Watched(made, child), capsys)


async def _proven(transport: str, watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    made, child = watched.made, watched.child
    connected, to_connect = await watched.start()
    after_start = watched.usage
    await asyncio.sleep(IDLE_SECONDS)  # nothing happens
    idle = watched.usage
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watched.watch())
        calling = group.create_task(made.call(RATE, SECONDS))
        await asyncio.sleep(RAMP_SECONDS)
        began, before = time.monotonic(), watched.usage
        await asyncio.sleep(SECONDS / 2 - RAMP_SECONDS)
        loaded = watched.usage
        await child.kill()
        back, to_come_back = await watched.start()
        again, begun_again = watched.usage, time.monotonic()
        await calling
        last, finished = watched.usage, time.monotonic()
        await until(lambda: made.told.keys() <= watched.committed.keys(), "every event is committed", COMPLETE_SECONDS)
        await until(watched.complete, "every call is confirmed", COMPLETE_SECONDS)
        end = watched.usage
        watching.cancel()
    assert await child.stop() == 0
    steady, afterwards = watched.waits(began, loaded.at), watched.waits(begun_again, finished)
    with capsys.disabled():
        print(
            f"\n{ACCOUNTS} accounts of {EXTENSIONS} extensions, {transport}: connected after {connected:.0f} s, "
            f"{to_connect:.1f} s of them processor time; again after the kill {back:.0f} s, {to_come_back:.1f} s\n"
            f"idle: {idle.busy(after_start):.1%} of a core; {len(steady) / (loaded.at - began):.0f} events a second: "
            f"{loaded.busy(before):.1%}; after the kill, {len(afterwards) / (finished - begun_again):.0f} a second: "
            f"{last.busy(again):.1%}\n"
            f"memory: {loaded.peak:.0f} MiB at most before the kill, {end.peak:.0f} after it, {end.shared_out:.0f} its "
            f"own at the end; {idle.threads} threads and {idle.files} files idle, {loaded.files} loaded\n"
            f"{len(made.told)} events of {sum(len(sim.pbx.calls) for sim in made.sims.values())} calls; from event to "
            f"commit {_spread(steady)}, after the kill {_spread(afterwards)}; "
            f"load {os.getloadavg()[0]:.0f}"
        )
    assert watched.wrong() == []
    lines = child.lines()
    assert [line for line in lines if line["event"] in TROUBLE] == []
    assert {name: sim.limits.refused for name, sim in made.sims.items() if sim.limits.refused} == {}
    assert max(loaded.peak, end.peak) < MOST_MIB
    assert to_connect < MOST_TO_CONNECT
    assert max(loaded.busy(before), last.busy(again)) < MOST_BUSY


def _spread(waits: list[float]) -> str:
    """In words; what was looked at every tenth of a second may be so much sooner."""
    return f"{statistics.median(waits):.2f} s in the median, {waits[int(len(waits) * 0.99)]:.2f} s for 99 of 100"
