"""The calls the ledger has heard of and not written yet: open ones and those that settle.

What must stay true: no fact is read, so that an unreadable one does not hide the others.
"""

from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.ledger.errors import classified
from ringledger.ledger.schema.tables import live_call


class Unfinished(NamedTuple):
    """A call that goes on, or has ended so lately that its row is not written yet. ``started_at``: ms."""

    account_id: str
    session_id: str
    telephony_session_id: str | None
    direction: str | None
    from_number: str | None
    to_number: str | None
    started_at: int
    part_of: str | None


async def unfinished(engine: AsyncEngine) -> list[Unfinished]:
    """All of them, oldest first. Raises ``LedgerError``."""
    try:
        async with engine.connect() as connection:
            return await unfinished_in(connection)
    except DBAPIError as error:
        raise classified(error) from error


async def unfinished_in(connection: AsyncConnection) -> list[Unfinished]:
    """The same within a transaction of the caller."""
    return [Unfinished(*row) for row in await connection.execute(_QUESTION)]


_LIVE = live_call.c
_QUESTION: Select[Any] = select(
    _LIVE.account_id, _LIVE.session_id, _LIVE.telephony_session_id, _LIVE.direction, _LIVE.from_number,
    _LIVE.to_number, _LIVE.started_at, _LIVE.part_of,
).order_by(_LIVE.started_at)  # fmt: skip
