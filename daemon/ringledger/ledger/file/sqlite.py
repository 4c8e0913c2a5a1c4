"""Connections and engines; everything that is SQLite's own is here.

What must stay true: one connection writes and checkpoints, all others are opened ``mode=ro``; every write transaction
is ``BEGIN IMMEDIATE``; a clean close leaves the WAL files in place (Python 3.12 or newer), because a reader without
write permission cannot open the database without them.
"""

import math
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiosqlite
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ringledger.ledger.errors import DatabaseMisplaced, DatabaseMissing, LedgerBroken
from ringledger.ledger.file.cursor import OneVisitCursor
from ringledger.ledger.file.opening import refuse_link
from ringledger.ledger.file.owner import hand_over, refuse_outsider

BUSY_TIMEOUT_MS: Final = 5_000
#: The largest value or row that is read or written, bytes: a file of a stranger's may hold one of a gigabyte.
LARGEST_VALUE: Final = 64 * 1024 * 1024
#: Settings of every connection (``journal_mode`` and ``journal_size_limit`` are the writer's).
PRAGMAS: Final[dict[str, str | int]] = {
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "trusted_schema": "OFF",
    "secure_delete": "ON",
    "temp_store": "MEMORY",
    "mmap_size": 0,
}
WRITER_PRAGMAS: Final[dict[str, str | int]] = {
    "journal_mode": "WAL",
    "wal_autocheckpoint": 4_000,  # pages that many commits touch are moved once
    "journal_size_limit": 64 * 1024 * 1024,
    "cache_size": -2_048,  # KiB; more brings no speed: the system has the file in memory as well
}


def parse(url: str | URL) -> URL:
    """The database URL as SQLAlchemy sees it. Raises ``LedgerBroken`` when it is not a URL."""
    try:
        return make_url(url)
    except ArgumentError as error:
        raise LedgerBroken("database.url: not a database URL (sqlite+aiosqlite:////absolute/path)") from error


def is_sqlite(url: URL) -> bool:
    """Whether the URL names an SQLite database."""
    return url.get_backend_name() == "sqlite"


def path_of(url: str | URL) -> Path:
    """The database's file. Raises ``LedgerBroken`` for a database without one."""
    parsed = parse(url)
    if not is_sqlite(parsed) or not parsed.database or parsed.database == ":memory:":
        raise LedgerBroken("database.url: needs a file (sqlite+aiosqlite:////absolute/path)")
    return Path(parsed.database)


def placed(path: Path) -> Path:
    """The path, if a database can stand there and we may read it. Raises ``DatabaseMisplaced``, ``DatabaseOffLimits``:
    SQLite would speak of the disk."""
    refuse_outsider(path)
    for ending in ("", "-wal", "-shm", "-journal"):
        refuse_link(path.with_name(path.name + ending))
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "no ordinary file"
        raise DatabaseMisplaced(f"{path}: is {what}; database.url has to name the database's file")
    return path


def connect(path: Path, *, read_only: bool = False, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> sqlite3.Connection:
    """A connection in autocommit mode with this program's pragmas. A reader never creates the file.

    Raises ``sqlite3.Error`` and ``DatabaseMisplaced``.
    """
    placed(path)
    mode = "ro" if read_only else "rwc"
    if not read_only and not path.exists():
        # ours to write, the group's to read, whatever the umask; the files beside it take over its mode
        with suppress(OSError):
            made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            try:
                hand_over(made, path.parent)
            finally:
                os.close(made)
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None, timeout=busy_timeout_ms / 1000
    )
    try:
        for name, value in (PRAGMAS if read_only else PRAGMAS | WRITER_PRAGMAS).items():
            connection.execute(f"PRAGMA {name} = {value}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        if not read_only:
            _keep_wal_files(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_wal_files(connection: sqlite3.Connection) -> None:
    option = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)  # from Python 3.12
    if option is not None:
        connection.setconfig(option, True)  # type: ignore[attr-defined,unused-ignore]


def writer_engine(url: str | URL, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
    """The engine of the only writer: one connection, every transaction ``BEGIN IMMEDIATE``."""
    parsed = parse(url)
    if not is_sqlite(parsed):
        return create_async_engine(parsed, pool_size=1, max_overflow=0)
    open_it = partial(connect, path_of(parsed), busy_timeout_ms=busy_timeout_ms)
    engine = create_async_engine(parsed, async_creator=_creator(open_it), pool_size=1, max_overflow=0)
    event.listen(engine.sync_engine, "begin", partial(_begin, "BEGIN IMMEDIATE"))
    return engine


class Deadline:
    """Until when a connection's transaction may read, by the monotonic clock; SQLite asks every few thousand steps."""

    def __init__(self) -> None:
        self._until = math.inf

    def restart(self, seconds: float) -> None:
        """A transaction begins."""
        self._until = time.monotonic() + seconds

    def over(self) -> bool:
        """Whether SQLite has to break off."""
        return time.monotonic() > self._until


#: Steps of SQLite's machine between two looks at the clock: a fraction of a millisecond.
_STEPS: Final = 20_000


def reader_engine(url: str | URL, *, seconds: float = math.inf, connections: int = 2) -> AsyncEngine:
    """An engine that cannot write; each transaction sees one state of the database.

    ``seconds``: how long a transaction may read, before ``LedgerSlow`` ends it; ``connections``: how many are kept.
    Raises ``DatabaseMissing`` when there is no such file, ``DatabaseMisplaced`` when it is not a regular file.
    """
    parsed = parse(url)
    if not is_sqlite(parsed):
        return create_async_engine(parsed, pool_size=connections)
    path = placed(path_of(parsed))
    if not path.exists():
        raise DatabaseMissing(f"{path}: no such database; the daemon creates it (ringledger run)")
    limited = seconds < math.inf
    open_it = partial(_connect_limited, path) if limited else partial(connect, path, read_only=True)
    engine = create_async_engine(parsed, async_creator=_creator(open_it), pool_size=connections, max_overflow=2)
    if limited:
        event.listen(engine.sync_engine, "begin", partial(_limit, seconds))
    event.listen(engine.sync_engine, "begin", partial(_begin, "BEGIN"))
    return engine


def _connect_limited(path: Path) -> sqlite3.Connection:
    """A reader's connection whose questions can be broken off at any time.

    In memory SQLite sorts millions of rows in one go and cannot be broken off. In files it sorts piece by piece,
    and takes no more memory than a piece needs.
    """
    connection = connect(path, read_only=True)
    connection.execute("PRAGMA temp_store = FILE")
    return connection


def _limit(seconds: float, connection: Connection) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, BatchConnection) and driver.deadline is not None:
        driver.deadline.restart(seconds)


def migration_engine(url: str | URL, *, read_only: bool = False) -> Engine:
    """A synchronous engine for the migrations: as the writer's, with foreign keys off (a rebuild of a parent table
    would otherwise delete the children). ``read_only``: for who only compares."""
    parsed = parse(url)
    parsed = parsed.set(drivername=parsed.get_backend_name())
    if not is_sqlite(parsed):
        return create_engine(parsed)

    def open_it() -> sqlite3.Connection:
        connection = connect(path_of(parsed), read_only=read_only)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA temp_store = FILE")  # indexes of millions of rows are sorted on the disk
        return connection

    engine = create_engine(parsed, creator=open_it)
    event.listen(engine, "begin", partial(_begin, "BEGIN" if read_only else "BEGIN IMMEDIATE"))
    return engine


class BatchConnection(aiosqlite.Connection):
    """An asynchronous connection that takes a whole transaction, or a whole question, to the database's thread in one
    go: each visit there costs the event loop two turns and a lock, each statement of SQLAlchemy's a switch of stacks.
    """

    #: When its transaction has to end.
    deadline: Deadline | None = None

    def cursor(self) -> OneVisitCursor:  # type: ignore[override]
        """What SQLAlchemy asks by."""
        return OneVisitCursor(self.visit)

    def stop(self) -> None:
        """End the thread. Nothing waits for that, neither for a connection that could not be opened or is closed by now
        nor for one that is given up: the thread would look for a loop that is over (a thread without a loop of its own
        asks for no answer).
        """
        if sys.is_finalizing():
            return  # no thread starts any more, and who waited for one would wait for ever; the database's dies with us
        unheard = threading.Thread(target=super().stop)
        unheard.start()
        unheard.join()

    async def visit(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Let ``work`` use the connection, on its thread. Raises what that raises."""
        await self._execute(lambda: work(self._conn))  # type: ignore[no-untyped-call,unused-ignore]


def keep_readable(path: Path) -> None:
    """Leave empty -wal and -shm files where the last connection has removed them: who may only read cannot open the
    database without. The caller holds the daemon's lock.
    """
    with suppress(OSError):
        mode = path.stat().st_mode & 0o777
        for suffix in ("-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            if not beside.exists():
                made = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
                try:
                    hand_over(made, path)
                finally:
                    os.close(made)


def _creator(open_it: Callable[[], sqlite3.Connection]) -> Callable[[], aiosqlite.Connection]:
    def create() -> aiosqlite.Connection:
        deadline = Deadline()

        def opened() -> sqlite3.Connection:
            made = open_it()
            made.set_progress_handler(deadline.over, _STEPS)
            return made

        connection = BatchConnection(opened, iter_chunk_size=64)
        connection.deadline = deadline
        # A process that dies of an error must not wait for the database's thread.
        thread: Any = getattr(connection, "_thread", connection)
        thread.daemon = True
        return connection

    return create


def _begin(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)
