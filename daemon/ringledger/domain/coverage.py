"""The ledger's account of its own sight: when the feed was live, doubtful or blind, and what healed it (rule 8.3).

Time since the first start is divided into spans without gaps. A hole (doubtful or blind) is healed by reading the
platform's books for it: a listing of active calls does for a short one, since ended calls stay listed for two minutes;
the call log does for any. So "complete" is an answer this can give, not a hope.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

#: The cause of the span between two runs of the daemon.
DOWN: Final = "daemon_down"
#: The cause of the time before the first start, as far as the first back-fill reads.
FIRST: Final = "before_first_start"


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
        self._seen: CoverageSpan | None = None  # the last live span that is over
        self._moved: dict[int, CoverageSpan] = {}

    def resume(self, spans: list[CoverageSpan], *, now: int) -> None:
        """Go on after a restart: whatever was not watched since the last span's end was blind."""
        self.holes = [span for span in spans if span.is_hole]
        last = max(spans, key=lambda span: (span.until_at, span.from_at), default=None)  # it may have no length yet
        started = now if last is None else min(last.until_at, now)
        cause, recovered = "starting" if last is None else DOWN, 0
        if last is not None and last.state is CoverageState.BLIND:  # it was blind already, and still is
            started, cause = last.from_at, last.cause or DOWN
            self.holes.remove(last)
            recovered = last.recovered_calls
        until = max(started, now)
        self.current = CoverageSpan(self.account_id, started, until, CoverageState.BLIND, cause, recovered)
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
        """What the feed brought between two times may be incomplete, although it was called live."""
        live = self.current
        if live is None or live.state is not CoverageState.LIVE:
            return
        if from_at < live.from_at:
            self._doubt_before(from_at, cause)
        elif until_at > from_at:
            self.turn(CoverageState.DOUBTFUL, from_at, cause)
            self.turn(CoverageState.LIVE, until_at)

    def _doubt_before(self, from_at: int, cause: str) -> None:
        """The live span before the present one was not as live as it seemed, from some time on."""
        seen, self._seen = self._seen, None
        if seen is None or from_at >= seen.until_at:
            return
        started = max(from_at, seen.from_at)
        if started > seen.from_at:
            self._move(seen._replace(until_at=started))
        doubtful = seen._replace(from_at=started, state=CoverageState.DOUBTFUL, cause=cause)
        self._move(doubtful)
        self.holes.append(doubtful)

    def recover(self, from_at: int, until_at: int) -> None:
        """A call of this time came from the platform's books instead of the feed: the hole it fell into is told."""
        for number, hole in enumerate(self.holes):
            if hole.from_at <= until_at and from_at <= hole.until_at:
                self.holes[number] = hole._replace(recovered_calls=hole.recovered_calls + 1)
                self._move(self.holes[number])
                return
        current = self.current
        if current is not None and current.is_hole and current.from_at <= until_at:
            self.current = current._replace(recovered_calls=current.recovered_calls + 1)
            self._move(self.current)

    def heal(self, from_at: int, by: str) -> None:
        """The books have been read for the hole that began at ``from_at`` and is over."""
        for hole in [hole for hole in self.holes if hole.from_at == from_at]:
            self._move(_healed(hole, by))
        self.leave(from_at)

    def leave(self, from_at: int) -> None:
        """Nothing more will be done about the hole that began at ``from_at``."""
        self.holes = [hole for hole in self.holes if hole.from_at != from_at]

    def heal_period(self, spans: list[CoverageSpan], since: int, until: int, by: str, recovered: int) -> int:
        """The books have been read for a period: what of the holes among ``spans`` lies within it is healed, the rest
        of them stays. Returns how many. ``recovered``: how many calls that brought, for the first hole whose calls are
        not counted yet. The current span is left alone.
        """
        if until <= since:  # the log is not complete yet for any of it
            return 0
        running = self.current.from_at if self.current else None
        counted = {hole.from_at: hole for hole in self.holes}
        touched = [
            counted.get(hole.from_at, hole)
            for hole in spans
            if hole.is_hole and hole.from_at != running and hole.from_at < until and hole.until_at > since
        ]
        for hole in sorted(touched):
            whole = hole
            if hole.from_at not in counted:
                whole, recovered = hole._replace(recovered_calls=hole.recovered_calls + recovered), 0
            self._heal_part(whole, max(hole.from_at, since), min(hole.until_at, until), by)
        return len(touched)

    def _heal_part(self, hole: CoverageSpan, lower: int, upper: int, by: str) -> None:
        """A hole becomes a healed span and what is left of it on both sides."""
        self.leave(hole.from_at)
        rest = hole._replace(recovered_calls=0)
        pieces = [rest._replace(until_at=lower), rest._replace(from_at=upper)]
        left = [piece for piece in pieces if piece.until_at > piece.from_at]
        self.holes += left
        for span in (_healed(hole, by)._replace(from_at=lower, until_at=upper), *left):
            self._move(span)

    def rewind(self, now: int, spans: Iterable[CoverageSpan] = ()) -> None:
        """What was dated later than ``now`` has not been: the clock that said so was wrong. ``spans``: those written
        that the book does not hold.
        """
        running = None if self.current is None else self.current.from_at
        for span in (*spans, *self.holes, *([self._seen] if self._seen else [])):
            if span.until_at > now and span.from_at != running:
                self._move(span._replace(until_at=max(span.from_at, now)) if span.from_at < now else _void(span))
        self.holes = [hole._replace(until_at=min(hole.until_at, now)) for hole in self.holes if hole.from_at < now]
        self._seen = None
        current = self.current
        if current is None or current.until_at <= now:
            return
        if current.from_at >= now:
            self._move(_void(current))
            self.current = current._replace(from_at=now, until_at=now)
        else:
            self.current = current._replace(until_at=now)
        self._move(self.current)

    def take(self) -> list[CoverageSpan]:
        """Spans that have moved since the last time."""
        moved, self._moved = list(self._moved.values()), {}
        return moved

    def _close(self, span: CoverageSpan, at: int) -> None:
        closed = span._replace(until_at=at)
        self._move(closed)
        if closed.state is CoverageState.LIVE and closed.until_at > closed.from_at:
            self._seen = closed
        if closed.is_hole and closed.until_at > closed.from_at:
            self.holes.append(closed)

    def _move(self, span: CoverageSpan) -> None:
        self._moved[span.from_at] = span


def _void(span: CoverageSpan) -> CoverageSpan:
    """A span that lasted no time: it has been written and says nothing any more."""
    return span._replace(until_at=span.from_at)


def _healed(hole: CoverageSpan, by: str) -> CoverageSpan:
    cause = f"{hole.cause}, healed by {by}" if hole.cause else f"healed by {by}"
    return hole._replace(state=CoverageState.HEALED, cause=cause)
