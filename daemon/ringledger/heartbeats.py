"""Which loops of the daemon make progress, for the watchdog and /livez.

What must stay true: a loop says itself how long it may take until its next sign; waiting on purpose (for a rate limit,
for the next round) is announced and is no fault; whoever is later than announced is stuck. Standard library only.
"""

from collections.abc import Callable

from ringledger.clock import monotonic


class Heartbeats:
    """Deadlines of named loops, monotonic seconds. A loop that never gave a sign is not watched."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}

    def beat(self, name: str, within: float) -> None:
        """``name`` makes progress, and does so again within so many seconds."""
        self._due[name] = self._clock() + within

    def progress(self, name: str, within: float) -> None:
        """The same for a loop in the middle of its round: never shortens what it was allowed."""
        if name in self._due:
            self._due[name] = max(self._due[name], self._clock() + within)

    def resting(self, name: str, seconds: float) -> None:
        """``name`` waits on purpose for so long: that is added to what it was allowed."""
        if name in self._due:
            self._due[name] = max(self._due[name], self._clock()) + seconds

    def all_resting(self, seconds: float) -> None:
        """Everybody waits for something that is nobody's fault (the disk, the token)."""
        for name in self._due:
            self.resting(name, seconds)

    def stuck(self) -> list[str]:
        """The loops that are later than they announced."""
        now = self._clock()
        return sorted(name for name, due in self._due.items() if now > due)
