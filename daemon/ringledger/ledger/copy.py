"""A ledger moved to another database: every table, row by row, in the order of its key, and compared at the end.

What must stay true: nothing writes to either meanwhile (both rights to write are held); a step is one transaction, so a
copy that was broken off goes on where it stood; until the two are equal the new database is marked, and no daemon
opens it; a database that holds anything else is not touched.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from msgspec.json import encode
from sqlalchemy import Column, Integer, MetaData, Table, Text, column, func, insert, inspect, select, table, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateTable, DropTable

from ringledger.ledger.database.base import UNFINISHED, Database, database_of
from ringledger.ledger.errors import DatabaseForeign, DatabaseUnfinished, LedgerBroken, classified
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.migrate import upgrade

#: Rows in one transaction.
STEP: Final = 5_000
#: Names what is being copied, in a database to which a copy is not complete.
_mark: Final = Table(UNFINISHED, MetaData(), Column("source", Text, nullable=False))


@dataclass(frozen=True, slots=True)
class Copied:
    """A table: its rows here and there, and whether their digests are equal."""

    table: str
    rows: int
    arrived: int
    equal: bool


async def copy(source: str, target: str, progress: Callable[[str, int], None] = lambda *_: None) -> list[Copied]:
    """Copy the ledger and compare; the mark stays where the two are not equal. ``progress``: told of each step.

    Raises ``LedgerLocked`` (a daemon writes to one of them), ``DatabaseForeign`` (the target holds something else) and
    what opening either raises.
    """
    origin, place = database_of(source), database_of(target)
    if origin.shown == place.shown:
        raise LedgerBroken(f"{place.shown}: is the ledger itself; name another database")
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(_held(origin))
        if not await _marked(place):
            await asyncio.to_thread(upgrade, target)
        there = await stack.enter_async_context(_held(place, marked=True))
        await _prepare(there, origin, place)
        try:
            for one in tables.metadata.sorted_tables:
                await _copy_table(here, there, place, one, progress)
            await place.numbered(there)
            done = [await _compared(here, there, one) for one in tables.metadata.sorted_tables]
            if all(one.equal for one in done):
                async with there.begin():
                    await there.execute(DropTable(_mark))
        except DBAPIError as error:
            raise classified(error) from error
    return done


async def _marked(place: Database) -> bool:
    try:
        engine = place.reader()
    except Exception:  # noqa: BLE001 - no file yet
        return False
    try:
        async with engine.connect() as connection:
            return bool(await connection.run_sync(lambda one: inspect(one).has_table(UNFINISHED)))
    finally:
        await engine.dispose()


@asynccontextmanager
async def _held(database: Database, *, marked: bool = False) -> AsyncIterator[AsyncConnection]:
    """The writer's connection, with the right to write. ``marked``: an unfinished copy is welcome."""
    with database.acting():
        lock = database.lock()
        engines: list[AsyncEngine] = []
        try:
            engines.append(database.reader())
            try:
                await database.check_version(engines[0])
            except DatabaseUnfinished:
                if not marked:
                    raise
            engines.append(database.writer())
            async with engines[1].connect() as connection:
                await database.hold(connection)
                yield connection
        finally:
            for engine in reversed(engines):
                await engine.dispose()
            if lock is not None:
                lock.release()


async def _prepare(there: AsyncConnection, origin: Database, place: Database) -> None:
    """Mark the target, or see that the copy that was begun there is of this ledger."""
    async with there.begin():
        if await there.run_sync(lambda one: inspect(one).has_table(UNFINISHED)):
            begun = (await there.execute(select(_mark.c.source))).scalar()
            if begun != origin.shown:
                raise DatabaseForeign(f"{place.shown}: holds an unfinished copy of {begun}; name an empty database")
            return
        for one in tables.metadata.sorted_tables:
            if (await there.execute(select(one.c[0]).limit(1))).first() is not None:
                raise DatabaseForeign(f"{place.shown}: holds a ledger already; name an empty database")
        await there.execute(CreateTable(_mark))
        await there.execute(insert(_mark).values(source=origin.shown))


def _plain(of: Table) -> tuple[Any, list[str]]:
    """A table whose values are taken as they stand, and the columns of its key."""
    text = Text()
    columns = [column(one.name, tables.WHOLE if isinstance(one.type, Integer) else text) for one in of.columns]
    return table(of.name, *columns), [one.name for one in of.primary_key.columns]


async def _rows(
    connection: AsyncConnection, of: Any, key: Sequence[str], after: Sequence[Any] | None
) -> list[tuple[Any, ...]]:
    wanted = select(of).order_by(*(of.c[name] for name in key)).limit(STEP)
    if after is not None:
        wanted = wanted.where(tuple_(*(of.c[name] for name in key)) > tuple_(*after))
    async with connection.begin():
        return [tuple(row) for row in await connection.execute(wanted)]


async def _copy_table(
    here: AsyncConnection, there: AsyncConnection, place: Database, of: Table, progress: Callable[[str, int], None]
) -> None:
    plain, key = _plain(of)
    names = [one.name for one in plain.columns]
    at = [names.index(name) for name in key]
    newest = select(*(plain.c[name] for name in key)).order_by(*(plain.c[name].desc() for name in key)).limit(1)
    async with there.begin():
        found = (await there.execute(newest)).first()
    last = None if found is None else tuple(found)
    while rows := await _rows(here, plain, key, last):
        async with there.begin():
            await place.guard(there)
            await place.insert(there, of.name, names, rows)
        place.note_commit()
        last = tuple(rows[-1][index] for index in at)
        progress(of.name, len(rows))


async def _compared(here: AsyncConnection, there: AsyncConnection, of: Table) -> Copied:
    plain, key = _plain(of)
    found = [await _digest(connection, plain, key) for connection in (here, there)]
    (rows, one), (arrived, other) = found
    return Copied(of.name, rows, arrived, one == other and rows == arrived)


async def _digest(connection: AsyncConnection, of: Any, key: Sequence[str]) -> tuple[int, str]:
    """How many rows, and a digest of every value of them, in the order of the key."""
    names = [one.name for one in of.columns]
    at = [names.index(name) for name in key]
    async with connection.begin():
        count = (await connection.execute(select(func.count()).select_from(of))).scalar_one()
    digest, last = hashlib.sha256(), None
    while rows := await _rows(connection, of, key, last):
        for row in rows:
            digest.update(encode(row))
        last = tuple(rows[-1][index] for index in at)
    return count, digest.hexdigest()
