"""What the ledger asks of a database, whichever it is: connections, the right to write, and the writer's transaction.

What must stay true: outside of this folder, of ``file/`` (SQLite's own files) and of ``schema/baseline.py`` nobody asks
which database it is; statements are SQLAlchemy Core, or compiled from it for the dialect in use.
"""

# ruff: noqa: B027, ARG002 - what only one kind of database needs does nothing with the other

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, ColumnElement, false, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.lease import Fence
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.file.identity import Place
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.sqlite import BUSY_TIMEOUT_MS, is_sqlite, parse

if TYPE_CHECKING:
    from ringledger.ledger.database.leases import PostgresqlLeases

#: A table that is there while a copy to this database is not complete (:mod:`~ringledger.ledger.copy`).
UNFINISHED: Final = "unfinished_copy"
GO_ON: Final = "holds an unfinished copy; go on with ringledger db copy --to this database"
#: Statements as the driver takes them, each with its rows.
Batch = Iterable[tuple[str, list[tuple[Any, ...]]]]


class Database(ABC):
    """A database by its URL. One of these belongs to one :class:`~ringledger.ledger.write.store.Ledger`."""

    def __init__(self, url: URL) -> None:
        self.url = url

    @property
    @abstractmethod
    def shown(self) -> str:
        """How it is named to people: without a password."""

    @abstractmethod
    def reader(self, *, seconds: float = math.inf, connections: int = 2) -> AsyncEngine:
        """An engine that cannot write; each transaction sees one state of the database.

        ``seconds``: how long a transaction may read, before ``LedgerSlow`` ends it; ``connections``: how many are kept.
        """

    @abstractmethod
    def writer(self, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
        """The engine of the only writer: one connection."""

    @abstractmethod
    async def check_version(self, reader: AsyncEngine, *, writing: bool = False) -> None:
        """Raise ``DatabaseForeign``, ``DatabaseCorrupt``, ``DatabaseNewer``, ``DatabaseOutdated`` or
        ``DatabaseUnfinished`` unless the schema is the program's. ``writing``: whether it is to be written to.
        """

    @abstractmethod
    async def commit_batch(self, connection: AsyncConnection, batch: Batch, fences: Collection[Fence] = ()) -> None:
        """Execute each statement with its rows, in order, in a transaction of the writer's connection that proves these
        leases. Raises ``LedgerError``: nothing is left, or (PostgreSQL) it is not known; see :meth:`revived`.
        """

    @abstractmethod
    async def known(self, reader: AsyncEngine, account_id: str, names: Sequence[str]) -> list[str]:
        """The account's sessions that have one of these names and of which there is a fact or a row. Nearly every
        question is about calls that have just begun.
        """

    def acting(self) -> AbstractContextManager[None]:
        """Held while the database is open."""
        return nullcontext()

    def lock(self) -> DaemonLock | None:
        """The right to write, where a file gives it. Raises ``LedgerLocked``."""
        return None

    def place(self) -> Place | None:
        """The files that are written to, where there are some. Raises ``DatabaseReplaced``."""
        return None

    async def hold(self, connection: AsyncConnection, *, shared: bool = False) -> None:
        """Take the right to write, where the writer's session gives it. ``shared``: beside other daemons, each for the
        accounts it has leases on (:meth:`leases`). Raises ``LedgerLocked``.
        """

    async def guard(self, connection: AsyncConnection, fences: Collection[Fence] = ()) -> None:
        """Within a transaction: prove that the right to write, and these leases, are still ours. Raises
        ``LedgerLocked``, ``LeaseLost``.
        """

    def leases(self, seconds: float, former: str = "") -> "PostgresqlLeases | None":
        """The leases of this process, where several may write; each runs for so long. ``former``: the token of one that
        is known to be dead, and whose place this is."""
        return None

    def held_elsewhere(self, account_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the account in this column is another process's: what is of it is not ours to touch."""
        return false()

    def held_here(self, account_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the account in this column is ours."""
        return true()

    def note_commit(self) -> None:
        """A transaction with :meth:`guard` in it was committed."""

    def break_off(self, connection: AsyncConnection) -> None:
        """A transaction was cancelled in the middle: whatever has become of it, its connection is not used again."""

    def lost(self, connection: AsyncConnection) -> bool:
        """Whether the writer's connection has ended: nothing is written until another is made (:meth:`revived`)."""
        return False

    async def revived(self, engine: AsyncEngine, connection: AsyncConnection) -> tuple[AsyncConnection, bool]:
        """A connection in the place of a lost one, and whether the last transaction, whose end nobody heard, was
        committed. Raises ``LedgerUnavailable``, ``LedgerLocked``.
        """
        raise LedgerBroken("database: this kind of connection is not lost")

    async def tidy(self, connection: AsyncConnection, *, thorough: bool, patience_ms: int | None = None) -> None:
        """What the database wants done now and then outside of a transaction; ``thorough``: after a purge, so that what
        was deleted leaves its files as far as that is possible. ``patience_ms``: how long it may wait for readers.
        """

    async def pages_to_empty(self) -> list[int]:
        """Pages of the file whose unused room may hold what was deleted."""
        return []

    async def empty(self, connection: AsyncConnection, pages: Sequence[int]) -> bool:
        """In the writer's turn, outside of a transaction: overwrite the unused room of these pages. Whether the files
        hold nothing of what was deleted, as far as these pages go; a server's are not ours to look into.
        """
        await self.tidy(connection, thorough=True)
        return False

    async def insert(
        self, connection: AsyncConnection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Within a transaction: many rows, their values as they are stored. Names are our own."""
        places = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608
        await connection.exec_driver_sql(sql, list(rows))

    async def numbered(self, connection: AsyncConnection) -> None:
        """Rows were inserted with their numbers: the next ones go on behind them."""

    async def save(self, connection: AsyncConnection, target: Path, mode: int) -> None:
        """Copy the open database to a file, where that is possible."""

    async def let_go(self) -> None:
        """Close what was opened beside the engines."""

    def release(self) -> None:
        """Close what has to stay open as long as the engines."""


def database_of(url: str | URL) -> Database:
    """Return the database of a URL. Raises ``LedgerBroken`` for a text that names no supported database."""
    parsed = parse(url)
    if is_sqlite(parsed):
        from ringledger.ledger.database.sqlite import SqliteDatabase  # noqa: PLC0415

        return SqliteDatabase(parsed)
    if parsed.drivername in {"postgresql", "postgresql+asyncpg"}:
        from ringledger.ledger.database.postgresql import PostgresqlDatabase  # noqa: PLC0415

        return PostgresqlDatabase(parsed)
    raise LedgerBroken("database.url: should be sqlite+aiosqlite:///PATH or postgresql://USER@HOST/DATABASE")
