"""Puts the parts of a daemon together, in the one order that works, and lets them go on where the last run stopped."""

import asyncio
import time
from dataclasses import dataclass

from ringledger.domain.changes import Changes
from ringledger.domain.observation import Delivery
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.writer import LedgerWriter
from ringledger.logs import LOG, Event
from ringledger.metrics import Metrics
from ringledger.platform.connection import now_ms
from ringledger.platform.feed import Feed, FeedNotice
from ringledger.platform.rest import PlatformClient
from ringledger.service.announce import Announcer
from ringledger.service.backfill import Backfill
from ringledger.service.build import feed_of
from ringledger.service.confirm import FEED as SYNC_FEED
from ringledger.service.confirm import GIVE_UP_AFTER, Confirmer
from ringledger.service.intake import Intake
from ringledger.service.poll import Poller
from ringledger.service.roster import Roster
from ringledger.service.scope import PlatformBooks
from ringledger.service.sight import Sight
from ringledger.service.webhooks import Deliveries, deliveries_of
from ringledger.settings import Settings

GIVE_UP_MS = int(GIVE_UP_AFTER * 1000)


@dataclass(slots=True)
class Parts:
    """What runs once the platform is known."""

    intake: Intake
    writer: LedgerWriter
    poller: Poller
    confirmer: Confirmer
    sight: Sight
    feed: Feed
    client: PlatformClient
    roster: Roster
    deliveries: Deliveries


async def assemble(
    settings: Settings,
    ledger: Ledger,
    client: PlatformClient,
    *,
    account_id: str,
    roster: Roster,
    metrics: Metrics,
    speed: float = 1.0,
) -> Parts:
    """The parts, wired to each other and resumed from the ledger. ``speed``: the platform's."""
    books = PlatformBooks(client, account_id, None if roster.everybody else roster.watched)
    intake = Intake(
        CallTracker(
            settle_seconds=settings.calls.settle_seconds, stale_after_seconds=settings.calls.stale_after_seconds
        ),
        ledger,
        account_id,
        announce=Announcer(metrics).announce,
        on_doubts=lambda changes: poller.check(changes),  # noqa: PLW0108 - made below
    )
    books.known = intake.knows
    confirmer = Confirmer(
        books,
        intake,
        interval=settings.confirm.sync_interval_seconds,
        idle_interval=settings.poll.interval_seconds,
        max_days=settings.backfill.max_days,
    )
    poller = Poller(books, intake, lambda: list(confirmer.waiting), interval=settings.poll.interval_seconds)
    sight = Sight(
        intake,
        Backfill(books, intake, lambda: list(confirmer.waiting)),
        metrics,
        max_days=settings.backfill.max_days,
        silence=settings.feed.silence_timeout_seconds,
        on_gap=poller.soon,
    )
    deliveries = deliveries_of(settings.webhooks, ledger, metrics, speed=speed)
    writer = intake.writer = _writer(settings, ledger, intake, metrics, [deliveries, confirmer, sight])
    feed = await _resume(settings, ledger, intake, confirmer, sight=sight, watched=roster.watched)
    return Parts(intake, writer, poller, confirmer, sight, feed, client, roster, deliveries)


def _writer(
    settings: Settings,
    ledger: Ledger,
    intake: Intake,
    metrics: Metrics,
    listeners: list[Deliveries | Confirmer | Sight],
) -> LedgerWriter:
    """The writer; after each commit the intake hears of it first, then the listeners."""

    def committed(changes: Changes) -> None:
        intake.committed(changes)
        for listener in listeners:
            listener.committed(changes)
        metrics.store_commit_duration_seconds.observe(writer.commit_seconds)

    writer = LedgerWriter(
        ledger,
        intake.take,
        commit_interval=settings.database.commit_interval_ms / 1000,
        commit_batch=settings.database.commit_batch,
        on_committed=committed,
        notices=StoreNotices(metrics),
        now_ms=now_ms,
        journal=settings.journal.days > 0,
    )
    return writer


async def _resume(
    settings: Settings, ledger: Ledger, intake: Intake, confirmer: Confirmer, *, sight: Sight, watched: list[str]
) -> Feed:
    """Open calls, unconfirmed calls, spans of sight and the feed's position, as of the last commit."""
    client, account_id = confirmer.client, intake.account_id
    state = await ledger.load_open(account_id)
    intake.resume(state)
    now = client.platform_now_ms()
    unconfirmed = await ledger.load_unconfirmed(account_id, now - GIVE_UP_MS)
    confirmer.resume(unconfirmed, state.positions.get(SYNC_FEED), now_ms=now)
    sight.resume(await ledger.load_coverage(account_id))
    feed = feed_of(settings, client, account_id, watched, state.positions)
    sight.on_deaf = feed.rebuild
    return feed


class Sink:
    """Where a feed delivers: observations to the intake, notices to our account of sight."""

    def __init__(self, intake: Intake, sight: Sight, up: asyncio.Event) -> None:
        self.room = intake.room
        self._intake = intake
        self._sight = sight
        self._up = up

    async def deliver(self, delivery: Delivery) -> None:
        """Return after the commit."""
        if delivery.observations or delivery.unreadable:
            self._sight.heard()
        await self._intake.deliver(delivery)

    def notice(self, notice: FeedNotice) -> None:
        """Hear about the feed."""
        if notice.kind.value in {"feed.connected", "feed.resumed"}:
            self._up.set()
        self._sight.notice(notice)


class StoreNotices:
    """The database's troubles: one line when they begin, one when they are over."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._since = 0.0

    def retrying(self, error: Exception) -> None:
        self._since = self._since or time.monotonic()
        LOG.warning(Event.STORE_RETRYING, reason=type(error).__name__, detail=str(error))

    def full(self, error: Exception) -> None:
        self._since = self._since or time.monotonic()
        self._metrics.store_disk_full.set(1)
        LOG.error(Event.STORE_FULL, detail=str(error))

    def recovered(self, attempts: int) -> None:
        self._metrics.store_disk_full.set(0)
        LOG.warning(Event.STORE_RECOVERED, attempts=attempts, seconds=round(time.monotonic() - self._since, 3))
        self._since = 0.0
