"""The platform's seconds: real ones, unless a simulated platform runs faster than life.

What must stay true: everything the platform measures (token life, rate windows, penalties, renewals) is waited
for in platform seconds; wall-clock jumps change nothing, for only the monotonic clock is used.
"""

import asyncio
import time


class Pace:
    """``speed`` platform seconds pass in one real second."""

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError("speed must be positive")
        self.speed = speed

    def now(self) -> float:
        """Monotonic platform seconds, from an arbitrary start."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` platform seconds."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
