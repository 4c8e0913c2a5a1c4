"""SQLite as a database of the ledger; connections and pragmas are in ``file/sqlite.py``."""

# ruff: noqa: ARG002 - what the other kind of database needs

import asyncio
import math
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec.json import encode
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.lease import Fence
from ringledger.ledger.database.base import GO_ON, UNFINISHED, Batch, Database
from ringledger.ledger.errors import (
    REFUSALS,
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseNewer,
    DatabaseOutdated,
    DatabaseUnfinished,
    LedgerBroken,
    LedgerFailing,
    classified,
)
from ringledger.ledger.file import unused
from ringledger.ledger.file.backup import saved
from ringledger.ledger.file.identity import Place
from ringledger.ledger.file.inspect import size_of
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.opening import acting_as_owner, open_own
from ringledger.ledger.file.sqlite import BUSY_TIMEOUT_MS, BatchConnection, path_of, reader_engine, writer_engine
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.ours import SCHEMA, foreign_part, missing_table, outdated_view

_KNOWN: Final = " UNION ".join(
    f"SELECT session_id FROM {column.table.name} "  # noqa: S608 - our own names
    f"WHERE account_id = ?1 AND {column.name} IN (SELECT value FROM json_each(?2))"
    for column in tables.NAMES
)


class SqliteDatabase(Database):
    """A file and its write-ahead log."""

    _asking: AsyncConnection | None = None
    _file: int | None = None

    @property
    def path(self) -> Path:
        """The database's file."""
        return path_of(self.url)

    @property
    def shown(self) -> str:
        return str(self.path)

    def reader(self, *, seconds: float = math.inf, connections: int = 2) -> AsyncEngine:
        return reader_engine(self.url, seconds=seconds, connections=connections)

    def writer(self, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
        return writer_engine(self.url, busy_timeout_ms=busy_timeout_ms)

    def acting(self) -> AbstractContextManager[None]:
        return acting_as_owner(self.path)

    def lock(self) -> DaemonLock:
        return DaemonLock(self.path)

    def place(self) -> Place:
        return Place.of(self.path)

    async def check_version(self, reader: AsyncEngine, *, writing: bool = False) -> None:
        try:
            async with reader.connect() as connection:
                application = (await connection.exec_driver_sql("PRAGMA application_id")).scalar_one()
                version = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
                schema = [tuple(row) for row in await connection.exec_driver_sql(SCHEMA)]
        except (DBAPIError, sqlite3.Error) as error:
            raise classified(error) from error
        if application != tables.APPLICATION_ID:
            raise DatabaseForeign(f"{self.path}: is not a ringledger database; check database.url")
        if version > tables.SCHEMA_VERSION:
            raise DatabaseNewer(f"{self.path}: schema {version} is newer than this program; install a newer one")
        if version < tables.SCHEMA_VERSION:
            raise DatabaseOutdated(f"{self.path}: schema {version} is older than this program; ringledger db upgrade")
        if any(name == UNFINISHED for _, name, _ in schema):
            raise DatabaseUnfinished(f"{self.path}: {GO_ON}")
        if foreign := foreign_part(schema, writing=writing):
            raise DatabaseForeign(f"{self.path}: holds {foreign}, which is not this program's; restore a backup")
        if missing := missing_table(schema):
            raise DatabaseCorrupt(f"{self.path}: has no table {missing}; restore the newest backup")
        if view := outdated_view(schema):
            raise DatabaseOutdated(
                f"{self.path}: the view {view} is not this program's; ringledger db upgrade makes it anew"
            )

    async def commit_batch(self, connection: AsyncConnection, batch: Batch, fences: Collection[Fence] = ()) -> None:
        """In one visit to the connection's thread. A caller that is cancelled meanwhile does not know whether it was
        committed; it never is in part.
        """
        try:
            await (await _driver(connection)).visit(partial(_commit, batch))
        except (sqlite3.Error, *REFUSALS) as error:
            raise classified(error) from error

    async def known(self, reader: AsyncEngine, account_id: str, names: Sequence[str]) -> list[str]:
        """One visit to a thread, by a connection of its own: a tenth of what two SELECTs in a transaction cost."""
        if self._asking is None:
            self._asking = await reader.connect()
        driver: Any = await _driver(self._asking)
        told = (account_id, encode(names).decode())
        return [row[0] for row in await driver.execute_fetchall(_KNOWN, told)]

    async def tidy(self, connection: AsyncConnection, *, thorough: bool, patience_ms: int | None = None) -> None:
        """Move the write-ahead log into the database. A reader that is in the way is no error."""
        driver: Any = await _driver(connection)
        if patience_ms is not None:
            await driver.execute_fetchall(f"PRAGMA busy_timeout = {patience_ms}")
        await driver.execute_fetchall(f"PRAGMA wal_checkpoint({'TRUNCATE' if thorough else 'PASSIVE'})")

    async def hold(self, connection: AsyncConnection, *, shared: bool = False) -> None:
        """Open the file for :meth:`empty`, beside SQLite: it is closed when all connections are (:meth:`release`)."""
        with self._failing():
            self._file = open_own(self.path, os.O_RDWR)

    async def pages_to_empty(self) -> list[int]:
        with suppress(ValueError), self._failing():
            return await asyncio.to_thread(unused.pages_to_empty, self._opened())
        return []

    async def empty(self, connection: AsyncConnection, pages: Sequence[int]) -> bool:
        await self.tidy(connection, thorough=True)
        done: list[bool] = []
        # On the connection's own thread: who stops waiting gives the turn back, and whatever the next one does there
        # comes after this.
        with self._failing():
            await (await _driver(connection)).visit(lambda opened: done.append(self._emptied(opened, pages)))
        return done == [True]

    def _emptied(self, connection: sqlite3.Connection, pages: Sequence[int]) -> bool:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if size_of(self.path.with_name(f"{self.path.name}-wal")):
                return False  # a reader keeps pages there
            unused.empty(self._opened(), pages)
            # The writer's own copies of the pages would bring back what they have in that room.
            connection.execute("PRAGMA shrink_memory")
        except ValueError:
            return False
        finally:
            connection.execute("ROLLBACK")
        return True

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LedgerFailing(f"{self.path}: {error.strerror}") from error

    def _opened(self) -> int:
        if self._file is None:
            raise LedgerBroken("database: opened read-only, or closed")
        return self._file

    def release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    async def save(self, connection: AsyncConnection, target: Path, mode: int) -> None:
        await (await _driver(connection)).visit(lambda origin: saved(origin, target, mode))

    async def let_go(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            await asking.close()


def _commit(batch: Batch, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, rows in batch:
            connection.executemany(sql, rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors end it themselves
            connection.execute("ROLLBACK")
        raise


async def _driver(connection: AsyncConnection) -> BatchConnection:
    """Outside of a transaction of SQLAlchemy's."""
    opened = connection.sync_connection
    if opened is None or opened.invalidated:
        driver = (await connection.get_raw_connection()).driver_connection
    else:  # what the method would find, by a switch of stacks that each commit would pay for
        driver = opened.connection.driver_connection
    if not isinstance(driver, BatchConnection):
        raise LedgerBroken("database: no connection of this program's")
    return driver
