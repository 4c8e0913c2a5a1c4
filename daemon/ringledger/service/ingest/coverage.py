"""The coverage monitor: when the feed was live, doubtful or blind, from the feed's own notices (rule 8.3).

A notice becomes a log line, a figure and a span of coverage. Every hole is healed by reading the call log for it, once
the log has had time to be complete; a feed that resumed and replayed what was missed has healed its hole itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from math import nan
from typing import Any, Final

from ringledger.clock import monotonic, now_ms
from ringledger.domain.changes import AnnouncementKind, Changes
from ringledger.domain.coverage import FIRST, CoverageBook, CoverageSpan, CoverageState
from ringledger.domain.observation import CallKey, PresenceObservation
from ringledger.durations import DAY_MS
from ringledger.ledger.times import to_text
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.delivery import FeedNotice, FeedNoticeKind
from ringledger.ringcentral.errors import CredentialsRejected, PlatformError, Throttled
from ringledger.service.ingest.backfill import Backfill
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.unheard import Unheard
from ringledger.service.own_time import OwnTime

#: The call log has a finished call after 15 to 60 s; a hole is read this long after its end (platform ms).
LOG_DELAY_MS: Final = 90_000
#: Ended calls stay in active-calls for about two minutes: a shorter hole is healed by the poll that follows it.
LISTED_MS: Final = 100_000
#: Corrections that say that the ledger did not have the call at all.
BROUGHT: Final = frozenset({"written", "opened"})
#: How often the current span's end is moved on and holes are looked at, seconds.
BEAT_SECONDS: Final = 5.0
#: A difference between wall clock and monotonic clock that is no drift.
JUMP_SECONDS: Final = 60.0
#: A beat that comes so much too late: the process stood still, and what its feed kept for it may not be all.
STOOD_SECONDS: Final = 30.0
#: Different reasons of reconnects in the metrics.
MOST_LABELS: Final = 50
#: The end of the current span is written this often: so much of a crash's blindness is told too early (ms).
EXTEND_MS: Final = 15_000


class CoverageMonitor:
    """Listens to the feed's notices and heals holes."""

    def __init__(
        self,
        intake: Pipeline,
        backfill: Backfill,
        metrics: Metrics,
        *,
        max_days: int,
        silence: float = 300.0,
        rebuild: Callable[[str], Awaitable[None]] | None = None,
        on_gap: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.book = CoverageBook(intake.account_id)
        self._intake = intake
        self.backfill = backfill
        self._metrics = metrics
        self._max_days = max_days
        self._silence = silence
        self._on_gap = on_gap
        self._rebuild = rebuild
        self.clock = clock
        self._heard_at = clock()
        self._unheard = 0
        #: Our own time, by which this account is dated; the platform's dates only what the platform says.
        self.time = OwnTime(backfill.books.client, clock=clock)
        self._offset = self.time.wall() - clock()
        self._labels: set[str] = set()
        self._looked_at: set[int] = set()
        #: Why there is no subscription (empty: there is one), ``None`` before anything was heard of one, and the
        #: filters it does not serve, each with the platform's reason.
        self.unsubscribed: str | None = None
        self.refused: tuple[tuple[str, str], ...] = ()
        #: Extensions that have calls but no events.
        self.unheard = Unheard()

    def seconds_since(self, at: int) -> float:
        """Return how long ago a time of the coverage is, seconds. ``at``: ms."""
        return max(0.0, (self._now() - at) / 1000)

    def resume(self, spans: list[CoverageSpan]) -> None:
        """Go on with the spans of the ledger; before the very first start all time is blind."""
        now = self._now()
        if not spans and self._max_days:
            first = now - self._max_days * DAY_MS
            spans = [CoverageSpan(self.book.account_id, first, first, CoverageState.BLIND, FIRST)]
        self.book.resume(spans, now=now)
        self.book.rewind(now, spans)  # what a clock that was wrong has dated later than now

    # -- notices ---------------------------------------------------------------------------------------------------

    def notice(self, notice: FeedNotice) -> None:
        """Take a notice about the feed's state (``FeedSink``)."""
        level = LOG.warning if notice.kind in _WARNINGS else LOG.info
        level(Event(notice.kind), reason=notice.reason or None, **_readable(notice.detail))
        if notice.kind in _OF_A_SUBSCRIPTION:
            life = notice.detail.get("expires_in")
            self._metrics.subscription_expiry_timestamp_seconds.set(nan if life is None else time.time() + life)
        match notice.kind:
            case FeedNoticeKind.SUBSCRIPTION_CREATED:
                self.unsubscribed, self.refused = "", ()
                self.unheard.subscribed()
            case FeedNoticeKind.SUBSCRIPTION_RENEWED:
                self.refused = ()  # else it is said again now
            case FeedNoticeKind.FILTERS_REFUSED:
                self.refused = tuple((text, reason) for text, reason in notice.detail.get("filters", ()))
            case FeedNoticeKind.CONNECTED | FeedNoticeKind.RESUMED:
                self._up(replayed=notice.kind is FeedNoticeKind.RESUMED)
            case FeedNoticeKind.DISCONNECTED | FeedNoticeKind.SUBSCRIPTION_LOST:
                if notice.kind is FeedNoticeKind.SUBSCRIPTION_LOST:
                    self.unsubscribed, self.refused = notice.reason or "lost", ()
                self._down(notice.reason or notice.kind.value)
            case FeedNoticeKind.SILENT:
                self.book.turn(CoverageState.DOUBTFUL, self._now(), "silent")
                self._on_gap()
            case FeedNoticeKind.GAP:
                self._gap(notice)

    def heard(self, observations: Iterable[PresenceObservation] = ()) -> None:
        """The feed has brought something: it is neither silent nor deaf."""
        for extension_id, count in self.unheard.heard(observations):
            self._tell_unheard(extension_id, count)
        self._heard_at, self._unheard = self.clock(), 0
        self._metrics.push_last_event_timestamp_seconds.set(time.time())
        current = self.book.current
        if current is not None and current.state is CoverageState.DOUBTFUL:
            self.book.turn(CoverageState.LIVE, self._now())

    def _up(self, *, replayed: bool) -> None:
        self.unsubscribed = ""
        self._metrics.push_connected.set(1)
        before = self.book.current
        self.book.turn(CoverageState.LIVE, self._now())
        if not replayed:
            self._intake.sees_since(now_ms())
        if replayed and before is not None and before.state is CoverageState.BLIND:
            hole = next((one for one in self.book.holes if one.from_at == before.from_at), None)
            if hole is not None and hole.until_at - hole.from_at < LISTED_MS:
                self.book.heal(hole.from_at, "replay")
        self._on_gap()

    def _down(self, reason: str) -> None:
        current = self.book.current
        if current is not None and current.state is CoverageState.LIVE:
            self._metrics.push_reconnects.labels(reason=self._label(reason)).inc()
        self._metrics.push_connected.set(0)
        self.book.turn(CoverageState.BLIND, self._now(), reason)

    def _label(self, reason: str) -> str:
        """The first word of a reason; some are the platform's, so there is a bound to how many there may be."""
        word = reason.split(maxsplit=1)[0] if reason.split() else ""
        if word not in self._labels and len(self._labels) >= MOST_LABELS:
            return "other"
        self._labels.add(word)
        return word

    def _gap(self, notice: FeedNotice) -> None:
        """Something may be missing although the feed is up: the time since it was last surely seen is doubtful."""
        if not notice.delivered:
            self._intake.sees_since(now_ms())
        since = notice.detail.get("from_at")
        if isinstance(since, int):  # on our clock
            self.book.doubt(since + self._now() - now_ms(), self._now(), notice.reason)
        self._on_gap()

    # -- deafness ------------------------------------------------------------------------------------------------

    def committed(self, changes: Changes) -> None:
        """After each commit: count what the feed ought to have told and the platform's books told instead."""
        for told in changes.announcements:
            if told.kind is AnnouncementKind.CORRECTED:
                self._unheard += 1
                if told.reason in BROUGHT and told.session_id is not None:
                    self._count(changes, CallKey(told.account_id, told.session_id))

    def _count(self, changes: Changes, key: CallKey) -> None:
        """A whole call came back: the hole it fell into has lost one less."""
        if (record := changes.records.get(key)) is not None:
            self._doubt_filter(record.extension_id, record.started_at)
            self.book.recover(self._ours(record.started_at), self._ours(record.ended_at))
        elif (call := changes.sessions.get(key)) is not None:
            extension_id = next((leg.extension_id for leg in call.legs if leg.extension_id), None)
            self._doubt_filter(extension_id, call.started_at)
            self.book.recover(self._ours(call.started_at), self._ours(call.last_seen_at))

    def _doubt_filter(self, extension_id: str | None, started_at: int) -> None:
        """A call came from the records alone. If the feed was up from before its start, its extension may be one that
        the subscription does not cover."""
        current = self.book.current
        live = current is not None and current.state is CoverageState.LIVE
        if current is None or not live or self._ours(started_at) < current.from_at:
            return
        if extension_id and (count := self.unheard.brought(extension_id, started_at)):
            self._tell_unheard(extension_id, count)

    def _tell_unheard(self, extension_id: str, count: int) -> None:
        LOG.warning(Event.FEED_EXTENSION_UNHEARD, extension_id=extension_id, calls=count)

    async def _judge_feed(self) -> None:
        """A feed that is silent although the platform shows calls coming and going is dead, whatever it says of itself
        (the most reported failure of all: platform page 8, number 5)."""
        if self._unheard and self._rebuild is not None and self.clock() - self._heard_at > self._silence:
            self._heard_at, self._unheard = self.clock(), 0
            LOG.warning(Event.FEED_SILENT, reason="calls_go_on")
            await self._rebuild("silent although calls go on")

    def _follow_clock(self) -> None:
        """When our time has been set, what it passes over is doubtful, and what it takes back has not been."""
        step = self.time.watch()
        if step is None:
            return
        LOG.warning(Event.CLOCK_STEPPED, seconds=round((step.after - step.before) / 1000))
        if step.after < step.before:
            self.book.rewind(step.after)
        elif (current := self.book.current) is not None and current.state is CoverageState.LIVE:
            self.book.turn(CoverageState.DOUBTFUL, step.before, "clock_stepped")
            self.book.turn(CoverageState.LIVE, step.after)

    async def _judge_clock(self) -> None:
        """A wall clock that ran away from the monotonic one: the machine slept, or the clock was set. No duration
        depends on it, but a connection that slept is not to be trusted (platform page 8, number 10)."""
        offset = self.time.wall() - self.clock()
        jumped, self._offset = offset - self._offset, offset
        if abs(jumped) > JUMP_SECONDS and self._rebuild is not None:
            LOG.warning(Event.FEED_GAP, reason="clock_jumped", seconds=round(jumped))
            await self._rebuild("the clock jumped")

    # -- healing ---------------------------------------------------------------------------------------------------

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Move the current span on, heal holes; until cancelled. Reading the log for a hole may take as long as the
        platform's limits want; the account goes on meanwhile, so that a crash is not blind for longer than it was.
        """
        healing: asyncio.Task[None] | None = None
        try:
            while True:
                beat()
                self._follow_clock()
                self.book.extend(self._now(), EXTEND_MS)
                await self._judge_feed()
                await self._judge_clock()
                await self.commit()
                if healing is None or healing.done():
                    if healing is not None:
                        healing.result()  # raises what has ended it
                    healing = asyncio.create_task(self._heal())
                await self._rest()
        finally:
            if healing is not None:
                healing.cancel()
                await asyncio.wait([healing])

    async def _heal(self) -> None:
        with suppress(PlatformError):
            await self._heal_holes()
        await self.commit()

    async def _rest(self) -> None:
        """Until the next beat. Connections believe that they were alive while the whole process stood still (it was
        stopped, or its machine was): the time is doubtful."""
        began = self.clock()
        await asyncio.sleep(BEAT_SECONDS)
        stood = self.clock() - began - BEAT_SECONDS
        if stood > STOOD_SECONDS:
            LOG.warning(Event.FEED_GAP, reason="stood_still", seconds=round(stood))
            now = self._now()
            since = now - round((stood + BEAT_SECONDS) * 1000)
            self.book.doubt(since, now, "stood_still")  # what was live before the feed came back, if it has
            if (current := self.book.current) is not None and current.from_at > since:
                self.book.doubt(current.from_at, now, "stood_still")
            self._on_gap()

    async def commit(self) -> None:
        """Write the spans that have moved."""
        moved = self.book.take()
        if moved:
            await self._intake.change(lambda: self._intake.tracker.changes.coverage.extend(moved))

    async def _heal_holes(self) -> None:
        for hole in list(self.book.holes):
            if hole not in self.book.holes:
                continue  # a back-fill has healed it meanwhile
            complete = self._now() >= hole.until_at + LOG_DELAY_MS
            long = hole.until_at - hole.from_at > LISTED_MS
            if not complete and (not long or hole.from_at in self._looked_at):
                continue
            self._looked_at.add(hole.from_at)
            await self._read(hole, complete=complete)

    async def _read(self, hole: CoverageSpan, *, complete: bool) -> None:
        """Read the call log for a hole; only when the log is complete does that heal it."""
        since = max(hole.from_at, self._now() - self._max_days * DAY_MS)
        if since >= hole.until_at:
            self.book.leave(hole.from_at)  # older than we may look back: it stays blind
            return
        try:
            await self.backfill.run(*self._asked_for(since, hole.until_at))
        except CredentialsRejected:
            raise
        except Throttled as error:
            await self.backfill.books.client.pace.sleep(error.retry_after)
            return
        if complete:
            self.book.heal(hole.from_at, "call-log")

    def _asked_for(self, since: int, until: int) -> tuple[int, int]:
        """A period on our clock as the platform is asked for it: whichever of the two clocks is right, it is in it."""
        ahead = self.backfill.books.client.platform_now_ms() - self._now()
        return since + min(0, ahead), until + max(0, ahead)

    def _now(self) -> int:
        return self.time.now()

    def _ours(self, at: int) -> int:
        """A time of the platform's on our clock, ms."""
        client = self.backfill.books.client
        return at - (client.platform_now_ms() - self._now())


_OF_A_SUBSCRIPTION: Final = frozenset(
    {FeedNoticeKind.SUBSCRIPTION_CREATED, FeedNoticeKind.SUBSCRIPTION_RENEWED, FeedNoticeKind.SUBSCRIPTION_LOST}
)
_WARNINGS: Final = frozenset(
    {
        FeedNoticeKind.DISCONNECTED,
        FeedNoticeKind.GAP,
        FeedNoticeKind.SILENT,
        FeedNoticeKind.SUBSCRIPTION_LOST,
        FeedNoticeKind.FILTERS_REFUSED,
    }
)


def _readable(detail: Mapping[str, Any]) -> dict[str, Any]:
    """As the log says it: times are text there, like everywhere outside."""
    times = {"from_at", "until_at"}
    return {name: to_text(at) if name in times and isinstance(at, int) else at for name, at in detail.items()}
