"""How the running daemon fares: the facts for its checks, its figures and its status line.

What must stay true: looking changes nothing and never fails the daemon.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from ringledger.domain.coverage import CoverageState
from ringledger.health import Loops
from ringledger.ledger.examine import size_of
from ringledger.metrics import Metrics
from ringledger.platform.subscription import refused_extensions
from ringledger.service import checklist as _checklist  # noqa: F401 - fills the list of checks
from ringledger.service.checks import Facts, Finding, Patience, examine
from ringledger.service.control import Json

if TYPE_CHECKING:
    from ringledger.service.daemon import Daemon

#: The feed gives a sign at least this often, connected or not; a poll of the PubNub client may be held for 310 s.
FEED_WITHIN: Final = 600.0
#: The writer tries at least this often while something waits.
WRITER_WITHIN: Final = 120.0


@dataclass(slots=True)
class Vitals:
    """Looks at a daemon. One of these lives as long as the daemon."""

    daemon: "Daemon"
    loops: Loops
    metrics: Metrics
    started: float = field(default_factory=time.monotonic)
    extensions: int = 0
    #: What the start is at, for people.
    phase: str = "opening the database"
    _feed_changed: tuple[bool, float] = (False, 0.0)
    _feed_sign: float = 0.0
    _attempts: int = -1
    _patience: Patience = field(default_factory=lambda: Patience(time.monotonic))

    def findings(self) -> list[Finding]:
        """What every check of a running daemon comes to, problems only when they have lasted."""
        return self._patience.shown(examine(self.facts()))

    def facts(self) -> Facts:
        """What a daemon knows of itself."""
        now, daemon, parts = time.monotonic(), self.daemon, self.daemon.parts
        settings = daemon.settings
        polled = parts.intake.tracker.asked_at if parts else None
        return Facts(
            ready=daemon.ready.is_set(),
            stuck=tuple(self.loops.stuck()),
            feed_down=self._feed_down(now),
            poll_age=now - (self.started if polled is None else polled),
            poll_interval=settings.poll.interval_seconds,
            store_trouble=self._store_trouble(),
            disk_free=_free(settings.database.path.parent),
            clock_offset=parts.client.clock_offset_ms / 1000 if parts else None,
            subscription_error=parts.sight.unsubscribed if parts else None,
            refused=refused_extensions(parts.sight.refused) if parts else None,
        )

    async def answer(self, _request: Json, _send: Callable[[Json], None]) -> Json:
        """``{"do": "findings"}`` on the control socket: what `doctor` cannot see from outside."""
        return {"findings": [asdict(one) for one in self.findings()]}

    def watch(self) -> None:
        """Look at the loops that cannot speak for themselves: the feed by its last sign, the writer by its work."""
        parts = self.daemon.parts
        if parts is None:
            return
        sign = getattr(parts.feed, "last_sign", 0.0)
        if sign != self._feed_sign:
            self._feed_sign = sign
            self.loops.beat("feed", FEED_WITHIN)
        if parts.writer.idle or parts.writer.attempts != self._attempts:
            self._attempts = parts.writer.attempts
            self.loops.beat("writer", WRITER_WITHIN)

    def measure(self) -> None:
        """Bring the gauges up to date."""
        parts, path, metrics = self.daemon.parts, self.daemon.settings.database.path, self.metrics
        metrics.db_size_bytes.set(size_of(path))
        metrics.wal_size_bytes.set(size_of(path.with_name(f"{path.name}-wal")))
        if parts is not None:
            metrics.calls_open.set(len(parts.intake.tracker.calls))
            metrics.store_pending_records.set(parts.writer.pending)

    def status(self) -> str:
        """One line for people."""
        if not self.daemon.ready.is_set():
            return f"starting: {self.phase if self.daemon.parts is None else 'first comparison and feed'}"
        parts, now = self.daemon.parts, time.monotonic()
        open_calls = len(parts.intake.tracker.calls) if parts else 0
        down = self._feed_down(now)
        feed = f"feed down {_span(down)}" if down else f"feed up {_span(now - self._feed_changed[1])}"
        line = f"{_many(self.extensions, 'extension')}, {_many(open_calls, 'call')} open, {feed}"
        bad = [one for one in self.findings() if one.bad and one.code != "feed"]
        return "; ".join([line, *(f"{one.code}: {one.found}" for one in bad)])

    def _feed_down(self, now: float) -> float:
        """Seconds since the feed went down, 0 while it is up."""
        parts = self.daemon.parts
        span = parts.sight.book.current if parts else None
        up = span is not None and span.state is not CoverageState.BLIND
        if up != self._feed_changed[0] or not self._feed_changed[1]:
            self._feed_changed = (up, now)
        return 0.0 if up else max(0.001, now - self._feed_changed[1])

    def _store_trouble(self) -> str:
        parts = self.daemon.parts
        if parts is None or not parts.writer.failing:
            return ""
        full = self.metrics.value("store_disk_full") > 0
        return f"{'the disk is full' if full else 'commits fail'}, {parts.writer.pending} events wait in memory"


def _free(directory: object) -> int | None:
    try:
        return shutil.disk_usage(str(directory)).free
    except OSError:
        return None


def _many(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
