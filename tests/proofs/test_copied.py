"""A large ledger moved to PostgreSQL and back by `ringledger db copy`, which is killed twice on its way.

CALLS comes from the environment (`CALLS=1000000`). What arrived is compared by this test's own means: the number of
rows of each table, and a sum of digests of their values, in whatever order they come.
"""

import asyncio
import hashlib
import os
import signal
import sqlite3
import sys
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from ringledger.ledger.database.base import UNFINISHED
from ringledger.ledger.schema.tables import metadata
from tests.bench.filled import fill
from tests.ending import ended_here
from tests.postgresql.server import asked, needs_postgresql, server

CALLS = int(os.environ.get("CALLS", "50000"))
#: Of so many of the newest calls there are facts and transitions.
RECENT = CALLS // 12
#: The copy is killed when it has brought so many hundredths of the calls.
KILLED_AT = (30, 70)

pytestmark = [needs_postgresql, pytest.mark.timeout(7200)]

BESIDE = f"""
INSERT INTO call_leg SELECT account_id, session_id, 1, session_id, extension_id, direction, from_number, from_name,
    NULL, to_number, to_name, NULL, started_at, answered_at, ended_at, 'NoCall', 'final', 'presence', 0, NULL FROM call;
INSERT INTO call_source SELECT account_id, session_id, 'call-log', session_id, direction, started_at, ended_at,
    duration_ms, result, updated_at FROM call;
CREATE TEMP TABLE newest AS SELECT * FROM call ORDER BY started_at DESC LIMIT {RECENT};
INSERT INTO fact SELECT NULL, account_id, session_id, 'event', started_at, started_at, extension_id, session_id, status,
    row_number() OVER (), 'presence', NULL, '{{"from": "' || coalesce(from_number, '') || '", "to": "Zoë 📞"}}'
    FROM newest, (SELECT 'Ringing' AS status UNION SELECT 'CallConnected' UNION SELECT 'NoCall');
INSERT INTO call_transition SELECT id, account_id, session_id, at, NULL, status, sequence, source FROM fact;
"""


def filled(path: Path) -> str:
    fill(path, CALLS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(BESIDE)
    return f"sqlite+aiosqlite:///{path}"


class Sum:
    """Rows, and a sum of their digests."""

    def __init__(self):
        self.rows = self.digests = 0

    def add(self, row):
        self.rows += 1
        digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest()
        self.digests = (self.digests + int.from_bytes(digest)) % (1 << 128)

    @property
    def told(self):
        return self.rows, f"{self.digests:032x}"


def columns(table):
    return f"SELECT {', '.join(one.name for one in table.columns)} FROM {table.name}"


def of_file(path):
    """Each table's sum."""
    found = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for table in metadata.sorted_tables:
            made = Sum()
            for row in connection.execute(columns(table)):
                made.add(row)
            found[table.name] = made.told
    return found


async def of_server(url):
    found = {}
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(readonly=True):
            for table in metadata.sorted_tables:
                made = Sum()
                async for row in connection.cursor(columns(table), prefetch=10_000):
                    made.add(row)
                found[table.name] = made.told
    finally:
        await connection.close()
    return found


@asynccontextmanager
async def copying(source, target, log):
    """`db copy` while it runs."""
    with log.open("ab") as told:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ringledger", "db", "copy", "--to", target,
            env=os.environ | {"RINGLEDGER_CONFIG": os.devnull, "RINGLEDGER_DATABASE__URL": source},
            stdout=told, stderr=told,
        )  # fmt: skip
    async with ended_here(process):
        yield process


def arrived(url):
    """How many calls; none before there are tables."""
    try:
        return asked(url, "SELECT count(*) AS n FROM call")[0]["n"]
    except asyncpg.UndefinedTableError:
        return 0


async def test_a_copy_killed_twice_arrives_whole_and_comes_back_whole(tmp_path, capsys):
    here, there, log = filled(tmp_path / "here.db"), server().url(empty=True), tmp_path / "log"
    spent = []
    for hundredths in KILLED_AT:
        begun = time.monotonic()
        async with copying(here, there, log) as process:
            while process.returncode is None and arrived(there) < CALLS * hundredths // 100:
                await asyncio.sleep(0.05)
            assert process.returncode is None, log.read_text()
            process.kill()
            assert await process.wait() == -signal.SIGKILL
        spent.append(time.monotonic() - begun)
        assert arrived(there) < CALLS
        assert asked(there, f"SELECT source FROM {UNFINISHED}") != []
    begun, before = time.monotonic(), arrived(there)
    async with copying(here, there, log) as process:
        assert await process.wait() == 0, log.read_text()
    spent.append(time.monotonic() - begun)
    original = of_file(tmp_path / "here.db")
    assert await of_server(there) == original
    begun = time.monotonic()
    async with copying(there, f"sqlite+aiosqlite:///{tmp_path / 'back.db'}", log) as process:
        assert await process.wait() == 0, log.read_text()
    back = time.monotonic() - begun
    assert of_file(tmp_path / "back.db") == original
    rows = sum(count for count, _ in original.values())
    with capsys.disabled():
        ways = ", ".join(f"{seconds:.0f} s" for seconds in spent)
        print(f"\n{CALLS:,} calls, {rows:,} rows, {(tmp_path / 'here.db').stat().st_size / 1e6:,.0f} MB: killed twice, "
              f"{ways} (with {before:,} calls already there); back in {back:.0f} s")  # fmt: skip
        for name, (count, digest) in original.items():
            if count:
                print(f"{name}: {count:,} rows, {digest}, the same in all three")
