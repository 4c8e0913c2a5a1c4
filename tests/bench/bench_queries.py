"""How fast the views answer over a million calls: `python tests/bench/bench_queries.py [calls] [questions]`.

Calls of a year, about 2,700 a day, 20,000 outside numbers, written straight into the table. Prints the best and the
median of five answers for a month of `daily_calls`, the calls of one number, the questions commands ask, and, with a
second argument, each of the twenty questions of docs/queries.md for a month. Exits 1 when the median of one of the
first two is over the limit.
"""

import math
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ringledger.ledger.file.sqlite import connect  # noqa: E402
from ringledger.ledger.times import to_text  # noqa: E402
from tests import office  # noqa: E402

#: For the two questions that the issue names, over a million calls.
LIMIT_MS = 100.0
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = {"since": "2026-09-01", "until": "2026-10-01"}
DAILY = "SELECT * FROM daily_calls WHERE day >= :since AND day < :until"
NUMBER = "SELECT * FROM calls WHERE from_number = :number OR to_number = :number ORDER BY started_at DESC"
NEWEST = "SELECT * FROM calls ORDER BY started_at DESC, session_id DESC LIMIT 50"
MISSED = "SELECT * FROM missed_calls WHERE started_at >= :since AND started_at < :until"
UNCONFIRMED = "SELECT count(*) FROM unconfirmed_calls"


def rows(count: int):
    rng = random.Random(1)
    numbers = [f"+1312{n:07d}" for n in rng.sample(range(10_000_000), 20_000)]
    pool = [office.call(rng, n, office.ms_of(YEAR)) for n in range(5_000)]
    step = 365 * 86_400_000 // count
    for n in range(count):
        row = dict(pool[n % len(pool)])
        at, other = office.ms_of(YEAR) + n * step, numbers[rng.randrange(len(numbers))]
        row |= {"session_id": f"{7_000_000_000 + n}", "started_at": to_text(at), "ended_at": to_text(at + 60_000)}
        row["answered_at"] = row["answered_at"] and to_text(at + 5_000)
        row["confirmed_at"] = to_text(at + 120_000) if n % 500 else None
        row["from_number" if row["direction"] == "Inbound" else "to_number"] = other
        yield row


def measure(
    connection: sqlite3.Connection, name: str, sql: str, values: dict[str, str], limit: float = math.inf
) -> bool:
    """Whether it was within the limit, ms."""
    took, answer = [], []
    for _ in range(5):
        started = time.perf_counter()
        answer = connection.execute(sql, values).fetchall()
        took.append((time.perf_counter() - started) * 1000)
    median = statistics.median(took)
    verdict = "" if median <= limit else f"  OVER THE LIMIT of {limit:.0f} ms"
    print(f"{name:<60} {min(took):8.1f} ms best {median:8.1f} ms median, {len(answer)} rows{verdict}")
    return not verdict


def questions() -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "queries.md").read_text()
    return re.findall(r"(?ms)^## (\d+\. [^\n]+)\n.*?```sql\n(.*?)```", page)


def main() -> int:
    """The exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        office.prepared(path)
        started = time.perf_counter()
        office.insert(path, "call", rows(count))
        size = path.stat().st_size / 1e6
        print(f"{count:,} calls written in {time.perf_counter() - started:.0f} s, {size:.0f} MB")
        with closing(connect(path, read_only=True)) as connection:
            number = connection.execute("SELECT from_number FROM calls WHERE direction = 'Inbound'").fetchone()[0]
            values = TIMES | {"number": number}
            good = measure(connection, "a month of daily_calls", DAILY, values, LIMIT_MS)
            good &= measure(connection, "calls of one number", NUMBER, values, LIMIT_MS)
            measure(connection, "the newest fifty calls", NEWEST, values)
            measure(connection, "a month of missed_calls", MISSED, values)
            measure(connection, "how many are unconfirmed", UNCONFIRMED, values)
            for name, sql in questions() if len(sys.argv) > 2 else []:
                measure(connection, name, sql, values | {"today": "2026-09-30", "zone": "0"})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
