"""PostgreSQL's way to the schema: a new database gets the newest one at once, an older one runs the revisions.

Revisions up to 0008 upgrade files that older versions have written, by SQLite's own means (tables are rebuilt, facts
are read out of what was there); no PostgreSQL database was ever of such a schema. So a new one is made from the same
declarations as the program's statements and stamped with the newest revision; revisions from 0009 on run on both. A
test compares the two databases: tables, columns, types, keys, and the views' columns.

What must stay true: all of it is one transaction, under the writer's lock; a database that is not ours is not touched.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import tzinfo
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, MetaData, Select, Text, func, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.ledger.database.base import database_of
from ringledger.ledger.database.postgresql import LOCK, PostgresqlDatabase, version_in, within_handover
from ringledger.ledger.errors import DatabaseMissing, DatabaseNewer, LedgerBroken, LedgerLocked, classified
from ringledger.ledger.file.inspect import Examination
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.difference import SchemaDifference, differences
from ringledger.ledger.schema.server import server_metadata
from ringledger.ledger.schema.views import INDEXES, VIEWS, create_view

T = TypeVar("T")

#: Tables this program has on PostgreSQL alone: there they say who writes, and for which account.
OWN: Final = tuple(server_metadata.tables)


def declared() -> MetaData:
    """The tables as PostgreSQL has them: text compares by its bytes, as on SQLite, whatever the server's language."""
    made = MetaData(naming_convention=tables.metadata.naming_convention)
    for table in tables.metadata.sorted_tables:
        copy = table.to_metadata(made)
        for column in copy.columns:
            if isinstance(column.type, Text) or isinstance(getattr(column.type, "impl", None), Text):
                column.type = Text(collation="C")
        for index in copy.indexes:
            where = index.dialect_options["sqlite"].get("where")
            if where is not None:
                index.dialect_options["postgresql"]["where"] = where
    for table in server_metadata.sorted_tables:
        table.to_metadata(made)
    return made


def version_of(url: Any, newest: int) -> int:
    """The version, 0 for an empty database. Raises ``DatabaseForeign``, ``DatabaseNewer``, ``LedgerUnavailable``."""

    async def look(database: PostgresqlDatabase, connection: AsyncConnection) -> int:
        return await _version(database, connection, newest)

    return _with(url, look, read_only=True)


async def _version(database: PostgresqlDatabase, connection: AsyncConnection, newest: int) -> int:
    version = await version_in(connection, database.shown)
    if version > newest:
        raise DatabaseNewer(
            f"{database.shown}: schema {version} is newer than this program's {newest}; install a newer program"
        )
    return version


def move(url: Any, newest: int, revisions: Callable[[Connection], int], zone: tzinfo) -> tuple[int, int]:
    """Bring the database to the newest version. Returns the versions before and after. Raises as ``upgrade``."""

    async def work(database: PostgresqlDatabase, connection: AsyncConnection) -> tuple[int, int]:
        async def locked() -> bool:
            asked = await connection.exec_driver_sql("SELECT pg_try_advisory_xact_lock($1, $2)", LOCK)
            return bool(asked.scalar_one())

        # A second daemon has nothing to do here, and the first one's lock is no reason to refuse it.
        before = await _version(database, connection, newest)
        if before == newest and await connection.run_sync(_stands, zone):
            return before, before
        if not await within_handover(locked):
            raise LedgerLocked(f"{database.shown}: a daemon writes to it; stop it first")
        before = await _version(database, connection, newest)
        return before, await connection.run_sync(_moved, before, newest, revisions, zone)

    return _with(url, work)


def _moved(
    connection: Connection, before: int, newest: int, revisions: Callable[[Connection], int], zone: tzinfo
) -> int:
    if before == newest and _stands(connection, zone):
        return before
    kinds = _kinds(zone)
    for kind, (word, _) in kinds.items():
        for name in reversed(_made(connection, kind)):
            connection.exec_driver_sql(f'DROP {word} "{name}"')
    if before == 0:
        declared().create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ($1)", (f"{newest:04d}",))
    after = newest if before in {0, newest} else revisions(connection)
    for word, wanted in kinds.values():
        for name, digest in _digests(wanted).items():
            connection.exec_driver_sql(wanted[name])
            connection.exec_driver_sql(f"COMMENT ON {word} \"{name}\" IS '{digest}'")
    return after


def _kinds(zone: tzinfo) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Views and indexes, by the server's letter for them, each with the statement that makes it."""
    views = {name: create_view(name, zone, "postgresql") for name in VIEWS}
    return {"v": ("VIEW", views), "i": ("INDEX", INDEXES)}


def _stands(connection: Connection, zone: tzinfo) -> bool:
    """Whether views and indexes are this program's."""
    return all(_made(connection, kind) == _digests(wanted) for kind, (_, wanted) in _kinds(zone).items())


def problems(url: Any, newest: int) -> tuple[int, list[str]]:
    """The version, and what differs from the program's schema, in words."""

    async def look(database: PostgresqlDatabase, connection: AsyncConnection) -> tuple[int, list[str]]:
        version = await version_in(connection, database.shown)
        if version == 0:
            raise DatabaseMissing(f"{database.shown}: holds no ledger yet; ringledger db upgrade creates it")
        if version != newest:
            return version, ["schema: older than the program; ringledger db upgrade"]
        return version, await connection.run_sync(_problems)

    return _with(url, look, read_only=True)


def _problems(connection: Connection) -> list[str]:
    found = [f"schema: {one}" for one in differences(connection, declared()) if not _of_an_index(one)]
    found += [f"schema: no index {name}" for name in sorted(INDEXES.keys() - _made(connection, "i").keys())]
    there = set(inspect(connection).get_view_names())
    return found + [f"schema: no view {name}" for name in sorted(VIEWS.keys() - there)]


class Server(NamedTuple):
    """A server as it tells of itself. ``words``: version, size and role; ``number``: of its major version; ``clock``:
    how far its clock is ahead of ours, seconds; ``behind``: of a standby, how old what it shows is, seconds, ``None``:
    it is none; ``leases``: who works for which accounts, in words, and those whose lease has lapsed."""

    words: str
    number: int
    clock: float
    behind: float | None
    leases: tuple[str, tuple[str, ...]]


#: A standby that has applied all it was sent, and is being sent to, is not behind, however quiet the primary is.
_SERVER: Final = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, current_user,
        pg_database_size(current_database()), extract(epoch FROM clock_timestamp())::float8,
        CASE WHEN NOT pg_is_in_recovery() THEN NULL
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver)
            THEN 0
            ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END::float8
"""


def examine(url: Any, *, before_ms: int) -> tuple[Server, Examination]:
    """The server, and what there is to know of the ledger. Raises ``LedgerError``."""

    async def look(database: PostgresqlDatabase, connection: AsyncConnection) -> tuple[Server, Examination]:
        asked_at = time.time()
        told: Any = (await connection.exec_driver_sql(_SERVER)).one()
        version, number, role, size, clock, behind = told
        clock -= (asked_at + time.time()) / 2
        if await version_in(connection, database.shown) == 0:
            raise DatabaseMissing(f"{database.shown}: holds no ledger yet; ringledger db upgrade")
        call, fact, outbox = tables.call.c, tables.fact.c, tables.outbox.c
        waits = outbox.gave_up_at.is_(None)

        async def one(question: Select[Any]) -> Any:
            return (await connection.execute(question)).scalar()

        newest = select(fact.received_at).where(fact.status.is_not(None)).order_by(fact.id.desc()).limit(1)
        seen = Examination(
            size_bytes=size,
            wal_bytes=0,
            journal_mode="",
            oldest_open_at=await one(select(func.min(tables.live_call.c.started_at))),
            last_event_at=await one(newest),
            unconfirmed=await one(select(func.count()).where(call.confirmed_at.is_(None), call.ended_at < before_ms)),
            letters_dead=await one(select(func.count()).select_from(tables.outbox).where(~waits)),
            oldest_letter_at=await one(select(func.min(outbox.since)).where(waits)),
        )
        words = f"PostgreSQL {version}, {size // (1 << 20)} MiB, as {role}"
        return Server(words, number, clock, behind, await _leases(connection)), seen

    return _with(url, look, read_only=True)


async def _leases(connection: AsyncConnection) -> tuple[str, tuple[str, ...]]:
    """Who works for which accounts, in words, and those whose lease has lapsed; the newest schema alone has them."""
    if (await connection.exec_driver_sql("SELECT to_regclass('lease')")).scalar() is None:
        return "", ()
    told = "SELECT name, process, expires_at::timestamptz > clock_timestamp() FROM lease WHERE holder <> '' ORDER BY 1"
    rows: Any = (await connection.exec_driver_sql(told)).all()
    held = Counter(process for _, process, runs in rows if runs)
    words = "; ".join(f"{one}: {count} account{'' if count == 1 else 's'}" for one, count in sorted(held.items()))
    return words, tuple(name for name, _, runs in rows if not runs)


def _of_an_index(difference: SchemaDifference) -> bool:
    return difference.kind == "remove_index" and difference.name in INDEXES


def _made(connection: Connection, kind: str) -> dict[str, str | None]:
    """The views (``v``) or indexes (``i``) of this program that are there, each with the digest of the statement that
    made it, which is its comment: the server keeps no text as it was written. A table in
    parts has indexes of a letter of their own (``I``).
    """
    rows = connection.exec_driver_sql(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class "
        "WHERE lower(relkind::text) = $1 AND relnamespace = current_schema()::regnamespace ORDER BY oid",
        (kind,),
    )
    return {row[0]: row[1] for row in rows if row[0] in (VIEWS if kind == "v" else INDEXES)}


def _digests(statements: Mapping[str, str]) -> dict[str, str]:
    return {name: f"ringledger {hashlib.sha256(text.encode()).hexdigest()[:32]}" for name, text in statements.items()}


def _with(
    url: Any, work: Callable[[PostgresqlDatabase, AsyncConnection], Awaitable[T]], *, read_only: bool = False
) -> T:
    """What ``work`` returns, in one transaction, by a loop and a thread of its own: callers have neither or both."""
    database = database_of(url)
    if not isinstance(database, PostgresqlDatabase):
        raise LedgerBroken("database.url: is no PostgreSQL URL")

    async def run() -> T:
        engine = database.reader() if read_only else database.migrations()
        try:
            async with engine.begin() as connection:
                return await work(database, connection)
        except DBAPIError as error:
            known = classified(error)
            raise type(known)(f"{database.shown}: {str(known).removeprefix('database: ')}") from error
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1, thread_name_prefix="schema") as thread:
        return thread.submit(lambda: asyncio.run(run())).result()
