"""PostgreSQL as a database of the ledger, by asyncpg (the extra ``postgresql``).

What must stay true: the right to write is an advisory lock of the writer's own session, so a lost connection is a lost
right. Daemons share it, each for the accounts it has leases on; a command, a copy, an upgrade have it alone, and who
wrote before them writes nothing any more. Each transaction of the writer counts itself in this process's row of the
table ``writer``, and locks the rows of the leases it needs while they have this process's token and its term; so no
holder that was superseded can write, and whether a commit whose answer was lost has happened is known as soon as the
server can be asked. Readers can write nothing and see one state in each transaction. A password is in no
message: it comes from the passfile, from the file that ``passwordfile`` in the URL names, or from the URL, which is
never shown with it.

A pooler in front of the server must keep sessions (not transactions): otherwise a session's lock locks nothing.
"""

# ruff: noqa: ARG002 - what the other kind of database needs

import asyncio
import math
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, ColumnElement, Select, false, select, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ringledger.domain.lease import Fence
from ringledger.ledger.database.base import GO_ON, UNFINISHED, Batch, Database
from ringledger.ledger.database.leases import PostgresqlLeases
from ringledger.ledger.errors import (
    REFUSALS,
    DatabaseDriverMissing,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseOutdated,
    DatabaseSetBack,
    DatabaseUnfinished,
    LeaseLost,
    LedgerBroken,
    LedgerError,
    LedgerLocked,
    LedgerPooled,
    LedgerUnheard,
    LedgerUnreachable,
    classified,
)
from ringledger.ledger.file.sqlite import BUSY_TIMEOUT_MS
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.server import lease

#: The advisory lock of writers: this program's number, and the first of its locks. Each process that shares it has one
#: of its own besides, by which its former session is told from those of others.
LOCK: Final = (tables.APPLICATION_ID, 1)
#: How long a connection may take, and how long the network may keep silent about what was sent, seconds.
CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 10
#: The writer's statements take a moment; a server that hangs is noticed by this, seconds.
STATEMENT_SECONDS: Final = 60
#: A transaction whose process does nothing for so long is ended: its locks keep others waiting.
IDLE_SECONDS: Final = 10
#: Rows of processes that were not heard of for so long go.
FORGET_DAYS: Final = 1
#: How long the session of a writer that was killed may take to end before another is refused, seconds.
HANDOVER_SECONDS: Final = 2.0
#: How long our own former session is given to end, seconds.
GHOST_SECONDS: Final = 5.0
#: Parameters of the URL that are this program's and not the server's.
PASSWORD_FILE: Final = "passwordfile"  # noqa: S105 - a name

#: ``$1``: the token; ``$2``, ``$3``: names and terms of the leases that are proved.
_COUNT: Final = (
    "WITH fence AS MATERIALIZED (SELECT name FROM lease WHERE holder = $1 AND (name, term) IN "
    "(SELECT * FROM unnest($2::text[], $3::bigint[])) ORDER BY name FOR SHARE) "
    "UPDATE writer SET commits = commits + 1 WHERE token = $1 "
    "AND (SELECT count(*) FROM fence) = cardinality($2::text[])"
)
#: The server's process behind a connection.
_SESSION: Final = "SELECT pg_backend_pid()"
_NEWEST: Final = "SELECT process || ' writes to it since ' || since FROM writer ORDER BY seen_until DESC LIMIT 1"
_WRITER: Final = "SELECT 1 FROM writer WHERE token = $1"
_TAKEN: Final = (
    "SELECT name, process FROM lease RIGHT JOIN unnest($2::text[], $3::bigint[]) AS mine (name, term) USING (name) "
    "WHERE lease.term IS DISTINCT FROM mine.term OR holder IS DISTINCT FROM $1"
)
_KNOWN: Final = " UNION ".join(
    f"SELECT session_id FROM {column.table.name} WHERE account_id = $1 AND {column.name} = ANY($2)"  # noqa: S608 - our own
    for column in tables.NAMES
)
#: What a purge has emptied.
_TIDIED: Final = ", ".join(
    one.name
    for one in (
        tables.call,
        tables.call_leg,
        tables.call_transition,
        tables.call_source,
        tables.fact,
        tables.outbox,
        tables.quarantined,
    )
)


class PostgresqlDatabase(Database):
    """A database of a server."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        try:
            import asyncpg  # noqa: PLC0415 - an extra
        except ImportError:
            raise DatabaseDriverMissing(
                "database.url: PostgreSQL needs the extra of that name: pip install 'ringledger[postgresql]'"
            ) from None
        self._asyncpg: Any = asyncpg
        #: What says that a connection is of no use any longer, and all that the driver raises.
        self._out_of_step = asyncpg.InterfaceError, asyncpg.InternalClientError
        self._errors = asyncpg.PostgresError, *self._out_of_step
        self._token = secrets.token_hex(8)
        #: Transactions of ours that were committed.
        self._commits = 0
        self._driver: Any = None
        self._asking: Any = None
        self._asking_turn = asyncio.Lock()
        #: Whether other daemons may write as well, and the lock that is this process's own.
        self._shared = False
        self._own = LOCK

    @property
    def shown(self) -> str:
        url = self.url
        place = url.host or str(url.query.get("host", "")) or "localhost"
        return f"postgresql://{place}{f':{url.port}' if url.port else ''}/{url.database or ''}"

    # -- connections -----------------------------------------------------------------------------------------------

    def reader(self, *, seconds: float = math.inf, connections: int = 2) -> AsyncEngine:
        limits = {} if seconds == math.inf else {"statement_timeout": f"{max(1, round(seconds * 1000))}"}
        settings = {
            "default_transaction_read_only": "on",
            "default_transaction_isolation": "repeatable read",
            **limits,
        }
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=partial(self.connect, settings),
            pool_size=connections,
            max_overflow=2,
            pool_pre_ping=True,
        )

    def writer(self, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
        settings = {
            "lock_timeout": str(busy_timeout_ms),
            "statement_timeout": str(STATEMENT_SECONDS * 1000),
            "synchronous_commit": "on",
            "idle_in_transaction_session_timeout": str(IDLE_SECONDS * 1000),
            # A writer whose machine has vanished keeps the lock no longer than this.
            "tcp_keepalives_idle": str(SILENCE_SECONDS),
            "tcp_keepalives_interval": "3",
            "tcp_keepalives_count": "3",
            "tcp_user_timeout": str(SILENCE_SECONDS * 1000),
        }
        # Without a pool: one that died while it was made anew would be taken out of it again and again.
        return create_async_engine(
            "postgresql+asyncpg://", async_creator=partial(self.connect, settings), poolclass=NullPool
        )

    def migrations(self) -> AsyncEngine:
        """An engine whose statements may take as long as they want: indexes of large tables do."""
        return create_async_engine("postgresql+asyncpg://", async_creator=self.connect, pool_size=1, max_overflow=0)

    async def connect(self, settings: dict[str, str] | None = None) -> Any:
        """A connection of asyncpg's, whose session has these settings. Raises ``LedgerError``."""
        named = {"application_name": "ringledger", "timezone": "UTC"}
        # Not with the first packet: a pooler refuses what it does not know, or lets it go unheard.
        given = "; ".join(f"SET {name} = '{value}'" for name, value in ({"jit": "off"} | (settings or {})).items())
        try:
            connection = await self._asyncpg.connect(
                self._dsn(), password=self._password(), server_settings=named, timeout=CONNECT_SECONDS
            )
            try:
                await connection.execute(given)
                # A sum of whole numbers is a decimal there, and one of ours everywhere else.
                await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number)
            except BaseException:  # whoever asked for it never gets it, and so cannot close it
                connection.terminate()
                raise
        except (*self._errors, ValueError) as error:
            raise self._named(error) from None  # the driver's own text may hold the URL
        except OSError as error:  # a time-out too
            what = error.strerror or type(error).__name__
            cure = "start it, or set database.url"
            raise LedgerUnreachable(f"{self.shown}: no server answers ({what}); {cure}") from None
        _notice_silence(connection)
        return connection

    def _dsn(self) -> str:
        query = {name: value for name, value in self.url.query.items() if name != PASSWORD_FILE}
        return self.url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)

    def _password(self) -> str | None:
        file = self.url.query.get(PASSWORD_FILE)
        if not isinstance(file, str):
            return None
        try:
            return Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerBroken(f"{file}: the database's password cannot be read ({type(error).__name__})") from None

    def _named(self, error: BaseException) -> Exception:
        known = classified(error)
        return type(known)(f"{self.shown}: {str(known).removeprefix('database: ')}")

    # -- the schema's version --------------------------------------------------------------------------------------

    async def check_version(self, reader: AsyncEngine, *, writing: bool = False) -> None:
        try:
            async with reader.connect() as connection:
                version = await version_in(connection, self.shown)
                unfinished = (await connection.exec_driver_sql(f"SELECT to_regclass('{UNFINISHED}')")).scalar()
        except DBAPIError as error:
            raise self._named(error) from error
        if version == 0:
            raise DatabaseMissing(f"{self.shown}: holds no ledger yet; the daemon creates it, or ringledger db upgrade")
        if version > tables.SCHEMA_VERSION:
            raise DatabaseNewer(f"{self.shown}: schema {version} is newer than this program; install a newer one")
        if version < tables.SCHEMA_VERSION:
            raise DatabaseOutdated(f"{self.shown}: schema {version} is older than this program; ringledger db upgrade")
        if unfinished is not None:
            raise DatabaseUnfinished(f"{self.shown}: {GO_ON}")

    # -- the right to write ----------------------------------------------------------------------------------------

    async def hold(self, connection: AsyncConnection, *, shared: bool = False) -> None:
        driver = await _driver(connection)
        self._own = (LOCK[0], 2 + secrets.randbelow((1 << 31) - 2)) if shared else LOCK
        lock = f"pg_try_advisory_lock{'_shared' if shared else ''}"
        try:
            await self._refuse_shared_session(driver)
            if not await within_handover(partial(driver.fetchval, f"SELECT {lock}($1, $2)", *LOCK)):
                who = await driver.fetchval(_NEWEST)
                raise LedgerLocked(f"{self.shown}: {who or 'another process writes to it'}; stop that one first")
            async with driver.transaction():
                if shared:
                    await driver.fetchval("SELECT pg_advisory_lock($1, $2)", *self._own)
                    forgotten = time.strftime("%Y-%m-%d", time.gmtime(time.time() - FORGET_DAYS * 86_400))
                    await driver.execute("DELETE FROM writer WHERE seen_until < $1", forgotten)
                else:  # a process that wrote before, and has lost its connection meanwhile, is superseded
                    await driver.execute("DELETE FROM writer")
                    await driver.execute("UPDATE lease SET holder = '', process = '', term = term + 1")
                since = time.strftime("%m-%d %H:%M:%SZ", time.gmtime())
                process = f"process {os.getpid()} on {socket.gethostname()}"
                seen = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
                new = "INSERT INTO writer (token, commits, process, since, seen_until) VALUES ($1, 0, $2, $3, $4)"
                await driver.execute(new, self._token, process, since, seen)
        except self._asyncpg.PostgresError as error:
            raise self._named(error) from error
        self._shared, self._commits, self._driver = shared, 0, driver

    async def _refuse_shared_session(self, driver: Any) -> None:
        """A pooler that gives a session to another client after each transaction gives its locks away, too. Raises
        ``LedgerPooled``."""
        mine = await driver.fetchval(_SESSION)
        other = await self.connect()
        try:
            theirs = await other.fetchval(_SESSION)
        finally:
            await other.close()
        if mine == theirs:
            raise LedgerPooled(
                f"{self.shown}: a pooler shares its sessions; set pool_mode = session, or name the server"
            )

    async def guard(self, connection: AsyncConnection, fences: Collection[Fence] = ()) -> None:
        values = self._token, [one.name for one in fences], [one.term for one in fences]
        counted = await connection.exec_driver_sql(_COUNT, values)
        if counted.rowcount != 1:
            there = (await connection.exec_driver_sql(_WRITER, values[:1])).first()
            raise self._no_longer((await connection.exec_driver_sql(_TAKEN, values)).all() if there else ())

    def leases(self, seconds: float, former: str = "") -> PostgresqlLeases | None:
        return PostgresqlLeases(self.connect, self._token, seconds, former) if self._shared else None

    def held_elsewhere(self, account_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return account_id.in_(self._held(lease.c.holder.not_in(["", self._token]))) if self._shared else false()

    def held_here(self, account_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return account_id.in_(self._held(lease.c.holder == self._token)) if self._shared else true()

    @staticmethod
    def _held(condition: ColumnElement[bool]) -> Select[Any]:
        return select(lease.c.account_id).where(condition, lease.c.account_id.is_not(None))

    def note_commit(self) -> None:
        self._commits += 1

    def break_off(self, connection: AsyncConnection) -> None:
        if self._driver is not None:
            self._driver.terminate()

    def lost(self, connection: AsyncConnection) -> bool:
        return self._driver is None or bool(self._driver.is_closed())

    async def revived(self, engine: AsyncEngine, connection: AsyncConnection) -> tuple[AsyncConnection, bool]:
        with suppress(Exception):
            await connection.invalidate()
        with suppress(Exception):
            await connection.close()
        fresh = await engine.connect()
        try:
            driver = await _driver(fresh)
            await self._take_again(driver)
            commits = await driver.fetchval("SELECT commits FROM writer WHERE token = $1", self._token)
        except BaseException as error:
            await fresh.close()
            if isinstance(error, self._errors):
                raise self._named(error) from error
            raise
        if commits is None:
            await fresh.close()
            raise self._superseded()
        if commits not in {self._commits, self._commits + 1}:
            await fresh.close()
            raise DatabaseSetBack(
                f"{self.shown}: is older than what was committed (another copy?); start again: the feed is read anew"
            )
        happened = commits == self._commits + 1
        self._commits, self._driver = commits, driver
        return fresh, happened

    async def _take_again(self, driver: Any) -> None:
        """Take the locks once more; our own former session, which the server may still believe in, is ended."""
        until = time.monotonic() + GHOST_SECONDS
        while not await driver.fetchval("SELECT pg_try_advisory_lock($1, $2)", *self._own):
            if await driver.fetchval(_WRITER, self._token) is None:
                raise self._superseded()
            await driver.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                "AND classid = $1 AND objid = $2",
                *self._own,
            )
            if time.monotonic() > until:
                raise LedgerUnreachable(f"{self.shown}: our own former session is still there")
            await asyncio.sleep(0.1)
        if self._shared and not await driver.fetchval("SELECT pg_try_advisory_lock_shared($1, $2)", *LOCK):
            raise LedgerUnreachable(f"{self.shown}: somebody has it alone")  # and this process is superseded soon

    def _superseded(self) -> LedgerLocked:
        return LedgerLocked(f"{self.shown}: another process has written meanwhile; this one stops")

    async def _prove(self, driver: Any, fences: Collection[Fence]) -> None:
        """The first statement of a transaction. Raises ``LedgerLocked``, ``LeaseLost``."""
        values = self._token, [one.name for one in fences], [one.term for one in fences]
        if await driver.execute(_COUNT, *values) != "UPDATE 1":
            there = await driver.fetchval(_WRITER, self._token)
            raise self._no_longer(await driver.fetch(_TAKEN, *values) if there else ())

    def _no_longer(self, taken: Sequence[Any]) -> LedgerError:
        """Why a transaction may not be ours: others have these accounts, or this process's row is gone."""
        if not taken:
            return self._superseded()
        name, process = taken[0]
        who = f"by {process}" if process else "by another process"
        return LeaseLost(f"{self.shown}: {name or 'the account'} was taken {who}", {one[0] for one in taken})

    # -- the writer's transaction ----------------------------------------------------------------------------------

    async def commit_batch(self, connection: AsyncConnection, batch: Batch, fences: Collection[Fence] = ()) -> None:
        driver = self._driver
        ending = False
        try:
            transaction = driver.transaction()
            await transaction.start()
            try:
                await self._prove(driver, fences)
                for sql, rows in batch:
                    await driver.executemany(sql, rows)
            except BaseException:
                with suppress(Exception):
                    await transaction.rollback()
                raise
            ending = True
            await transaction.commit()
        except asyncio.CancelledError:
            self.break_off(connection)
            raise
        except (*self._errors, *REFUSALS, OSError) as error:
            if isinstance(error, self._out_of_step):
                self.break_off(connection)  # else it would be asked again and again
            if ending and driver.is_closed():
                raise LedgerUnheard(f"{self.shown}: went away during a commit") from error
            raise (classified(error) if not driver.is_closed() else self._gone(error)) from error

    def _gone(self, error: BaseException) -> LedgerUnreachable:
        return LedgerUnreachable(f"{self.shown}: the connection is lost ({type(error).__name__})")

    async def known(self, reader: AsyncEngine, account_id: str, names: Sequence[str]) -> list[str]:
        async with self._asking_turn:
            if self._asking is None or self._asking.is_closed():
                self._asking = await self.connect({"default_transaction_read_only": "on"})
            try:
                return [row[0] for row in await self._asking.fetch(_KNOWN, account_id, list(names))]
            except asyncio.CancelledError:
                self._asking.terminate()  # the answer that is still to come would be taken for the next one's
                raise
            except (*self._errors, *REFUSALS) as error:
                if isinstance(error, self._out_of_step):
                    self._asking.terminate()
                raise classified(error) from error

    # -- care ------------------------------------------------------------------------------------------------------

    async def tidy(self, connection: AsyncConnection, *, thorough: bool, patience_ms: int | None = None) -> None:
        """After a purge: VACUUM. Everything else the server does by itself."""
        if not thorough or patience_ms is not None:
            return
        try:
            await self._driver.execute("SET statement_timeout = 0")
            await self._driver.execute(f"VACUUM {_TIDIED}")
            await self._driver.execute("RESET statement_timeout")
        except self._errors as error:
            raise (self._gone(error) if self._driver.is_closed() else classified(error)) from error

    async def insert(
        self, connection: AsyncConnection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        try:
            await (await _driver(connection)).copy_records_to_table(table, records=rows, columns=columns)
        except (*self._errors, *REFUSALS) as error:
            raise self._named(error) from error

    async def numbered(self, connection: AsyncConnection) -> None:
        async with connection.begin():
            for one in tables.metadata.sorted_tables:
                if "id" in one.columns:
                    newest = f"SELECT max(id) FROM {one.name}"  # noqa: S608 - our own name
                    number = (await connection.exec_driver_sql(newest)).scalar() or 0
                    last = "SELECT setval(pg_get_serial_sequence($1, 'id'), $2::bigint, $3::boolean)"
                    await connection.exec_driver_sql(last, (one.name, max(1, number), number > 0))

    async def let_go(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None and not asking.is_closed():
            await asking.close()


async def version_in(connection: AsyncConnection, shown: str) -> int:
    """The schema's version, 0 for a database without a table of ours. Raises ``DatabaseForeign``."""
    wanted = "SELECT to_regclass('alembic_version'), to_regclass('writer'), to_regclass('call'), current_schema()"
    found: Any = (await connection.exec_driver_sql(wanted)).one()
    stamped, writer, call, schema = found
    if stamped is None and writer is None and call is None and schema is not None:
        return 0
    revision = None
    if stamped is not None and writer is not None:
        revision = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
    if revision is None or not str(revision).isdecimal():
        raise DatabaseForeign(f"{shown}: belongs to another program; set database.url to a database of our own")
    return int(revision)


async def within_handover(ask: Callable[[], Awaitable[bool]]) -> bool:
    """Whether the lock was given, now or within the time a former writer's session may take to end."""
    until = time.monotonic() + HANDOVER_SECONDS
    while True:
        if (given := await ask()) or time.monotonic() > until:
            return given
        await asyncio.sleep(0.05)


def _number(text: str) -> float:
    return float(text) if "." in text or text == "NaN" else int(text)


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def _notice_silence(connection: Any) -> None:
    """Let the system end a connection whose other end keeps silent, so that no query waits for ever."""
    with suppress(AttributeError, OSError):
        own: socket.socket = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg gives no other way
        if own.family in {socket.AF_INET, socket.AF_INET6}:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_SECONDS)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)
