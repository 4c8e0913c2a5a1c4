"""Following the database: a query made once a second, until the person ends it.

What must stay true: each round is one short read; a database that is busy for a moment does not end it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
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
    this time. A file that has taken the database's place (``db restore``) is asked from then on. To be closed
    (``aclosing``). Raises ``LedgerError`` for what does not pass by itself."""
    from ringledger.ledger.errors import LedgerError, LedgerUnavailable

    woken = woken or asyncio.Event()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(reading(settings))
        opened = _file(settings)
        while True:
            woken.clear()
            answer: T | str = ""
            found = _file(settings)
            if isinstance(found, str):
                answer = found
            elif found != opened:
                await stack.aclose()
                try:
                    engine = await stack.enter_async_context(reading(settings))
                    opened = found
                except LedgerError as error:  # as long as a restore goes on
                    answer = str(error)
            if not answer:
                try:
                    answer = await ask(engine)
                except LedgerUnavailable as error:
                    answer = str(error)
            yield answer
            await _rest(woken)


def _file(settings: Settings) -> tuple[int, ...] | str:
    """Which file bears the database's name, or why none can be seen. A server is always the same."""
    from ringledger.ledger.file.identity import identity  # loads SQLAlchemy, for which help need not wait

    if not settings.database.is_file:
        return ()
    try:
        return identity(settings.database.path.stat())
    except OSError as error:
        return f"{settings.database.path}: {error.strerror}"


async def _rest(woken: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(woken.wait(), EVERY_SECONDS)
    except TimeoutError:
        return
