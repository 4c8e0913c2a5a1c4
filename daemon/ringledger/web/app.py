"""How the application is put together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from ringledger import __version__
from ringledger.config.model import Settings
from ringledger.ledger.read.engine import ReadEngine
from ringledger.web import problems
from ringledger.web.access import Doorkeeper, hosts_of
from ringledger.web.api import api
from ringledger.web.backend import GLANCES, SEARCHES, Backend, Turns
from ringledger.web.events import Follower, events
from ringledger.web.guard import Guard
from ringledger.web.pages import pages, told

DESCRIPTION: Final = """What a ledger of calls holds, to be read by programs. Names are the columns of the views;
times are UTC, durations seconds. Errors are problem+json (RFC 9457)."""


def application(
    settings: Settings,
    *,
    directory: Path,
    env: Mapping[str, str],
    read_number: Callable[[str], str | None],
    status: Callable[[Any], Awaitable[Any]],
) -> tuple[ASGIApp, Callable[[], None]]:
    """The whole application, and what ends its streams. Raises ``SettingsError``: a token that cannot be read."""
    doorkeeper = Doorkeeper(settings, directory=directory, env=env)
    source = ReadEngine(settings.database.url, seconds=settings.serve.query_seconds, connections=SEARCHES + GLANCES)

    backend = Backend(
        settings, source, doorkeeper, settings.report.zone, read_number, Turns(SEARCHES), Turns(GLANCES), status
    )
    follower = Follower(backend)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.backend, app.state.follower = backend, follower
        yield
        await source.close()

    app = FastAPI(
        title="ringledger",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # they load from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        servers=[{"url": "/"}],
    )
    app.include_router(api)
    app.include_router(events)
    app.include_router(pages)
    problems.install(app, settings.serve.query_seconds, told)
    return Guard(app, doorkeeper=doorkeeper, hosts=hosts_of(settings)), follower.stop
