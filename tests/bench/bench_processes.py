"""How many events one, two and four processes commit together: `python tests/bench/bench_processes.py [SECONDS]`.

Each process has fifty accounts under leases of their own, and each account's next event comes when the one before is
committed, so this is the most there is to be had. SQLite has one process. The processes, the server and its disk share
one machine: what grows with processes here is what one process leaves unused of it. One line of JSON for each.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from tests.bench.bench_accounts import FAST, One
from tests.postgresql import server as postgresql

ACCOUNTS = 50


async def committing(url: str, first: int, seconds: float) -> dict[str, Any]:
    """One process."""
    ledger = await Ledger.open(url, shared=True)
    names = [str(first + n) for n in range(ACCOUNTS)]
    leases = ledger.database.leases(300.0)
    views = [ledger] * ACCOUNTS
    if leases is not None:
        views = [await ledger.under(fence, fence.name) for fence in await leases.take(names)]
        await leases.close()
    ones = [One(view, name, 0.0) for view, name in zip(views, names, strict=True)]
    writing = [asyncio.create_task(one.writer.run()) for one in ones]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    waits: list[float] = []
    until = time.monotonic() + seconds

    async def account(one: One) -> None:
        while time.monotonic() < until:
            waits.append(await one.event())

    cpu = time.process_time()
    await asyncio.gather(*map(account, ones))
    cpu = time.process_time() - cpu
    for task in writing:
        task.cancel()
    await asyncio.wait(writing)
    await ledger.close()
    return {"events": len(waits), "cpu": cpu, "median": statistics.median(waits)}


def measured(url: str, processes: int, seconds: float) -> dict[str, Any]:
    """So many processes at once."""
    children = [
        subprocess.Popen(
            [sys.executable, __file__, url, str(n * ACCOUNTS), str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(processes)
    ]  # fmt: skip
    for child in children:
        assert child.stdout
        child.stdout.readline()
    told = []
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        told.append(json.loads(child.communicate()[0].splitlines()[-1]))
    events = sum(one["events"] for one in told)
    return {
        "processes": processes,
        "events_a_second": round(events / seconds),
        "cpu_us_an_event": round(sum(one["cpu"] for one in told) / events * 1e6),
        "wait_ms_median": round(statistics.median(one["median"] for one in told) * 1e3, 1),
    }


def main() -> None:
    """SQLite, then PostgreSQL, twice in turn."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    vars(postgresql)["_FAST"] = tuple(one for one in postgresql._FAST if one not in FAST)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2):
            url = f"sqlite+aiosqlite:///{Path(folder, f'{turn}.db')}"
            upgrade(url)
            print(json.dumps({"database": "sqlite", **measured(url, 1, seconds)}), flush=True)
            for processes in (1, 2, 4) if postgresql.PROGRAMS else ():
                found = measured(postgresql.server().url(), processes, seconds)
                print(json.dumps({"database": "postgresql", **found}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(asyncio.run(committing(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
    else:
        main()
