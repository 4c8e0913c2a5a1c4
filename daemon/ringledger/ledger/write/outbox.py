"""The outbox: what has been committed and not been accepted by its receiver yet.

What must stay true: a letter is written in the transaction of the change it tells, so neither is there without the
other; of a call's letters to one receiver only the first is ever a head; nothing in a row is a secret (a receiver is
a digest of its address). A row leaves by being accepted, by `forget_dead`, or with its call.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.ledger.errors import classified
from ringledger.ledger.schema.tables import outbox
from ringledger.ledger.times import to_text, to_text_or_none
from ringledger.ledger.write.store import Ledger

Rows = list[dict[str, Any]]

#: Why a letter is given up whose receiver is in no configuration any longer.
UNKNOWN_RECEIVER: Final = "no such receiver in the configuration"


class Head(NamedTuple):
    """The first letter of a call to a receiver: what may be sent now. ``since``: ms."""

    id: int
    account_id: str
    session_id: str
    event_id: str
    event: str
    body: str
    since: int
    attempts: int


_HEAD: Final = [outbox.c[name] for name in Head._fields]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt. ``error``: what went wrong, ``None``: accepted; ``final``: it was the last one."""

    id: int
    event_id: str
    error: str | None = None
    final: bool = False


class ReceiverBacklog(NamedTuple):
    """What the outbox holds for a receiver: letters that wait, letters given up, the commit of the oldest that waits
    (ms)."""

    receiver: str
    waiting: int
    dead: int
    oldest: int | None


async def backlogs(ledger: Ledger) -> list[ReceiverBacklog]:
    """One for each receiver that has letters. Raises as reads do."""
    waits = outbox.c.gave_up_at.is_(None)
    wanted = select(
        outbox.c.receiver,
        func.count().filter(waits),
        func.count().filter(~waits),
        func.min(outbox.c.since).filter(waits),
    )
    wanted = wanted.where(ledger.database.held_here(outbox.c.account_id)).group_by(outbox.c.receiver)
    async with _reading(ledger.reader) as connection:
        return [ReceiverBacklog(*row) for row in await connection.execute(wanted)]


async def heads(ledger: Ledger, receiver: str, limit: int, *, after: int = 0) -> list[Head]:
    """What may be sent to the receiver, oldest first: of each call of an account that is this process's the first
    letter that is not given up. ``after``: only letters with a greater id.
    """
    former = outbox.alias()
    blocked = exists().where(
        former.c.receiver == outbox.c.receiver,
        former.c.account_id == outbox.c.account_id,
        former.c.session_id == outbox.c.session_id,
        former.c.id < outbox.c.id,
        former.c.gave_up_at.is_(None),
    )
    # An expression has no index: rows are gone through in the order of their ids, not all of them sorted each time.
    theirs = outbox.c.receiver.concat("") == receiver
    wanted = (
        select(*_HEAD)
        .where(theirs, outbox.c.gave_up_at.is_(None), outbox.c.id > after, ~blocked)
        .where(ledger.database.held_here(outbox.c.account_id))
        .order_by(outbox.c.id)
        .limit(limit)
    )
    async with _reading(ledger.reader) as connection:
        return [Head(*row) for row in await connection.execute(wanted)]


async def newest(ledger: Ledger) -> int:
    """The greatest id there is, of any receiver's letters; 0: there are none. Raises as reads do."""
    async with _reading(ledger.reader) as connection:
        return (await connection.execute(select(func.max(outbox.c.id)))).scalar() or 0


async def heads_of(ledger: Ledger, receiver: str, calls: Collection[tuple[str, str]]) -> list[Head]:
    """The same of these calls alone (account and session)."""
    theirs = tuple_(outbox.c.account_id, outbox.c.session_id).in_(list(calls))
    first = (
        select(func.min(outbox.c.id))
        .where(outbox.c.receiver == receiver, theirs, outbox.c.gave_up_at.is_(None))
        .where(ledger.database.held_here(outbox.c.account_id))
        .group_by(outbox.c.account_id, outbox.c.session_id)
    )
    wanted = select(*_HEAD).where(outbox.c.id.in_(first)).order_by(outbox.c.id)
    async with _reading(ledger.reader) as connection:
        return [Head(*row) for row in await connection.execute(wanted)]


async def settle(ledger: Ledger, outcomes: Iterable[Outcome], *, now_ms: int) -> None:
    """Write down what became of attempts, in one transaction. Raises as ``Ledger.commit`` does."""
    # Numbers of deleted rows are given again: a row is told by its event too.
    this = and_(outbox.c.id == bindparam("which"), outbox.c.event_id == bindparam("of_event"))
    accepted: Rows = []
    failed: Rows = []
    for one in outcomes:
        row = {"which": one.id, "of_event": one.event_id}
        if one.error is None:
            accepted.append(row)
        else:
            failed.append(row | {"error": one.error, "at": now_ms if one.final else None})
    tried = {"attempts": outbox.c.attempts + 1, "last_error": bindparam("error"), "gave_up_at": bindparam("at")}
    async with ledger.transaction() as connection:
        if accepted:
            await connection.execute(delete(outbox).where(this), accepted)
        if failed:
            await connection.execute(update(outbox).where(this).values(tried), failed)


async def retry(ledger: Ledger, ids: Collection[int] | None, *, now_ms: int) -> int:
    """Let dead letters be tried again, as if they were new; ``None``: all of them. Returns how many."""
    dead = outbox.c.gave_up_at.is_not(None)
    chosen = dead if ids is None else and_(dead, outbox.c.id.in_(list(ids)))
    async with ledger.transaction() as connection:
        again = update(outbox).where(chosen).values(gave_up_at=None, attempts=0, since=now_ms)
        return (await connection.execute(again)).rowcount


async def give_up_strangers(ledger: Ledger, receivers: Collection[str], *, now_ms: int) -> int:
    """Give up what waits for receivers that are not among these; returns how many letters."""
    strange = and_(outbox.c.gave_up_at.is_(None), outbox.c.receiver.not_in(list(receivers)))
    async with _reading(ledger.reader) as connection:
        if (await connection.execute(select(outbox.c.id).where(strange).limit(1))).first() is None:
            return 0
    async with ledger.transaction() as connection:
        give_up = update(outbox).where(strange).values(gave_up_at=now_ms, last_error=UNKNOWN_RECEIVER)
        return (await connection.execute(give_up)).rowcount


async def forget_dead(ledger: Ledger, before_ms: int) -> int:
    """Delete letters that were given up before; returns how many."""
    old = outbox.c.gave_up_at < before_ms
    async with _reading(ledger.reader) as connection:
        if (await connection.execute(select(outbox.c.id).where(old).limit(1))).first() is None:
            return 0
    async with ledger.transaction() as connection:
        return (await connection.execute(delete(outbox).where(old))).rowcount


async def letters(engine: AsyncEngine, *, dead: bool = False, limit: int | None = None) -> Rows:
    """What waits and what was given up (``dead``: only that), oldest first, at most ``limit``; without the bodies.
    Times are text."""
    shown = [column for column in outbox.columns if column.name != "body"]
    wanted = select(*shown).order_by(outbox.c.id).limit(limit)
    if dead:
        wanted = wanted.where(outbox.c.gave_up_at.is_not(None))
    async with _reading(engine) as connection:
        rows = (await connection.execute(wanted)).mappings().all()
    texts: Rows = []
    for row in rows:
        times = {"since": to_text(row["since"]), "gave_up_at": to_text_or_none(row["gave_up_at"])}
        texts.append({**row, **times})
    return texts


@asynccontextmanager
async def _reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        async with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise classified(error) from error
