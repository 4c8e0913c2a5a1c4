"""The ledger: one writer, one transaction per batch, and what a restart needs to go on.

What must stay true: the effects of a batch and the feed position it brought us to are committed together or not at
all (semantics 9); a commit that failed left nothing behind and may be repeated with the same changes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from msgspec.json import encode
from sqlalchemy import URL, ColumnElement, RowMapping, Select, Table, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.call import CallSession
from ringledger.domain.changes import Changes
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.observation import CallKey, FeedPosition, RecordClaim
from ringledger.ledger import aliases, schema
from ringledger.ledger.backup import saved
from ringledger.ledger.database import (
    BUSY_TIMEOUT_MS,
    BatchConnection,
    is_sqlite,
    parse,
    path_of,
    reader_engine,
    writer_engine,
)
from ringledger.ledger.errors import DatabaseForeign, DatabaseNewer, DatabaseOutdated, LedgerBroken, classified
from ringledger.ledger.letters import Letter, letter_batch
from ringledger.ledger.lock import DaemonLock
from ringledger.ledger.memory import OpenState, UnconfirmedCall, by_key, extension_of, position_of, rebuilt, session_of
from ringledger.ledger.place import Place
from ringledger.ledger.rows import Batch, batch_of
from ringledger.ledger.statements import Statements, compiled

#: How long the last checkpoint waits for readers: they may be at it for ever, and the next start does it as well.
CLOSING_PATIENCE_MS = 500
#: Keys asked for in one SELECT.
CHUNK = 500
_KNOWN: Final = " UNION ".join(
    f"SELECT session_id FROM {table} WHERE account_id = ?1 AND session_id IN (SELECT value FROM json_each(?2))"  # noqa: S608
    for table in (schema.call_state.name, schema.call.name)
)


class Ledger:
    """An open database whose schema is the program's. Made by :meth:`open`; readers are separate connections."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine | None, lock: DaemonLock | None) -> None:
        self.reader = reader
        self._engine = writer
        self._lock = lock
        self._turn = asyncio.Lock()
        self._connection: AsyncConnection | None = None
        self._asking: AsyncConnection | None = None
        self._statements: Statements = compiled(reader.dialect)
        #: Where the writer's files are; ``None``: nothing is written, or not to files.
        self.place: Place | None = None
        #: Makes the letters a batch of changes gives rise to (``None``: nobody wants any); called with our clock, ms.
        self.letters_of: Callable[[Changes, int], Sequence[Letter]] | None = None

    @classmethod
    async def open(cls, url: str | URL, *, read_only: bool = False, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open a database that :func:`~ringledger.ledger.upgrade.upgrade` has prepared.

        Raises ``DatabaseMissing``, ``DatabaseForeign``, ``DatabaseOutdated``, ``DatabaseNewer``, ``LedgerLocked``
        (another daemon writes), ``LedgerUnavailable``.
        """
        reader = reader_engine(url)
        lock = None if read_only or not is_sqlite(parse(url)) else DaemonLock(path_of(url))
        ledger = cls(reader, None if read_only else writer_engine(url, busy_timeout_ms=busy_timeout_ms), lock)
        try:
            await ledger._check_version(url)
            if ledger._engine is not None:
                async with _translated():
                    ledger._connection = await ledger._engine.connect()
                if lock is not None:
                    ledger.place = Place.of(path_of(url))
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """Empty the write-ahead log into the database and let go of everything. Closing twice is harmless."""
        connection, self._connection = self._connection, None
        asking, self._asking = self._asking, None
        try:
            if asking is not None:  # before the checkpoint, which waits for readers
                await asking.close()
            if connection is not None:
                await _checkpoint(connection, "TRUNCATE", patience_ms=CLOSING_PATIENCE_MS)
                await connection.close()
            if self._engine is not None:
                await self._engine.dispose()
            # Last, and read-only: a connection that cannot write leaves the -wal and -shm files where they are, and
            # with them those who may only read can go on reading (Python 3.11 has no switch for that).
            await self.reader.dispose()
        finally:
            if self._lock is not None:
                self._lock.release()

    async def commit(
        self,
        changes: Changes,
        position: FeedPosition | None = None,
        *,
        now_ms: int,
        journal: bool = True,
        coverage: Iterable[CoverageSpan] = (),
    ) -> None:
        """Write everything in one transaction. ``now_ms``: our clock, the rows' ``updated_at``.

        What is written is read from the arguments before the first await; they may change afterwards. Raises
        ``LedgerUnavailable`` (nothing was written; the same changes may be committed again) or ``LedgerBroken``.
        """
        batch = batch_of(self._statements, changes, position, coverage, now_ms=now_ms, journal=journal)
        if self.letters_of is not None and changes.announcements:
            batch[:0] = letter_batch(self._statements, self.letters_of(changes, now_ms), now_ms)
        if batch:
            await self.write(batch)

    async def write(self, batch: Batch) -> None:
        """Execute a batch in one transaction, as :meth:`commit` does, whose second half this is."""
        raw = await self._writer().get_raw_connection()
        if isinstance(raw.driver_connection, BatchConnection):
            async with self._turn, _translated():
                await raw.driver_connection.commit_batch(batch)
            return
        async with self.transaction() as connection:
            for sql, rows in batch:
                await connection.exec_driver_sql(sql, rows)

    async def forget(self, now_ms: int) -> int:
        """Delete the states of finished calls that need not be remembered any longer; returns how many."""
        state = schema.call_state.c
        async with self.transaction() as connection:
            expired = delete(schema.call_state).where(state.remembered_until < now_ms)
            return (await connection.execute(expired)).rowcount

    async def forget_deleted(self) -> int:
        """Delete the states of finished calls whose rows somebody has deleted, so that they can be written again."""
        state, call = schema.call_state.c, schema.call.c
        row = select(call.session_id).where(call.account_id == state.account_id, call.session_id == state.session_id)
        async with self.transaction() as connection:
            rowless = delete(schema.call_state).where(state.remembered_until.is_not(None), ~row.exists())
            return (await connection.execute(rowless)).rowcount

    async def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the write-ahead log into the database: as far as readers allow, or all of it and empty the file."""
        async with self._turn:
            await _checkpoint(self._writer(), "TRUNCATE" if truncate else "PASSIVE")

    async def save(self, target: Path) -> None:
        """Copy the open database to ``target``, whatever has become of its own name. Raises ``LedgerError``."""
        raw = await self._writer().get_raw_connection()
        connection, mode = raw.driver_connection, self.place.mode if self.place else 0o640
        if isinstance(connection, BatchConnection):
            async with self._turn:
                await connection.visit(lambda origin: saved(origin, target, mode))

    async def load_open(self, account_id: str) -> OpenState:
        """Open and settling calls, extensions and feed positions, as of the last commit."""
        state, extension, position = schema.call_state, schema.extension, schema.feed_position
        open_states = select(state.c.state).where(state.c.remembered_until.is_(None), state.c.account_id == account_id)
        async with self._reading() as connection:
            sessions = (await connection.execute(open_states)).scalars().all()
            extensions = await _rows(connection, select(extension).where(extension.c.account_id == account_id))
            positions = await _rows(connection, select(position).order_by(position.c.at))
        return OpenState(
            sessions=[session_of(text) for text in sessions],
            extensions=[extension_of(row) for row in extensions],
            positions={row["feed"]: position_of(row) for row in positions},
        )

    async def load_sessions(self, keys: Collection[CallKey]) -> list[CallSession]:
        """The ledger's sessions of these keys: as remembered, else rebuilt from their rows; unknown ones are absent.

        Rebuilt sessions are finished and have no sequence marks.
        """
        found: list[CallSession] = []
        for account_id, asked in _chunks(keys):
            session_ids = await self._known(account_id, asked)
            if not session_ids:
                continue
            async with self._reading() as connection:
                remembered = await _remembered(connection, account_id, session_ids)
                found += remembered
                missing = set(session_ids).difference(session.session_id for session in remembered)
                if missing:
                    found += await _rebuilt(connection, account_id, missing)
        return found

    async def _known(self, account_id: str, session_ids: list[str]) -> list[str]:
        """Those the database may hold. Nearly every question is about calls that have just begun: on SQLite it takes
        one visit to a thread, by a connection of its own, a tenth of what two SELECTs in a transaction cost.
        """
        if self.reader.dialect.name != "sqlite":
            return session_ids
        async with _translated():
            if self._asking is None:
                self._asking = await self.reader.connect()
            driver: Any = (await self._asking.get_raw_connection()).driver_connection
            told = (account_id, encode(session_ids).decode())
            return [row[0] for row in await driver.execute_fetchall(_KNOWN, told)]

    async def known_as(self, claims: Collection[RecordClaim]) -> set[CallKey]:
        """Calls of other sessions that these records may mean or complete (:mod:`~ringledger.ledger.aliases`)."""
        async with self._reading() as connection:
            return await aliases.known_as(connection, claims)

    async def of_telephony(self, sessions: Collection[str]) -> set[CallKey]:
        """Finished calls of these telephony sessions."""
        async with self._reading() as connection:
            return await aliases.of_telephony(connection, sessions)

    async def names_among(self, account_id: str, names: Collection[str]) -> set[str]:
        """Those of the names that are the session or the telephony session of a call of the ledger."""
        async with self._reading() as connection:
            return await aliases.names_among(connection, account_id, names)

    async def load_unconfirmed(self, account_id: str, since_ms: int) -> list[UnconfirmedCall]:
        """Calls that ended after ``since_ms`` and that the platform's books have not confirmed, oldest first."""
        call = schema.call
        columns = [call.c[name] for name in UnconfirmedCall._fields]
        waits = call.c.confirmed_at.is_(None) & call.c.part_of.is_(None)  # a part is confirmed with its whole
        wanted = (
            select(*columns)
            .where(call.c.account_id == account_id, waits, call.c.ended_at > since_ms)
            .order_by(call.c.started_at)
        )
        async with self._reading() as connection:
            return [UnconfirmedCall(**row) for row in await _rows(connection, wanted)]

    async def load_position(self, feed: str, key: str) -> FeedPosition | None:
        """How far this feed has been read; ``None``: never."""
        position = schema.feed_position
        wanted = select(position).where(position.c.feed == feed, position.c.key == key)
        async with self._reading() as connection:
            rows = await _rows(connection, wanted)
        return position_of(rows[0]) if rows else None

    async def load_coverage(self, account_id: str) -> list[CoverageSpan]:
        """All spans of the account, oldest first."""
        span = schema.coverage_span
        wanted = select(span).where(span.c.account_id == account_id).order_by(span.c.from_at)
        async with self._reading() as connection:
            rows = await _rows(connection, wanted)
        return [CoverageSpan(**{**row, "state": CoverageState(row["state"])}) for row in rows]

    def _writer(self) -> AsyncConnection:
        if self._connection is None:
            raise LedgerBroken("database: opened read-only, or closed")
        return self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The writer's turn: a transaction that commits at the end, or leaves nothing behind. For this room only."""
        async with self._turn, _translated():
            connection = self._writer()
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        async with _translated(), self.reader.connect() as connection:
            yield connection

    async def _check_version(self, url: str | URL) -> None:
        if not is_sqlite(parse(url)):
            return
        async with self._reading() as connection:
            application = (await connection.exec_driver_sql("PRAGMA application_id")).scalar_one()
            version = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
        path = path_of(url)
        if application != schema.APPLICATION_ID:
            raise DatabaseForeign(f"{path}: is not a ringledger database; check database.url")
        if version > schema.SCHEMA_VERSION:
            raise DatabaseNewer(f"{path}: schema {version} is newer than this program; install a newer one")
        if version < schema.SCHEMA_VERSION:
            raise DatabaseOutdated(f"{path}: schema {version} is older than this program; ringledger db upgrade")


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise classified(error) from error


async def _checkpoint(connection: AsyncConnection, mode: str, *, patience_ms: int | None = None) -> None:
    """Outside of a transaction, hence by the driver. A reader that is in the way is no error."""
    if connection.dialect.name != "sqlite":
        return
    raw = await connection.get_raw_connection()
    if raw.driver_connection is not None:
        async with _translated():
            if patience_ms is not None:
                await raw.driver_connection.execute_fetchall(f"PRAGMA busy_timeout = {patience_ms}")
            await raw.driver_connection.execute_fetchall(f"PRAGMA wal_checkpoint({mode})")


async def _rows(connection: AsyncConnection, statement: Select[tuple[object, ...]]) -> list[RowMapping]:
    return list((await connection.execute(statement)).mappings())


def _chunks(keys: Collection[CallKey]) -> Iterator[tuple[str, list[str]]]:
    accounts: dict[str, list[str]] = {}
    for account_id, session_id in keys:
        accounts.setdefault(account_id, []).append(session_id)
    for account_id, session_ids in accounts.items():
        for start in range(0, len(session_ids), CHUNK):
            yield account_id, session_ids[start : start + CHUNK]


def _of(table: Table, account_id: str, session_ids: Collection[str]) -> ColumnElement[bool]:
    return (table.c.account_id == account_id) & table.c.session_id.in_(session_ids)


async def _remembered(connection: AsyncConnection, account_id: str, session_ids: list[str]) -> list[CallSession]:
    state = schema.call_state
    texts = await connection.execute(select(state.c.state).where(_of(state, account_id, session_ids)))
    return [session_of(text) for text in texts.scalars()]


async def _rebuilt(connection: AsyncConnection, account_id: str, session_ids: set[str]) -> list[CallSession]:
    call, leg, source = schema.call, schema.call_leg, schema.call_source
    calls = await _rows(connection, select(call).where(_of(call, account_id, session_ids)))
    if not calls:
        return []
    legs = by_key(await _rows(connection, select(leg).where(_of(leg, account_id, session_ids)).order_by(leg.c.leg_no)))
    claims = by_key(await _rows(connection, select(source).where(_of(source, account_id, session_ids))))
    keyed = ((row, (row["account_id"], row["session_id"])) for row in calls)
    return [rebuilt(row, legs.get(key, ()), claims.get(key, ())) for row, key in keyed]
