"""Several accounts in one process: each a unit that is started, stopped and started again by itself.

What must stay true: an account's trouble is the state of that account alone; only a failure of the database, which all
share, ends the process. What time may cure is tried again after growing pauses; what only the owner can correct waits
for a changed configuration.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from ringledger.backoff import Backoff
from ringledger.clock import monotonic
from ringledger.config.model import Settings
from ringledger.ledger.errors import LeaseLost, LedgerError, LedgerUnavailable
from ringledger.observability.logging import LOG, Event, bind_name
from ringledger.ringcentral.errors import CredentialsMissing, CredentialsRejected
from ringledger.service.account import Account, Shared
from ringledger.service.build import credentials_missing
from ringledger.service.control.server import Handler, Json
from ringledger.service.health.checks import Finding
from ringledger.service.identity import MistakenAccount
from ringledger.service.tasks import cancelled, either, first

#: Waiting does not cure these: the owner must act.
FOR_GOOD: Final = (CredentialsRejected, CredentialsMissing, MistakenAccount)
#: First and longest pause before an account that has failed is started again, and after how long a run counts as one.
AGAIN: Final = Backoff(5.0, 300.0)
LONG_ENOUGH_SECONDS: Final = 600.0
#: Accounts of one start begin so many seconds after each other: the platform and the database see no crowd.
APART_SECONDS: Final = 0.02
#: Loops that hang are looked for this often, seconds.
HANGING_LOOK_SECONDS: Final = 5.0
#: How long an account that is broken off may take to end, and the search for hanging loops, seconds.
STOP_SECONDS: Final = 12.0
ENDING_SECONDS: Final = 1.0
#: So many accounts are named in one line.
NAMED: Final = 5


class Unit:
    """One account and its runs. ``state``: why it does not run; empty while it does, or tries to."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self.settings = settings
        self.account = account
        self.state = ""
        self.since = monotonic()
        #: Set when its configuration has changed, or it is to be tried again.
        self.changed = asyncio.Event()
        #: Set once it is ready or has failed, for those who wait for the process to be ready.
        self.settled = asyncio.Event()
        self.removed = False
        self.stuck = False
        self.work: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """What the account is called."""
        return self.settings.account_name

    def fails(self, why: str) -> None:
        """It does not run."""
        self.state, self.since = why, monotonic()
        self.settled.set()


class Fleet:
    """The accounts of a process. ``make``: a new run of one; ``tell``: called when people would see something else."""

    def __init__(self, make: Callable[[Settings], Account], tell: Callable[[], None] = lambda: None) -> None:
        self.units: dict[str, Unit] = {}
        self._make = make
        self._tell = tell
        self._shared: Shared | None = None
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self, shared: Shared) -> None:
        """Run every account until :meth:`stop`. Raises ``LedgerError``, which all share."""
        self._shared = shared
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for n, unit in enumerate(self.units.values()):
                    self._begin(unit, n * APART_SECONDS)
                looking = group.create_task(self._look(), name="accounts")
                await self._stopping.wait()
                for unit in self.units.values():
                    self._end(unit)
                await cancelled([looking], ENDING_SECONDS)
        except BaseExceptionGroup as failed:
            raise first(failed) from None
        finally:
            self._group = None

    def stop(self) -> None:
        """End :meth:`run` in good order."""
        self._stopping.set()

    def start(self, settings: Settings) -> None:
        """Run this account from now on, or go on with other settings."""
        unit = self.units.get(settings.account_name)
        if unit is None:
            unit = self.units[settings.account_name] = Unit(settings, self._make(settings))
            if self._group is not None and not self._stopping.is_set():
                self._begin(unit, 0.0)
        else:
            again = unit.removed or bool(unit.state) or _another_login(unit.settings, settings)
            unit.settings, unit.removed = settings, False
            unit.changed.set()
            if again:
                unit.account.stopping.set()
            else:
                unit.account.take_over(settings)

    def end(self, name: str) -> None:
        """Stop an account in good order, and forget it; the ledger keeps what it has of it."""
        self.units[name].removed = True
        self._end(self.units[name])

    def take_over(self, wanted: Mapping[str, Settings]) -> None:
        """Run exactly these accounts from now on."""
        for name in self.units.keys() - wanted.keys():
            self.end(name)
        for settings in wanted.values():
            self.start(settings)

    async def settled(self) -> None:
        """Return when each account is ready or has failed."""
        for unit in list(self.units.values()):
            await unit.settled.wait()

    # -- one account -----------------------------------------------------------------------------------------------

    def _begin(self, unit: Unit, after: float) -> None:
        if self._group is not None:
            unit.task = self._group.create_task(self._keep(unit, after), name=f"account {unit.name}")

    def _end(self, unit: Unit) -> None:
        unit.account.stopping.set()
        unit.changed.set()

    def _goes_on(self, unit: Unit) -> bool:
        return not unit.removed and not self._stopping.is_set()

    async def _keep(self, unit: Unit, after: float) -> None:
        """Run the account, again and again, until it is stopped."""
        bind_name(unit.name)
        failures = 0
        await self._pause(unit, after)
        while self._goes_on(unit):
            began = monotonic()
            unit.changed.clear()
            unit.state, unit.stuck = "", False
            unit.account = self._make(unit.settings)
            why = await self._run_once(unit)
            unit.account.metrics.account_up.set(0)
            if not why or not self._goes_on(unit):
                continue  # its settings have changed, or it was stopped
            unit.fails(why[0])
            self._tell()
            failures = 1 if monotonic() - began > LONG_ENOUGH_SECONDS else failures + 1
            await self._pause(unit, None if why[1] else AGAIN.after(failures))
        if unit.removed and self.units.get(unit.name) is unit:
            del self.units[unit.name]
            unit.account.metrics.forget()
            LOG.info(Event.ACCOUNT_STOPPED)

    async def _run_once(self, unit: Unit) -> tuple[str, bool] | None:
        """Why it has failed, and whether for good; ``None``: it was stopped. Raises what is wrong for all."""
        try:
            credentials_missing(unit.settings)
            LOG.info(Event.ACCOUNT_STARTED)
            await self._carried(unit)
        except FOR_GOOD as error:
            LOG.error(Event.ACCOUNT_FAILED, reason=type(error).__name__, detail=str(error))
            return str(error), True
        except LeaseLost:
            return None  # it is waited for anew
        except LedgerError as error:
            if not isinstance(error, LedgerUnavailable):
                raise
            LOG.warning(Event.ACCOUNT_FAILED, reason=type(error).__name__, detail=str(error))
            return str(error), False
        except Exception as error:  # noqa: BLE001 - one account's trouble
            LOG.error(Event.ACCOUNT_FAILED, reason=type(error).__name__, detail=str(error), exc_info=error)
            return f"{type(error).__name__}: {error}", False
        return ("a loop hung", False) if unit.stuck else None

    async def _carried(self, unit: Unit) -> None:
        """One run, in a task of its own: it can be ended without its keeper."""
        if self._shared is None:
            raise RuntimeError("the fleet does not run")
        work = unit.work = asyncio.ensure_future(unit.account.run(self._shared))
        settling = asyncio.ensure_future(_ready(unit))
        try:
            await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        finally:
            await cancelled([work, settling], STOP_SECONDS)

    async def _pause(self, unit: Unit, seconds: float | None) -> None:
        """Wait so long, or until its configuration changes. ``None``: only that helps."""
        if seconds == 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await unit.changed.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        """End an account whose loops hang: it is started again."""
        while True:
            await asyncio.sleep(HANGING_LOOK_SECONDS)
            for unit in list(self.units.values()):
                stuck = unit.account.loops.stuck()
                if stuck and unit.work is not None and not unit.work.done() and not unit.stuck:
                    unit.stuck = True
                    detail = ", ".join(stuck)
                    LOG.error(Event.ACCOUNT_FAILED, account=unit.name, reason="stuck", detail=detail)
                    unit.work.cancel()

    # -- what others ask -------------------------------------------------------------------------------------------

    def findings(self, name: str | None = None) -> list[Finding]:
        """What the checks of each account come to, or of the one that is named."""
        units = self.units.values() if name is None else [self.units[name]]
        return [one for unit in units for one in unit.account.vitals.findings(unit.state)]

    def status(self, name: str | None = None) -> Json:
        """What `status` says of accounts, or of the one that is named. What is said of all is what holds of each."""
        told = {one: self._status(unit) for one, unit in self.units.items() if name in {None, one}}
        ours = {one: its for one, its in told.items() if not its["standing_by"]}
        states = [one["feed"]["state"] for one in ours.values()]
        worst = next((state for state in ("", "blind", "doubtful", "live") if state in states), "")
        bad = [one for one, its in ours.items() if its["feed"]["state"] == worst and worst != "live"]
        polled = [one["polled_at"] for one in ours.values()]
        some = next((one for one in ours.values() if one["feed"]["state"] == worst), None)
        elsewhere = len(told) - len(ours)
        cause = ""
        if bad:
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            cause = f"{', '.join(bad[:NAMED])}{more}" if len(told) > 1 else str(told[bad[0]]["feed"]["cause"])
        return {
            "account_id": some["account_id"] if some and len(told) == 1 else None,
            "trouble": some["trouble"] if some and len(told) == 1 else "",
            "polled_at": None if None in polled or not polled else min(polled),
            "feed": {**(some["feed"] if some else {}), "state": worst, "cause": cause},
            "filters": some["filters"] if some and len(told) == 1 else None,
            "unheard": some["unheard"] if some and len(told) == 1 else {},
            "login": some["login"] if some and len(told) == 1 else None,
            "standing_by": f"standing by: others work for {elsewhere} of {len(told)} accounts" if elsewhere else "",
            "accounts": told,
        }

    def _status(self, unit: Unit) -> Json:
        told = unit.account.vitals.status("starting")
        if unit.state:
            told["trouble"], told["feed"] = unit.state, {**told["feed"], "state": "", "cause": unit.state}
        state = (unit.state and "failed") or ("running" if unit.account.parts else "starting")
        return {**told, "state": "standing by" if told["standing_by"] and not unit.state else state}

    def line(self) -> str:
        """How the accounts fare, for people."""
        known = list(self.units.values())
        units = [one for one in known if one.state or not one.account.standing_by]
        bad = [one.name for one in units if one.state or one.account.vitals.feed_down()]
        extensions = sum(one.account.vitals.extensions for one in units)
        open_calls = sum(len(one.account.parts.intake.tracker.calls) for one in units if one.account.parts)
        of = f" of {len(known)}" if len(units) < len(known) else ""
        line = f"{len(units)}{of} accounts, {extensions} extensions, {open_calls} calls open"
        if not bad:
            return f"{line}, feeds up"
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        return f"{line}; in trouble: {', '.join(bad[:NAMED])}{more}"

    def handler(self, what: str) -> Handler:
        """The answer to a request about one account, which names it."""

        async def answer(request: Json, send: Callable[[Json], None]) -> Json:
            unit = self._unit_of(what, request.get("account"))
            handler = unit.account.handlers.get(what)
            if handler is None:
                why = unit.state or unit.account.standing_by or "it is starting"
                raise ValueError(f"{what}: account {unit.name} does not run here ({why})")
            return await handler(request, send)

        return answer

    def _unit_of(self, what: str, name: Any) -> Unit:
        known = ", ".join(self.units)
        if name is None and len(self.units) == 1:
            return next(iter(self.units.values()))
        if name is None:
            raise ValueError(f"{what}: there are several accounts, name one: {known}")
        if not isinstance(name, str) or name not in self.units:
            raise ValueError(f"{what}: no account {name!r}; there are: {known}")
        return self.units[name]


def _another_login(before: Settings, now: Settings) -> bool:
    """Whether the change takes a new run: another platform, other credentials."""
    return any(key.startswith(("platform.", "credentials.")) for key in before.differences(now))


async def _ready(unit: Unit) -> None:
    account = unit.account
    await either(account.assembled, account.stands_by)
    if not account.assembled.is_set():
        unit.settled.set()
        await account.assembled.wait()
    account.metrics.account_up.set(1)
    await account.ready()
    unit.settled.set()
