"""`run`: the daemon in the foreground.

What must stay true: SIGTERM and SIGINT end it in good order with 0; a second signal ends it at once; SIGHUP reads the
configuration again.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from functools import partial

import typer

from ringledger.cli.context import GlobalOptions, options_of
from ringledger.config.model import Settings
from ringledger.exits import Exit
from ringledger.observability.logging import configure_logging

#: A long-running process allocates little that dies in cycles: look rarely, and never at what the start has built.
GC_THRESHOLDS = (50_000, 20, 100)


def run(ctx: typer.Context) -> None:
    """The daemon, in the foreground (what systemd starts)."""
    for number in (signal.SIGTERM, signal.SIGINT):  # before it has begun anything, there is nothing to end in order
        signal.signal(number, lambda *_: os._exit(int(Exit.OK)))
    from ringledger.ledger.file.owner import refuse_outsider

    options = options_of(ctx)
    settings = options.settings()
    configure_logging(settings.log.level, settings.log.format, settings.log.numbers)
    gc.set_threshold(*GC_THRESHOLDS)
    if settings.database.is_file:  # a user who may not read the ledger needs that said first, not advice on the login
        refuse_outsider(settings.database.path)
    asyncio.run(_serve(settings, options))


async def _serve(settings: Settings, options: GlobalOptions) -> None:
    from ringledger.service import Daemon
    from ringledger.service.threads import Abandonable
    from ringledger.systemd import Notifier

    asyncio.get_running_loop().set_default_executor(Abandonable())  # a name look-up that hangs delays no stop

    daemon = Daemon(settings, notifier=Notifier())
    stop_on_signals(daemon.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload, options.settings)
    freezing = asyncio.create_task(_freeze(daemon.ready), name="freeze")
    try:
        await daemon.run()
    finally:
        freezing.cancel()


async def _freeze(ready: asyncio.Event) -> None:
    await ready.wait()
    gc.collect()
    gc.freeze()


def stop_on_signals(stop: Callable[[str], None]) -> None:
    """Call ``stop(NAME)`` on the first SIGTERM or SIGINT; a second one ends the process there and then."""
    seen: list[int] = []

    def received(number: signal.Signals) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        stop(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, partial(received, number))
