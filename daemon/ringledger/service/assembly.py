"""Puts the parts of a daemon together, in the one order that works, and lets them go on where the last run stopped."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ringledger.clock import now_ms
from ringledger.config.model import Settings
from ringledger.domain.changes import Changes
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.read.quarantine import records
from ringledger.ledger.read.restart import OpenState
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter, Notices
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import Feed
from ringledger.service.announce import Announcer, Who
from ringledger.service.build import feed_of
from ringledger.service.ingest.backfill import Backfill
from ringledger.service.ingest.confirmer import FEED as SYNC_FEED
from ringledger.service.ingest.confirmer import GIVE_UP_AFTER, Confirmer
from ringledger.service.ingest.coverage import CoverageMonitor
from ringledger.service.ingest.directory import ExtensionDirectory
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.poller import Poller
from ringledger.service.ingest.positions import tell_unreadable
from ringledger.service.ingest.scope import ScopedCallLog
from ringledger.service.webhooks.worker import Deliveries, deliveries_of

GIVE_UP_MS = int(GIVE_UP_AFTER * 1000)


class Listener(Protocol):
    """Who is called after each commit."""

    def committed(self, changes: Changes) -> None:
        """This batch is committed."""


@dataclass(slots=True)
class Parts:
    """What runs once the platform is known."""

    intake: Pipeline
    writer: LedgerWriter
    poller: Poller
    confirmer: Confirmer
    sight: CoverageMonitor
    feed: Feed
    client: PlatformClient
    directory: ExtensionDirectory
    deliveries: Deliveries


async def assemble(
    settings: Settings,
    ledger: Ledger,
    client: PlatformClient,
    *,
    account_id: str,
    directory: ExtensionDirectory,
    metrics: Metrics,
    deliveries: Deliveries,
    notices: Notices,
) -> Parts:
    """The parts of an account, wired to each other and resumed from the ledger."""
    intake = Pipeline(
        CallTracker(
            settle_seconds=settings.calls.settle_seconds, stale_after_seconds=settings.calls.stale_after_seconds
        ),
        ledger,
        account_id,
        announce=Announcer(metrics, directory.who).announce,
    )
    books = ScopedCallLog(client, account_id, None if directory.everybody else directory.watched, intake.knows)
    confirmer = Confirmer(
        books,
        intake,
        interval=settings.confirm.sync_interval_seconds,
        idle_interval=settings.poll.interval_seconds,
        max_days=settings.backfill.max_days,
    )
    poller = Poller(books, intake, confirmer.candidates, interval=settings.poll.interval_seconds)
    state = await ledger.load_open(account_id)
    tell_unreadable(state.positions, settings.feed.transport, metrics)
    feed = feed_of(settings, client, account_id, directory.watched, state.positions)
    sight = CoverageMonitor(
        intake,
        Backfill(books, intake, confirmer.candidates),
        metrics,
        max_days=settings.backfill.max_days,
        silence=settings.feed.silence_timeout_seconds,
        rebuild=feed.rebuild,
        on_gap=poller.soon,
    )
    listeners: list[Listener] = [poller, deliveries, confirmer, sight]
    writer = intake.commit_by(_writer(settings, ledger, intake, metrics, listeners=listeners, notices=notices))
    await _resume(ledger, state, intake, confirmer, sight)
    return Parts(intake, writer, poller, confirmer, sight, feed, client, directory, deliveries)


def _writer(
    settings: Settings,
    ledger: Ledger,
    intake: Pipeline,
    metrics: Metrics,
    *,
    listeners: list[Listener],
    notices: Notices,
) -> LedgerWriter:
    """Return the writer; after each commit it calls the pipeline first, then the listeners."""

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
        on_refused=intake.refused,
        notices=notices,
        now_ms=now_ms,
    )
    return writer


async def _resume(
    ledger: Ledger, state: OpenState, intake: Pipeline, confirmer: Confirmer, sight: CoverageMonitor
) -> None:
    """Go on with open calls, unconfirmed calls and spans of coverage, as of the last commit."""
    intake.resume(state)
    now = confirmer.client.platform_now_ms()
    unconfirmed = await ledger.load_unconfirmed(intake.account_id, now - GIVE_UP_MS)
    confirmer.resume(unconfirmed, state.positions.get(SYNC_FEED), now_ms=now)
    sight.resume(await ledger.load_coverage(intake.account_id))
    intake.aside.remember(await records(ledger.reader, intake.account_id))


class Outgoing:
    """The webhooks' deliveries of a process, made when the first account tells how fast its platform's time runs.

    ``begun``: set when there are some; ``may_send``: whether this process works for an account for certain.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        metrics: Metrics,
        *,
        may_send: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._may_send = may_send
        self.begun = asyncio.Event()
        self._settings = settings
        self._ledger = ledger
        self._metrics = metrics
        self._directories: dict[str, Who] = {}
        self._made: Deliveries | None = None

    @property
    def deliveries(self) -> Deliveries:
        """Return the deliveries; without an account yet they are made now, for a platform whose time runs as ours."""
        return self._made or self._make(1.0)

    def join(self, account_id: str, who: Who, speed: float) -> Deliveries:
        """An account's letters go out from now on. ``who``: its directory; ``speed``: its platform's."""
        self._directories[account_id] = who
        deliveries = self._made or self._make(speed)
        deliveries.look_through()  # it may have been another process's
        return deliveries

    def leave(self, account_id: str) -> None:
        """Nothing new comes from this account."""
        self._directories.pop(account_id, None)

    def _make(self, speed: float) -> Deliveries:
        made = self._made = deliveries_of(
            self._settings.webhooks,
            self._ledger,
            self._metrics,
            directories=self._directories,
            speed=speed,
            may_send=self._may_send,
        )
        self.begun.set()
        return made


class StoreNotices:
    """The database's troubles: one line when they begin, whichever writer meets them, and one when they are over for
    all of them."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.since = 0.0
        #: Of each writer in trouble the kind of it.
        self.troubles: dict[object, str] = {}

    def of_writer(self) -> Notices:
        """What one writer tells."""
        return _WriterNotices(self)

    def begins(self, writer: object, kind: str) -> bool:
        """A writer is in trouble; returns whether it is the first with that kind."""
        self.since = self.since or time.monotonic()
        first = kind not in self.troubles.values()
        self.troubles[writer] = kind
        return first

    def ends(self, writer: object) -> bool:
        """A writer's trouble is over; returns whether it was the last."""
        self.troubles.pop(writer, None)
        self.metrics.store_disk_full.set(int("full" in self.troubles.values()))
        return not self.troubles


class _WriterNotices:
    """One writer's part in the database's troubles."""

    def __init__(self, whole: StoreNotices) -> None:
        self._whole = whole

    def retrying(self, error: Exception) -> None:
        if self._whole.begins(self, type(error).__name__):
            LOG.warning(Event.STORE_RETRYING, reason=type(error).__name__, detail=str(error))

    def full(self, error: Exception) -> None:
        first = self._whole.begins(self, "full")
        self._whole.metrics.store_disk_full.set(1)
        if first:
            LOG.error(Event.STORE_FULL, detail=str(error))

    def recovered(self, attempts: int) -> None:
        if self._whole.ends(self):
            seconds = round(time.monotonic() - self._whole.since, 3)
            LOG.warning(Event.STORE_RECOVERED, attempts=attempts, seconds=seconds)
            self._whole.since = 0.0
