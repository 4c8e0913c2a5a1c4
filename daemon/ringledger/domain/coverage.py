"""The ledger's account of its own sight: when the feed was live, doubtful or blind, and what healed it (semantics 8).

Time since the first start is divided into spans without gaps. A hole (doubtful or blind) is healed by reading the
platform's books for it: a listing of active calls does for a short one, since ended calls stay listed for two minutes;
the call log does for any. So "complete" is an answer this can give, not a hope.
"""

from enum import StrEnum
from typing import Final, NamedTuple

#: The cause of the span between two runs of the daemon.
DOWN: Final = "daemon_down"
#: An unclean end within this time of the last commit is not worth a hole: nothing was being waited for.
HEARTBEAT_MS: Final = 60_000


class CoverageState(StrEnum):
    """How well the feed was seen during a span of time."""

    LIVE = "live"
    DOUBTFUL = "doubtful"
    BLIND = "blind"
    HEALED = "healed"


class CoverageSpan(NamedTuple):
    """A row of ``coverage``. Times ms. The account and ``from_at`` identify it: committing the same start again
    moves its end, its state and what a healing has recovered.
    """

    account_id: str
    from_at: int
    until_at: int
    state: CoverageState
    cause: str | None = None
    recovered_calls: int = 0

    @property
    def is_hole(self) -> bool:
        """Whether calls may be missing from it."""
        return self.state in {CoverageState.DOUBTFUL, CoverageState.BLIND}


class CoverageBook:
    """The spans of one account. ``moved`` collects those to be committed, until ``take``."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.holes: list[CoverageSpan] = []
        self.current: CoverageSpan | None = None
        self._moved: dict[int, CoverageSpan] = {}

    def resume(self, spans: list[CoverageSpan], *, now: int) -> None:
        """Go on after a restart: whatever was not watched since the last span's end was blind."""
        self.holes = [span for span in spans if span.is_hole]
        last = max(spans, key=lambda span: span.until_at, default=None)
        started = now if last is None else min(last.until_at, now)
        cause = "starting" if last is None else DOWN
        if last is not None and last.state is CoverageState.BLIND:  # it was blind already, and still is
            started, cause = last.from_at, last.cause or DOWN
            self.holes.remove(last)
        self.current = CoverageSpan(self.account_id, started, max(started, now), CoverageState.BLIND, cause)
        self._move(self.current)

    def turn(self, state: CoverageState, at: int, cause: str | None = None) -> None:
        """From ``at`` on the feed is in ``state``. The same state goes on; a hole keeps its first cause."""
        current = self.current
        if current is None:
            self.current = CoverageSpan(self.account_id, at, at, state, cause)
            self._move(self.current)
            return
        if current.state is state:
            self.extend(at)
            return
        self._close(current, max(at, current.from_at))
        started = max(at, current.from_at)
        self.current = CoverageSpan(self.account_id, started, started, state, cause)
        self._move(self.current)

    def extend(self, at: int, step: int = 0) -> None:
        """The current span goes on until ``at``; not worth a write within ``step`` ms of what is written."""
        if self.current is not None and at > self.current.until_at + step:
            self.current = self.current._replace(until_at=at)
            self._move(self.current)

    def doubt(self, from_at: int, until_at: int, cause: str) -> None:
        """Within a live span: what the feed brought between two times may be incomplete."""
        live = self.current
        self.turn(CoverageState.DOUBTFUL, max(from_at, live.from_at if live else from_at), cause)
        self.turn(CoverageState.LIVE, until_at)

    def heal(self, hole: CoverageSpan, by: str, recovered: int) -> None:
        """The books have been read for a hole that is over."""
        cause = f"{hole.cause}, healed by {by}" if hole.cause else f"healed by {by}"
        self._move(hole._replace(state=CoverageState.HEALED, cause=cause, recovered_calls=recovered))
        self.holes = [other for other in self.holes if other.from_at != hole.from_at]

    def take(self) -> list[CoverageSpan]:
        """Spans that have moved since the last time."""
        moved, self._moved = list(self._moved.values()), {}
        return moved

    def _close(self, span: CoverageSpan, at: int) -> None:
        closed = span._replace(until_at=at)
        self._move(closed)
        if closed.is_hole and closed.until_at > closed.from_at:
            self.holes.append(closed)

    def _move(self, span: CoverageSpan) -> None:
        self._moved[span.from_at] = span
