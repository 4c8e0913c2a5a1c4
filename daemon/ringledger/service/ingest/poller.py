"""Reconciliation on the clock: asks for the active calls at start, every interval, after gaps and for suspects.

What must stay true: a poll that fails or is throttled changes nothing and is repeated when the platform allows; only
a complete listing is proof of absence (rules 6.1, 6.6); an extension whose presence cannot be read holds up no other
one and is asked again.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from ringledger.backoff import Backoff
from ringledger.clock import monotonic
from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey
from ringledger.observability.logging import LOG, Event
from ringledger.ringcentral.errors import CredentialsRejected, NotFound, PermissionDenied, PlatformError, Throttled
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.readings import Candidates, nobody
from ringledger.service.ingest.scope import ScopedCallLog

#: A failed poll is tried again after this many seconds, doubling up to the interval.
FIRST_RETRY_SECONDS = 5.0
#: Polls are spread by this share of the interval, so that many daemons do not ask at once.
JITTER = 0.1
#: The longest pause between polls that the platform's owner grants (the shortest is the least interval), seconds.
LONGEST_PAUSE_SECONDS = 300.0
#: How long doubts are collected before presence is read.
DEBOUNCE_SECONDS = 0.5
#: The loop of doubts gives a sign of life at least this often, seconds.
LONGEST_REST = 15.0
#: So many extensions in a row that do not answer are an outage: the others are asked when it may be over.
OUTAGE = 3

Asked = tuple[str, str]


class Poller:
    """Compares the ledger's open calls with the platform's. ``candidates``: which calls a record may
    mean although its session is another (rule 7.2).
    """

    def __init__(
        self,
        books: ScopedCallLog,
        intake: Pipeline,
        candidates: Candidates = nobody,
        *,
        interval: float,
        clock: Callable[[], float] = monotonic,
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
        self._cut: dict[Asked, None] = {}
        self._doubted = asyncio.Event()
        #: Extensions that have not answered; asked again at ``_again_at``, after ever longer pauses.
        self._unanswered: dict[Asked, None] = {}
        self._again_at = 0.0
        self._refused_rounds = 0

    # -- what others ask for ---------------------------------------------------------------------------------------

    def soon(self) -> None:
        """Poll at once: the feed has had a gap."""
        self._wanted.set()

    def pace_to(self, interval: float) -> None:
        """Poll every ``interval`` seconds from now on; what was waited for is not waited out."""
        if interval != self.interval:
            self.interval = interval
            self._wanted.set()

    def committed(self, changes: Changes) -> None:
        """Read presence at once: of the extensions of suspect calls, and of those whose snapshots were cut (rules 3.2,
        5.5).
        """
        if not changes.suspects and not changes.cut:
            return
        self._suspects.update(changes.suspects)
        self._cut.update(changes.cut)
        self._doubted.set()

    # -- the loops -------------------------------------------------------------------------------------------------

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Poll until cancelled. Raises ``CredentialsRejected``."""
        failures = 0
        while True:
            beat()
            self._wanted.clear()
            try:
                polled = await self._try_poll()
            except Throttled as error:
                await self._client.pace.sleep(error.retry_after)
                continue  # as soon as the penalty is over
            if polled:
                failures, pause = 0, pause_after(self.interval)
            else:
                failures += 1
                pause = Backoff(FIRST_RETRY_SECONDS, self.interval).after(failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def run_doubts(self, beat: Callable[[], None] = lambda: None) -> None:
        """Settle doubts about single calls and extensions as they come up, until cancelled."""
        while True:
            beat()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rest()):
                    await self._doubted.wait()
                await asyncio.sleep(DEBOUNCE_SECONDS)  # doubts come in swarms; one read answers them all
            self._doubted.clear()
            with suppress(Throttled):  # told by the connection; who was not asked is asked after it
                await self._read_presence(self._take_doubts())

    def _rest(self) -> float:
        """Return the seconds until an extension without an answer is asked again, or a heartbeat is due."""
        return min(LONGEST_REST, max(0.0, self._again_at - self._clock())) if self._unanswered else LONGEST_REST

    def _take_doubts(self) -> set[Asked]:
        suspects, self._suspects = self._suspects, {}
        cut, self._cut = self._cut, {}
        ask = set(cut)
        if self._clock() >= self._again_at:
            ask.update(self._unanswered)
        for key in suspects:
            call = self._intake.tracker.calls.get(key)
            if call is not None and call.suspect:
                ask |= self._intake.tracker.extensions_of(call)
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
            listing.claims, asked=asked, unreadable=listing.unreadable, candidates=self._candidates
        )
        doubtful = self._intake.tracker.doubtful(known, read_at=listing.read_at)
        heard = await self._read_presence(doubtful)
        if not listing.unreadable:  # one that cannot be read may be any call's
            await self._intake.take_listing(known, read_at=listing.read_at)
        self._intake.tracker.asked_at = asked
        return len(listing.claims), heard, len(self._intake.tracker.calls)

    async def _read_presence(self, extensions: Collection[Asked]) -> int:
        """Ask about each of them; returns how many have been heard of. Who does not answer is told of, once for all,
        and asked again. Raises ``CredentialsRejected`` and ``Throttled``: no further extension has been asked then.
        """
        left = dict.fromkeys(
            sorted(extensions, key=lambda one: (one in self._unanswered, one))
        )  # who failed comes last
        failed: list[PlatformError] = []
        in_a_row = 0
        try:
            for one in list(left):
                try:
                    await self._read(*one)
                except (CredentialsRejected, Throttled):
                    raise
                except PlatformError as error:
                    failed.append(error)
                    in_a_row += 1
                    if in_a_row == OUTAGE:
                        break
                else:
                    in_a_row = 0
                    del left[one]
                    self._unanswered.pop(one, None)
        finally:
            self._ask_again(left, failed)
        return len(extensions) - len(left)

    def _ask_again(self, left: Mapping[Asked, None], failed: Collection[PlatformError]) -> None:
        """Plan the next question to those who have not answered, and tell of them."""
        self._unanswered.update(left)
        if not self._unanswered:
            self._refused_rounds = 0
        elif self._clock() >= self._again_at:
            self._refused_rounds += 1
            self._again_at = self._clock() + Backoff(FIRST_RETRY_SECONDS, self.interval).after(self._refused_rounds)
        for error in list(failed)[:1]:
            reason, detail = type(error).__name__, str(error)
            LOG.warning(Event.POLL_FAILED, reason=reason, detail=detail, source="presence", unanswered=len(left))

    async def _read(self, account_id: str, extension_id: str) -> None:
        asked = self._clock()
        try:
            seen = await self._client.read_presence(extension_id, account_id=account_id)
        except (NotFound, PermissionDenied):
            return  # not ours to see any longer: no proof either way, expiry will close the call
        await self._intake.take_presence(seen, asked=asked)


def pause_after(interval: float) -> float:
    """Seconds until the next poll: never less than the interval, which may be the least that is permitted."""
    return min(interval * random.uniform(1, 1 + JITTER), max(interval, LONGEST_PAUSE_SECONDS))  # noqa: S311
