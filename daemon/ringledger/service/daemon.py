"""The daemon: puts the parts together, runs them in one task group, stops them in order.

What must stay true: a task that dies ends the process; a platform outage does not; stopping is only a courtesy, for
correctness never depends on it (semantics 9).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from ringledger import __version__, health
from ringledger.domain.changes import Changes
from ringledger.domain.tracker import CallTracker
from ringledger.layers import SettingsError
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.upgrade import upgrade
from ringledger.ledger.writer import LedgerWriter
from ringledger.logs import LOG, Event, bind_account
from ringledger.metrics import Metrics
from ringledger.platform.connection import now_ms
from ringledger.platform.errors import CredentialsRejected, PlatformError
from ringledger.platform.feed import Feed, FeedNotice
from ringledger.platform.pace import Pace
from ringledger.platform.people import WhoAmI
from ringledger.platform.rest import PlatformClient
from ringledger.service.announce import Announcer
from ringledger.service.backfill import Backfill
from ringledger.service.build import (
    authenticator,
    credentials_missing,
    feed_of,
    platform_client,
    rate_limits,
)
from ringledger.service.confirm import FEED as SYNC_FEED
from ringledger.service.confirm import GIVE_UP_AFTER, Confirmer
from ringledger.service.intake import Intake
from ringledger.service.poll import Poller
from ringledger.service.pulse import Pulse, RestingPace, watched_session
from ringledger.service.refill import ear
from ringledger.service.reload import reloaded
from ringledger.service.roster import Roster
from ringledger.service.scope import PlatformBooks
from ringledger.service.sight import Sight
from ringledger.service.upkeep import ROUND_AT_MOST, Upkeep, keep_verified, verify_at_start
from ringledger.service.vitals import Vitals
from ringledger.service.web import serving
from ringledger.service.webhooks import Deliveries, deliveries_of
from ringledger.settings import Settings
from ringledger.systemd import Notifier

T = TypeVar("T")

GIVE_UP_MS = int(GIVE_UP_AFTER * 1000)

#: First and longest pause between attempts to reach the platform at start, platform seconds.
RETRY_SECONDS = (2.0, 60.0)
#: A loop that asks nobody has this long for one round, seconds; one that asks the platform this long for a request.
ROUND_WITHIN = 60.0
ASKING_WITHIN = 300.0
#: How long a start waits for its first reconciliation and for the feed before it is ready all the same.
READY_WITHIN_SECONDS = 60.0
#: What the steps of a stop may take, seconds: the feed, the last commit, the network, the database.
STOP_STAGES = {"feed": 2.0, "commit": 7.0, "tasks": 2.0, "database": 4.0}


@dataclass(slots=True)
class _Parts:
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


class Daemon:
    """The whole of ringledger in one process. ``run`` returns when ``stop`` was called; all else raises.

    Raises ``CredentialsRejected``, ``LedgerError`` or what a dead task raised.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        pace: Pace | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.ready = asyncio.Event()
        self.intake: Intake | None = None
        self.parts: _Parts | None = None
        self.notifier = notifier or Notifier({})
        self.loops = health.Loops()
        self.vitals = Vitals(self, self.loops, self.metrics)
        self.pulse = Pulse(self.notifier, self.vitals)
        #: Where /livez and its neighbours are served; empty: nowhere.
        self.address = ""
        self._pace = RestingPace(self.loops, pace.speed if pace else 1.0)
        self._stop = asyncio.Event()
        self._reason = ""
        self._feed_up = asyncio.Event()
        self._assembled = asyncio.Event()

    # -- life ------------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End ``run`` in good order."""
        if not self._stop.is_set():
            self._reason = reason
            LOG.info(Event.SERVICE_STOPPING, reason=reason)
            self.notifier.stopping()
        self._stop.set()

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take over what may change live (SIGHUP); a wrong configuration changes nothing."""
        self.notifier.reloading()
        try:
            self.settings = reloaded(self.settings, load)
        except SettingsError:
            self.metrics.config_last_reload_successful.set(0)
        else:
            self.metrics.config_last_reload_successful.set(1)
            self.metrics.config_last_reload_success_timestamp_seconds.set(time.time())
            if self.parts is not None:
                self.parts.poller.interval = self.settings.poll.interval_seconds
        if self.ready.is_set():
            self.notifier.ready()
        self.pulse.tell()

    async def run(self) -> None:
        """From nothing to ready, and on until stopped."""
        LOG.info(Event.SERVICE_STARTED, version=__version__)
        credentials_missing(self.settings)
        self.metrics.config_last_reload_success_timestamp_seconds.set(time.time())
        async with AsyncExitStack() as stack:
            pulse = asyncio.create_task(self.pulse.run(), name="pulse")
            stack.push_async_callback(_cancel, [pulse], STOP_STAGES["tasks"])
            self.address = await stack.enter_async_context(
                serving(self.settings.http.listen, self.vitals, self.metrics)
            )
            await self._open()
        LOG.info(Event.SERVICE_STOPPED, reason=self._reason)

    async def _open(self) -> None:
        url = self.settings.database.url
        report = await asyncio.to_thread(upgrade, url)
        if report.before != report.after:
            LOG.info(Event.DATABASE_UPGRADED, before=report.before, after=report.after)
        await verify_at_start(self.settings)
        self.pulse.preparing = False
        ledger = await Ledger.open(url)
        becoming = asyncio.create_task(self._become_ready(), name="ready")
        try:
            async with watched_session(self.metrics, self.loops, aiohttp.ClientTimeout(total=60)) as session:
                await self._run(ledger, session)
        finally:
            await _cancel([becoming], STOP_STAGES["tasks"])
            async with asyncio.timeout(STOP_STAGES["database"]):
                await ledger.close()

    async def _run(self, ledger: Ledger, session: aiohttp.ClientSession) -> None:
        limits = rate_limits(self.metrics, self._pace)
        auth = authenticator(self.settings, session, limits)
        client = platform_client(self.settings, session, auth, limits)
        me = await self._until_stopped(self._persist(client.whoami))
        if me is None:
            return
        bind_account(me.account_id)
        roster = Roster(client, self.settings, me)
        watched = await self._until_stopped(self._persist(roster.load))
        if watched is None:
            return
        self.vitals.extensions = len(watched)
        self.parts = parts = await self._assemble(ledger, client, me, roster)
        self._assembled.set()
        await self._supervise(parts, ledger)

    async def _assemble(self, ledger: Ledger, client: PlatformClient, me: WhoAmI, roster: Roster) -> _Parts:
        settings, account_id = self.settings, me.account_id
        tracker = CallTracker(
            settle_seconds=settings.calls.settle_seconds, stale_after_seconds=settings.calls.stale_after_seconds
        )
        announcer = Announcer(self.metrics)
        intake = self.intake = Intake(
            tracker,
            ledger,
            account_id,
            announce=announcer.announce,
            on_doubts=lambda changes: poller.check(changes),  # noqa: PLW0108 - made below
        )
        books = PlatformBooks(client, account_id, None if roster.everybody else roster.watched)
        poller = Poller(books, intake, interval=settings.poll.interval_seconds)
        confirmer = Confirmer(
            books,
            intake,
            interval=settings.confirm.sync_interval_seconds,
            idle_interval=settings.poll.interval_seconds,
        )
        backfill = Backfill(books, intake, lambda: list(confirmer.waiting))
        sight = Sight(
            intake,
            backfill,
            self.metrics,
            max_days=settings.backfill.max_days,
            silence=settings.feed.silence_timeout_seconds,
            on_gap=poller.soon,
        )

        deliveries = deliveries_of(settings.webhooks, ledger)

        def committed(changes: Changes) -> None:
            intake.committed(changes)
            deliveries.committed(changes)
            confirmer.committed(changes)
            sight.committed(changes)
            self.metrics.store_commit_duration_seconds.observe(writer.commit_seconds)

        writer = intake.writer = LedgerWriter(
            ledger,
            intake.take,
            commit_interval=settings.database.commit_interval_ms / 1000,
            commit_batch=settings.database.commit_batch,
            on_committed=committed,
            notices=_StoreNotices(self.metrics),
            now_ms=now_ms,
            journal=settings.journal.days > 0,
        )
        state = await ledger.load_open(account_id)
        intake.resume(state)
        now = client.platform_now_ms()
        unconfirmed = await ledger.load_unconfirmed(account_id, now - GIVE_UP_MS)
        confirmer.resume(unconfirmed, state.positions.get(SYNC_FEED), now_ms=now)
        sight.resume(await ledger.load_coverage(account_id))
        feed = feed_of(settings, client, account_id, roster.watched, state.positions)
        sight.on_deaf = feed.rebuild
        return _Parts(intake, writer, poller, confirmer, sight, feed, client, roster, deliveries)

    # -- running ---------------------------------------------------------------------------------------------------

    async def _supervise(self, parts: _Parts, ledger: Ledger) -> None:
        """Everything at once. The writer outlives the rest, so that what was observed is committed."""
        confirming = self.settings.confirm.enabled
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(parts.writer.run(), name="writer")
                feeding = group.create_task(self._feed(parts), name="feed")
                others = [
                    group.create_task(work, name=name)
                    for name, work in self._side_tasks(parts, ledger, confirming=confirming)
                ]
                await self._stop.wait()
                await _cancel([feeding], STOP_STAGES["feed"])
                with suppress(TimeoutError):  # what could not be committed is read again from the feed's position
                    async with asyncio.timeout(STOP_STAGES["commit"]):
                        await parts.sight.commit()
                        parts.writer.notify(0)
                        await parts.writer.flush()
                await _cancel([*others, writing], STOP_STAGES["tasks"])
        except* Exception as failed:  # noqa: BLE001 - re-raised at once
            raise _first(failed) from None

    def _side_tasks(
        self, parts: _Parts, ledger: Ledger, *, confirming: bool
    ) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        asking = lambda: self.settings.poll.interval_seconds + ASKING_WITHIN  # noqa: E731 - as beats want it
        upkeep = Upkeep(ledger, lambda: self.settings, parts.client.platform_now_ms)
        tasks: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("timers", parts.intake.run_timers(self._beat("timers", lambda: ROUND_WITHIN))),
            ("poll", parts.poller.run(self._beat("poll", asking))),
            ("doubts", parts.poller.run_doubts(self._beat("doubts", lambda: ASKING_WITHIN))),
            ("sight", parts.sight.run(self._beat("sight", lambda: ASKING_WITHIN))),
            ("housekeeping", upkeep.run(self._beat("housekeeping", lambda: ROUND_AT_MOST))),
            ("verify", keep_verified(self.settings)),
            ("webhooks", parts.deliveries.run(lambda name: self.loops.beat(name, ROUND_WITHIN))),
            ("control", ear(self.settings, ledger, parts.intake, parts.sight, parts.deliveries).run()),
            ("roster", parts.roster.run(parts.intake, parts.feed, self._beat("roster", lambda: ASKING_WITHIN))),
        ]
        if confirming:
            tasks.append(("confirm", parts.confirmer.run(self._beat("confirm", lambda: ASKING_WITHIN))))
        return tasks

    async def _feed(self, parts: _Parts) -> None:
        await parts.feed.run(_Sink(parts.intake, parts.sight, self._feed_up))

    async def _become_ready(self) -> None:
        """Ready when the first comparison is made and the feed is up, or after a while all the same: whoever waits for
        us must not wait for an outage of the platform."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN_SECONDS):
                await self._assembled.wait()
                if self.parts is not None:
                    await self.parts.poller.first_done.wait()
                await self._feed_up.wait()
        self.ready.set()
        LOG.info(Event.SERVICE_READY, calls_open=len(self.parts.intake.tracker.calls) if self.parts else 0)
        self.notifier.ready()
        self.pulse.tell()

    def _beat(self, name: str, within: Callable[[], float]) -> Callable[[], None]:
        """A loop's proof of progress, for the watchdog."""
        return lambda: self.loops.beat(name, within())

    # -- patience --------------------------------------------------------------------------------------------------

    async def _persist(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask until the platform answers; an outage never ends the daemon. Raises ``CredentialsRejected``."""
        pause = RETRY_SECONDS[0]
        while True:
            try:
                return await ask()
            except CredentialsRejected:
                raise
            except PlatformError as error:
                await self._pace.sleep(getattr(error, "retry_after", None) or pause)
                pause = min(pause * 2, RETRY_SECONDS[1])

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result, or ``None`` when a stop came first."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await _cancel([stopping, task], STOP_STAGES["tasks"])


class _Sink:
    """Where a feed delivers: observations to the intake, notices to our account of sight."""

    def __init__(self, intake: Intake, sight: Sight, up: asyncio.Event) -> None:
        self.room = intake.room
        self._intake = intake
        self._sight = sight
        self._up = up

    async def deliver(self, delivery: Any) -> None:
        """Return after the commit."""
        if delivery.observations or delivery.unreadable:
            self._sight.heard()
        await self._intake.deliver(delivery)

    def notice(self, notice: FeedNotice) -> None:
        """Hear about the feed."""
        if notice.kind.value in {"feed.connected", "feed.resumed"}:
            self._up.set()
        self._sight.notice(notice)


class _StoreNotices:
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


async def _cancel(tasks: list[asyncio.Task[Any]], seconds: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)


def _first(failed: BaseExceptionGroup[Any]) -> BaseException:
    """The exception that ended the daemon; others are usually its consequences."""
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
