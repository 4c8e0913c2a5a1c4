"""How the running daemon fares: the facts for its checks, its figures and its status line.

What must stay true: looking changes nothing and never fails the daemon.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ringledger import __version__
from ringledger.clock import monotonic
from ringledger.domain.coverage import FIRST, CoverageSpan, CoverageState
from ringledger.durations import roughly
from ringledger.heartbeats import Heartbeats
from ringledger.ledger.file.inspect import size_of
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.subscriptions.subscription import refused_extensions
from ringledger.service.control.server import Json
from ringledger.service.health.checklist import CHECKS, examine
from ringledger.service.health.checks import CheckFacts, Finding, ProblemDelay, Severity

if TYPE_CHECKING:
    from ringledger.service.account import Account
    from ringledger.service.daemon import Daemon

#: The feed gives a sign at least this often, connected or not; a poll of the PubNub client may be held for 310 s.
FEED_WITHIN: Final = 600.0
#: So many extensions are named in a status.
MOST_NAMED: Final = 100
#: The writer tries at least this often while something waits.
WRITER_WITHIN: Final = 120.0


@dataclass(slots=True)
class AccountVitals:
    """Looks at one account. One of these lives as long as the account's run."""

    account: "Account"
    started: float = field(default_factory=monotonic)
    extensions: int = 0
    #: What the platform answers while the start waits for it; empty: nothing is wrong with it.
    trouble: str = ""
    _feed_sign: float = 0.0
    _attempts: int = -1
    _delay: ProblemDelay = field(default_factory=lambda: ProblemDelay(monotonic, CHECKS))

    def findings(self, state: str = "") -> list[Finding]:
        """What the checks of this account come to, problems only when they have lasted. ``state``: why it does not run,
        empty while it does."""
        facts = self.added_to(CheckFacts(stuck=tuple(self.account.loops.stuck()), account_state=state))
        if state:  # what ended it is all there is to say
            facts = CheckFacts(account_state=state)
        return [replace(one, account=self.account.name) for one in self._delay.shown(examine(facts))]

    def added_to(self, facts: CheckFacts) -> CheckFacts:
        """The facts, and what an account knows of itself."""
        if waits := self.account.standing_by:
            return replace(facts, lease=waits)
        now, parts = time.monotonic(), self.account.parts
        polled = parts.intake.tracker.asked_at if parts else None
        return replace(
            facts,
            lease=f"this process works for it, term {self.account.tenure.fence.term}" if self.account.tenure else None,
            feed_down=self.feed_down(),
            feed_cause=self._feed_cause(),
            poll_age=now - (self.started if polled is None else polled),
            polled=polled is not None,
            poll_interval=self.account.settings.poll.interval_seconds,
            clock_offset=parts.client.clock_offset_ms / 1000 if parts else None,
            simulated=parts.client.simulated if parts else False,
            subscription_error=parts.sight.unsubscribed if parts else None,
            refused=refused_extensions(parts.sight.refused) if parts else None,
            filters=self._filters(),
            unheard=parts.sight.unheard.extensions if parts else None,
        )

    def status(self, phase: str = "") -> Json:
        """What `status` says of an account; ``phase``: what the start is at."""
        now, parts, auth = time.monotonic(), self.account.parts, self.account.auth
        polled = parts.intake.tracker.asked_at if parts else None
        filters = self._filters()
        return {
            "standing_by": self.account.standing_by,
            "trouble": self.trouble,
            "account_id": parts.intake.account_id if parts else None,
            "polled_at": None if polled is None else _ms_ago(now - polled),
            "feed": self._feed(phase),
            "unwritten_since": parts.writer.unwritten_since if parts else None,
            "filters": None if filters is None else {"granted": filters[0], "asked": filters[1]},
            "unheard": dict(parts.sight.unheard.extensions[:MOST_NAMED]) if parts else {},
            "login": None if auth is None else {"logged_in": auth.status.logged_in, "scope": auth.status.scope},
        }

    def _feed(self, phase: str) -> Json:
        """State of the feed, since when (of this run), why, and until when it was last seen connected."""
        span, parts = self.span(), self.account.parts
        if span is None or parts is None:
            return {"state": "", "since": _ms_ago(time.monotonic() - self.started), "cause": self.trouble or phase}
        age = parts.sight.seconds_since(span.from_at)
        seen = None if span.cause == FIRST and span.state is CoverageState.BLIND else _ms_ago(age)
        return {
            "state": span.state.value,
            "since": _ms_ago(min(age, time.monotonic() - self.started)),
            "cause": span.cause or "",
            "seen_until": seen if span.state is CoverageState.BLIND else _ms_ago(0.0),
        }

    def span(self) -> CoverageSpan | None:
        """The current span of the account of sight."""
        return self.account.parts.sight.book.current if self.account.parts else None

    def _filters(self) -> tuple[int, int] | None:
        """How many filters the platform serves, and how many were asked for; ``None``: there is no subscription."""
        parts = self.account.parts
        if parts is None or parts.sight.unsubscribed != "":
            return None
        asked = len(parts.directory.watched)
        return max(0, asked - len(parts.sight.refused)), asked

    def watch(self, rest: float) -> None:
        """Look at the loops that cannot speak for themselves: the feed by its last sign, the writer by its work. Nobody
        who waits for a commit, so many seconds, is to blame."""
        parts, loops = self.account.parts, self.account.loops
        if parts is None:
            return
        sign = getattr(parts.feed, "last_sign", 0.0)
        if sign != self._feed_sign:
            self._feed_sign = sign
            loops.beat("feed", FEED_WITHIN)
        if parts.writer.idle or parts.writer.attempts != self._attempts:
            self._attempts = parts.writer.attempts
            loops.beat("writer", WRITER_WITHIN)
        if parts.writer.failing:
            loops.all_resting(rest)

    def measure(self) -> None:
        """Bring the account's gauges up to date."""
        if self.account.parts is not None:
            self.account.metrics.calls_open.set(len(self.account.parts.intake.tracker.calls))

    def line(self) -> str:
        """How the account fares, for people."""
        if waits := self.account.standing_by:
            return waits
        parts, span, down = self.account.parts, self.span(), self.feed_down()
        up = parts.sight.seconds_since(span.from_at) if span and parts else 0.0
        feed = f"feed down {roughly(down)}" if down else f"feed up {roughly(up)}"
        open_calls = len(parts.intake.tracker.calls) if parts else 0
        return f"{_many(self.extensions, 'extension')}, {_many(open_calls, 'call')} open, {feed}"

    def feed_down(self) -> float:
        """Seconds since the feed was last connected, in this run at most; 0 while it is."""
        span, parts, run = self.span(), self.account.parts, time.monotonic() - self.started
        if span is None or parts is None:
            return max(0.001, run)
        if span.state is not CoverageState.BLIND:
            return 0.0
        return max(0.001, min(parts.sight.seconds_since(span.from_at), run))

    def _feed_cause(self) -> str:
        span = self.span()
        return (span.cause or "") if span else self.trouble


@dataclass(slots=True)
class Vitals:
    """Looks at a daemon. One of these lives as long as the daemon."""

    daemon: "Daemon"
    loops: Heartbeats
    metrics: Metrics
    started: float = field(default_factory=monotonic)
    #: What the start is at, for people.
    phase: str = "opening the database"
    _delay: ProblemDelay = field(default_factory=lambda: ProblemDelay(monotonic, CHECKS))

    @property
    def _only(self) -> AccountVitals | None:
        """Those of the only account, which has no name; ``None``: there are several."""
        return self.daemon.only.vitals if self.daemon.only else None

    @property
    def extensions(self) -> int:
        """How many extensions are watched."""
        return sum(one.vitals.extensions for one in self.daemon.accounts())

    def findings(self, name: str | None = None) -> list[Finding]:
        """What every check of a running daemon comes to, problems only when they have lasted; of several accounts
        those of each, or of the one that is named."""
        own = self._delay.shown(examine(self.facts()))
        if self.daemon.fleet is None:
            return own
        return [*own, *self.daemon.fleet.findings(name)]

    def failures(self, name: str | None = None) -> list[Finding]:
        """Why the daemon is not ready. One account's trouble is its own: of several it takes all of them, or, when one
        is named, that one's."""
        found = [one for one in self.findings(name) if one.severity is Severity.FAILURE or _unready(one)]
        fleet = self.daemon.fleet
        if name is not None or fleet is None or {one.account for one in found} >= fleet.units.keys():
            return found
        return [one for one in found if not one.account]

    def facts(self) -> CheckFacts:
        """What a daemon knows of itself, and of its only account."""
        settings, only = self.daemon.settings, self._only
        own = CheckFacts(
            ready=self.daemon.ready.is_set(),
            starting_for=monotonic() - self.started,
            stuck=tuple(self.loops.stuck()),
            store_trouble=self._store_trouble(),
            disk_free=_free(settings.database.path.parent),
        )
        if only is None:
            return own
        facts = only.added_to(own)
        known = facts.feed_cause or only.span() or only.account.standing_by
        return facts if known else replace(facts, feed_cause=self.phase)

    async def answer(self, request: Json, _send: Callable[[Json], None]) -> Json:
        """``{"do": "findings"}`` on the control socket, with ``account``: of that one: what `doctor` cannot see from
        outside."""
        return {"findings": [one.told() for one in self.findings(self._named(request))]}

    def knows(self, name: object) -> bool:
        """Whether this is the name of one of several accounts."""
        return self.daemon.fleet is not None and name in self.daemon.fleet.units

    def _named(self, request: Json) -> str | None:
        name = request.get("account")
        if name is None or (isinstance(name, str) and self.knows(name)):
            return name
        raise ValueError(f"account: {name!r} is none of this daemon's")

    async def answer_status(self, request: Json, _send: Callable[[Json], None]) -> Json:
        """``{"do": "status"}`` on the control socket: what :func:`ringledger.service.health.status.status_of`
        believes."""
        only, ready = self._only, self.daemon.ready.is_set()
        own = {"pid": os.getpid(), "version": __version__, "started_at": _ms_ago(time.monotonic() - self.started)}
        if only is not None:
            assembled = self.daemon.parts is not None or bool(only.account.standing_by)
            phase = "" if assembled else self.phase
            return {**own, "ready": ready and assembled, "phase": phase, **only.status(self.phase)}
        told = self.daemon.fleet.status(self._named(request)) if self.daemon.fleet else {}
        return {**own, "ready": ready, "phase": "" if ready else self.phase, **told}

    def watch(self, rest: float) -> None:
        """Look at the loops that cannot speak for themselves. ``rest``: seconds until the next look."""
        for account in self.daemon.accounts():
            account.vitals.watch(rest)

    def measure(self) -> None:
        """Bring the gauges up to date."""
        path, metrics, pending = self.daemon.settings.database.path, self.metrics, 0
        metrics.db_size_bytes.set(size_of(path))
        metrics.wal_size_bytes.set(size_of(path.with_name(f"{path.name}-wal")))
        accounts = self.daemon.accounts()
        for account in accounts:
            account.vitals.measure()
            pending += account.parts.writer.pending if account.parts else 0
        if any(account.parts for account in accounts):
            metrics.store_pending_records.set(pending)

    def status(self) -> str:
        """One line for people."""
        only, parts = self._only, self.daemon.parts
        trouble = only.trouble if only else ""
        if not self.daemon.ready.is_set():
            waits = "first comparison and feed" if parts is not None else self.phase
            return f"starting: {waits}" + (f" ({trouble})" if trouble else "")
        line = only.line() if only else self.daemon.fleet.line() if self.daemon.fleet else ""
        bad = [one for one in self.findings() if one.bad and one.code != "feed" and not one.account]
        return "; ".join([line, *([trouble] if trouble else []), *(f"{one.code}: {one.found}" for one in bad)])

    def _store_trouble(self) -> str:
        failing = [one.parts.writer for one in self.daemon.accounts() if one.parts and one.parts.writer.failing]
        if not failing:
            return ""
        full = self.metrics.value("store_disk_full") > 0
        pending = sum(one.pending for one in failing)
        waiting = "1 event waits" if pending == 1 else f"{pending} events wait"
        return f"{'the disk is full' if full else 'commits fail'}, {waiting} in memory"


def _unready(finding: Finding) -> bool:
    """Whether a finding is that of a daemon that still starts: nothing to worry about, and not ready all the same."""
    return finding.code == "started" and finding.bad


def _ms_ago(seconds: float) -> int:
    """The time so many seconds ago, ms since the epoch."""
    return round((time.time() - max(0.0, seconds)) * 1000)


def _free(directory: object) -> int | None:
    try:
        return shutil.disk_usage(str(directory)).free
    except OSError:
        return None


def _many(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
