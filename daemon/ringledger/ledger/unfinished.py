"""The calls the ledger has heard of and not written yet: open ones and those that settle.

What must stay true: only the views' own tables are read, and a state is read for three of its fields alone, so that one
nobody can read whole does not hide the others.
"""

from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.ledger.errors import classified
from ringledger.ledger.schema import call_state


class _State(Struct):
    """What a call's state tells besides the columns."""

    telephony_session_id: str | None = None
    part_of: str | None = None


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


_decode = Decoder(_State).decode


async def unfinished(engine: AsyncEngine) -> list[Unfinished]:
    """All of them, oldest first. Raises ``LedgerError``."""
    try:
        async with engine.connect() as connection:
            return await unfinished_in(connection)
    except DBAPIError as error:
        raise classified(error) from error


async def unfinished_in(connection: AsyncConnection) -> list[Unfinished]:
    """The same within a transaction of the caller."""
    return [_of(tuple(row)) for row in await connection.execute(_QUESTION)]


def _of(row: tuple[Any, ...]) -> Unfinished:
    *known, started_at, state = row
    more = _decode(state)
    account_id, session_id, direction, from_number, to_number = known
    return Unfinished(
        account_id, session_id, more.telephony_session_id, direction, from_number, to_number, started_at,
        more.part_of,
    )  # fmt: skip


_STATE = call_state.c
_QUESTION: Select[Any] = (
    select(
        _STATE.account_id, _STATE.session_id, _STATE.direction, _STATE.from_number, _STATE.to_number,
        _STATE.started_at, _STATE.state,
    )
    .where(_STATE.remembered_until.is_(None))
    .order_by(_STATE.started_at)
)  # fmt: skip
