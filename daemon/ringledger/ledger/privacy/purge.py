"""Data care: what is kept for how long, and what is taken out on request.

What must stay true: what has been taken out is nowhere in the file afterwards: what is deleted is overwritten
(``secure_delete``), and who asked for it calls ``Ledger.wipe`` when all is deleted. Work goes in steps, so that the
daemon's commits come through in between. Only finished calls are touched: of one that is live, or that the daemon has
in its hands just now, no fact goes, and of no other one goes alone, for half of the facts would tell another call.
Every function takes an open, writing ledger; raises as ``Ledger.commit`` does.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.matching import record_name
from ringledger.domain.observation import CallKey
from ringledger.ledger.database.base import Database
from ringledger.ledger.errors import classified
from ringledger.ledger.privacy.mentions import SHORT, in_fact, in_letter, in_text
from ringledger.ledger.privacy.purged import PurgedCalls
from ringledger.ledger.schema.calls import NUMBERS
from ringledger.ledger.schema.tables import (
    call,
    call_leg,
    call_source,
    call_transition,
    fact,
    live_call,
    outbox,
    quarantined,
)

#: Calls or journal rows in one transaction.
STEP: Final = 500
JOURNAL_STEP: Final = 5_000
#: How far our clock, by which the journal is dated, may be off the platform's, by which calls are, ms.
CLOCKS_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
#: How long a finished call's facts are needed: the sequence guard's hour (rule 2.5), or as long as a confirmation
#: is waited for.
GUARD_MS: Final = HOUR_MS
UNCONFIRMED_MS: Final = 25 * HOUR_MS
#: What stands for the last four digits of a masked number.
MASK: Final = "xxxx"

_OF_A_CALL: Final = (call_leg, call_transition, call_source, fact, outbox, call)


class OpenLedger(Protocol):
    """What data care needs of the ledger that is open for writing."""

    purged: PurgedCalls

    @property
    def lent(self) -> Mapping[CallKey, object]:
        """The calls that the tracker has in its hands."""

    @property
    def database(self) -> Database:
        """Tells which accounts are other processes'."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """The writer's turn: a transaction that commits at the end, or leaves nothing behind."""


async def purge_calls(ledger: OpenLedger, before_ms: int, *, now_ms: int, account_id: str | None = None) -> int:
    """Delete calls that started before, with all that is known of them, and the journal before; how many calls. What is
    not over stays, and so does its journal. ``now_ms``: our clock; ``account_id``: of one account alone.
    """
    purged = await _purge(ledger, and_(call.c.started_at < before_ms, _ours(ledger, call, account_id)), now_ms)
    async with ledger.transaction() as connection:
        open_since = select(func.min(live_call.c.started_at)).where(_ours(ledger, live_call, account_id))
        oldest_open = (await connection.execute(open_since)).scalar()
    before_ms = before_ms if oldest_open is None else min(before_ms, oldest_open - CLOCKS_MS)
    await purge_journal(ledger, before_ms, account_id=account_id)
    return purged


async def purge_journal(ledger: OpenLedger, before_ms: int, *, account_id: str | None = None) -> int:
    """Delete the facts of calls of which nothing was received since, and what was put aside before; how many rows."""
    purged = await retire(ledger, before_ms, account_id=account_id)
    async with ledger.transaction() as connection:
        old = delete(quarantined).where(quarantined.c.received_at < before_ms, _ours(ledger, quarantined, account_id))
        purged += (await connection.execute(old)).rowcount
    return purged


async def forget(ledger: OpenLedger, now_ms: int) -> int:
    """Where there is no journal: delete the facts of calls that have been over for the guard's hour; how many rows."""
    return await retire(ledger, now_ms - GUARD_MS, unconfirmed_before=now_ms - UNCONFIRMED_MS)


async def retire(
    ledger: OpenLedger, before_ms: int, *, unconfirmed_before: int | None = None, account_id: str | None = None
) -> int:
    """Delete the facts of finished calls that nothing was received of since ``before_ms``; return how many rows. From
    then on a summary of the call's rows stands for them (:mod:`~ringledger.ledger.read.restart`).
    ``unconfirmed_before``: calls that are not confirmed keep theirs, if they were written since then.
    """
    retired = last = 0
    while True:
        # Rows came in the order of time, so the oldest ids are looked at until one is young enough.
        oldest = select(fact.c.id, fact.c.account_id, fact.c.session_id, fact.c.received_at)
        oldest = oldest.where(fact.c.id > last, _ours(ledger, fact, account_id)).order_by(fact.c.id).limit(JOURNAL_STEP)
        async with ledger.transaction() as connection:
            rows = (await connection.execute(oldest)).all()
            old = [row for row in rows if row.received_at < before_ms]
            if not old:
                return retired
            last = old[-1].id
            nobodys = and_(
                fact.c.id <= last,
                fact.c.session_id.is_(None),
                fact.c.received_at < before_ms,
                _ours(ledger, fact, account_id),
            )
            retired += (await connection.execute(delete(fact).where(nobodys))).rowcount
            keys = {CallKey(row.account_id, row.session_id) for row in old if row.session_id is not None}
            kept = [fact.c.received_at >= before_ms]
            finished = _finished(ledger, keys) - await _among(connection, keys, select(fact), *kept)
            finished -= await _among(connection, finished, select(live_call))
            if unconfirmed_before is not None:
                young = call.c.confirmed_at.is_(None), call.c.updated_at >= unconfirmed_before
                finished -= await _among(connection, finished, select(call), *young)
            retired += await _delete(connection, finished, [fact])
        if len(old) < JOURNAL_STEP:
            return retired


async def forget_deleted(ledger: OpenLedger) -> int:
    """Delete the facts of calls whose rows were deleted by hand, so that they can be written again; return how many."""
    mine = and_(call.c.account_id == fact.c.account_id, call.c.session_id == fact.c.session_id)
    alive = and_(live_call.c.account_id == fact.c.account_id, live_call.c.session_id == fact.c.session_id)
    told = and_(fact.c.body.is_not(None), fact.c.session_id.is_not(None))
    rowless = and_(told, ~exists().where(mine), ~exists().where(alive), _ours(ledger, fact))
    async with ledger.transaction() as connection:
        return (await connection.execute(delete(fact).where(rowless))).rowcount


class Erased(NamedTuple):
    """What was deleted of a number: calls, and events in the journal or on their way to a receiver. ``open``: how many
    calls with it are not over; they stay.
    """

    calls: int
    events: int
    open: int


async def purge_number(ledger: OpenLedger, number: str, *, now_ms: int, account_id: str | None = None) -> Erased:
    """Delete every finished call with this number at any end, and every event of a call with it.

    ``number``: as the ledger keeps it, ``+`` or not (rule 10.5). ``now_ms``: our clock; ``account_id``: of one
    account alone. Raises ``ValueError`` when it is none.
    """
    digits = _digits_of(number)
    events, going_on = await _purge_facts(ledger, digits, account_id)
    purged = await _purge(ledger, and_(_with(digits), _ours(ledger, call, account_id)), now_ms)
    events += await _purge_rows(ledger, quarantined, digits, account_id, lambda row: in_text(row.body, digits))
    events += await _purge_rows(ledger, outbox, digits, account_id, lambda row: in_letter(row.body, digits))
    return Erased(purged, events, going_on)


async def _purge_facts(ledger: OpenLedger, digits: str, account_id: str | None) -> tuple[int, int]:
    """Delete the facts of finished calls one of which names the number; how many facts, and how many calls with it are
    not over.
    """
    last = purged = 0
    live: set[CallKey] = set()
    while True:
        named = and_(fact.c.body.contains(digits, autoescape=True), _ours(ledger, fact, account_id))
        some = select(fact).where(fact.c.id > last, named)
        async with ledger.transaction() as connection:
            rows = (await connection.execute(some.order_by(fact.c.id).limit(JOURNAL_STEP))).all()
            ours = [CallKey(row.account_id, row.session_id) for row in rows if in_fact(row, digits)]
            live |= await _among(connection, set(ours), select(live_call))
            purged += await _delete(connection, set(ours) - live, [fact])
        if len(rows) < JOURNAL_STEP:
            return purged, len(live)
        last = rows[-1].id


async def matching(engine: AsyncEngine, *, number: str | None, before_ms: int, account_id: str | None = None) -> int:
    """How many finished calls :func:`purge_number`, or :func:`purge_calls` without a number, would delete. Raises
    ``ValueError``, ``LedgerError``.
    """
    wanted = call.c.started_at < before_ms if number is None else _with(_digits_of(number))
    try:
        async with engine.connect() as connection:
            counted = select(func.count()).select_from(call).where(wanted, _of(call, account_id))
            return (await connection.execute(counted)).scalar_one()
    except DBAPIError as error:
        raise classified(error) from error


def _of(table: Table, account_id: str | None) -> ColumnElement[bool]:
    """Rows of one account, or of all."""
    return true() if account_id is None else table.c.account_id == account_id


def _ours(ledger: OpenLedger, table: Table, account_id: str | None = None) -> ColumnElement[bool]:
    """Rows of one account, or of all that no other process works for: it has calls of those in its hands."""
    return and_(_of(table, account_id), not_(ledger.database.held_elsewhere(table.c.account_id)))


def _digits_of(number: str) -> str:
    """The digits of a number in E.164 or a short one. Raises ``ValueError``."""
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{number!r} is no telephone number")
    return digits


def _with(digits: str) -> ColumnElement[bool]:
    """Calls with the number at an end of their own or of one of their legs."""
    of_a_leg = select(call_leg.c.account_id, call_leg.c.session_id).where(_names(call_leg, digits))
    return or_(_names(call, digits), tuple_(call.c.account_id, call.c.session_id).in_(of_a_leg))


async def _purge_rows(
    ledger: OpenLedger, table: Table, digits: str, account_id: str | None, ours: Callable[[Any], bool]
) -> int:
    """Delete rows whose ``body`` has the digits and that are ``ours``, step by step; how many."""
    last = purged = 0
    while True:
        named = and_(table.c.body.contains(digits, autoescape=True), _ours(ledger, table, account_id))
        some = select(table).where(table.c.id > last, named)
        async with ledger.transaction() as connection:
            rows = (await connection.execute(some.order_by(table.c.id).limit(JOURNAL_STEP))).all()
            ids = [row.id for row in rows if ours(row)]
            await connection.execute(delete(table).where(table.c.id.in_(ids)))
        purged += len(ids)
        if len(rows) < JOURNAL_STEP:
            return purged
        last = rows[-1].id


async def mask_numbers(ledger: OpenLedger, before_ms: int) -> int:
    """Mask the last four digits and drop the names of calls that started before; how many. Of their facts, and of those
    of no call, only what has no number stays; what was put aside before goes.
    """
    masked = 0
    async with ledger.transaction() as connection:
        for table in (call, call_leg):
            old = and_(table.c.started_at < before_ms, _ours(ledger, table))
            readable = and_(old, _readable(table), ~_is_live(table))
            done = await connection.execute(update(table).where(readable).values(_masks(table)))
            masked += done.rowcount if table is call else 0
        for kept, at in ((quarantined, quarantined.c.received_at), (outbox, outbox.c.gave_up_at)):
            await connection.execute(delete(kept).where(at < before_ms, _ours(ledger, kept)))
    await _strip(ledger, before_ms)
    return masked


async def _strip(ledger: OpenLedger, before_ms: int) -> None:
    """Leave of the facts of calls that started before, and of old ones of no call, what the journal shows."""
    mine = and_(call.c.account_id == fact.c.account_id, call.c.session_id == fact.c.session_id)
    started = select(call.c.started_at).where(mine).scalar_subquery()
    since = func.coalesce(started, fact.c.received_at)
    told = and_(fact.c.body.is_not(None), fact.c.session_id.is_not(None), since < before_ms, ~_is_live(fact))
    told = and_(told, _ours(ledger, fact))
    last = ("", "")
    columns = fact.c.account_id, fact.c.session_id
    while True:
        some = select(*columns).where(told, tuple_(*columns) > last).distinct().order_by(*columns).limit(STEP)
        async with ledger.transaction() as connection:
            keys = [CallKey(*row) for row in await connection.execute(some)]
            for account_id, session_ids in _by_account(_finished(ledger, keys)):
                ours = and_(fact.c.account_id == account_id, fact.c.session_id.in_(session_ids))
                await connection.execute(delete(fact).where(ours, fact.c.status.is_(None)))
                await connection.execute(update(fact).where(ours).values(body=None))
        if len(keys) < STEP:
            return
        last = keys[-1]


async def _purge(ledger: OpenLedger, condition: ColumnElement[bool], now_ms: int) -> int:
    """Delete calls step by step, each with its rows in one transaction; the names of young ones are remembered."""
    columns = call.c.account_id, call.c.session_id, call.c.started_at, call.c.telephony_session_id
    some = select(*columns).where(condition).limit(STEP)
    purged = 0
    while True:
        async with ledger.transaction() as connection:
            rows = (await connection.execute(some)).all()
            keys = [CallKey(row.account_id, row.session_id) for row in rows]
            live = await _among(connection, keys, select(live_call))
            over = zip(keys, rows, strict=True)
            young = {key: row.telephony_session_id for key, row in over
                     if key not in live and ledger.purged.young(row.started_at, now_ms)}  # fmt: skip
            names = await _names_of(connection, young)
            await _delete(connection, set(keys) - live, _OF_A_CALL)
            await _delete(connection, live, [call])  # alive again: its row is written anew when it ends
            await ledger.purged.remember(connection, names, now_ms)
        ledger.purged.keys.update(names)
        purged += len(keys)
        if len(keys) < STEP:
            return purged


async def _names_of(connection: AsyncConnection, calls: Mapping[CallKey, str | None]) -> set[CallKey]:
    """By what the platform may speak of these calls again: their sessions, telephony sessions and records.
    ``calls``: each with its telephony session.
    """
    found = set(calls) | {CallKey(key.account_id, name) for key, name in calls.items() if name}
    columns = call_source.c.account_id, call_source.c.record_id
    for account_id, session_ids in _by_account(calls):
        mine = and_(call_source.c.account_id == account_id, call_source.c.session_id.in_(session_ids))
        told = await connection.execute(select(*columns).where(mine, call_source.c.record_id != ""))
        found.update(CallKey(row.account_id, record_name(row.record_id)) for row in told)
    return found


async def _delete(connection: AsyncConnection, keys: Collection[CallKey], tables: Iterable[Table]) -> int:
    """Delete the rows of these calls; how many."""
    deleted = 0
    for account_id, session_ids in _by_account(keys):
        for table in tables:
            ours = and_(table.c.account_id == account_id, table.c.session_id.in_(session_ids))
            deleted += (await connection.execute(delete(table).where(ours))).rowcount
    return deleted


async def _among(
    connection: AsyncConnection, keys: Collection[CallKey], rows: Select[Any], *conditions: ColumnElement[bool]
) -> set[CallKey]:
    """Those of the calls that have such a row."""
    found: set[CallKey] = set()
    (table,) = rows.get_final_froms()
    for account_id, session_ids in _by_account(keys):
        ours = and_(table.c.account_id == account_id, table.c.session_id.in_(session_ids), *conditions)
        mine = select(table.c.account_id, table.c.session_id).where(ours).distinct()
        found.update(CallKey(*row) for row in await connection.execute(mine))
    return found


def _finished(ledger: OpenLedger, keys: Collection[CallKey]) -> set[CallKey]:
    """The calls without those that the daemon has in its hands: their facts may be added to any moment."""
    return set(keys) - ledger.lent.keys()


def _by_account(keys: Collection[CallKey]) -> Iterable[tuple[str, list[str]]]:
    accounts: dict[str, list[str]] = {}
    for account_id, session_id in keys:
        accounts.setdefault(account_id, []).append(session_id)
    return accounts.items()


def _is_live(table: Table) -> ColumnElement[bool]:
    return exists().where(live_call.c.account_id == table.c.account_id, live_call.c.session_id == table.c.session_id)


def _numbers(table: Table) -> list[str]:
    return [name for name in NUMBERS if name in table.c]


def _names(table: Table, digits: str) -> ColumnElement[bool]:
    same = [digits, f"+{digits}"]
    return or_(*(table.c[name].in_(same) for name in (*_numbers(table), "from_raw", "to_raw")))


def _readable(table: Table) -> ColumnElement[bool]:
    numbers = [and_(func.length(table.c[name]) > SHORT, table.c[name].not_like(f"%{MASK}")) for name in _numbers(table)]
    rest = [table.c[name].is_not(None) for name in ("from_name", "to_name", "from_raw", "to_raw")]
    return or_(*numbers, *rest)


def _masks(table: Table) -> dict[str, Any]:
    masks: dict[str, Any] = dict.fromkeys(("from_name", "to_name", "from_raw", "to_raw"))
    for name in _numbers(table):
        number = table.c[name]
        hidden = func.substr(number, 1, func.length(number) - len(MASK)).concat(MASK)
        masks[name] = case((func.length(number) > SHORT, hidden), else_=number)
    return masks
