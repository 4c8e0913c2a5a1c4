"""Simulated UTC time: it can run faster than ours, or stand still and be stepped by hand.

Everything in the simulator that has a time asks this clock. What must stay true: time never goes backwards, a sleeper
wakes only when the simulated time it asked for has come, and no answer is given at a time by which something should
have happened that has not: on a busy machine time waits for who makes calls happen (:meth:`SimClock.held`).
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, UTC."""
    return round(moment.timestamp() * 1000)


def iso_z(ms: int) -> str:
    """Today's form of a platform time: ``2026-01-05T10:00:00.120Z``."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    """Every event tells again when its calls began."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_offset(ms: int) -> str:
    """The 2015 form of a platform time: ``2015-04-10T18:48:55.133+0000``."""
    return iso_z(ms)[:-1] + "+0000"


class SimClock:
    """``speed`` simulated seconds pass in one real second; with speed 0 time moves only by :meth:`advance`."""

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError("speed must not be negative")
        self.speed = speed
        #: How far the ``Date`` of answers is ahead of the truth, ms; negative: behind.
        self.told_ahead_ms = 0
        self._base_ms = to_ms(start or datetime.fromtimestamp(time.time(), UTC))
        self._base_real = time.monotonic()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        #: What is to happen next, by who makes it happen, ms.
        self._held: dict[object, int] = {}

    def now_ms(self) -> int:
        """The simulated instant, milliseconds since the epoch, UTC."""
        return min(self._running_ms(), *self._held.values()) if self._held else self._running_ms()

    def _running_ms(self) -> int:
        """The instant it would be if nobody was late."""
        if not self.speed:
            return self._base_ms
        return self._base_ms + round((time.monotonic() - self._base_real) * 1000 * self.speed)

    def now_iso(self) -> str:
        return iso_z(self.now_ms())

    def advance(self, seconds: float) -> None:
        """Move simulated time forward at once and wake whoever waited for it."""
        if seconds < 0:
            raise ValueError("time does not go backwards")
        self._base_ms += round(seconds * 1000)
        self._wake()

    def _wake(self) -> None:
        now = self.now_ms()
        while self._sleepers and self._sleepers[0][0] <= now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def advance_to(self, ms: int) -> None:
        """Move simulated time forward to ``ms``; an instant already past changes nothing."""
        self.advance(max(0, ms - self._running_ms()) / 1000)

    @contextmanager
    def held(self) -> Iterator[Callable[[int], None]]:
        """For whoever makes things happen: gives a function that is told when the next one is due (ms), before it
        happens. Time does not pass that moment until the next is told, or the last has happened.
        """
        mine = object()

        def until(ms: int) -> None:
            self._held[mine] = max(ms, self.now_ms())
            self._wake()

        try:
            yield until
        finally:
            self._held.pop(mine, None)
            self._wake()

    async def sleep_until(self, ms: int) -> None:
        """Return when the simulated instant ``ms`` has come."""
        while (missing := ms - self.now_ms()) > 0:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (ms, next(self._order), future))
            real = missing / 1000 / self.speed if self.speed else None
            await asyncio.wait([future], timeout=real)
            future.cancel()

    async def sleep(self, sim_seconds: float) -> None:
        """Sleep for that many simulated seconds."""
        await self.sleep_until(self.now_ms() + round(sim_seconds * 1000))
