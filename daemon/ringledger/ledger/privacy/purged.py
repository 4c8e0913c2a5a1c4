"""Names of calls that were purged: what is said of them later is not taken, so that none comes back.

A call's names are its session, its telephony session and the ids of its records: the log may call it otherwise than
presence did (rule 7.2). What must stay true: nothing else is kept of such a call, and only for as long as anything
reads the platform's log by itself (``backfill.max_days``); the rows are written in the transaction that deletes the
call.
"""

from collections.abc import Collection, Iterable
from typing import Final

from sqlalchemy import and_, delete, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.observation import CallKey
from ringledger.durations import DAY_MS
from ringledger.ledger.errors import classified
from ringledger.ledger.schema import tables

#: How long a purged call is remembered, unless the back-fill reaches further back, days.
REMEMBERED_DAYS: Final = 7
_table: Final = tables.purged_call


async def purged_among(engine: AsyncEngine) -> set[CallKey]:
    """The names of calls that were purged a short while ago, for a reader. Raises ``LedgerError``."""
    try:
        async with engine.connect() as connection:
            return await _keys(connection)
    except DBAPIError as error:
        raise classified(error) from error


async def _keys(connection: AsyncConnection) -> set[CallKey]:
    rows = await connection.execute(select(_table.c.account_id, _table.c.session_id))
    return {CallKey(row.account_id, row.session_id) for row in rows}


class PurgedCalls:
    """The names, in memory too: each observation is compared with them. ``days``: how long they are remembered."""

    def __init__(self, days: int = REMEMBERED_DAYS) -> None:
        self._days = days
        self.keys: set[CallKey] = set()

    def has(self, account_id: str, names: Iterable[str]) -> bool:
        """Whether any of the names is that of a purged call."""
        return any((account_id, name) in self.keys for name in names)

    def __bool__(self) -> bool:
        return bool(self.keys)

    async def load(self, connection: AsyncConnection) -> None:
        """Read them all."""
        self.keys = await _keys(connection)

    def young(self, started_at: int, now_ms: int) -> bool:
        """Whether a call that began then may still be told of by what the daemon reads by itself."""
        return started_at >= now_ms - self._days * DAY_MS

    async def remember(self, connection: AsyncConnection, keys: Collection[CallKey], now_ms: int) -> None:
        """Write the names of calls that are being deleted."""
        for key in keys:
            same = and_(_table.c.account_id == key.account_id, _table.c.session_id == key.session_id)
            await connection.execute(delete(_table).where(same))
        if keys:
            rows = [{"account_id": key[0], "session_id": key[1], "purged_at": now_ms} for key in keys]
            await connection.execute(insert(_table), rows)

    async def forget(self, connection: AsyncConnection, now_ms: int) -> None:
        """Drop those that have been remembered long enough."""
        expired = _table.c.purged_at < now_ms - self._days * DAY_MS
        await connection.execute(delete(_table).where(expired))
        await self.load(connection)
