"""Data care: what is kept for how long, and what is taken out on request.

What must stay true: what has been taken out is nowhere in the file afterwards (``secure_delete``, and the write-ahead
log is emptied). Work goes in steps, so that the daemon's commits come through in between. Only finished calls are
touched. Every function takes an open, writing ledger; raises as ``Ledger.commit`` does.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, case, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.domain.call import Phase
from ringledger.ledger.ledger import Ledger
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
#: What stands for the last four digits of a masked number.
MASK: Final = "xxxx"
#: A number this short is an extension's: not masked.
SHORT: Final = 6

_OF_A_CALL: Final = (call_leg, call_transition, call_event, call_source, call_state, outbox, call)
_Key = tuple[str, str]


async def purge_calls(ledger: Ledger, before_ms: int) -> int:
    """Delete calls that started before, with all that is known of them, and the journal before; how many calls."""
    purged = await _purge(ledger, call.c.started_at < before_ms)
    await purge_journal(ledger, before_ms)
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


async def purge_number(ledger: Ledger, number: str) -> int:
    """Delete every finished call with this number at any end, and every observation that names it; how many calls.

    ``number``: E.164 with or without ``+`` (semantics 10). Raises ``ValueError`` when it has no digit.
    """
    digits = "".join(letter for letter in number if letter.isdecimal())
    if not digits:
        raise ValueError(f"{number!r} is no number")
    of_a_leg = select(call_leg.c.account_id, call_leg.c.session_id).where(_names(call_leg, digits))
    by_leg = tuple_(call.c.account_id, call.c.session_id).in_(of_a_leg)
    purged = await _purge(ledger, or_(_names(call, digits), by_leg))
    async with ledger.transaction() as connection:
        for table in (observation, outbox):
            await connection.execute(delete(table).where(_mentions(table.c.body, digits)))
    await ledger.checkpoint(truncate=True)
    return purged


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


def _mentions(body: ColumnElement[str], digits: str) -> ColumnElement[bool]:
    """Whether a number is in a journal's or a letter's JSON. Few digits are in every time and id: those of a short one
    count only where a number stands.
    """
    if len(digits) > SHORT:
        return body.contains(digits, autoescape=True)
    told = [shape % number for number in (digits, f"+{digits}") for shape in ('["%s",', ',"%s"]', '_number":"%s"')]
    return or_(*(body.contains(text, autoescape=True) for text in told))


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
