"""When open calls need attention although nothing is heard: settling and expiry (rules 4.2, 5.2, 5.6).

Times are seconds of a monotonic clock, always given by the caller, so no jump of the wall clock matters. A call has at
most two deadlines that count, one to expire by and one to settle by; entries that have been overtaken are dropped when
they come up.
"""

import heapq
import math
from collections.abc import Iterator

from ringledger.domain.observation import CallKey


class Timers:
    """Deadlines of calls. ``due`` yields calls that have settled (True) or gone stale (False)."""

    def __init__(self, settle_seconds: float, stale_after_seconds: float) -> None:
        self.settle_seconds = settle_seconds
        self.stale_after_seconds = stale_after_seconds
        self._seen: dict[CallKey, float] = {}
        self._settles: dict[CallKey, float] = {}
        self._heap: list[tuple[float, bool, CallKey]] = []  # deadline, is it a settling, call

    @property
    def next_deadline(self) -> float | None:
        """When ``due`` may have something; ``None`` when nothing is waiting."""
        return self._heap[0][0] if self._heap else None

    def saw(self, key: CallKey, now: float) -> None:
        """A sign of life: the call is not stale for another while."""
        if key not in self._seen:
            heapq.heappush(self._heap, (now + self.stale_after_seconds, False, key))
        self._seen[key] = now

    def seen_at(self, key: CallKey) -> float:
        """When the call last gave a sign of life; minus infinity for a call that is over."""
        return self._seen.get(key, -math.inf)

    def open_calls(self) -> Iterator[CallKey]:
        """Calls that are not over."""
        return iter(self._seen)

    def is_settling(self, key: CallKey) -> bool:
        """Whether the call waits for a sign of life."""
        return key in self._settles

    def start_settling(self, key: CallKey, now: float) -> None:
        """The call has no live leg: give it ``settle_seconds``."""
        deadline = self._settles[key] = now + self.settle_seconds
        heapq.heappush(self._heap, (deadline, True, key))

    def stop_settling(self, key: CallKey) -> None:
        """The call lives after all."""
        self._settles.pop(key, None)

    def forget(self, key: CallKey) -> None:
        """The call is over."""
        self._seen.pop(key, None)
        self._settles.pop(key, None)

    def due(self, now: float) -> list[tuple[CallKey, bool]]:
        """Calls whose deadline has passed: (call, has it settled). Each is forgotten or rescheduled."""
        ready = []
        while self._heap and self._heap[0][0] <= now:
            deadline, settling, key = heapq.heappop(self._heap)
            if settling:
                if self._settles.get(key) == deadline:
                    self.forget(key)
                    ready.append((key, True))
            elif (seen_at := self._seen.get(key)) is not None:
                expires_at = seen_at + self.stale_after_seconds
                if expires_at > now:
                    heapq.heappush(self._heap, (expires_at, False, key))
                elif key in self._settles:  # about to end by itself
                    heapq.heappush(self._heap, (now + self.stale_after_seconds, False, key))
                else:
                    self.forget(key)
                    ready.append((key, False))
        return ready
