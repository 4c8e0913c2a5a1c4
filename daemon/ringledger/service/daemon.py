"""The daemon: puts the parts together, runs them in one task group, stops them in order.

What must stay true: a task that dies ends the process; a platform outage does not; stopping is only a courtesy, for
correctness never depends on it (rule 9.2).
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, nullcontext, suppress
from functools import partial
from typing import Any

from ringledger import __version__, heartbeats
from ringledger.config.model import Settings
from ringledger.config.provenance import SettingsError
from ringledger.ledger.errors import LedgerUnavailable
from ringledger.ledger.file.lock import refuse_second
from ringledger.ledger.file.seat import Seat
from ringledger.ledger.schema.migrate import upgrade, version_of
from ringledger.ledger.schema.tables import SCHEMA_VERSION
from ringledger.ledger.write.store import Ledger
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.session import GrantKeeper, GrantShelf
from ringledger.service.account import ROUND_WITHIN, Account, Shared, Work
from ringledger.service.assembly import Outgoing, Parts, StoreNotices
from ringledger.service.build import credentials_missing, webhook_secrets_missing
from ringledger.service.commands.handlers import REQUESTS
from ringledger.service.control.server import Control, socket_path
from ringledger.service.fleet import Fleet
from ringledger.service.health.http import serving
from ringledger.service.health.vitals import Vitals
from ringledger.service.health.watchdog import WatchdogTask
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.leases import ROUND_AT_MOST as LEASES_AT_MOST
from ringledger.service.leases import Leases
from ringledger.service.maintenance import (
    ROUND_AT_MOST,
    VERIFY_AT_MOST,
    WATCH_AT_MOST,
    Maintenance,
    Watch,
    keep_verified,
    verify_at_start,
)
from ringledger.service.own_time import CommonTime, OwnTime
from ringledger.service.reload import reloaded
from ringledger.service.tasks import STOP_STAGES, cancelled, first
from ringledger.systemd import Notifier

#: What the service manager keeps for the next run (`FileDescriptorStoreMax=` in the unit): the platform's session.
SESSION = "session"

#: How long a start waits for its first reconciliation and for the feed before it is ready all the same.
READY_WITHIN_SECONDS = 60.0
#: How long what waits may take to be committed when the database has gone from its place, seconds.
SETTLE_WITHIN_SECONDS = 7.0
#: How long the tasks that several accounts share may take to end, seconds.
ENDING_SECONDS = 1.0
#: What a command may ask of the process, whichever accounts it has.
PROCESS_REQUESTS = frozenset({"webhooks-retry"})


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
        loops: heartbeats.Heartbeats | None = None,
    ) -> None:
        self.settings = settings
        several = bool(settings.accounts)
        self.metrics = metrics or Metrics(by_account=several)
        self.ready = asyncio.Event()
        self.notifier = notifier or Notifier({})
        self.loops = loops or heartbeats.Heartbeats()
        self.vitals = Vitals(self, self.loops, self.metrics)
        self.pulse = WatchdogTask(self.notifier, self.vitals)
        answers = {"status": self.vitals.answer_status, "findings": self.vitals.answer}
        #: Where commands ask, from the opening of the ledger on.
        self.control = Control(
            socket_path(settings.database.path), answers, shared=set(answers), later=REQUESTS, elsewhere=self._elsewhere
        )
        #: Where /livez and its neighbours are served; empty: nowhere.
        self.address = ""
        self._speed = pace.speed if pace else 1.0
        self._stop = asyncio.Event()
        self._reason = ""
        kept = self.notifier.kept(SESSION)
        self._grants = GrantShelf(kept) if several and kept is not None else None
        #: The account of a configuration that has one, or what runs those of one that has several.
        self.only = None if several else self._account(settings, self.metrics, self.loops, kept)
        self.fleet = Fleet(self._one_of_several, self.pulse.tell) if several else None
        if self.fleet is not None:
            self.fleet.take_over(settings.of_accounts())

    def _account(
        self, settings: Settings, metrics: Metrics, loops: heartbeats.Heartbeats, keeper: GrantKeeper | None
    ) -> Account:
        return Account(settings, metrics=metrics, loops=loops, speed=self._speed, keeper=keeper, tell=self.pulse.tell)

    def _one_of_several(self, settings: Settings) -> Account:
        name = settings.account_name
        keeper = self._grants.of(name) if self._grants else None
        return self._account(settings, self.metrics.of_account(name), heartbeats.Heartbeats(), keeper)

    def _elsewhere(self) -> str:
        """Who works for the only account instead, in words; empty: this process does."""
        return self.only.standing_by if self.only is not None else ""

    def accounts(self) -> list[Account]:
        """The accounts, each with its newest run."""
        if self.fleet is not None:
            return [unit.account for unit in self.fleet.units.values()]
        return [self.only] if self.only is not None else []

    @property
    def parts(self) -> Parts | None:
        """Those of the only account, once the platform is known."""
        return self.only.parts if self.only is not None else None

    @property
    def intake(self) -> Pipeline | None:
        """The only account's way in."""
        return self.parts.intake if self.parts is not None else None

    # -- life ------------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End ``run`` in good order."""
        if not self._stop.is_set():
            self._reason = reason
            LOG.info(Event.SERVICE_STOPPING, reason=reason)
            self.notifier.stopping()
        self._stop.set()
        if self.only is not None:
            self.only.stopping.set()
        if self.fleet is not None:
            self.fleet.stop()

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
            if self.only is not None:
                self.only.take_over(self.settings)
            if self.fleet is not None:
                self.fleet.take_over(self.settings.of_accounts())
        if self.ready.is_set():
            self.notifier.ready()
        self.pulse.tell()

    async def run(self) -> None:
        """From nothing to ready, and on until stopped."""
        if self.only is not None:
            credentials_missing(self.settings)
        webhook_secrets_missing(self.settings)
        if self.settings.database.is_file:  # a server's database refuses when it is opened
            await asyncio.to_thread(refuse_second, self.settings.database.path)
        LOG.info(Event.SERVICE_STARTED, version=__version__)
        self.metrics.config_last_reload_success_timestamp_seconds.set(time.time())
        async with AsyncExitStack() as stack:
            pulse = asyncio.create_task(self.pulse.run(), name="pulse")
            stack.push_async_callback(cancelled, [pulse], STOP_STAGES["pulse"])
            self.address = await stack.enter_async_context(
                serving(self.settings.http.listen, self.vitals, self.metrics, STOP_STAGES["web"])
            )
            await self._open()
        LOG.info(Event.SERVICE_STOPPED, reason=self._reason)

    async def _open(self) -> None:
        url = self.settings.database.url
        if 0 < (version := await asyncio.to_thread(version_of, url)) < SCHEMA_VERSION:
            self._enter(f"upgrading the database from schema {version} to {SCHEMA_VERSION}")
        report = await asyncio.to_thread(upgrade, url, zone=self.settings.report.zone)
        if report.before != report.after:
            LOG.info(Event.DATABASE_UPGRADED, before=report.before, after=report.after)
        self._enter("verifying the database")
        await verify_at_start(self.settings)
        self.pulse.prepared()
        self._enter("asking the platform")
        ledger = await Ledger.open(url, shared=True, purged_days=max(1, self.settings.backfill.max_days))
        watch = Watch(ledger, self._settle)
        becoming = asyncio.create_task(self._become_ready(watch), name="ready")
        try:
            await self._watched(watch, self._run(ledger))
        finally:
            await cancelled([becoming], STOP_STAGES["start"])
            # All that could be committed is; only the log was not emptied into the file.
            with suppress(TimeoutError, LedgerUnavailable):
                async with asyncio.timeout(STOP_STAGES["database"]):
                    await ledger.close()

    def _enter(self, phase: str) -> None:
        self.vitals.phase = phase
        self.pulse.tell()

    async def _watched(self, watch: Watch, work: Coroutine[Any, Any, None]) -> None:
        """Do the work while the database is where it was, and look once more at the end. Raises what either raises."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(watch.run(self._beat("watch", lambda: WATCH_AT_MOST)), name="watch"),
                    group.create_task(self.control.run(), name="control"),
                ]
                await work
                await cancelled(beside, STOP_STAGES["watch"])
                await watch.look()
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    async def _settle(self) -> None:
        """Commit what waits. After a while without it: what is not committed is read again from the feed's position."""
        writers = [one.parts.writer for one in self.accounts() if one.parts is not None]
        if writers and not self._stop.is_set():  # a stop has done so
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_WITHIN_SECONDS):
                    for writer in writers:
                        writer.notify(0)
                        await writer.flush()

    async def _run(self, ledger: Ledger) -> None:
        database = self.settings.database
        with nullcontext() if database.is_file else Seat(database.path.with_suffix(".seat")) as seat:
            table = ledger.database.leases(database.lease_seconds, seat.former) if seat else None
            if seat is None or table is None:
                await self._run_accounts(ledger, None)
            else:
                seat.sit(table.token)
                await self._run_beside_others(ledger, Leases(table, self.metrics))

    async def _run_beside_others(self, ledger: Ledger, leases: Leases) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(leases.run(self._beat("leases", lambda: LEASES_AT_MOST)), name="leases")
                await self._run_accounts(ledger, leases)
                await cancelled([looking], ENDING_SECONDS)
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    async def _run_accounts(self, ledger: Ledger, leases: Leases | None) -> None:
        may_send = leases.may_act if leases is not None else lambda _: True
        outgoing = Outgoing(self.settings, ledger, self.metrics, may_send=may_send)
        shared = Shared(ledger, outgoing, StoreNotices(self.metrics), leases)
        if self.fleet is not None:
            self.control.add({what: self.fleet.handler(what) for what in REQUESTS - PROCESS_REQUESTS})
            await self._run_fleet(self.fleet, shared)
        elif self.only is not None:
            await self.only.run(shared, partial(self._beside, self.only, shared))

    def _beside(self, account: Account, shared: Shared) -> list[Work]:
        """What runs beside the only account; from now on commands may ask it."""
        self.control.add(account.handlers)
        return self._process_tasks(shared, account.parts.sight.time if account.parts else CommonTime(list))

    async def _run_fleet(self, fleet: Fleet, shared: Shared) -> None:
        """Each account is its own; what they share ends the daemon."""
        clocks = CommonTime(lambda: [one.parts.sight.time for one in self.accounts() if one.parts is not None])
        try:
            async with asyncio.TaskGroup() as group:
                beside = group.create_task(self._run_beside(shared, clocks), name="process")
                await fleet.run(shared)
                await cancelled([beside], ENDING_SECONDS)
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    async def _run_beside(self, shared: Shared, clocks: CommonTime) -> None:
        """Run what accounts share, once one of them runs: before, the speed of the platform's time is not known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN_SECONDS):
                await shared.outgoing.begun.wait()
        self.control.add({"webhooks-retry": shared.outgoing.deliveries.answer})
        async with asyncio.TaskGroup() as group:
            for name, work in self._process_tasks(shared, clocks):
                group.create_task(work, name=name)

    def _process_tasks(self, shared: Shared, clocks: OwnTime | CommonTime) -> list[Work]:
        upkeep = Maintenance(shared.ledger, lambda: self.settings, clocks)
        deliveries = shared.outgoing.deliveries
        return [
            ("housekeeping", upkeep.run(self._beat("housekeeping", lambda: ROUND_AT_MOST))),
            ("verify", keep_verified(self.settings, self._beat("verify", lambda: VERIFY_AT_MOST))),
            ("webhooks", deliveries.run(lambda name: self.loops.beat(name, ROUND_WITHIN), clocks.earliest)),
        ]

    async def _become_ready(self, watch: Watch) -> None:
        """Report ready when the first comparison is made and the feed is up, or after a while all the same: units
        that start after this one must not wait for an outage of the platform."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN_SECONDS):
                if self.only is not None:
                    await self.only.ready()
                elif self.fleet is not None:
                    await self.fleet.settled()
        if watch.lost:
            return  # the watch ends the daemon
        self.ready.set()
        open_calls = sum(len(one.parts.intake.tracker.calls) for one in self.accounts() if one.parts is not None)
        LOG.info(Event.SERVICE_READY, calls_open=open_calls)
        self.notifier.ready()
        self.pulse.tell()

    def _beat(self, name: str, within: Callable[[], float]) -> Callable[[], None]:
        """A loop's proof of progress, for the watchdog."""
        return lambda: self.loops.beat(name, within())
