"""Leases in PostgreSQL: who works for which account, by the server's clock.

What must stay true: times are the server's own; what changes hands gets a higher term in the statement that takes it,
which passes over a row that a transaction of its holder has locked; a process waits for its own commits alone, and not
for long. The connection is one of its own: a long transaction of the writer's must not keep all leases from being
renewed.
"""

# ruff: noqa: S608 - statements are put together from what stands here

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from ringledger.domain.lease import Fence, LeaseRow
from ringledger.ledger.errors import LedgerError, LedgerUnreachable, classified

T = TypeVar("T")

_TEXT: Final = '\'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\''
_NOW: Final = f"to_char(clock_timestamp() AT TIME ZONE 'UTC', {_TEXT})"
#: ``$1``: the seconds a lease runs.
_UNTIL: Final = f"to_char(clock_timestamp() AT TIME ZONE 'UTC' + $1 * interval '1 second', {_TEXT})"
_SEEN: Final = f"UPDATE writer SET seen_until = {_UNTIL} WHERE token = $2"
_RENEW: Final = (
    "WITH mine AS (SELECT name FROM lease WHERE holder = $2 AND (name, term) IN "
    "(SELECT * FROM unnest($3::text[], $4::bigint[])) ORDER BY name FOR NO KEY UPDATE {}) "
    f"UPDATE lease SET expires_at = {_UNTIL} FROM mine WHERE lease.name = mine.name RETURNING lease.name, lease.term"
)
_ROWS: Final = (
    "SELECT name, account_id, holder, process, term, "
    "extract(epoch FROM expires_at::timestamptz - clock_timestamp())::float8 FROM lease"
)
#: Of a process that is dead: nobody counts with it any more.
_BURY: Final = "DELETE FROM writer WHERE token = $1"
_PROCESSES: Final = f"SELECT count(*)::bigint FROM writer WHERE seen_until > {_NOW}"
_NEW: Final = (
    "INSERT INTO lease (name, holder, process, term, taken_at, expires_at) "
    f"SELECT name, '', '', 0, '', {_NOW} FROM unnest($1::text[]) AS name ORDER BY name ON CONFLICT DO NOTHING"
)
_TAKE: Final = (
    f"WITH free AS (SELECT name FROM lease WHERE name = ANY($3) AND (holder IN ('', $4) OR expires_at <= {_NOW}) "
    "ORDER BY name FOR NO KEY UPDATE SKIP LOCKED) "
    "UPDATE lease SET holder = $2, process = (SELECT process FROM writer WHERE token = $2), term = term + 1, "
    f"taken_at = {_NOW}, expires_at = {_UNTIL} FROM free WHERE lease.name = free.name "
    "AND EXISTS (SELECT FROM writer WHERE token = $2) RETURNING lease.name, lease.term"
)
_GIVE: Final = (
    f"UPDATE lease SET holder = '', process = '', expires_at = {_NOW} WHERE holder = $1 AND (name, term) IN "
    "(SELECT * FROM unnest($2::text[], $3::bigint[]))"
)
_STANDS: Final = "UPDATE lease SET account_id = $4 WHERE holder = $1 AND name = $2 AND term = $3"
_OTHER: Final = f"SELECT name FROM lease WHERE account_id = $1 AND name <> $2 AND holder <> '' AND expires_at > {_NOW}"


#: SQL state: a lock was not to be had within ``lock_timeout``.
_LOCKED: Final = "55P03"


class Round(NamedTuple):
    """What a look at the leases has found: all of them, those that were renewed, and how many processes are alive."""

    rows: dict[str, LeaseRow]
    renewed: list[Fence]
    processes: int


class PostgresqlLeases:
    """The leases, for the process that writes under ``token``. ``connect``: a new connection of asyncpg's; ``former``:
    the token of a process that is known to be dead, and whose place this is."""

    def __init__(
        self, connect: Callable[[dict[str, str]], Awaitable[Any]], token: str, seconds: float, former: str = ""
    ) -> None:
        self.token = token
        self.seconds = seconds
        self.former = former
        self._buried = not former
        self._connect = connect
        self._connection: Any = None
        self._turn = asyncio.Lock()

    async def look(self, due: Collection[Fence]) -> Round:
        """Renew what is due, and say who has what. Raises ``LedgerError``."""

        async def ask(connection: Any) -> Round:
            if not self._buried:
                self._buried = await self._patiently(connection.execute(_BURY, self.former)) is not None
            await self._patiently(connection.execute(_SEEN, self.seconds, self.token))
            renewed = await self._renewed(connection, due) if due else []
            rows = [LeaseRow(*row) for row in await connection.fetch(_ROWS)]
            processes = await connection.fetchval(_PROCESSES)
            return Round({row.name: row for row in rows}, renewed, processes)

        return await self._asked(ask)

    async def _renewed(self, connection: Any, due: Collection[Fence]) -> list[Fence]:
        """At first what no commit has locked just now, then the rest: while one commit follows another, only who waits
        comes in between."""
        free = await connection.fetch(_RENEW.format("SKIP LOCKED"), self.seconds, self.token, *_columns(due))
        renewed = [Fence(*row) for row in free]
        if rest := set(due).difference(renewed):
            waited = connection.fetch(_RENEW.format(""), self.seconds, self.token, *_columns(rest))
            renewed += [Fence(*row) for row in await self._patiently(waited) or ()]
        return renewed

    @staticmethod
    async def _patiently(ask: Awaitable[T]) -> T | None:
        """The answer; ``None`` when a lock was waited for in vain. Raises what else the driver does."""
        try:
            return await ask
        except Exception as error:
            if getattr(error, "sqlstate", None) != _LOCKED:
                raise
            return None

    async def take(self, names: Sequence[str]) -> list[Fence]:
        """Take those of the accounts that no process holds any longer. Raises ``LedgerError``."""

        async def ask(connection: Any) -> list[Fence]:
            await connection.execute(_NEW, names)
            return [Fence(*row) for row in await connection.fetch(_TAKE, self.seconds, self.token, names, self.former)]

        return await self._asked(ask)

    async def give(self, fences: Collection[Fence]) -> None:
        """Let others have these at once. Raises ``LedgerError``."""
        await self._asked(lambda connection: connection.execute(_GIVE, self.token, *_columns(fences)))

    async def stands_for(self, fence: Fence, account_id: str) -> str | None:
        """Write down which account of the platform's this is; returns the name under which another process works for
        the same one. Raises ``LedgerError``."""

        async def ask(connection: Any) -> str | None:
            await connection.execute(_STANDS, self.token, *fence, account_id)
            other: str | None = await connection.fetchval(_OTHER, account_id, fence.name)
            return other

        return await self._asked(ask)

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close(timeout=1.0)

    async def _asked(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The answer, within a third of a lease: later, it would be of no use."""
        async with self._turn:
            try:
                async with asyncio.timeout(self.seconds / 3):
                    if self._connection is None or self._connection.is_closed():
                        limits = {"statement_timeout": _ms(self.seconds / 3), "lock_timeout": _ms(self.seconds / 12)}
                        self._connection = await self._connect(limits)
                    return await ask(self._connection)
            except BaseException as error:
                connection, self._connection = self._connection, None
                if connection is not None:
                    connection.terminate()
                if isinstance(error, TimeoutError | OSError):
                    raise LedgerUnreachable(f"leases: no answer ({type(error).__name__})") from None
                if isinstance(error, Exception) and not isinstance(error, LedgerError):
                    raise classified(error) from error
                raise


def _columns(fences: Collection[Fence]) -> tuple[list[str], list[int]]:
    return [fence.name for fence in fences], [fence.term for fence in fences]


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
