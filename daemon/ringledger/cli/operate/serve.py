"""`serve`: the read API and the page, in a process of its own.

What must stay true: the libraries of the extra ``ringledger[web]`` are imported when the command runs, never before.
"""

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ringledger.cli.context import options_of
from ringledger.cli.errors import usage
from ringledger.cli.operate.run import stop_on_signals
from ringledger.cli.terminal import say
from ringledger.config.model import Settings
from ringledger.config.provenance import SettingsError
from ringledger.observability.logging import configure_logging


def serve(
    ctx: typer.Context,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to listen; else serve.listen. Port 0: a free one.")
    ] = None,
) -> None:
    """A read API and a page over the database, in the foreground.

    From this machine anybody may look; from elsewhere whoever has a token of serve.tokens or comes through a proxy of
    serve.trusted_proxies. It only reads, and it needs no daemon. Needs the package's extra `web`.
    """
    options = options_of(ctx)
    try:
        settings = options.settings({} if listen is None else {"serve.listen": listen})
    except SettingsError as error:
        if listen is not None and any(problem.startswith("override: ") for problem in error.problems):
            raise usage(f"--listen {listen!r} should be HOST:PORT") from None
        raise
    try:
        import fastapi  # noqa: F401
        import jinja2  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise usage("serve needs FastAPI, uvicorn and Jinja; install them: pip install 'ringledger[web]'") from None
    configure_logging(settings.log.level, settings.log.format, settings.log.numbers)
    asyncio.run(_serve(settings, _directory(options.config)))


def _directory(config: Path | None) -> Path:
    """Where the names of files in the configuration begin."""
    from ringledger.config.model import DEFAULT_PATH

    named = config or (Path(found) if (found := os.environ.get("RINGLEDGER_CONFIG")) else DEFAULT_PATH)
    return named.absolute().parent


async def _serve(settings: Settings, directory: Path) -> None:
    from ringledger.ledger.errors import DatabaseOffLimits
    from ringledger.ledger.file.owner import refuse_outsider
    from ringledger.numbers import normalise
    from ringledger.service.health.status import status_of
    from ringledger.web.server import serve as answering

    if settings.database.is_file:  # it may become readable while we serve, as it may be made only then
        try:
            refuse_outsider(settings.database.path)
        except DatabaseOffLimits as error:
            say(f"ringledger: {error}", stderr=True)
    stopping = asyncio.Event()
    stop_on_signals(lambda _: stopping.set())
    await answering(
        settings,
        directory=directory,
        env=os.environ,
        read_number=partial(normalise, default_region=settings.platform.default_region),
        status=partial(status_of, settings),
        stopping=stopping,
        listening=lambda address: say(f"ringledger: http://{address}/", stderr=True),
    )
