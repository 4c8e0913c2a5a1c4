"""One account: its login, its budget of requests, its feed and its loops, which start and stop by themselves.

What must stay true: whatever happens to an account ends this unit alone, by an exception; an outage of the platform
does not; stopping is only a courtesy, for correctness never depends on it (rule 9.2). What an end means to the
process is decided where accounts are run: :mod:`~ringledger.service.daemon`, :mod:`~ringledger.service.fleet`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import aiohttp

from ringledger.config.model import Settings
from ringledger.heartbeats import Heartbeats
from ringledger.ledger.errors import LeaseLost
from ringledger.ledger.write.store import Ledger
from ringledger.observability.logging import bind_account
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.api.directory import WhoAmI
from ringledger.ringcentral.auth.authorisation import Authenticator
from ringledger.ringcentral.auth.session import GrantKeeper
from ringledger.ringcentral.errors import CredentialsRejected, PlatformError
from ringledger.service.assembly import Outgoing, Parts, StoreNotices, assemble
from ringledger.service.build import authenticator, platform_client, rate_limits
from ringledger.service.commands.handlers import handlers_of
from ringledger.service.control.server import Handler
from ringledger.service.health.vitals import AccountVitals
from ringledger.service.health.watchdog import RestingPace, watched_session
from ringledger.service.identity import MistakenAccount, identified
from ringledger.service.ingest.directory import ExtensionDirectory
from ringledger.service.ingest.pipeline import Sink
from ringledger.service.leases import Leases, Tenure
from ringledger.service.tasks import STOP_STAGES, cancelled, either, first

T = TypeVar("T")

#: First and longest pause between attempts to reach the platform at start, platform seconds.
RETRY_SECONDS = (2.0, 60.0)
#: The watchdog's limits, seconds: for one round of a loop that waits for nobody, and for one that waits for the
#: platform, or for others of the account who have the turn.
ROUND_WITHIN = 60.0
ASKING_WITHIN = 300.0
#: Accounts that read the ledger for their start at a time; the platform is not waited for meanwhile.
ASSEMBLED_AT_ONCE: Final = 2

#: A task's name and what it does.
Work = tuple[str, Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Shared:
    """What the accounts of one process have in common. ``running``: names of accounts by their ids; ``leases``: where
    several processes share the accounts."""

    ledger: Ledger
    outgoing: Outgoing
    notices: StoreNotices
    leases: Leases | None = None
    running: dict[str, str] = field(default_factory=dict)
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASSEMBLED_AT_ONCE))


class Account:
    """One run of an account. ``tell``: called when something has changed that people see."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: Metrics,
        loops: Heartbeats,
        speed: float = 1.0,
        keeper: GrantKeeper | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = settings.account_name
        self.settings = settings
        self.metrics = metrics
        self.loops = loops
        self.pace = RestingPace(loops, speed)
        self.vitals = AccountVitals(self)
        self.stopping = asyncio.Event()
        self.assembled = asyncio.Event()
        #: Set when another process works for the account, and this one waits.
        self.stands_by = asyncio.Event()
        self.tenure: Tenure | None = None
        self._leases: Leases | None = None
        self.feed_up = asyncio.Event()
        self.parts: Parts | None = None
        self.auth: Authenticator | None = None
        #: What commands may ask of it, once it is assembled.
        self.handlers: Mapping[str, Handler] = {}
        self._keeper = keeper
        self._tell = tell

    async def run(self, shared: Shared, beside: Callable[[], list[Work]] = list) -> None:
        """From its lease, where there are some, and the login to the stop. ``beside``: what else runs meanwhile, begun
        once the account is assembled.

        Raises ``CredentialsRejected``, ``MistakenAccount``, ``LeaseLost``, ``LedgerError`` or what a dead task raised.
        """
        leases = self._leases = shared.leases
        if leases is None:
            return await self._run(shared, beside)
        tenure = self.tenure = await self._until_stopped(leases.take(self.name, self._waits))
        if tenure is None:
            return None
        try:
            await self._run_under(tenure, self._run(shared, beside))
        except LeaseLost as error:
            leases.refused(tenure, error)
            raise
        finally:
            self.tenure = None
            await leases.give(tenure)
        return None

    def _waits(self) -> None:
        self.stands_by.set()
        self._tell()

    async def _run_under(self, tenure: Tenure, running: Coroutine[Any, Any, None]) -> None:
        """Run while the lease is held; stop in good order when it is asked back. Raises ``LeaseLost`` when it is lost,
        and what the run raises."""
        work = asyncio.ensure_future(running)
        lost, back = asyncio.ensure_future(tenure.lost.wait()), asyncio.ensure_future(tenure.asked_back.wait())
        try:
            await asyncio.wait({work, lost, back}, return_when=asyncio.FIRST_COMPLETED)
            if back.done():
                self.stopping.set()
                await asyncio.wait({work, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise tenure.error
            work.result()
        finally:
            await cancelled([work, lost, back], STOP_STAGES["lease"])

    async def _run(self, shared: Shared, beside: Callable[[], list[Work]]) -> None:
        async with watched_session(self.metrics, self.loops, aiohttp.ClientTimeout(total=60)) as session:
            limits = rate_limits(self.settings, self.metrics, self.pace)
            auth = self.auth = authenticator(self.settings, session, limits, keeper=self._keeper)
            client = platform_client(self.settings, session, auth, limits)
            me = await self._until_stopped(self._persist(client.whoami))
            if me is None:
                return
            ledger = await self._identify(shared, me)
            try:
                bind_account(me.account_id)
                directory = ExtensionDirectory(client, self.settings, me)
                watched = await self._until_stopped(self._persist(directory.load))
                if watched is None:
                    return
                self.vitals.extensions = len(watched)
                async with shared.turn:
                    self.parts = await assemble(
                        self.settings,
                        ledger,
                        client,
                        account_id=me.account_id,
                        directory=directory,
                        metrics=self.metrics,
                        deliveries=shared.outgoing.join(me.account_id, directory.who, self.pace.speed),
                        notices=shared.notices.of_writer(),
                    )
                self.handlers = handlers_of(
                    self.settings,
                    ledger,
                    self.parts.intake,
                    sight=self.parts.sight,
                    deliveries=self.parts.deliveries,
                    confirmer=self.parts.confirmer,
                )
                self.assembled.set()
                await self._supervise(self.parts, beside())
            finally:
                shared.outgoing.leave(me.account_id)
                if shared.running.get(me.account_id) == self.name:
                    del shared.running[me.account_id]

    async def ready(self) -> None:
        """Return when the first comparison is made and the feed is up, or another process works for the account."""
        await either(self.assembled, self.stands_by)
        if not self.assembled.is_set():
            return
        if self.parts is not None:
            await self.parts.poller.first_done.wait()
        await self.feed_up.wait()

    def take_over(self, settings: Settings) -> None:
        """These settings are in force from now on, as far as they may change in a running account."""
        self.settings = settings
        if self.parts is not None:
            self.parts.poller.pace_to(settings.poll.interval_seconds)

    # -- running ---------------------------------------------------------------------------------------------------

    async def _supervise(self, parts: Parts, beside: list[Work]) -> None:
        """Everything at once. The writer outlives the rest, so that what was observed is committed."""
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(parts.writer.run(), name="writer")
                feeding = group.create_task(self._feed(parts), name="feed")
                others = [group.create_task(work, name=name) for name, work in [*self._side_tasks(parts), *beside]]
                await self.stopping.wait()
                await cancelled([feeding], STOP_STAGES["feed"])
                with suppress(TimeoutError):  # what could not be committed is read again from the feed's position
                    async with asyncio.timeout(STOP_STAGES["commit"]):
                        await parts.sight.commit()
                        parts.writer.notify(0)
                        await parts.writer.flush()
                await cancelled([*others, writing], STOP_STAGES["tasks"])
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    def _side_tasks(self, parts: Parts) -> list[Work]:
        asking = lambda: self.settings.poll.interval_seconds + ASKING_WITHIN  # noqa: E731 - as beats want it
        tasks: list[Work] = [
            ("timers", parts.intake.run_timers(self._beat("timers", lambda: ASKING_WITHIN))),
            ("poll", parts.poller.run(self._beat("poll", asking))),
            ("doubts", parts.poller.run_doubts(self._beat("doubts", lambda: ASKING_WITHIN))),
            ("sight", parts.sight.run(self._beat("sight", lambda: ASKING_WITHIN))),
            ("roster", parts.directory.run(parts.intake, parts.feed, self._beat("roster", lambda: ASKING_WITHIN))),
        ]
        if self.settings.confirm.enabled:
            tasks.append(("confirm", parts.confirmer.run(self._beat("confirm", lambda: ASKING_WITHIN))))
        return tasks

    async def _feed(self, parts: Parts) -> None:
        await parts.feed.run(Sink(parts.intake, parts.sight, self.feed_up))

    def _beat(self, name: str, within: Callable[[], float]) -> Callable[[], None]:
        """A loop's proof of progress, for the watchdog."""
        return lambda: self.loops.beat(name, within())

    async def _identify(self, shared: Shared, me: WhoAmI) -> Ledger:
        """What is known by a name stays the same account, and each account has one name; returns the ledger as it is
        this account's. Raises ``MistakenAccount``, ``LeaseLost``."""
        ledger = shared.ledger
        if self._leases is not None and self.tenure is not None:
            if (other := await self._leases.stands_for(self.tenure, me.account_id)) is not None:
                named = other or "a process without [[accounts]]"
                raise MistakenAccount(f"the credentials are those of account {me.account_id}, which {named} has")
            ledger = await ledger.under(self.tenure.fence, me.account_id)
        if not self.name:
            return ledger
        if (other := shared.running.setdefault(me.account_id, self.name)) != self.name:
            raise MistakenAccount(f"the credentials are those of account {me.account_id}, which {other} has")
        try:
            await identified(ledger, self.name, me.account_id)
        except BaseException:
            del shared.running[me.account_id]
            raise
        return ledger

    @property
    def standing_by(self) -> str:
        """Who works for the account instead, in words; empty: this process does, or it is not known yet."""
        if self._leases is None or self.tenure is not None or not self.stands_by.is_set():
            return ""
        return f"standing by: {self._leases.holder(self.name) or 'another process'} works for it"

    # -- patience --------------------------------------------------------------------------------------------------

    async def _persist(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask until the platform answers; an outage never ends the account. Raises ``CredentialsRejected``."""
        pause = RETRY_SECONDS[0]
        while True:
            try:
                answer = await ask()
            except CredentialsRejected:
                raise
            except PlatformError as error:
                self.vitals.trouble = str(error)
                self._tell()
                await self.pace.sleep(getattr(error, "retry_after", None) or pause)
                pause = min(pause * 2, RETRY_SECONDS[1])
            else:
                self.vitals.trouble = ""
                return answer

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result, or ``None`` when a stop came first."""
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await cancelled([stopping, task], STOP_STAGES["asking"])
