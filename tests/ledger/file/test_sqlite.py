import asyncio
import sqlite3
import sys
import threading
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from ringledger.ledger.errors import DatabaseMissing, LedgerBroken
from ringledger.ledger.file.sqlite import (
    PRAGMAS,
    BatchConnection,
    connect,
    migration_engine,
    parse,
    path_of,
    reader_engine,
    writer_engine,
)

EXPECTED = {
    "journal_mode": "wal",
    "synchronous": 2,
    "busy_timeout": 5000,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "secure_delete": 1,
    "temp_store": 2,
    "mmap_size": 0,
}


@pytest.mark.parametrize("read_only", [False, True])
def test_every_pragma_reads_back(url, path, read_only):
    with closing(connect(path, read_only=read_only)) as connection:
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in EXPECTED}
        assert found == EXPECTED
        if not read_only:
            assert connection.execute("PRAGMA journal_size_limit").fetchone()[0] == 64 * 1024 * 1024
    assert PRAGMAS.keys() <= EXPECTED.keys()


async def test_the_writers_transactions_take_the_write_lock_at_once(url, other):
    engine = writer_engine(url)
    async with engine.connect() as connection, connection.begin():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    await engine.dispose()


async def test_a_reader_cannot_write(url):
    engine = reader_engine(url)
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="readonly"):
            await connection.exec_driver_sql("DELETE FROM call")
    await engine.dispose()


def test_migrations_run_without_foreign_keys(url):
    engine = migration_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 0
    engine.dispose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Connection.setconfig is new in Python 3.12")
def test_a_clean_close_leaves_the_wal_files_for_readers(url, path):
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    assert path.with_name(f"{path.name}-wal").exists()


def test_a_reader_never_creates_the_file(path):
    with pytest.raises(DatabaseMissing, match=r"ringledger\.db"):
        reader_engine(f"sqlite+aiosqlite:///{path}")
    assert not path.exists()


@pytest.mark.parametrize("url", ["", "ringledger.db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_a_url_without_a_file_is_refused(url):
    with pytest.raises(LedgerBroken, match=r"database\.url"):
        path_of(url)


def test_a_path_with_odd_letters_is_opened_as_it_is(tmp_path):
    odd = tmp_path / "a b%20?#.db"
    with closing(connect(odd)) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    assert odd.exists()
    assert parse("sqlite+aiosqlite:////a").database == "/a"


def test_the_thread_of_a_connection_that_failed_asks_no_loop(tmp_path, monkeypatch):
    """It may end after the loop has: an answer to a loop that is over would be an exception in the thread."""
    foreign = tmp_path / "text.db"
    foreign.write_text("this is a text and not a database at all\n" * 200)
    unseen, over = [], threading.Event()
    monkeypatch.setattr(threading, "excepthook", unseen.append)

    async def fails() -> None:
        with pytest.raises(sqlite3.DatabaseError):
            await connection

    connection = BatchConnection(partial(connect, foreign), iter_chunk_size=64)
    stop = connection.stop

    def stop_later() -> Any:
        connection._tx.put_nowait((None, over.wait))
        return stop()

    monkeypatch.setattr(connection, "stop", stop_later)
    asyncio.run(fails())
    over.set()
    connection._thread.join(10)
    assert not connection._thread.is_alive()
    assert unseen == []
