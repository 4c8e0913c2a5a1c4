"""What was put aside, as it is shown and tried again: the quarantine's entries, and what a restart knows of them.

What must stay true: nothing is changed here; what stands in the quarantine, and why, is decided by who writes it
(:mod:`~ringledger.ledger.write.quarantine`).
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, literal_column, select, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.domain.changes import QuarantineKind
from ringledger.ledger.errors import classified
from ringledger.ledger.schema import tables

Rows = list[dict[str, Any]]


async def entries(
    engine: AsyncEngine, ids: Collection[int] | None = None, *, limit: int | None = None, account_id: str | None = None
) -> Rows:
    """What was put aside, newest first, with the columns of the view ``quarantine``. Raises ``LedgerError``."""
    view: Select[Any] = select(literal_column("*")).select_from(table("quarantine"))
    view = view.order_by(literal_column("id").desc()).limit(limit)
    if account_id is not None:
        view = view.where(literal_column("account_id") == account_id)
    if ids is not None:
        view = view.where(literal_column("id").in_(list(ids)))
    try:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(view)).mappings()]
    except DBAPIError as error:
        raise classified(error) from error


async def records(engine: AsyncEngine, account_id: str) -> list[str]:
    """The texts of the records that were put aside, oldest first. Raises ``LedgerError``."""
    aside = tables.quarantined
    found = select(aside.c.body).where(aside.c.account_id == account_id, aside.c.kind == QuarantineKind.RECORD.value)
    try:
        async with engine.connect() as connection:
            return [row.body for row in await connection.execute(found.order_by(aside.c.id))]
    except DBAPIError as error:
        raise classified(error) from error
