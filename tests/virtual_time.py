"""An event loop whose time jumps: where everything waits for a timer, the timer comes at once.

A whole daemon and the platform it talks to run in one loop, over real sockets and a real file. What such a test waits
for is mostly time that passes. The clock of ``JumpingLoop`` stands while anything is at work (a callback that runs, a
socket that is ready, a job in a thread) and moves to the next timer when nothing is, so that what a test sees does not
depend on how fast or how busy the machine is. ``time.time`` and ``time.monotonic`` follow the loop's clock, so that
code which reads them agrees with code that sleeps. Only a child process lives in the machine's time: while one runs,
waiting takes as long as it takes.

What must stay true: the clock never goes back, and it moves only while the loop waits.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

#: The clocks of the machine, as they were before any test moved them.
REAL_MONOTONIC: Final = time.monotonic
REAL_TIME: Final = time.time
REAL_TIME_NS: Final = time.time_ns
REAL_MONOTONIC_NS: Final = time.monotonic_ns

#: How long the loop looks at its sockets before it jumps, real seconds: what was sent over loopback has arrived.
LOOK_SECONDS: Final = 0.0005
#: How long a job in a thread may take before it is taken to wait for one of the loop's timers, real seconds.
JOB_SECONDS: Final = 30.0
#: How long the loop waits at a time beside a child process, real seconds.
WAIT_AT_MOST: Final = 1.0


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for sockets and jobs while there is something to wait for, else moves the loop's clock."""

    loop: "JumpingLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, LOOK_SECONDS))
        if ready:
            return ready
        if self.loop.children:
            began = REAL_MONOTONIC()
            ready = super().select(min(timeout, WAIT_AT_MOST))
            self.loop.jump(min(timeout, REAL_MONOTONIC() - began))
            return ready
        if self.loop.jobs and (ready := super().select(JOB_SECONDS)):
            return ready
        self.loop.jump(timeout)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual time. ``jobs``: how many threads, ``children``: how many processes are at work."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.now = REAL_MONOTONIC()
        self.wall_ahead = REAL_TIME_NS() - REAL_MONOTONIC_NS()
        self.jobs = self.children = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 on this loop's clock."""
        return int(self.now * 1_000_000_000) + self.wall_ahead

    def run_forever(self) -> None:
        self.now = max(self.now, REAL_MONOTONIC())  # what was done outside of the loop took the machine's time
        with jumping_clocks(self):
            super().run_forever()

    def jump(self, seconds: float) -> None:
        """Move the clock on."""
        self.now += seconds

    def watch(self, future: Any) -> Any:
        """Let no time be skipped until a future is done."""
        self.jobs += 1
        future.add_done_callback(self._landed)
        return future

    def watch_child(self, ended: asyncio.Future[Any]) -> None:
        """Let waiting take as long as it takes until a process has ended."""
        self.children += 1
        ended.add_done_callback(self._ended)

    def _landed(self, _: object) -> None:
        self.jobs -= 1

    def _ended(self, _: object) -> None:
        self.children -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        return self.watch(super().run_in_executor(executor, func, *args))

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") == "aiosqlite.core":  # its thread sets the result
            self.watch(future)
        return future

    async def _make_subprocess_transport(self, *args: Any, **options: Any) -> Any:  # a child lives in real time
        self.children += 1
        transport = await super()._make_subprocess_transport(*args, **options)  # type: ignore[misc]
        self.create_task(transport._wait()).add_done_callback(self._ended)
        return transport


def jumping() -> bool:
    """Whether the caller runs on virtual time."""
    with suppress(RuntimeError):  # no loop runs
        return isinstance(asyncio.get_running_loop(), JumpingLoop)
    return False


@contextmanager
def jumping_clocks(loop: JumpingLoop) -> Iterator[None]:
    """``time.time`` and ``time.monotonic`` tell the loop's time."""
    clocks: dict[str, Any] = {
        "monotonic": loop.time,
        "monotonic_ns": lambda: int(loop.now * 1_000_000_000),
        "time": lambda: loop.wall_ns() / 1_000_000_000,
        "time_ns": loop.wall_ns,
    }
    before = {name: getattr(time, name) for name in clocks}
    for name, clock in clocks.items():
        setattr(time, name, clock)
    try:
        yield
    finally:
        for name, clock in before.items():
            setattr(time, name, clock)
