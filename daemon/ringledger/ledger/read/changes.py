"""Finished calls in the order in which they were published: what live events are made of.

What must stay true: a reader that goes on from the position of the last answer misses no row published since.
"""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.ledger.errors import classified
from ringledger.ledger.read.queries import published_after
from ringledger.ledger.schema.tables import publication

Row = dict[str, Any]
#: Rows of one account in one answer.
MOST: Final = 1_000


async def newest_position(engine: AsyncEngine) -> str:
    """Where what is published from now on begins. Raises ``LedgerError``."""
    return _text(await _newest(engine))


async def changes_after(engine: AsyncEngine, position: str) -> tuple[list[tuple[Row, str]], str]:
    """Rows of `calls` published after the position, each with the position behind it, and where to ask on.

    Raises ``LedgerError`` and, for a text that is no position, ``ValueError``.
    """
    reached = _numbers(position)
    changes: list[tuple[Row, str]] = []
    for account_id, newest in (await _newest(engine)).items():
        if reached.get(account_id, 0) >= newest:
            reached[account_id] = newest  # an older copy has taken the database's place
            continue
        for row in await published_after(engine, account_id, reached.get(account_id, 0), limit=MOST):
            reached[account_id] = row.pop("publication")
            if row["part_of"] is None:
                changes.append((row, _text(reached)))
    return changes, _text(reached)


async def _newest(engine: AsyncEngine) -> dict[str, int]:
    question = select(publication.c.account_id, publication.c.number).order_by(publication.c.account_id)
    try:
        async with engine.connect() as connection:
            return {str(account_id): int(number) for account_id, number in await connection.execute(question)}
    except DBAPIError as error:
        raise classified(error) from error


def _text(numbers: dict[str, int]) -> str:
    """`1001=42,1002=7`; `0` before the first publication of all."""
    return ",".join(f"{account_id}={number}" for account_id, number in sorted(numbers.items())) or "0"


def _numbers(position: str) -> dict[str, int]:
    if position in {"", "0"}:
        return {}
    found: dict[str, int] = {}
    for part in position.split(","):
        account_id, equals, number = part.rpartition("=")
        if not (equals and account_id and number.isascii() and number.isdecimal() and len(number) < 19):
            raise ValueError(f"{position[:60]!r} is no position")
        found[account_id] = int(number)
    return found
