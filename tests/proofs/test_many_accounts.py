"""A provider's five hundred customers in one process: on one core, within the memory the unit allows.

ACCOUNTS, RATE (events a second, all together), WARM and SECONDS come from the environment. The platforms are a process
of their own; what is measured is the daemon's alone, once as many calls go on as there will be.
"""

import asyncio
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.simulator import Simulator
from tests.crash.child import Child
from tests.proofs.provider import Customers

ACCOUNTS = int(os.environ.get("ACCOUNTS", "500"))
RATE = float(os.environ.get("RATE", "100"))
WARM = float(os.environ.get("WARM", "180"))
SECONDS = float(os.environ.get("SECONDS", "120"))
EXTENSIONS = 20
#: What one process may take: MemoryMax of the unit (MiB), and one core.
MOST_MIB = 512
MOST_CORES = 1.0
#: So many seconds of events may wait for their commit, and for the poll of a busy machine.
BEHIND = 2.0

pytestmark = pytest.mark.timeout(900 + WARM + SECONDS)


class Measured(Child):
    """A daemon whose memory and processor time are looked at."""

    def memory(self, name: str) -> float:
        """MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

    def processor(self) -> float:
        """Seconds so far."""
        after = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - no folder


def asked(file: Path, sql: str) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return int(connection.execute(sql).fetchone()[0])


def committed(file: Path) -> int:
    return asked(file, "SELECT count(*) FROM call_events WHERE source = 'presence'")


async def until_told(file: Path, calls: int) -> None:
    """Until the ledger knows of every call, and what the platform says of it."""
    async with asyncio.timeout(600):
        while asked(file, "SELECT count(confirmed_at) FROM all_calls") < calls:
            await asyncio.sleep(0.5)


@pytest.fixture
async def customers():
    made = await Customers.start(ACCOUNTS, EXTENSIONS, RATE)
    yield made
    await made.end()


@pytest.fixture
async def child(customers: Customers, tmp_path: Path):
    """A daemon that has them all, at the pace of the platform."""
    pace = {"poll__interval_seconds": 180, "confirm__sync_interval_seconds": 60, "calls__settle_seconds": 10}
    async with Simulator() as sim:  # what an account's table does not name
        made = Measured(sim, tmp_path, "websocket", **pace)
        made._environment["RINGLEDGER_ACCOUNTS"] = json.dumps(customers.tables)
        yield made
        if made.running:
            await made.kill()


async def test_five_hundred_accounts_in_one_process(customers: Customers, child: Measured, capsys) -> None:
    begun = time.monotonic()
    await child.start()
    os.sched_setaffinity(child.pid, {max(os.sched_getaffinity(0))})  # one core, whatever there is
    await child.until_lines("feed.connected", ACCOUNTS)
    await child.until("service.ready")
    ready, started, idle = time.monotonic() - begun, child.processor(), child.memory("VmRSS:")
    await customers.ask("open")
    await asyncio.sleep(WARM)
    before, _, _ = await customers.ask("count")
    spent, since, behind = child.processor(), time.monotonic(), []
    for _ in range(10):
        await asyncio.sleep(SECONDS / 10)
        told, calls, going_on = await customers.ask("count")
        behind.append(told - await asyncio.to_thread(committed, child.database))
    lasted, spent = time.monotonic() - since, child.processor() - spent
    rate = (told - before) / lasted
    resident, most, descriptors = child.memory("VmRSS:"), child.memory("VmHWM:"), child.descriptors()
    violations = await customers.ask("close")
    told, calls, _ = await customers.ask("count")
    await until_told(child.database, calls)
    wrong = await customers.ask("judge", str(child.database))
    peak = child.memory("VmHWM:")
    assert await child.stop() == 0
    with capsys.disabled():
        print(
            f"\n{ACCOUNTS} accounts of {EXTENSIONS}: ready after {ready:.0f} s and {started:.1f} s of processor time, "
            f"{idle:.0f} MiB; {rate:.0f} events a second for {lasted:.0f} s with {going_on} calls open: "
            f"{spent / lasted:.2f} of a core, {resident:.0f} MiB, {most:.0f} at most, {descriptors} descriptors, "
            f"{max(behind)} events at most not committed; then all calls at once: {peak:.0f} MiB; {calls} calls, "
            f"{len(wrong)} wrong"
        )
    assert wrong == []
    assert violations == 0
    assert rate > RATE * 0.9
    assert most < MOST_MIB
    assert spent / lasted < MOST_CORES
    assert max(behind) < RATE * BEHIND
