"""The accounts this process works for, beside others: takes their leases, renews them, gives them back.

What must stay true: an account runs here only while its lease is held, as far as this process can know. Each
transaction proves the lease itself, so a process that learns late of a lost lease has done no harm. A database that
does not answer costs no lease unless another process takes it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ringledger.clock import monotonic
from ringledger.domain.lease import Fence, LeaseBook, LeaseRow
from ringledger.ledger.database.leases import PostgresqlLeases
from ringledger.ledger.errors import LeaseLost, LedgerError, LedgerUnavailable
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics

#: The leases are looked at this often, seconds.
LEASE_LOOK_SECONDS: Final = 0.5
#: A round may take this long, seconds, with a server that does not answer.
ROUND_AT_MOST: Final = 300.0


class Tenure:
    """A lease that was taken. ``lost``: set when another process has it; ``asked_back``: set when it is to be given to
    another, in good order."""

    def __init__(self, fence: Fence) -> None:
        self.fence = fence
        self.account_id = ""
        self.why = ""
        self.lost = asyncio.Event()
        self.asked_back = asyncio.Event()

    @property
    def error(self) -> LeaseLost:
        """Why the account ends here."""
        return LeaseLost(self.why, {self.fence.name})


class _Wait:
    """Somebody who waits for a lease. ``stands_by``: called once it is known that another process has it."""

    def __init__(self, stands_by: Callable[[], None]) -> None:
        self.stands_by = stands_by
        self.told = False
        self.taken: asyncio.Future[Tenure] = asyncio.get_running_loop().create_future()


class Leases:
    """One :meth:`run` task; accounts call :meth:`take` and :meth:`give`."""

    def __init__(self, table: PostgresqlLeases, metrics: Metrics, *, clock: Callable[[], float] = monotonic) -> None:
        self._table = table
        self._metrics = metrics
        self._clock = clock
        self._book = LeaseBook(table.token, table.seconds, table.former)
        self._rows: dict[str, LeaseRow] = {}
        self._waits: dict[str, _Wait] = {}
        self._tenures: dict[str, Tenure] = {}
        self._lapsed = False
        self._soon = asyncio.Event()

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Look for ever. Raises ``LedgerError`` that waiting does not cure."""
        try:
            while True:
                beat()
                self._soon.clear()
                with suppress(LedgerUnavailable):  # the writer tells of it
                    await self._round()
                self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEASE_LOOK_SECONDS):
                        await self._soon.wait()
        finally:
            await self._table.close()

    # -- for accounts ----------------------------------------------------------------------------------------------

    async def take(self, name: str, stands_by: Callable[[], None] = lambda: None) -> Tenure:
        """Return when the account's lease is ours."""
        wait = self._waits[name] = _Wait(stands_by)
        self._book.wanted[name] = self._clock()
        self._soon.set()
        try:
            return await wait.taken
        except asyncio.CancelledError:
            self._book.wanted.pop(name, None)
            if wait.taken.done() and not wait.taken.cancelled():
                await self.give(wait.taken.result())
            raise
        finally:
            if self._waits.get(name) is wait:
                del self._waits[name]

    def refused(self, tenure: Tenure, error: LeaseLost) -> None:
        """A commit has found that the lease is lost."""
        if self._tenures.get(tenure.fence.name) is tenure:
            self._lose(tenure.fence, str(error))

    async def give(self, tenure: Tenure) -> None:
        """The account has ended here: others may have it at once."""
        name = tenure.fence.name
        if self._tenures.get(name) is not tenure:
            return  # it was lost
        self._book.dropped(name)
        del self._tenures[name]
        self._metrics.accounts_owned.set(len(self._tenures))
        with suppress(LedgerError):  # it lapses by itself
            await self._table.give([tenure.fence])
        LOG.info(Event.LEASE_RELEASED, account=name or None, term=tenure.fence.term)

    async def stands_for(self, tenure: Tenure, account_id: str) -> str | None:
        """Note which account of the platform's it is; returns the name under which another process works for the same
        one."""
        tenure.account_id = account_id
        while True:
            with suppress(LedgerUnavailable):
                return await self._table.stands_for(tenure.fence, account_id)
            await asyncio.sleep(LEASE_LOOK_SECONDS)

    # -- for those who ask -----------------------------------------------------------------------------------------

    def may_act(self, account_id: str) -> bool:
        """Whether the account is ours for certain: only then others are told what happens in it."""
        now = self._clock()
        return any(
            one.account_id == account_id and self._book.may_act(name, now) for name, one in self._tenures.items()
        )

    def holder(self, name: str) -> str:
        """Return the holder of the account's lease, in words; empty: it has none, or it is not known yet."""
        row = self._rows.get(name)
        return row.process if row is not None and row.holder else ""

    # -- one round -------------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        book, asked_at = self._book, self._clock()
        seen = await self._table.look(book.due(asked_at))
        self._rows = seen.rows
        book.renewed(seen.renewed, asked_at)
        for fence in book.lost(seen.rows):
            self._lose(fence, f"{fence.name or 'the account'} was taken by {self.holder(fence.name) or 'another'}")
        asked_at = self._clock()
        if names := book.to_take(seen.rows, seen.processes, asked_at):
            taken = await self._table.take(names)
            book.granted(taken, asked_at)
            for fence in taken:
                await self._begin(fence, seen.rows.get(fence.name))
        for name in book.to_give(seen.rows, seen.processes, asked_at):
            self._tenures[name].asked_back.set()
        for name, wait in self._waits.items():
            if not wait.told and not wait.taken.done() and (holder := self.holder(name)):
                wait.told = True
                LOG.info(Event.LEASE_WAITING, account=name or None, holder=holder)
                wait.stands_by()

    async def _begin(self, fence: Fence, before: LeaseRow | None) -> None:
        tenure = self._tenures[fence.name] = Tenure(fence)
        self._metrics.accounts_owned.set(len(self._tenures))
        if before is not None:
            # Of a lease that has lapsed the last sign of its holder is as old as the lease is long.
            unattended = max(0.0, (self._table.seconds if before.holder else 0.0) - before.left)
            self._metrics.takeover_seconds.observe(unattended)
            LOG.warning(
                Event.LEASE_TAKEN, account=fence.name or None, term=fence.term, seconds=round(unattended, 3),
                former=before.process or None,
            )  # fmt: skip
        else:
            LOG.info(Event.LEASE_TAKEN, account=fence.name or None, term=fence.term)
        wait = self._waits.get(fence.name)
        if wait is None or wait.taken.done():
            await self.give(tenure)  # nobody wants it any longer
        else:
            wait.taken.set_result(tenure)

    def _lose(self, fence: Fence, why: str) -> None:
        self._book.dropped(fence.name)
        tenure = self._tenures.pop(fence.name)
        tenure.why = why
        tenure.lost.set()
        self._metrics.accounts_owned.set(len(self._tenures))
        self._metrics.lease_lost.inc()
        LOG.warning(Event.LEASE_LOST, account=fence.name or None, term=fence.term, detail=why)

    def _tell(self) -> None:
        """Say once when leases could not be renewed in time, and once when they are again."""
        now = self._clock()
        late = [name for name in self._tenures if not self._book.may_act(name, now)]
        if bool(late) != self._lapsed:
            self._lapsed = bool(late)
            if late:
                LOG.warning(Event.LEASE_UNRENEWED, accounts=len(late))
            elif self._tenures:
                LOG.info(Event.LEASE_RENEWED, accounts=len(self._tenures))
