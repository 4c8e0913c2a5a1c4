"""Confirmation: comparing finished calls with the platform's own records (rule 7.1).

One incremental synchronisation of the call log settles many calls for one Heavy request; it runs every minute while
something is unconfirmed, and as often as a poll otherwise. What it does not bring is looked up call by call, on a
schedule that gives up after a day (:mod:`~ringledger.service.ingest.lookups`).

What must stay true: the sync token is committed in the same transaction as the records it brought, and not before all
up to it has been read. An answer holds so many records at most; what did not fit is read from the call log itself.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from ringledger.clock import monotonic
from ringledger.domain.call import Phase
from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey, FeedPosition, RecordClaim
from ringledger.durations import DAY_MS
from ringledger.ledger.read.restart import UnconfirmedCall
from ringledger.observability.logging import LOG, Event
from ringledger.ringcentral.decode.records import RecordPage
from ringledger.ringcentral.errors import (
    BadRequest,
    CredentialsRejected,
    PermissionDenied,
    PlatformError,
    SyncExpired,
    Throttled,
)
from ringledger.service.ingest.backfill import Backfill
from ringledger.service.ingest.lookups import Waiting, Way, may_mean
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.scope import ScopedCallLog

#: Seconds after its end at which a call is given up.
GIVE_UP_AFTER = 86_400.0
#: Look-ups per round: a synchronisation costs one Heavy request, so does each of these.
LOOKUPS_PER_ROUND = 2
#: The loop gives a sign of life at least this often, seconds.
LONGEST_REST = 15.0
#: How many synchronisations a call must have missed before it is looked up by itself.
MISSED_SYNCS = 2
#: A first (full) synchronisation reads this far before the oldest unconfirmed call, ms.
FAR_MARGIN_MS = 3_600_000
#: While more calls end than a synchronisation tells of, the log is read once a minute, or for a tenth of the time if
#: that is less; what one reading has covered the next leaves out, but for so much: the log is late. Once an hour a
#: reading begins an hour earlier, for long calls that were not observed. So nothing is read more than twice. Platform
#: ms.
READ_PAUSE_MS = 60_000
READ_SHARE = 10
ADJACENT_MS = 120_000
#: No synchronisation may reach farther back (the platform allows 30 days), ms.
FARTHEST_MS = 29 * 86_400_000
#: A synchronisation the platform has refused is tried again after so many seconds.
REFUSED_SECONDS = 3_600.0
#: The name under which the sync token is kept among the feed positions.
FEED = "call-log-sync"


class Confirmer:
    """Keeps the list of unconfirmed calls and asks the call log about them.

    ``interval``: seconds between synchronisations while something is unconfirmed; ``idle_interval``: while nothing is.
    The latter is what finds a call none of whose events arrived, and that began and ended between two polls.
    ``max_days``: how far back the call log is read for what a synchronisation has left out.
    """

    def __init__(
        self,
        books: ScopedCallLog,
        intake: Pipeline,
        *,
        interval: float,
        idle_interval: float,
        max_days: int = 7,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.interval = interval
        self.idle_interval = idle_interval
        self.waiting: dict[CallKey, Waiting] = {}
        self._books = books
        self.client = books.client
        self._intake = intake
        self._clock = clock
        self._backfill = Backfill(books, intake, self.candidates, clock=clock)
        self._max_ms = max_days * DAY_MS
        self._token: str | None = None
        #: The platform's time of the last synchronisation whose records are all here, ms.
        self._complete_at: int | None = None
        #: Until when, from when on again, and when last with its full margin the log is read for what a synchronisation
        #: left out; the platform's ms.
        self._read_until = self._read_again_at = self._read_far_at = 0
        #: Whether the platform has not refused the last synchronisation.
        self._permitted = True
        self._next_sync = clock() + idle_interval
        self._work = asyncio.Event()

    def resume(self, calls: Iterable[UnconfirmedCall], position: FeedPosition | None, *, now_ms: int) -> None:
        """Go on after a restart: calls still unconfirmed, and the sync token."""
        now = self._clock()
        for one in calls:
            age = max(0.0, (now_ms - one.ended_at) / 1000)
            self.waiting[CallKey(one.account_id, one.session_id)] = Waiting.resumed(one, age, now)
        if position is not None:
            self._token, self._complete_at = position.token, position.at
        if self.waiting:
            self._next_sync = min(self._next_sync, now + self.interval)
            self._work.set()

    def candidates(self, claims: Collection[RecordClaim]) -> list[CallKey]:
        """Unconfirmed calls that these records may mean although their session is another (``Candidates``)."""
        return may_mean(self.waiting, claims)

    def committed(self, changes: Changes) -> None:
        """After each commit: which calls have finished, been confirmed or come to life again."""
        now = self._clock()
        for key in changes.united:
            self.waiting.pop(key, None)
        for key, call in changes.sessions.items():
            if call.phase is not Phase.FINISHED:
                self.waiting.pop(key, None)
        for key, record in changes.records.items():
            if record.confirmed_at is not None or record.part_of is not None:  # a part is confirmed with its whole
                self.waiting.pop(key, None)
            elif key not in self.waiting:
                self.waiting[key] = Waiting.of(record, now)
        self._give_up_oldest(now)
        if self.waiting:
            self._work.set()

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Confirm until cancelled. Raises ``CredentialsRejected``."""
        resting = True
        while True:
            beat()
            if resting:
                await self._rest()
                if not self.waiting and self._clock() < self._next_sync:
                    continue
            resting = True
            try:
                await self.round()
            except CredentialsRejected:
                raise
            except Throttled as error:
                resting = False  # it was not carried out: its turn comes as soon as the penalty is over
                await self.client.pace.sleep(error.retry_after)
            except PlatformError as error:
                LOG.warning(Event.POLL_FAILED, reason=type(error).__name__, detail=str(error), source=FEED)

    async def _rest(self) -> None:
        """Until the next round; a call that finishes while nothing is waited for ends the rest."""
        if self.waiting:
            await asyncio.sleep(min(self.interval, LONGEST_REST))
            return
        self._work.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self.idle_interval, LONGEST_REST)):
                await self._work.wait()
                self._next_sync = min(self._next_sync, self._clock() + self.interval)

    async def round(self) -> None:
        """One synchronisation, then the look-ups that are due. Raises ``PlatformError``."""
        now = self._clock()
        self._give_up(now)
        if self._books.can_sync and now >= self._next_sync:
            planned, self._permitted, self._next_sync = self._next_sync, True, now + self.interval
            try:
                await self.synchronise()
            except Throttled:
                self._next_sync = planned
                raise
            if not self.waiting:
                self._next_sync = now + max(self.interval, self.idle_interval)
        due = [key for key, one in self.waiting.items() if self._is_due(one)]
        for key in due[:LOOKUPS_PER_ROUND]:
            await self.look_up(key)

    def _is_due(self, one: Waiting) -> bool:
        """Whether it is time to look this call up by itself."""
        return self._clock() >= one.due_at and (one.syncs >= MISSED_SYNCS or not self._synchronises)

    @property
    def _synchronises(self) -> bool:
        """Whether synchronisations are to come; a poll may have learnt that each extension is asked by itself."""
        return self._permitted and self._books.can_sync

    def _give_up(self, now: float) -> None:
        """A day has passed: ``confirmed_at`` stays empty and ``doctor`` says so."""
        for key in [key for key, one in self.waiting.items() if now - one.ended > GIVE_UP_AFTER]:
            del self.waiting[key]

    def _give_up_oldest(self, now: float) -> None:
        """Whoever does not confirm at all must not collect calls for ever; they stand in the order of their ends."""
        while self.waiting and now - next(iter(self.waiting.values())).ended > GIVE_UP_AFTER:
            del self.waiting[next(iter(self.waiting))]

    async def synchronise(self) -> int:
        """Read what is new in the call log; returns how many records came. Raises ``PlatformError``."""
        asked = self._clock()
        try:
            count = await self._synchronise(asked)
        except SyncExpired:
            self._token = None
            count = await self._synchronise(asked)
        except (PermissionDenied, BadRequest) as error:
            # no use in asking again soon; meanwhile each call is looked up by itself
            self._permitted, self._next_sync = False, asked + REFUSED_SECONDS
            LOG.warning(Event.POLL_FAILED, reason=type(error).__name__, detail=str(error), source=FEED)
            return 0
        for one in self.waiting.values():
            one.syncs += one.ended < asked
        return count

    async def _synchronise(self, asked: float) -> int:
        now_ms = self.client.platform_now_ms()
        known = now_ms if self._complete_at is None else max(self._complete_at, now_ms - self._max_ms)
        since = min([known, *(one.started_at for one in self.waiting.values())]) - FAR_MARGIN_MS
        page = await self._books.sync(self._token, max(since, now_ms - FARTHEST_MS))
        if page.full and (left := self._read_again_at - now_ms) > 0:
            # The log has just been read, and was read while more calls ended than one answer tells of: what did not fit
            # now is read with what is to come, in one go. Until then neither token nor position move on.
            self._next_sync = max(self._next_sync, asked + left / 1000 / self.client.pace.speed)
            await self._take(page, page.claims, asked, None)
            return len(page.claims)
        if page.full:  # what did not fit is not told again
            far = not self._read_until or now_ms - self._read_far_at >= FAR_MARGIN_MS
            margin = FAR_MARGIN_MS if far else ADJACENT_MS
            missing = since if self._complete_at is None else known - margin
            await self._backfill.run(max(missing, now_ms - self._max_ms - FAR_MARGIN_MS), now_ms)
            self._read_far_at = now_ms if far else self._read_far_at
            took_ms = round((self._clock() - asked) * 1000)
            self._read_until, self._read_again_at = now_ms, now_ms + max(READ_PAUSE_MS, READ_SHARE * took_ms)
        position = None
        if page.sync_token is not None:
            position = FeedPosition(FEED, self._intake.account_id, page.sync_token, now_ms)
        await self._take(page, page.claims, asked, position)
        self._token, self._complete_at = page.sync_token, now_ms
        return len(page.claims)

    async def look_up(self, key: CallKey) -> None:
        """Ask for one call's records. Raises ``PlatformError``."""
        one = self.waiting[key]
        asked, way, before = self._clock(), one.way(key), (one.lookups, one.due_at)
        one.tried(asked)
        try:
            async for page in self._books.log_pages(lambda extension_id: one.query(key, way, extension_id)):
                window = way is Way.WINDOW  # asked for when its own records are not there
                claims = one.between_its_ends(page.claims) if window else page.claims
                await self._take(page, claims, asked, None, about=[key], not_found=[key] if window else ())
        except Throttled:
            one.lookups, one.due_at = before  # no answer came
            raise

    async def _take(
        self,
        page: RecordPage,
        claims: Sequence[RecordClaim],
        asked: float,
        position: FeedPosition | None,
        *,
        about: Collection[CallKey] = (),
        not_found: Collection[CallKey] = (),
    ) -> None:
        await self._intake.take_claims(
            await self._books.ours(claims),
            asked=asked,
            unreadable=page.unreadable,
            candidates=self.candidates,
            about=about,
            not_found=not_found,
            position=position,
        )
