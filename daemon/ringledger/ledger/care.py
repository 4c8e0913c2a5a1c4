"""Data care: what is kept for how long, and what is taken out on request.

What must stay true: what has been taken out is nowhere in the file afterwards (``secure_delete``, and the write-ahead
log is emptied). Work goes in steps, so that the daemon's commits come through in between. Only finished calls are
touched. Every function takes an open, writing ledger; raises as ``Ledger.commit`` does.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, case, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.domain.call import Phase
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.mentions import SHORT, in_letter, in_observation, in_state
from ringledger.ledger.schema import (
    call,
    call_event,
    call_leg,
    call_source,
    call_state,
    call_transition,
    observation,
    outbox,
)

#: Calls or journal rows in one transaction.
STEP: Final = 500
JOURNAL_STEP: Final = 5_000
#: How far our clock, by which the journal is dated, may be off the platform's, by which calls are, ms.
CLOCKS_MS: Final = 60_000
#: What stands for the last four digits of a masked number.
MASK: Final = "xxxx"

_OF_A_CALL: Final = (call_leg, call_transition, call_event, call_source, call_state, outbox, call)
_Key = tuple[str, str]


async def purge_calls(ledger: Ledger, before_ms: int) -> int:
    """Delete calls that started before, with all that is known of them, and the journal before; how many calls. What is
    not over stays, and so does its journal.
    """
    purged = await _purge(ledger, call.c.started_at < before_ms)
    begun = select(func.min(call_state.c.started_at)).where(call_state.c.phase != Phase.FINISHED)
    async with ledger.transaction() as connection:
        oldest_open = (await connection.execute(begun)).scalar()
    await purge_journal(ledger, before_ms if oldest_open is None else min(before_ms, oldest_open - CLOCKS_MS))
    return purged


async def purge_journal(ledger: Ledger, before_ms: int) -> int:
    """Delete journal entries and observations received before; how many."""
    purged = 0
    for table in (call_event, observation):
        # Rows came in the order of time, so the oldest ids are looked at until one is young enough.
        oldest = select(table.c.id, table.c.received_at).order_by(table.c.id).limit(JOURNAL_STEP)
        while True:
            async with ledger.transaction() as connection:
                rows = (await connection.execute(oldest)).all()
                old = [row.id for row in rows if row.received_at < before_ms]
                if old:
                    expired = and_(table.c.id <= max(old), table.c.received_at < before_ms)
                    purged += (await connection.execute(delete(table).where(expired))).rowcount
            if len(old) < JOURNAL_STEP:
                break
    await ledger.checkpoint(truncate=True)
    return purged


class Erased(NamedTuple):
    """What was deleted of a number: calls, and events in the journal or on their way to a receiver. ``open``: how many
    calls with it are not over; they stay.
    """

    calls: int
    events: int
    open: int


async def purge_number(ledger: Ledger, number: str) -> Erased:
    """Delete every finished call with this number at any end, and every event of a call with it.

    ``number``: as the ledger keeps it, ``+`` or not (semantics 10). Raises ``ValueError`` when it is none.
    """
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{number!r} is no telephone number")
    of_a_leg = select(call_leg.c.account_id, call_leg.c.session_id).where(_names(call_leg, digits))
    by_leg = tuple_(call.c.account_id, call.c.session_id).in_(of_a_leg)
    purged = await _purge(ledger, or_(_names(call, digits), by_leg))
    events = await _purge_rows(ledger, observation, digits, lambda row: in_observation(row.kind, row.body, digits))
    events += await _purge_rows(ledger, outbox, digits, lambda row: in_letter(row.body, digits))
    going_on = select(call_state.c.state).where(
        call_state.c.phase != Phase.FINISHED, call_state.c.state.contains(digits, autoescape=True)
    )
    async with ledger.transaction() as connection:
        states = (await connection.execute(going_on)).scalars().all()
    await ledger.checkpoint(truncate=True)
    return Erased(purged, events, sum(in_state(state, digits) for state in states))


async def _purge_rows(ledger: Ledger, table: Table, digits: str, ours: Callable[[Any], bool]) -> int:
    """Delete rows whose ``body`` has the digits and that are ``ours``, step by step; how many."""
    last = purged = 0
    while True:
        some = select(table).where(table.c.id > last, table.c.body.contains(digits, autoescape=True))
        async with ledger.transaction() as connection:
            rows = (await connection.execute(some.order_by(table.c.id).limit(JOURNAL_STEP))).all()
            ids = [row.id for row in rows if ours(row)]
            await connection.execute(delete(table).where(table.c.id.in_(ids)))
        purged += len(ids)
        if len(rows) < JOURNAL_STEP:
            return purged
        last = rows[-1].id


async def mask_numbers(ledger: Ledger, before_ms: int) -> int:
    """Mask the last four digits and drop the names of calls that started before; how many. Observations before go."""
    masked = 0
    async with ledger.transaction() as connection:
        for table in (call, call_leg):
            readable = and_(table.c.started_at < before_ms, _readable(table))
            done = await connection.execute(update(table).where(readable).values(_masks(table)))
            masked += done.rowcount if table is call else 0
        remembered = and_(call_state.c.phase == Phase.FINISHED, call_state.c.started_at < before_ms)
        await connection.execute(delete(call_state).where(remembered))
        await connection.execute(delete(observation).where(observation.c.received_at < before_ms))
        await connection.execute(delete(outbox).where(outbox.c.gave_up_at < before_ms))
    await ledger.checkpoint(truncate=True)
    return masked


async def _purge(ledger: Ledger, condition: ColumnElement[bool]) -> int:
    """Delete calls step by step, each with its rows in one transaction."""
    some = select(call.c.account_id, call.c.session_id).where(condition).limit(STEP)
    purged = 0
    while True:
        async with ledger.transaction() as connection:
            keys = [(row.account_id, row.session_id) for row in await connection.execute(some)]
            await _delete(connection, keys)
        purged += len(keys)
        if len(keys) < STEP:
            await ledger.checkpoint(truncate=True)
            return purged


async def _delete(connection: AsyncConnection, keys: Collection[_Key]) -> None:
    accounts: dict[str, list[str]] = {}
    for account_id, session_id in keys:
        accounts.setdefault(account_id, []).append(session_id)
    for account_id, session_ids in accounts.items():
        for table in _OF_A_CALL:
            ours = and_(table.c.account_id == account_id, table.c.session_id.in_(session_ids))
            await connection.execute(delete(table).where(ours))


def _names(table: Table, digits: str) -> ColumnElement[bool]:
    same = [digits, f"+{digits}"]
    return or_(*(table.c[name].in_(same) for name in ("from_number", "to_number", "from_raw", "to_raw")))


def _readable(table: Table) -> ColumnElement[bool]:
    numbers = [
        and_(func.length(table.c[name]) > SHORT, table.c[name].not_like(f"%{MASK}"))
        for name in ("from_number", "to_number")
    ]
    rest = [table.c[name].is_not(None) for name in ("from_name", "to_name", "from_raw", "to_raw")]
    return or_(*numbers, *rest)


def _masks(table: Table) -> dict[str, Any]:
    masks: dict[str, Any] = dict.fromkeys(("from_name", "to_name", "from_raw", "to_raw"))
    for name in ("from_number", "to_number"):
        number = table.c[name]
        hidden = func.substr(number, 1, func.length(number) - len(MASK)).concat(MASK)
        masks[name] = case((func.length(number) > SHORT, hidden), else_=number)
    return masks
