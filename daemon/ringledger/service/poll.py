"""Reconciliation on the clock: asks for the active calls at start, every interval, after gaps and for suspects.

What must stay true: a poll that fails or is throttled changes nothing and is repeated when the platform allows; only
a complete listing is proof of absence (semantics 6).
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey
from ringledger.logs import LOG, Event
from ringledger.platform.errors import CredentialsRejected, NotFound, PermissionDenied, PlatformError, Throttled
from ringledger.service.intake import Intake
from ringledger.service.scope import PlatformBooks

#: A failed poll is tried again after this many seconds, doubling up to the interval.
FIRST_RETRY_SECONDS = 5.0
#: Polls are spread by this share of the interval, so that many daemons do not ask at once.
JITTER = 0.1
#: How long doubts are collected before presence is read.
DEBOUNCE_SECONDS = 0.5


class Poller:
    """Compares the ledger's open calls with the platform's. ``candidates``: calls a record may mean although its
    session is another (semantics 7).
    """

    def __init__(
        self,
        books: PlatformBooks,
        intake: Intake,
        candidates: Callable[[], Collection[CallKey]] = tuple,
        *,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self.first_done = asyncio.Event()
        self._books = books
        self._client = books.client
        self._intake = intake
        self._candidates = candidates
        self._clock = clock
        self._wanted = asyncio.Event()
        self._suspects: dict[CallKey, None] = {}
        self._cut: dict[tuple[str, str], None] = {}
        self._doubted = asyncio.Event()

    # -- what others ask for ---------------------------------------------------------------------------------------

    def soon(self) -> None:
        """Poll at once: the feed has had a gap."""
        self._wanted.set()

    def check(self, changes: Changes) -> None:
        """Read presence of these calls' extensions, and of those whose snapshots were cut, at once (semantics 5.5)."""
        self._suspects.update(changes.suspects)
        self._cut.update(changes.cut)
        self._doubted.set()

    # -- the loops -------------------------------------------------------------------------------------------------

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Poll until cancelled. Raises ``CredentialsRejected``."""
        retry = FIRST_RETRY_SECONDS
        while True:
            beat()
            self._wanted.clear()
            try:
                polled = await self._try_poll()
            except Throttled as error:
                await self._client.pace.sleep(error.retry_after)
                continue  # as soon as the penalty is over
            if polled:
                retry, pause = FIRST_RETRY_SECONDS, self.interval * random.uniform(1 - JITTER, 1)  # noqa: S311
            else:
                pause, retry = min(retry, self.interval), retry * 2
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def run_doubts(self, beat: Callable[[], None] = lambda: None) -> None:
        """Settle doubts about single calls and extensions as they come up, until cancelled."""
        while True:
            beat()
            with suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await self._doubted.wait()
                await asyncio.sleep(DEBOUNCE_SECONDS)  # doubts come in swarms; one read answers them all
            self._doubted.clear()
            with suppress(PlatformError):  # the next poll asks again; an outage is told by the connection
                await self._read_presence(self._take_doubts())

    def _take_doubts(self) -> set[tuple[str, str]]:
        suspects, self._suspects = self._suspects, {}
        cut, self._cut = self._cut, {}
        ask = set(cut)
        for key in suspects:
            call = self._intake.tracker.calls.get(key)
            if call is not None and call.suspect:
                ask |= self._intake.reconciler.extensions_of(call)
        return ask

    async def _try_poll(self) -> bool:
        started = self._clock()
        try:
            listed, asked, corrected = await self.poll()
        except CredentialsRejected:
            raise
        except PlatformError as error:
            LOG.warning(Event.POLL_FAILED, reason=type(error).__name__, detail=str(error))
            if isinstance(error, Throttled):
                raise
            return False
        seconds = round(self._clock() - started, 3)
        LOG.info(Event.POLL_FINISHED, listed=listed, presence_read=asked, open=corrected, seconds=seconds)
        self.first_done.set()
        return True

    # -- one poll --------------------------------------------------------------------------------------------------

    async def poll(self) -> tuple[int, int, int]:
        """One comparison. Returns (records listed, extensions read, calls open afterwards); raises PlatformError."""
        asked = self._clock()
        listing = await self._books.active_calls()
        known = await self._intake.take_claims(
            listing.claims, asked=asked, unreadable=listing.unreadable, candidates=self._candidates()
        )
        reconciler = self._intake.reconciler
        doubtful = reconciler.doubtful(known, read_at=listing.read_at)
        await self._read_presence(doubtful)
        await self._intake.change(lambda: reconciler.end_unaskable(known, asked=asked, read_at=listing.read_at))
        self._intake.tracker.asked_at = asked
        return len(listing.claims), len(doubtful), len(self._intake.tracker.calls)

    async def _read_presence(self, extensions: Iterable[tuple[str, str]]) -> None:
        for account_id, extension_id in sorted(extensions):
            asked = self._clock()
            try:
                seen = await self._client.read_presence(extension_id, account_id=account_id)
            except (NotFound, PermissionDenied):
                continue  # not ours to see any longer: no proof either way, expiry will close the call
            await self._intake.take_presence(seen, asked=asked)
