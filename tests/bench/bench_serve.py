"""How fast `serve` answers: `python tests/bench/bench_serve.py [calls] [file]`, a million if not given.

The calls of `filled`, 2,740 a day, however many years that takes; a file that is there is asked as it is. Prints
the median of five answers, in process: the first page of each filter, alone and together with a month, and what the
charts of a month ask. Exits 1 when a first page takes over 50 ms or the charts over 200 ms.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ringledger.ledger.errors import LedgerSlow  # noqa: E402
from ringledger.ledger.read import queries  # noqa: E402
from ringledger.ledger.read.engine import ReadEngine  # noqa: E402
from ringledger.ledger.read.filters import CallFilter  # noqa: E402
from ringledger.ledger.read.groups import By  # noqa: E402
from ringledger.ledger.read.hours import hours_and_extensions  # noqa: E402
from ringledger.ledger.read.stats import stats  # noqa: E402
from tests import office  # noqa: E402
from tests.bench.filled import LAST, fill  # noqa: E402

PAGE_MS, CHARTS_MS = 50.0, 200.0
MONTH = (office.ms_of(LAST - timedelta(days=61)), office.ms_of(LAST - timedelta(days=30)))
SECONDS = 5.0


async def measure(source: ReadEngine, name: str, ask: Callable[[Any], Awaitable[Any]], limit: float) -> bool:
    """Whether the median was within the limit, ms."""
    took, busy = [], []
    found: Any = None
    for _ in range(5):
        async with source.reading() as engine:
            started, worked = time.perf_counter(), time.process_time()
            try:
                found = await ask(engine)
            except LedgerSlow:
                found = "broken off"
        took.append((time.perf_counter() - started) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    median = statistics.median(took)
    verdict = "" if median <= limit else f"  OVER THE LIMIT of {limit:.0f} ms"
    size = found if isinstance(found, str) else f"{len(found)} rows"
    times = f"{min(took):8.1f} ms best {median:8.1f} ms median ({statistics.median(busy):.1f} of them at work)"
    print(f"{name:<58} {times}, {size}{verdict}", flush=True)
    return not verdict


async def questions(source: ReadEngine) -> bool:
    async with source.reading() as engine:
        newest = await queries.calls(engine, CallFilter(direction="Inbound"), limit=400)
    number = next(row["from_number"] for row in newest if row["from_number"] and row["from_number"].startswith("+1312"))
    filters: dict[str, dict[str, Any]] = {
        "none": {}, "direction=in": {"direction": "Inbound"}, "direction=out": {"direction": "Outbound"},
        "disposition=answered": {"disposition": "answered"}, "disposition=missed": {"disposition": "missed"},
        "disposition=failed (none there)": {"disposition": "failed"}, "number (some calls)": {"number": number},
        "number (the office's own)": {"number": office.MAIN_NUMBER}, "number=withheld": {"withheld": True},
        "extension=103": {"extension": "103"}, "unconfirmed": {"unconfirmed": True}, "account": {"account_id": "1001"},
    }  # fmt: skip
    good = True
    for name, values in filters.items():
        for period, more in (("", {}), (", a month", {"since": MONTH[0], "until": MONTH[1]})):
            wanted = CallFilter(**values, **more)

            async def page(engine: Any, wanted: CallFilter = wanted) -> Any:
                await queries.judge(engine, wanted)
                return await queries.calls(engine, wanted, limit=51)

            good &= await measure(source, f"first page: {name}{period}", page, PAGE_MS)
    rare = CallFilter(number=number, disposition="busy", direction="Outbound", extension="108")
    await measure(source, "first page: a rare combination", lambda one: queries.calls(one, rare, limit=51), 5_500)
    everything = CallFilter()
    await measure(source, "each number's calls, of all years", lambda one: stats(one, everything, By.NUMBER), 5_500)
    month = CallFilter(since=MONTH[0], until=MONTH[1])

    async def charts(engine: Any) -> Any:
        by_hour, by_extension = await hours_and_extensions(engine, month)
        return [*by_hour.items(), *by_extension]

    return await measure(source, "charts of a month", charts, CHARTS_MS) and good


def main() -> int:
    """The exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder) / "bench.db"
        if not path.exists():
            started = time.perf_counter()
            fill(path, count)
            took = time.perf_counter() - started
            print(f"{count:,} calls written in {took:.0f} s, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        url = f"sqlite+aiosqlite:///{path}"

        async def ask() -> bool:
            source = ReadEngine(url, seconds=SECONDS, connections=3)
            try:
                return await questions(source)
            finally:
                await source.close()

        return 0 if asyncio.run(ask()) else 1


if __name__ == "__main__":
    sys.exit(main())
