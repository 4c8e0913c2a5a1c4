"""Our own time: this machine's wall clock, watched against its monotonic one.

The account of our own sight is dated by it, and nothing is deleted that is young by it. What must stay true: a wall
clock that steps is not followed until it has proved itself (the platform's agrees with it, or it has stood for a
while), so a step that is taken back leaves nothing behind; the platform's clock alone moves nothing here. Only against
a simulator that announces its pace does our time follow the platform's.
"""

from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol

from ringledger.clock import monotonic, wall

#: A difference between the two clocks that is no step, seconds: it is drift, and followed.
STEP_SECONDS: Final = 60.0
#: The platform's clock confirms ours when it is this near, seconds: its answers take a while.
NEAR_SECONDS: Final = 120.0
#: A step of the clock that no other clock confirms is followed after this long, seconds.
PROVED_SECONDS: Final = 600.0
#: Clocks that differ by more disagree about what is old, ms.
DISAGREE_MS: Final = 3_600_000


class PlatformTime(Protocol):
    """What the platform tells of the time."""

    @property
    def simulated(self) -> bool:
        """Whether it is a simulator that has announced its pace."""

    def platform_now_ms(self) -> int:
        """Now, on the platform's clock as far as known."""

    def dated_now_ms(self) -> int | None:
        """Now, from the last ``Date`` and the monotonic clock since; ``None``: it has told none."""


class ClockStep(NamedTuple):
    """A step of this machine's clock: its time before and after, ms."""

    before: int
    after: int


class OwnTime:
    """``wall`` and ``clock`` (monotonic) are this machine's, seconds."""

    def __init__(
        self, platform: PlatformTime, *, wall: Callable[[], float] = wall, clock: Callable[[], float] = monotonic
    ) -> None:
        self.wall = wall
        self.clock = clock
        self._platform = platform
        self._offset = wall() - clock()
        self._stepped_at: float | None = None

    def now(self) -> int:
        """Now, ms since 1970."""
        if self._platform.simulated:
            return self._platform.platform_now_ms()
        return round((self.clock() + self._offset) * 1000)

    def watch(self) -> ClockStep | None:
        """Compare the clocks; returns the step when our time has been set. To be called every few seconds."""
        offset = self.wall() - self.clock()
        if abs(offset - self._offset) <= STEP_SECONDS:
            self._offset, self._stepped_at = offset, None
            return None
        if self._stepped_at is None:
            self._stepped_at = self.clock()
        if self._platform.simulated or not self._proved(offset):
            return None
        before = self.now()
        self._offset, self._stepped_at = offset, None
        return ClockStep(before, self.now())

    def _proved(self, offset: float) -> bool:
        told = self._platform.dated_now_ms()
        if told is not None and abs(told / 1000 - (self.clock() + offset)) <= NEAR_SECONDS:
            return True
        if told is not None and abs(told / 1000 - (self.clock() + self._offset)) <= NEAR_SECONDS:
            return False
        return self._stepped_at is not None and self.clock() - self._stepped_at >= PROVED_SECONDS

    def earliest(self) -> int:
        """Now by the slowest of the clocks, ms: what is old by it is old by each of them."""
        if self._platform.simulated:
            return self._platform.platform_now_ms()
        return min(self._readings())

    def disagreement(self) -> int:
        """How far the clocks are apart, ms; 0 while they agree as far as deleting is concerned."""
        if self._platform.simulated:
            return 0
        readings = self._readings()
        apart = max(readings) - min(readings)
        return apart if apart > DISAGREE_MS else 0

    def _readings(self) -> list[int]:
        told = self._platform.dated_now_ms()
        ours = [round(self.wall() * 1000), self.now()]
        return ours if told is None else [*ours, told]


class CommonTime:
    """The time of a process with several accounts, for what it does for all of them: what is old by it is old by the
    clocks of each. ``clocks``: those of the accounts whose platform is known."""

    def __init__(self, clocks: Callable[[], Collection[OwnTime]], *, wall: Callable[[], float] = wall) -> None:
        self._clocks = clocks
        self._wall = wall

    def earliest(self) -> int:
        """Now by the slowest of all clocks, ms."""
        return min([round(self._wall() * 1000), *(one.earliest() for one in self._clocks())])

    def disagreement(self) -> int:
        """How far the clocks of some account are apart, ms; 0 while they agree."""
        return max((one.disagreement() for one in self._clocks()), default=0)
