"""When to connect again: soon after a first loss, later after each further one, and never too often.

What must stay true: the platform never sees more than three connects a minute, for each costs a token of the Auth
group, which has five for everything (platform page 3.5). All seconds are platform seconds.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Final

#: The shortest and the longest pause before the first, second ... further attempt.
PAUSES: Final = ((1.0, 1.0), (2.0, 6.0), (10.0, 20.0), (20.0, 40.0), (40.0, 80.0), (80.0, 120.0))
CONNECTS: Final = 3
WINDOW_SECONDS: Final = 60.0
#: A connection that lived for so long was a good one: the pauses begin anew.
GOOD_SECONDS: Final = 60.0


class ReconnectPace:
    """Arithmetic over given instants (monotonic platform seconds)."""

    def __init__(self, between: Callable[[float, float], float] = random.uniform) -> None:
        self._between = between
        self._connects: deque[float] = deque(maxlen=CONNECTS)
        self._step = 0
        self._not_before = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next connect may begin; 0 when it may now."""
        full = len(self._connects) == CONNECTS
        allowed = max(self._not_before, self._connects[0] + WINDOW_SECONDS if full else 0.0)
        return max(0.0, allowed - now)

    def connecting(self, now: float) -> None:
        """A connect begins."""
        self._connects.append(now)

    def lost(self, now: float, *, lived: float, ordinary: bool = False, at_least: float = 0.0) -> None:
        """It failed or ended. ``lived``: seconds it was good for; ``ordinary``: the platform ends every connection
        some day, so the next may follow at once; ``at_least``: a pause the platform asks for.
        """
        if ordinary or lived >= GOOD_SECONDS:
            self._step = 0
        pause = 0.0
        if not ordinary:
            pause = self._between(*PAUSES[min(self._step, len(PAUSES) - 1)])
            self._step += 1
        self._not_before = now + max(pause, at_least)
