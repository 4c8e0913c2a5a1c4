"""One way to wait for something in a test, and one patience.

What must stay true: nothing that works takes as long as this patience, on a busy machine neither; it is shorter than
pytest's own (`timeout` in pyproject.toml), so that whoever waits in vain can say for what.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds, of the loop's own time in ``until`` (tests/virtual_time.py), of the machine's in ``eventually``."""


SOONEST: Final = 0.01
LATEST: Final = 0.25
"""Seconds between two questions in ``until``: at first and at last, a hundredth of what has been waited in between. On
virtual time each question costs half a millisecond of the machine's, however little happens."""


def _told(what: object) -> str:
    return f"did not come about: {what() if callable(what) else what}"


async def until(condition: Callable[[], T | Awaitable[T]], what: object = "", seconds: float = PATIENCE) -> T:
    """What ``condition`` returns once it is true; it may be a coroutine function.

    ``what``: what is waited for, or a function that says how far it has come. Raises ``AssertionError`` at the
    end of patience.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        waited = clock() - began
        if waited > seconds:
            raise AssertionError(_told(what or condition))
        await asyncio.sleep(min(max(SOONEST, waited / 100), LATEST))


def eventually(condition: Callable[[], T], what: object = "", seconds: float = PATIENCE) -> T:
    """As ``until``, where another process or thread does it and no loop runs here."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(_told(what or condition))
        time.sleep(0.02)
    return found
