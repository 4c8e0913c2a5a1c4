"""Tasks: how they are ended, and which error of several is the one to tell."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

#: What the steps of a stop may take, seconds, each used in one place, so that their sum is the whole.
STOP_STAGES: Final = {
    "feed": 2.0, "commit": 7.0, "tasks": 2.0, "asking": 1.0, "watch": 1.0, "start": 1.0, "database": 4.0, "web": 1.0,
    "pulse": 1.0, "lease": 1.0,
}  # fmt: skip


async def cancelled(tasks: Collection[asyncio.Task[Any]], seconds: float) -> None:
    """Cancel tasks; returns when they have ended, or after so many seconds."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)


async def either(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    waits = [asyncio.ensure_future(one.wait()) for one in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


def first(failed: BaseExceptionGroup[Any]) -> BaseException:
    """The exception that came first; others are usually its consequences."""
    error = failed.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
