"""Following the database: a question asked once a second, until somebody has had enough.

What must stay true: each round is one short read; a database that is busy for a moment does not end it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final, TypeVar

from ringledger.cli.context import reading
from ringledger.config.model import Settings

T = TypeVar("T")

#: Between two rounds.
EVERY_SECONDS: Final = 1.0


async def follow(
    settings: Settings, ask: Callable[[Any], Awaitable[T]], woken: asyncio.Event | None = None
) -> AsyncGenerator[T | str, None]:
    """The answers of ``ask(engine)``, one a second and one whenever ``woken`` is set; a text says why there is none
    this time. To be closed (``aclosing``). Raises ``LedgerError`` for what does not pass by itself."""
    from ringledger.ledger.errors import LedgerUnavailable

    woken = woken or asyncio.Event()
    async with reading(settings) as engine:
        while True:
            woken.clear()
            try:
                answer: T | str = await ask(engine)
            except LedgerUnavailable as error:
                answer = str(error)
            yield answer
            await _rest(woken)


async def _rest(woken: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(woken.wait(), EVERY_SECONDS)
    except TimeoutError:
        return
