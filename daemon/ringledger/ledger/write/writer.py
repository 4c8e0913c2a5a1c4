"""The task between the tracker and the database: collects, commits, retries, and only then tells.

What must stay true: changes and the feed position are taken together, in one step without an await, and are given up
only after their commit; they are announced after the commit and in order; while the database refuses, newer changes
join the ones that wait, and intake stops at a bound (rule 9.4).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from ringledger.backoff import Backoff
from ringledger.domain.changes import Changes
from ringledger.ledger.errors import LedgerFull, LedgerRefused, LedgerUnavailable
from ringledger.ledger.write.quarantine import Isolated, commit_apart
from ringledger.ledger.write.store import Ledger

PAUSE: Final = Backoff(0.1, 5.0)
PAUSE_WHEN_FULL: Final = 1.0
#: What a failed commit holds may have waited a little before it was noticed, ms.
UNNOTICED_MS: Final = 1_000
#: Events that may wait for their commit before intake stops.
MOST_PENDING: Final = 50_000


class Notices(Protocol):
    """Who wants to know how the database fares: one call when trouble begins, one when it is over."""

    def retrying(self, error: Exception) -> None:
        """The database is busy or failing; the writer goes on trying."""

    def full(self, error: Exception) -> None:
        """There is no space left; the writer goes on trying."""

    def recovered(self, attempts: int) -> None:
        """A commit has succeeded after so many that failed."""


class LedgerWriter:
    """One :meth:`run` task; everybody else calls :meth:`notify`, :meth:`flush` and :meth:`room`.

    ``take`` hands over what has been collected since the last call, with the positions it brought the feeds to.
    ``on_refused``: called when something could not be stored: the ledger has less of it than the tracker.
    ``commit_interval``: seconds an event waits for company at most. ``commit_batch``: events that end the wait.
    """

    def __init__(
        self,
        ledger: Ledger,
        take: Callable[[], Changes],
        *,
        commit_interval: float,
        commit_batch: int,
        on_committed: Callable[[Changes], None],
        notices: Notices,
        now_ms: Callable[[], int],
        most_pending: int = MOST_PENDING,
        on_refused: Callable[[Isolated], Awaitable[None]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._take = take
        self._interval = commit_interval
        self._batch = commit_batch
        self._on_committed = on_committed
        self._on_refused = on_refused
        self._notices = notices
        self._now_ms = now_ms
        self._most_pending = most_pending
        self._changes = Changes()
        self._noticed = 0
        self._committed = 0
        self._ticket = 0  # counts notices: an exact "so far", even for changes that no event brought
        self._served = 0
        self._dirty = asyncio.Event()
        self._urgent = asyncio.Event()
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._failures = 0
        self._trouble: type[LedgerUnavailable] | None = None
        self._doubted = False
        ledger.when_unanswered(self.doubt)
        #: From when on nothing is committed, our clock, ms; ``None``: the last commit succeeded.
        self.unwritten_since: int | None = None
        #: What the last commit took, seconds.
        self.commit_seconds = 0.0
        #: Attempts so far, failed ones too: it grows as long as the writer is not stuck.
        self.attempts = 0

    @property
    def pending(self) -> int:
        """Events noticed and not committed yet."""
        return self._noticed - self._committed

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a commit, whatever brought it."""
        return self._served == self._ticket and not self.failing

    @property
    def failing(self) -> bool:
        """Whether the last commit failed."""
        return self._failures > 0

    def notify(self, events: int = 1) -> None:
        """There is something to take: so many events, or 0 for changes that no event brought."""
        self._noticed += events
        self._ticket += 1
        self._dirty.set()
        if self.pending >= self._batch:
            self._urgent.set()
        if self.pending >= self._most_pending:
            self._room.clear()

    def doubt(self) -> None:
        """A reader waits for a database that does not answer. The next commit may hang on that answer; then the writer
        is idle, and nobody would notice when the database is back: try it all the same.
        """
        self._doubted = True
        self._dirty.set()
        self._urgent.set()

    async def flush(self) -> None:
        """Return when everything noticed so far is committed. A waiter ends the wait for company."""
        if self._served == self._ticket:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._ticket, waiter))
        self._urgent.set()
        await waiter

    async def room(self) -> None:
        """Return when there is room for more events; at once, but for a database that has refused for long."""
        await self._room.wait()

    async def run(self) -> None:
        """Commit for ever. Ends with ``LedgerBroken`` or another error that waiting does not cure."""
        try:
            while True:
                await self._dirty.wait()
                await self._linger()
                await self._commit()
        finally:
            for _, waiter in self._waiters:
                waiter.cancel()
            self._waiters.clear()

    async def _linger(self) -> None:
        """Let the batch grow: up to the interval, or until it is full or a caller waits for the commit."""
        if self._urgent.is_set() or not self._interval:
            return
        try:
            async with asyncio.timeout(self._interval):
                await self._urgent.wait()
        except TimeoutError:
            pass

    async def _commit(self) -> None:
        """Take and commit, again and again until it succeeds; each attempt takes what has come meanwhile."""
        noticed, ticket = self._committed, self._served
        while True:
            if not self._ledger.outcome_unknown(self._changes):  # else the same is to be committed, and nothing more
                self._dirty.clear()
                self._urgent.clear()
                noticed, ticket = self._noticed, self._ticket
                self._take_newest()
            started = time.monotonic()
            self.attempts += 1
            now_ms = self._changes.committed_at = self._now_ms()
            try:
                await self._write(now_ms)
                if self._doubted:
                    await self._ledger.prove()
            except LedgerUnavailable as error:
                self._failed(error, now_ms)
                await asyncio.sleep(self._pause(error))
            else:
                self.commit_seconds = time.monotonic() - started
                self._succeeded(noticed, ticket)
                return

    async def _write(self, now_ms: int) -> None:
        """Commit what has been taken; if a value among it cannot be stored, all but what brought it."""
        try:
            await self._ledger.commit(self._changes, now_ms=now_ms, grouped=True)
        except LedgerRefused:
            isolated = await commit_apart(self._ledger, self._changes, now_ms=now_ms)
            self._changes = isolated.committed
            if self._on_refused is not None:
                await self._on_refused(isolated)

    def _take_newest(self) -> None:
        self._changes.absorb(self._take())

    def _failed(self, error: LedgerUnavailable, began_ms: int) -> None:
        self._failures += 1
        if self.unwritten_since is None:  # what it holds has come since the commit before it began
            self.unwritten_since = began_ms - round((self._interval + self.commit_seconds) * 1000) - UNNOTICED_MS
        self._dirty.set()
        if self._trouble is type(error):
            return
        self._trouble = type(error)
        (self._notices.full if isinstance(error, LedgerFull) else self._notices.retrying)(error)

    def _pause(self, error: LedgerUnavailable) -> float:
        if isinstance(error, LedgerFull):
            return PAUSE_WHEN_FULL
        return PAUSE.after(self._failures)

    def _succeeded(self, noticed: int, ticket: int) -> None:
        changes, self._changes = self._changes, Changes()
        self._committed, self._served, self._doubted = noticed, ticket, False
        if self.pending < self._most_pending:
            self._room.set()
        if self._failures:
            attempts, self._failures, self._trouble = self._failures, 0, None
            self.unwritten_since = None
            self._notices.recovered(attempts)
        self._on_committed(changes)
        while self._waiters and self._waiters[0][0] <= ticket:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
