"""What many accounts' commits cost in one process: `python tests/bench/bench_accounts.py [ACCOUNTS EVENTS SECONDS]`.

So many accounts (200) each have a writer of their own; so many events a second (300) come evenly over all of them, for
so many seconds (10), and each waits for its commit, as a feed does. With each account by itself and
with those that wait together, in turn, twice; on SQLite, and on a PostgreSQL server that waits for its disk. One line
of JSON for each: transactions, processor time of this process, and how long an event waits for its commit.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ringledger.domain.changes import Changes
from ringledger.domain.observation import FeedPosition
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from tests.builders import T0, item, presence
from tests.postgresql import server as postgresql

FAST = {"fsync=off", "full_page_writes=off"}


class Nobody:
    """Lets trouble end the measurement."""

    def retrying(self, error: Exception) -> None:
        raise error

    full = retrying

    def recovered(self, attempts: int) -> None:
        """There was none."""


class Counted:
    """A ledger whose transactions are counted."""

    def __init__(self, ledger: Ledger, *, together: bool) -> None:
        self.transactions = 0
        self._ledger, self._together = ledger, together
        self._commit_batch = ledger.database.commit_batch
        vars(ledger.database)["commit_batch"] = self._counted

    async def _counted(self, *values: Any) -> None:
        self.transactions += 1
        await self._commit_batch(*values)

    async def commit(self, changes: Changes, *, now_ms: int, grouped: bool) -> None:
        """As the ledger's, or by itself."""
        await self._ledger.commit(changes, now_ms=now_ms, grouped=grouped and self._together)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class One:
    """An account: a tracker and its writer."""

    def __init__(self, ledger: Any, name: str, interval: float) -> None:
        self.name, self.n, self.tracker = name, 0, CallTracker(settle_seconds=10)
        self.writer = LedgerWriter(
            ledger,
            self.take,
            commit_interval=interval,
            commit_batch=500,
            on_committed=lambda _: None,
            notices=Nobody(),
            now_ms=lambda: T0,
        )

    def take(self) -> Changes:
        return self.tracker.drain()

    async def event(self) -> float:
        """The next event of a call that rings and is answered; a new call every second one."""
        self.n += 1
        status = "Ringing" if self.n % 2 else "CallConnected"
        seen = presence(
            101, self.n, T0 + self.n * 1000, item(status, session=str((self.n + 1) // 2)), account=self.name
        )
        self.tracker.take((seen,), float(self.n))
        self.tracker.changes.positions["pubnub"] = FeedPosition("pubnub", "channel", str(self.n), T0, self.name)
        self.writer.notify()
        began = time.perf_counter()
        await self.writer.flush()
        return time.perf_counter() - began


async def measured(url: str, accounts: int, rate: int, seconds: int, *, together: bool) -> dict[str, Any]:
    """One turn."""
    ledger = await Ledger.open(url)
    counted = Counted(ledger, together=together)
    ones = [One(counted, str(7000 + n), 0.02) for n in range(accounts)]
    writing = [asyncio.create_task(one.writer.run()) for one in ones]
    events: list[asyncio.Task[float]] = []
    began, cpu = time.perf_counter(), time.process_time()
    for n in range(rate * seconds):
        if (ahead := began + n / rate - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        events.append(asyncio.create_task(ones[n % accounts].event()))
    waits = sorted(await asyncio.gather(*events))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    for task in writing:
        task.cancel()
    await asyncio.wait(writing)
    await ledger.close()
    return {
        "events_a_second": round(len(waits) / took),
        "transactions": counted.transactions,
        "cpu_us_an_event": round(cpu / len(waits) * 1e6),
        "wait_ms_median": round(statistics.median(waits) * 1e3, 1),
        "wait_ms_p99": round(waits[int(len(waits) * 0.99)] * 1e3, 1),
    }


def main() -> None:
    """In turn, so that a busy machine troubles both."""
    accounts, rate, seconds = map(int, sys.argv[1:]) if len(sys.argv) == 4 else (200, 300, 10)
    vars(postgresql)["_FAST"] = tuple(one for one in postgresql._FAST if one not in FAST)
    with tempfile.TemporaryDirectory() as folder:
        for database in ("sqlite", *(["postgresql"] if postgresql.PROGRAMS else [])):
            for turn, together in enumerate((False, True, False, True)):
                url = f"sqlite+aiosqlite:///{Path(folder, f'{turn}.db')}"
                if database == "sqlite":
                    upgrade(url)
                else:
                    url = postgresql.server().url()
                found = asyncio.run(measured(url, accounts, rate, seconds, together=together))
                print(
                    json.dumps({"database": database, "accounts": accounts, "together": together, **found}), flush=True
                )


if __name__ == "__main__":
    main()
