"""The ledger: one writer, one transaction per batch, and what a restart needs to go on.

What must stay true: the effects of a batch and the feed position it brought us to are committed together or not at
all (rule 9.1); a commit that failed left nothing behind and may be repeated with the same changes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import URL, ColumnElement, RowMapping, Select, Table, func, insert, select, tuple_
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.call import CallRecord
from ringledger.domain.changes import Changes
from ringledger.domain.coverage import CoverageSpan
from ringledger.domain.facts import Fact, Ignored, Inventory, Summary
from ringledger.domain.lease import Fence
from ringledger.domain.matching import Ends
from ringledger.domain.observation import CallKey, FeedPosition, RecordClaim
from ringledger.domain.tracked import SavedCall
from ringledger.domain.tracker import REMEMBER_READS_MS
from ringledger.ledger.database.base import Database, database_of
from ringledger.ledger.errors import (
    REFUSALS,
    LeaseLost,
    LedgerBroken,
    LedgerError,
    LedgerRefused,
    LedgerUnheard,
    LedgerUnreachable,
    classified,
)
from ringledger.ledger.file.identity import Place
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.sqlite import BUSY_TIMEOUT_MS
from ringledger.ledger.privacy.purged import REMEMBERED_DAYS, PurgedCalls
from ringledger.ledger.read import aliases
from ringledger.ledger.read.facts import FactRow, facts_of
from ringledger.ledger.read.restart import (
    OpenState,
    UnconfirmedCall,
    by_key,
    call_of,
    extension_of,
    position_of,
    record_of,
    span_of,
    summary_of,
)
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.statements import Statements, compiled
from ringledger.ledger.schema.types import UtcText
from ringledger.ledger.times import to_text
from ringledger.ledger.write.encode import Batch, StoredState, batch_of, fact_rows, merged
from ringledger.ledger.write.letters import Letter, letter_batch

T = TypeVar("T")

#: How long the last checkpoint waits for readers: they may be at it for ever, and the next start does it as well.
CLOSING_PATIENCE_MS = 500
#: A server that does not answer is asked again after so long, and after twice as long each time; seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
#: Pages that are emptied in one turn of the writer's: some tens of milliseconds.
PAGES: Final = 1_000
#: A transaction of several accounts' commits takes no further one when it has so many rows.
GROUP_ROWS: Final = 5_000
#: Keys asked for in one SELECT.
CHUNK = 500
#: Questions at a time: as many connections are kept for them. The others wait for their turn, however long that takes:
#: a pool would open connections for a moment and refuse who has waited half a minute.
QUESTIONS: Final = 2


def _patient(ask: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """A query of the writer's own process, repeated while its server does not answer: the caller cannot go on without
    the answer, and what comes meanwhile waits for it."""

    @wraps(ask)
    async def asking(self: "Ledger", *values: Any) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return await ask(self, *values)
            except LedgerUnreachable:
                if self._engine is None:
                    raise
                self._tell_unanswered()
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    return asking


@dataclass(slots=True, eq=False)
class _Commit:
    """A commit that waits for its turn, with what it is of (:meth:`Ledger.outcome_unknown`)."""

    batch: Batch
    fence: Fence | None
    changes: Changes
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Shared:
    """What every view of an open ledger has in common and changes (:meth:`Ledger.under`). ``committing``: makes the
    commits that wait, while there are some; ``questions``: turns of those who read."""

    connection: AsyncConnection | None = None
    waiting: list[_Commit] = field(default_factory=list)
    committing: asyncio.Task[None] | None = None
    letters_of: Callable[[Changes, int], Sequence[Letter]] | None = None
    questions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUESTIONS))


class Ledger:
    """An open database whose schema is the program's. Made by :meth:`open`; readers are separate connections."""

    def __init__(
        self,
        database: Database,
        reader: AsyncEngine,
        writer: AsyncEngine | None,
        lock: DaemonLock | None,
        *,
        purged_days: int = REMEMBERED_DAYS,
    ) -> None:
        self.database = database
        self.reader = reader
        #: What proves that this process works for the account all of this is of; ``None``: nothing needs to.
        self.fence: Fence | None = None
        self._engine = writer
        self._lock = lock
        #: While the database is open, root acts as the one whose directory it lies in.
        self._acting = ExitStack()
        self._turn = asyncio.Lock()
        self._shared = _Shared()
        #: Changes whose commit had no answer, by identity, and whether it was made, as far as known.
        self._without_answer: dict[int, tuple[Changes, bool | None]] = {}
        #: Where the writer's files are; ``None``: nothing is written, or not to files.
        self.place: Place | None = None
        #: Calls that were deleted on purpose and are not to come back.
        self.purged = PurgedCalls(purged_days)
        #: What the tables hold of live calls, as of the last commit.
        self._written = StoredState()
        #: Calls that were given back to the tracker and are still in its hands: their facts are not retired. One whose
        #: facts were not kept any longer has its summary here, which is written before its next fact.
        self.lent: dict[CallKey, Summary | None] = {}
        self._tell_unanswered: Callable[[], None] = lambda: None

    def fill_outbox_with(self, make: Callable[[Changes, int], Sequence[Letter]] | None) -> None:
        """From now on write the letters that ``make`` returns for a batch in its transaction. It is called with
        the changes and our clock, ms; ``None``: there are no receivers.
        """
        self._shared.letters_of = make

    def when_unanswered(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` each time a query waits because the server does not answer."""
        self._tell_unanswered = tell

    @property
    def _connection(self) -> AsyncConnection | None:
        return self._shared.connection

    @_connection.setter
    def _connection(self, connection: AsyncConnection | None) -> None:
        self._shared.connection = connection

    async def under(self, fence: Fence, account_id: str) -> Self:
        """The same ledger, for an account whose lease was taken just now: every transaction proves it. What is
        remembered of the account is that of an earlier holder, and is read anew. Raises ``LedgerUnavailable``.
        """
        view = copy(self)
        view.fence = fence
        view.when_unanswered(lambda: None)
        await view.renew(account_id)
        return view

    @_patient
    async def renew(self, account_id: str) -> None:
        """Forget what is remembered of an account, and read what every commit of its needs."""
        newest = tables.publication
        async with self._reading() as connection:
            mine = select(newest.c.number).where(newest.c.account_id == account_id)
            number: int = (await connection.execute(mine)).scalar() or 0
            await self.purged.load(connection)
        self._written.forget_account(account_id)
        self._written.numbers[account_id] = number
        self.take_back([key for key in self.lent if key.account_id == account_id])

    @cached_property
    def _statements(self) -> Statements:
        """A command that reads needs none of them."""
        return compiled(self.reader.dialect)

    @classmethod
    async def open(
        cls,
        url: str | URL,
        *,
        read_only: bool = False,
        shared: bool = False,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        purged_days: int = REMEMBERED_DAYS,
    ) -> Self:
        """Open a database that :func:`~ringledger.ledger.schema.migrate.upgrade` has prepared. ``shared``: beside other
        daemons, where the database has leases (:meth:`under`). ``purged_days``: how long a purged call is remembered.

        Raises ``DatabaseMissing``, ``DatabaseForeign``, ``DatabaseOutdated``, ``DatabaseNewer``, ``LedgerLocked``
        (another daemon writes), ``LedgerUnavailable``.
        """
        database = database_of(url)
        with ExitStack() as acting:
            acting.enter_context(database.acting())
            reader = database.reader(connections=QUESTIONS)
            lock = None if read_only else database.lock()
            writer = None if read_only else database.writer(busy_timeout_ms=busy_timeout_ms)
            ledger = cls(database, reader, writer, lock, purged_days=purged_days)
            ledger._acting = acting.pop_all()
        try:
            await database.check_version(reader, writing=not read_only)
            if ledger._engine is not None:
                async with _translated():
                    ledger._connection = await ledger._engine.connect()
                    await database.hold(ledger._connection, shared=shared)
                    await ledger.purged.load(ledger._connection)
                    await ledger._connection.rollback()  # ends what the SELECT began
                ledger._written.numbers = await ledger._newest_publications()
                ledger.place = database.place()
        except BaseException:
            with suppress(LedgerError):  # a question that failed may still be open: what it failed with is told
                await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """Empty the write-ahead log into the database and let go of everything. Closing twice is harmless."""
        connection, self._connection = self._connection, None
        committing = self._shared.committing
        try:
            if committing is not None and not committing.done():
                committing.cancel()
                await asyncio.wait({committing})
            await self.database.let_go()  # before the checkpoint, which waits for readers
            async with AsyncExitStack() as ends:
                # Last, and read-only: a connection that cannot write leaves the -wal and -shm files where they are, and
                # with them those who may only read can go on reading (Python 3.11 has no switch for that).
                ends.push_async_callback(self.reader.dispose)
                if self._engine is not None:
                    ends.push_async_callback(self._engine.dispose)
                if connection is not None:
                    ends.push_async_callback(connection.close)
                    async with _translated():
                        await self.database.tidy(connection, thorough=True, patience_ms=CLOSING_PATIENCE_MS)
        finally:
            self.database.release()
            if self._lock is not None:
                self._lock.release()
            self._acting.close()

    async def commit(
        self,
        changes: Changes,
        position: FeedPosition | None = None,
        *,
        now_ms: int,
        coverage: Iterable[CoverageSpan] = (),
        grouped: bool = False,
    ) -> None:
        """Write everything in one transaction. ``now_ms``: our clock, the rows' ``updated_at``; ``grouped``: together
        with what other accounts' writers have for it, each of which makes one commit at a time.

        What is written is read from the arguments before the first await; they may change afterwards. Raises
        ``LedgerUnavailable`` (nothing was written; the same changes may be committed again), ``LedgerRefused`` (nothing
        was written, for a value among them cannot be stored) or ``LedgerBroken``.
        """
        if self.outcome_unknown(changes) and await self._was_committed(changes):
            self.note(changes)
            return
        batch = self.batch_of(changes, position, now_ms=now_ms, coverage=coverage)
        if batch:
            if grouped:
                await self._write_grouped(batch, changes)
            else:
                try:
                    await self.write(batch)
                except LedgerUnheard:
                    self._without_answer[id(changes)] = changes, None
                    raise
            self.note(changes)

    def outcome_unknown(self, changes: Changes) -> bool:
        """Whether the answer to these changes' commit was lost: they, and nothing else, are to be committed again."""
        return id(changes) in self._without_answer

    async def _was_committed(self, changes: Changes) -> bool:
        """Whether the commit whose answer was lost was made. Raises ``LedgerUnavailable`` while that is unknown."""
        async with self._turn:
            await self._connected()
            return bool(self._without_answer.pop(id(changes))[1])

    def batch_of(
        self,
        changes: Changes,
        position: FeedPosition | None = None,
        *,
        now_ms: int,
        coverage: Iterable[CoverageSpan] = (),
    ) -> Batch:
        """What :meth:`commit` writes. Raises ``LedgerRefused`` for a value that no row can hold."""
        try:
            batch = batch_of(self._statements, self._written, changes, position, coverage, now_ms=now_ms)
            if self.lent and (summaries := self._unsaved(changes)):
                now = to_text(now_ms)
                rows = [row for key, summary in summaries.items() for row in fact_rows(key, summary, now)]
                batch.insert(0, (self._statements.fact, rows))
            if (letters_of := self._shared.letters_of) is not None and changes.announcements:
                batch[:0] = letter_batch(self._statements, letters_of(changes, now_ms), now_ms)
        except REFUSALS as error:
            raise classified(error) from error
        return batch

    def note(self, changes: Changes) -> None:
        """These changes are committed."""
        self._written.note(changes)
        for key in self._unsaved(changes):
            self.lent[key] = None

    def forget_written(self, keys: Iterable[CallKey]) -> None:
        """What the tables hold of these calls is not known: they are written whole the next time."""
        for key in keys:
            self._written.forget(key)

    def _unsaved(self, changes: Changes) -> dict[CallKey, Summary]:
        """The summaries of calls that get their first facts since their old ones were retired."""
        told = {key for key, _ in changes.facts} & self.lent.keys()
        return {key: summary for key in told if (summary := self.lent[key]) is not None}

    def take_back(self, keys: Iterable[CallKey]) -> None:
        """The tracker has let go of these calls."""
        for key in keys:
            self.lent.pop(key, None)

    async def write(self, batch: Batch) -> None:
        """Execute a batch in one transaction, as :meth:`commit` does, whose second half this is."""
        async with self._turn:
            await self.database.commit_batch(await self._connected(), batch, self._fences)
            self.database.note_commit()

    async def _write_grouped(self, batch: Batch, changes: Changes) -> None:
        """As :meth:`write`, together with all that waits. The transaction belongs to no single caller: one that is
        cancelled takes nothing from the others."""
        shared = self._shared
        mine = _Commit(batch, self.fence, changes, asyncio.get_running_loop().create_future())
        shared.waiting.append(mine)
        if shared.committing is None or shared.committing.done():
            shared.committing = asyncio.ensure_future(self._commit_waiting())
        await mine.done

    async def _commit_waiting(self) -> None:
        while self._shared.waiting:
            async with self._turn:
                if group := self._next_group():
                    await self._commit_group(group)

    def _next_group(self) -> list[_Commit]:
        """Those that are next, up to so many rows."""
        waiting, group, rows = self._shared.waiting, list[_Commit](), 0
        while waiting and rows < GROUP_ROWS:
            one = waiting.pop(0)
            if not one.done.done():
                group.append(one)
                rows += sum(len(of_one) for _, of_one in one.batch)
        return group

    async def _commit_group(self, group: list[_Commit]) -> None:
        """One transaction; where one commit's value or lease is at fault, the others without it."""
        fences = {one.fence for one in group if one.fence is not None}
        try:
            await self.database.commit_batch(await self._connected(), merged([one.batch for one in group]), fences)
            self.database.note_commit()
        except LedgerRefused as error:
            if len(group) == 1:
                _end(group, error)
            else:
                for one in group:
                    await self._commit_group([one])
        except LeaseLost as error:
            lost = [one for one in group if one.fence is not None and one.fence.name in error.names] or group
            _end(lost, error)
            if rest := [one for one in group if one not in lost]:
                await self._commit_group(rest)
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            if isinstance(error, LedgerUnheard):
                self._without_answer |= {id(one.changes): (one.changes, None) for one in group}
            _end(group, error)
        except BaseException:
            for one in group:
                one.done.cancel()
            raise
        else:
            _end(group, None)

    @property
    def _fences(self) -> tuple[Fence, ...]:
        return () if self.fence is None else (self.fence,)

    async def prove(self) -> None:
        """Return when the database takes a transaction of ours. Raises as :meth:`commit` does."""
        async with self.transaction():
            pass

    async def forget_purged(self, now_ms: int) -> None:
        """Drop the sessions of calls that were purged long ago."""
        if self.purged:
            async with self.transaction() as connection:
                await self.purged.forget(connection, now_ms)

    async def name_account(self, name: str, account_id: str, now_ms: int) -> str:
        """What the name stands for: this account from now on, unless it stands for another one already. Raises as
        :meth:`commit` does."""
        known = select(tables.account.c.account_id).where(tables.account.c.name == name)
        async with self._reading() as connection:
            found: str | None = (await connection.execute(known)).scalar()
        if found is None:
            async with self.transaction() as connection:
                row = {"name": name, "account_id": account_id, "seen_at": now_ms}
                await connection.execute(insert(tables.account).values(row))
        return found or account_id

    async def checkpoint(self, *, truncate: bool = False) -> None:
        """Move the write-ahead log into the database: as far as readers allow, or all of it and empty the file."""
        async with self._turn, _translated():
            await self.database.tidy(await self._connected(), thorough=truncate)

    async def wipe(self) -> bool:
        """After a purge: take what was deleted out of the unused room of the file's pages. Whether nothing of it is
        left in the file and its write-ahead log. Raises as :meth:`commit` does.
        """
        await self.checkpoint(truncate=True)
        pages = await self.database.pages_to_empty()
        for first in range(0, max(1, len(pages)), PAGES):
            async with self._turn, _translated():
                if not await self.database.empty(await self._connected(), pages[first : first + PAGES]):
                    return False
        return True

    async def save(self, target: Path) -> None:
        """Copy the open database to ``target``, whatever has become of its own name. Raises ``LedgerError``."""
        connection, mode = await self._connected(), self.place.mode if self.place else 0o640
        async with self._turn:
            await self.database.save(connection, target, mode)

    @_patient
    async def load_open(self, account_id: str) -> OpenState:
        """Open and settling calls, extensions, inventories and feed positions, as of the last commit; the finished
        calls that may be the other half of an open one with it.
        """
        live, extension, position = tables.live_call, tables.extension, tables.feed_position
        async with self._reading() as connection:
            wanted = select(live.c.session_id).where(live.c.account_id == account_id)
            open_ones = (await connection.execute(wanted)).scalars().all()
            halves = await aliases.halves_of_open(connection, account_id)
            newest_start = await aliases.newest_start(connection, account_id)
            inventories = await _inventories(connection, account_id)
            extensions = await _rows(connection, select(extension).where(extension.c.account_id == account_id))
            mine = select(position).where(position.c.account_id == account_id)
            positions = await _rows(connection, mine.order_by(position.c.at))
        return OpenState(
            sessions=await self.load_sessions([CallKey(account_id, session_id) for session_id in open_ones]),
            halves=await self.load_sessions([CallKey(account_id, session_id) for session_id in sorted(halves)]),
            extensions=[extension_of(row) for row in extensions],
            inventories=inventories,
            positions={row["feed"]: position_of(row) for row in positions},
            newest_start=newest_start,
        )

    @_patient
    async def load_sessions(self, keys: Collection[CallKey]) -> list[SavedCall]:
        """The ledger's calls of these sessions and telephony sessions: their facts, else the summary of their rows;
        unknown ones are absent. With one half of a RingOut comes the other: a pair is judged with both. With a call
        that a record of another session was matched with comes the call of that session, if there is one by now: the
        record is its own.
        """
        found: list[SavedCall] = []
        for account_id, asked in _chunks(keys):
            session_ids = await self._known(account_id, asked)
            if session_ids:
                async with self._reading() as connection:
                    mine = await self._saved(connection, account_id, session_ids)
                    others = await aliases.other_halves(connection, mine) | aliases.sessions_of_records(mine)
                    found += mine + (await self._saved(connection, account_id, sorted(others)) if others else [])
        return found

    async def _saved(self, connection: AsyncConnection, account_id: str, session_ids: list[str]) -> list[SavedCall]:
        fact, call, live = tables.fact, tables.call, tables.live_call
        told = await _rows(connection, _all(fact, account_id, session_ids, fact.c.id))
        published = {row["session_id"]: row for row in await _rows(connection, _all(call, account_id, session_ids))}
        alive = {row["session_id"] for row in await _rows(connection, _all(live, account_id, session_ids))}
        facts: dict[CallKey, list[Fact]] = {}
        for key, one in facts_of(FactRow(**row) for row in told):
            facts.setdefault(key, []).append(one)
        retired = [one for one in published if all(type(fact) is Ignored for fact in _of(facts, account_id, one))]
        summaries = await _summaries(connection, account_id, [published[one] for one in retired])
        found: list[SavedCall] = []
        for session_id in dict.fromkeys([*published, *(key.session_id for key in facts)]):
            key, row = CallKey(account_id, session_id), published.get(session_id)
            base = summaries.get(key)
            if row is None and all(type(one) is Ignored for one in facts.get(key, ())):
                continue  # the journal names it, and that is all
            self.lent.setdefault(key, base)
            record = None if row is None else record_of(row)
            all_facts = [*([] if base is None else [base]), *facts.get(key, ())]
            found.append(call_of(key, all_facts, record, live=session_id in alive))
        return found

    async def recorded(self, since_ms: int = 0) -> AsyncIterator[list[SavedCall]]:
        """Every call of which a fact is kept that came since then, with all its facts, as if its row were not written
        yet; so many at once (for ``replay --journal``).
        """
        fact, last = tables.fact, ("", "")
        columns = fact.c.account_id, fact.c.session_id
        told = (fact.c.received_at >= since_ms) & fact.c.body.is_not(None) & fact.c.session_id.is_not(None)
        while True:
            some = select(*columns).where(told, tuple_(*columns) > last).distinct().order_by(*columns)
            async with self._reading() as connection:
                keys = [CallKey(*row) for row in await connection.execute(some.limit(CHUNK))]
                calls: list[SavedCall] = []
                for account_id, session_ids in _chunks(keys):
                    rows = await _rows(connection, _all(fact, account_id, session_ids, fact.c.id))
                    facts: dict[CallKey, list[Fact]] = {}
                    for one, recorded in facts_of(FactRow(**row) for row in rows):
                        facts.setdefault(one, []).append(recorded)
                    calls += [call_of(one, told_of, None, live=True) for one, told_of in facts.items()]
            if calls:
                yield calls
            if len(keys) < CHUNK:
                return
            last = keys[-1]

    async def _known(self, account_id: str, names: list[str]) -> list[str]:
        async with _translated():
            return await self.database.known(self.reader, account_id, names)

    @_patient
    async def known_as(self, claims: Collection[RecordClaim]) -> set[CallKey]:
        """Calls of other sessions that these records may mean or complete (:mod:`~ringledger.ledger.read.aliases`)."""
        async with self._reading() as connection:
            return await aliases.known_as(connection, claims)

    @_patient
    async def halves_of(self, claims: Collection[RecordClaim]) -> set[CallKey]:
        """Finished calls that may be the other half of a RingOut these records tell of."""
        async with self._reading() as connection:
            return await aliases.halves_of(connection, claims)

    @_patient
    async def halves_of_finished(self, rows: Collection[CallRecord]) -> set[CallKey]:
        """Finished calls that may be the other half of a RingOut of these."""
        async with self._reading() as connection:
            return await aliases.halves_of_finished(connection, rows)

    @_patient
    async def beside(self, ends: Collection[Ends]) -> set[CallKey]:
        """Finished calls that may have to do with those found by these numbers and starts (rules 7.2, 7.9)."""
        async with self._reading() as connection:
            return await aliases.beside(connection, ends)

    @_patient
    async def names_among(self, account_id: str, names: Collection[str]) -> set[str]:
        """Those of the names that are the session or the telephony session of a call of the ledger."""
        async with self._reading() as connection:
            return await aliases.names_among(connection, account_id, names)

    @_patient
    async def load_unconfirmed(self, account_id: str, since_ms: int) -> list[UnconfirmedCall]:
        """Calls that ended after ``since_ms`` and that the platform's books have not confirmed, oldest first."""
        call = tables.call
        columns = [call.c[name] for name in UnconfirmedCall._fields]
        waits = call.c.confirmed_at.is_(None) & call.c.part_of.is_(None)  # a part is confirmed with its whole
        wanted = (
            select(*columns)
            .where(call.c.account_id == account_id, waits, call.c.ended_at > since_ms)
            .order_by(call.c.started_at)
        )
        async with self._reading() as connection:
            return [UnconfirmedCall(**row) for row in await _rows(connection, wanted)]

    @_patient
    async def load_coverage(self, account_id: str) -> list[CoverageSpan]:
        """All spans of the account, oldest first."""
        span = tables.coverage_span
        wanted = select(span).where(span.c.account_id == account_id).order_by(span.c.from_at)
        async with self._reading() as connection:
            rows = await _rows(connection, wanted)
        return [span_of(row) for row in rows]

    async def _newest_publications(self) -> dict[str, int]:
        newest = tables.publication
        async with self._reading() as connection:
            return {row["account_id"]: row["number"] for row in await _rows(connection, select(newest))}

    def _writer(self) -> AsyncConnection:
        if self._connection is None:
            raise LedgerBroken("database: opened read-only, or closed")
        return self._connection

    async def _connected(self) -> AsyncConnection:
        """The writer's connection; another one when it was lost. Raises ``LedgerUnavailable``, ``LedgerLocked``."""
        connection = self._writer()
        if self._engine is not None and self.database.lost(connection):
            async with _translated():
                self._connection, happened = await self.database.revived(self._engine, connection)
            for which, (changes, known) in self._without_answer.items():
                if known is None:  # the last transaction was another account's: its next commit learns of it here
                    self._without_answer[which] = changes, happened
        return self._writer()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The writer's turn: a transaction that commits at the end, or leaves nothing behind. For this room only."""
        async with self._turn, _translated():
            connection = await self._connected()
            try:
                async with connection.begin():
                    await self.database.guard(connection, self._fences)
                    yield connection
            except BaseException as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    self.database.break_off(connection)
                    raise asyncio.CancelledError from error
                if isinstance(error, DBAPIError) and isinstance(known := classified(error), LedgerUnreachable):
                    self.database.break_off(connection)
                    raise known from error
                raise
            self.database.note_commit()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._shared.questions, _translated(), self.reader.connect() as connection:
            yield connection


def _end(group: Iterable[_Commit], error: BaseException | None) -> None:
    """Tell those that still wait."""
    for one in group:
        if one.done.done():
            continue
        if error is None:
            one.done.set_result(None)
        else:
            one.done.set_exception(error)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (StatementError, sqlite3.Error, *REFUSALS) as error:
        raise classified(error) from error


async def _rows(connection: AsyncConnection, statement: Select[tuple[object, ...]]) -> list[RowMapping]:
    return list((await connection.execute(statement)).mappings())


def _chunks(keys: Collection[CallKey]) -> Iterator[tuple[str, list[str]]]:
    accounts: dict[str, list[str]] = {}
    for account_id, session_id in keys:
        accounts.setdefault(account_id, []).append(session_id)
    for account_id, session_ids in accounts.items():
        for start in range(0, len(session_ids), CHUNK):
            yield account_id, session_ids[start : start + CHUNK]


def _all(table: Table, account_id: str, session_ids: Collection[str], *order: ColumnElement[Any]) -> Select[Any]:
    """All rows of these calls, in this order."""
    mine = (table.c.account_id == account_id) & table.c.session_id.in_(session_ids)
    chosen = select(table).where(mine)
    return chosen.order_by(*order) if order else chosen


def _of(facts: dict[CallKey, list[Fact]], account_id: str, session_id: str) -> list[Fact]:
    return facts.get(CallKey(account_id, session_id), [])


async def _inventories(connection: AsyncConnection, account_id: str) -> list[Inventory]:
    """What reads of presence had that came in the last hour in which one came."""
    fact = tables.fact
    mine = (fact.c.account_id == account_id) & fact.c.session_id.is_(None) & (fact.c.kind == "inventory")
    newest = (await connection.execute(select(func.max(fact.c.received_at, type_=UtcText)).where(mine))).scalar()
    if newest is None:
        return []
    recent = select(fact).where(mine, fact.c.received_at > newest - REMEMBER_READS_MS).order_by(fact.c.id)
    rows = [FactRow(**row) for row in await _rows(connection, recent)]
    return [one for _, one in facts_of(rows) if isinstance(one, Inventory)]


async def _summaries(connection: AsyncConnection, account_id: str, calls: list[RowMapping]) -> dict[CallKey, Summary]:
    """What the rows of calls say whose facts are not kept."""
    if not calls:
        return {}
    session_ids = [row["session_id"] for row in calls]
    leg, change, source = tables.call_leg, tables.call_transition, tables.call_source
    legs = by_key(await _rows(connection, _all(leg, account_id, session_ids, leg.c.leg_no)))
    changes = by_key(await _rows(connection, _all(change, account_id, session_ids, change.c.id)))
    claims = by_key(await _rows(connection, _all(source, account_id, session_ids)))
    keyed = ((CallKey(account_id, row["session_id"]), row) for row in calls)
    return {key: summary_of(row, legs.get(key, ()), claims.get(key, ()), changes.get(key, ())) for key, row in keyed}
