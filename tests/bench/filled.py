"""A database with as many calls as somebody likes, filled by SQL: ten million take minutes, not hours.

`python tests/bench/filled.py FILE CALLS` writes one. Calls repeat 5,000 invented ones, 2,740 a day until a fixed day,
with 20,000 outside numbers. What must stay true: the same count makes the same calls, and the schema's own indexes.
"""

import random
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ringledger.ledger.schema.tables import metadata  # noqa: E402
from tests import office  # noqa: E402

#: Calls of a day, and where the last one of all stands.
PER_DAY: Final = 2_740
LAST: Final = datetime(2026, 11, 1, tzinfo=UTC)
POOL: Final = 5_000
NUMBERS: Final = 20_000
#: Rows of one INSERT.
STEP: Final = 500_000

_AT = f"(:first + n.n * {86_400_000 // PER_DAY})"
_OTHER = f"(SELECT number FROM other WHERE other.n = (n.n * 7919 + n.n / {POOL}) % {NUMBERS})"


def _time(ms: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {ms} / 1000.0, 'unixepoch')"


#: What is the call's own; all else is as in the pool.
OWN: Final = {
    "session_id": "CAST(7000000000 + n.n AS TEXT)",
    "telephony_session_id": "printf('s-%x', n.n)",
    "started_at": _time(_AT),
    "answered_at": f"CASE WHEN pool.answered_at IS NOT NULL THEN {_time(f'({_AT} + 5000)')} END",
    "ended_at": _time(f"({_AT} + 60000)"),
    "updated_at": _time(f"({_AT} + 130000)"),
    "confirmed_at": f"CASE WHEN n.n % 500 THEN {_time(f'({_AT} + 120000)')} END",
    "from_number": f"CASE WHEN pool.direction = 'Inbound' AND pool.from_number IS NOT NULL THEN {_OTHER} "
    "ELSE pool.from_number END",
    "to_number": f"CASE WHEN pool.direction = 'Inbound' THEN pool.to_number ELSE {_OTHER} END",
    "publication": "n.n",
}


def fill(path: Path, count: int) -> None:
    """Make the database and its calls."""
    office.prepared(path)
    office.insert(path, "extension", [office.extension(n, "NoCall", 0) for n in range(len(office.PEOPLE))])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = DELETE", "journal_mode = OFF", "synchronous = OFF", "cache_size = -512000"):
            connection.execute(f"PRAGMA {pragma}")
        _pool(connection)
        made = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'call' AND type = 'index' AND sql IS NOT NULL"
        indexes = connection.execute(made).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        columns = [column.name for column in metadata.tables["call"].columns]
        sql = f"""WITH RECURSIVE n(n) AS (SELECT :begin UNION ALL SELECT n + 1 FROM n WHERE n < :end)
            INSERT INTO call ({", ".join(columns)})
            SELECT {", ".join(OWN.get(name, f"pool.{name}") for name in columns)}
            FROM n JOIN pool ON pool.n = n.n % {POOL}"""
        first = office.ms_of(LAST) - count * (86_400_000 // PER_DAY)
        for begin in range(0, count, STEP):
            connection.execute(sql, {"first": first, "begin": begin, "end": min(begin + STEP, count) - 1})
        for _, create in indexes:
            connection.execute(create)
        newest = (office.ACCOUNT, count)
        connection.execute("INSERT OR REPLACE INTO publication (account_id, number) VALUES (?, ?)", newest)
        connection.execute("PRAGMA journal_mode = WAL")


def _pool(connection: sqlite3.Connection) -> None:
    rng = random.Random(1)
    connection.execute("CREATE TEMP TABLE other (n INTEGER PRIMARY KEY, number TEXT)")
    numbers = [f"+1312{n:07d}" for n in rng.sample(range(10_000_000), NUMBERS)]
    connection.executemany("INSERT INTO other VALUES (?, ?)", enumerate(numbers))
    calls = [office.call(rng, n, office.ms_of(LAST)) for n in range(POOL)]
    names = list(calls[0])
    connection.execute(f"CREATE TEMP TABLE pool (n INTEGER PRIMARY KEY, {', '.join(names)})")
    rows = [(n, *call.values()) for n, call in enumerate(calls)]
    connection.executemany(f"INSERT INTO pool VALUES ({', '.join('?' * (len(names) + 1))})", rows)


def main() -> None:
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    started = time.perf_counter()
    fill(path, count)
    size = path.stat().st_size / 1e6
    print(f"{count:,} calls written in {time.perf_counter() - started:.0f} s, {size:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
