"""The daemon: puts the parts together, runs them in one task group, stops them in order.

What must stay true: a task that dies ends the process; a platform outage does not; stopping is only a courtesy, for
correctness never depends on it (semantics 9).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

import aiohttp

from ringledger import __version__, health
from ringledger.layers import SettingsError
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.schema import SCHEMA_VERSION
from ringledger.ledger.upgrade import upgrade, version_of
from ringledger.logs import LOG, Event, bind_account
from ringledger.metrics import Metrics
from ringledger.platform.errors import CredentialsRejected, PlatformError
from ringledger.platform.pace import Pace
from ringledger.service.assembly import Parts, Sink, assemble
from ringledger.service.build import (
    authenticator,
    credentials_missing,
    platform_client,
    rate_limits,
)
from ringledger.service.confirm import GIVE_UP_AFTER
from ringledger.service.control import Control
from ringledger.service.intake import Intake
from ringledger.service.pulse import Pulse, RestingPace, watched_session
from ringledger.service.refill import ear
from ringledger.service.reload import reloaded
from ringledger.service.roster import Roster
from ringledger.service.upkeep import (
    ROUND_AT_MOST,
    VERIFY_AT_MOST,
    WATCH_AT_MOST,
    Upkeep,
    Watch,
    keep_verified,
    verify_at_start,
)
from ringledger.service.vitals import Vitals
from ringledger.service.web import serving
from ringledger.settings import Settings
from ringledger.systemd import Notifier

T = TypeVar("T")

#: What the service manager keeps for the next run (`FileDescriptorStoreMax=` in the unit): the platform's session.
SESSION = "session"

GIVE_UP_MS = int(GIVE_UP_AFTER * 1000)

#: First and longest pause between attempts to reach the platform at start, platform seconds.
RETRY_SECONDS = (2.0, 60.0)
#: A loop that asks nobody has this long for one round, seconds; one that asks the platform this long for a request.
ROUND_WITHIN = 60.0
ASKING_WITHIN = 300.0
#: How long a start waits for its first reconciliation and for the feed before it is ready all the same.
READY_WITHIN_SECONDS = 60.0
#: What the steps of a stop may take, seconds, each used in one place, so that their sum is the whole.
STOP_STAGES = {
    "feed": 2.0, "commit": 7.0, "tasks": 2.0, "asking": 1.0, "watch": 1.0, "start": 1.0, "database": 4.0, "web": 1.0,
    "pulse": 1.0,
}  # fmt: skip
#: How long what waits may take to be committed when the database has gone from its place, seconds.
SETTLE_WITHIN_SECONDS = 7.0


class Daemon:
    """The whole of ringledger in one process. ``run`` returns when ``stop`` was called; all else raises.

    Raises ``CredentialsMissing`` (before anything is logged), ``CredentialsRejected``, ``LedgerError`` or what a dead
    task raised.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics | None = None,
        pace: Pace | None = None,
        notifier: Notifier | None = None,
        loops: health.Loops | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.ready = asyncio.Event()
        self.intake: Intake | None = None
        self.parts: Parts | None = None
        self.notifier = notifier or Notifier({})
        self.loops = loops or health.Loops()
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
                self.parts.poller.pace_to(self.settings.poll.interval_seconds)
        if self.ready.is_set():
            self.notifier.ready()
        self.pulse.tell()

    async def run(self) -> None:
        """From nothing to ready, and on until stopped."""
        credentials_missing(self.settings)
        LOG.info(Event.SERVICE_STARTED, version=__version__)
        self.metrics.config_last_reload_success_timestamp_seconds.set(time.time())
        async with AsyncExitStack() as stack:
            pulse = asyncio.create_task(self.pulse.run(), name="pulse")
            stack.push_async_callback(_cancel, [pulse], STOP_STAGES["pulse"])
            self.address = await stack.enter_async_context(
                serving(self.settings.http.listen, self.vitals, self.metrics, STOP_STAGES["web"])
            )
            await self._open()
        LOG.info(Event.SERVICE_STOPPED, reason=self._reason)

    async def _open(self) -> None:
        url = self.settings.database.url
        if 0 < (version := await asyncio.to_thread(version_of, url)) < SCHEMA_VERSION:
            self._enter(f"upgrading the database from schema {version} to {SCHEMA_VERSION}")
        report = await asyncio.to_thread(upgrade, url)
        if report.before != report.after:
            LOG.info(Event.DATABASE_UPGRADED, before=report.before, after=report.after)
        self._enter("verifying the database")
        await verify_at_start(self.settings)
        self.pulse.preparing = False
        self._enter("asking the platform")
        ledger = await Ledger.open(url)
        watch = Watch(ledger, self._settle)
        becoming = asyncio.create_task(self._become_ready(watch), name="ready")
        try:
            async with watched_session(self.metrics, self.loops, aiohttp.ClientTimeout(total=60)) as session:
                await self._watched(watch, self._run(ledger, session))
        finally:
            await _cancel([becoming], STOP_STAGES["start"])
            with suppress(TimeoutError):  # everything is committed; only the log was not emptied into the file
                async with asyncio.timeout(STOP_STAGES["database"]):
                    await ledger.close()

    def _enter(self, phase: str) -> None:
        self.vitals.phase = phase
        self.pulse.tell()

    async def _watched(self, watch: Watch, work: Coroutine[Any, Any, None]) -> None:
        """Do the work while the database is where it was, and look once more at the end. Raises what either raises."""
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch.run(self._beat("watch", lambda: WATCH_AT_MOST)), name="watch")
                await work
                await _cancel([watching], STOP_STAGES["watch"])
                await watch.look()
        except* Exception as failed:  # noqa: BLE001 - re-raised at once
            raise _first(failed) from None

    async def _settle(self) -> None:
        """Commit what waits. After a while without it: what is not committed is read again from the feed's position."""
        if self.parts is not None and not self._stop.is_set():  # a stop has done so
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_WITHIN_SECONDS):
                    self.parts.writer.notify(0)
                    await self.parts.writer.flush()

    async def _run(self, ledger: Ledger, session: aiohttp.ClientSession) -> None:
        limits = rate_limits(self.settings, self.metrics, self._pace)
        auth = authenticator(self.settings, session, limits, keeper=self.notifier.kept(SESSION))
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
        self.parts = parts = await assemble(
            self.settings,
            ledger,
            client,
            account_id=me.account_id,
            roster=roster,
            metrics=self.metrics,
            speed=self._pace.speed,
        )
        self.intake = parts.intake
        self._assembled.set()
        await self._supervise(parts, ledger)

    # -- running ---------------------------------------------------------------------------------------------------

    async def _supervise(self, parts: Parts, ledger: Ledger) -> None:
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
        self, parts: Parts, ledger: Ledger, *, confirming: bool
    ) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        asking = lambda: self.settings.poll.interval_seconds + ASKING_WITHIN  # noqa: E731 - as beats want it
        upkeep = Upkeep(ledger, lambda: self.settings, parts.client.platform_now_ms)
        tasks: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("timers", parts.intake.run_timers(self._beat("timers", lambda: ROUND_WITHIN))),
            ("poll", parts.poller.run(self._beat("poll", asking))),
            ("doubts", parts.poller.run_doubts(self._beat("doubts", lambda: ASKING_WITHIN))),
            ("sight", parts.sight.run(self._beat("sight", lambda: ASKING_WITHIN))),
            ("housekeeping", upkeep.run(self._beat("housekeeping", lambda: ROUND_AT_MOST))),
            ("verify", keep_verified(self.settings, self._beat("verify", lambda: VERIFY_AT_MOST))),
            ("webhooks", parts.deliveries.run(lambda name: self.loops.beat(name, ROUND_WITHIN))),
            ("control", self._ear(parts, ledger).run()),
            ("roster", parts.roster.run(parts.intake, parts.feed, self._beat("roster", lambda: ASKING_WITHIN))),
        ]
        if confirming:
            tasks.append(("confirm", parts.confirmer.run(self._beat("confirm", lambda: ASKING_WITHIN))))
        return tasks

    def _ear(self, parts: Parts, ledger: Ledger) -> Control:
        return ear(
            self.settings,
            ledger,
            parts.intake,
            sight=parts.sight,
            deliveries=parts.deliveries,
            confirmer=parts.confirmer,
            findings=self.vitals.answer,
        )

    async def _feed(self, parts: Parts) -> None:
        await parts.feed.run(Sink(parts.intake, parts.sight, self._feed_up))

    async def _become_ready(self, watch: Watch) -> None:
        """Ready when the first comparison is made and the feed is up, or after a while all the same: whoever waits for
        us must not wait for an outage of the platform."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN_SECONDS):
                await self._assembled.wait()
                if self.parts is not None:
                    await self.parts.poller.first_done.wait()
                await self._feed_up.wait()
        if watch.lost:
            return  # the watch ends the daemon
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
            await _cancel([stopping, task], STOP_STAGES["asking"])


async def _cancel(tasks: list[asyncio.Task[Any]], seconds: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)


def _first(failed: BaseExceptionGroup[Any]) -> BaseException:
    """The exception that ended the daemon; others are usually its consequences."""
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
