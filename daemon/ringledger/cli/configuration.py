"""`check-config`: every value in force and where it came from. Secrets are hidden; nobody is asked unless told to."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.frame import console, frame_of, print_table
from ringledger.cli.output import print_json, table

if TYPE_CHECKING:
    from ringledger.settings import Settings


def check_config(
    ctx: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also obtain a token, and read one's own extension and its active calls.")
    ] = False,
) -> None:
    """The configuration in force, with its sources.

    Secrets are hidden. What is wrong is named with its file and line; exit code 78. Missing credentials are told, but
    whoever only reads the database needs none. With --online the platform is asked: 78 without credentials, 77 when it
    rejects them, 69 when it does not answer.
    """
    frame = frame_of(ctx)
    settings = frame.settings()
    found = settings.sources()
    if online:
        _ask(settings)
    if frame.json:
        print_json([{"key": one.key, "value": _plain(one.value), "source": one.source} for one in found])
        return
    from ringledger.service.diagnose import login_missing

    made = table("key", "value", "source")
    for one in found:
        style = "dim" if one.source == "default" else ""
        made.add_row(Text(one.key, style=style), Text(_text(one.value), style=style), Text(one.source, style=style))
    print_table(made)
    console().print("the configuration is valid" + (", the platform accepts it" if online else ""), style="green")
    if missing := login_missing(settings):
        console().print(f"{missing}; the daemon and what asks the platform need it (78)", style="yellow")


def _ask(settings: "Settings") -> None:
    """Raises what the platform has against the configuration."""
    import aiohttp

    from ringledger.logs import configure_logging
    from ringledger.service.diagnose import reached

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            await reached(settings, session)

    configure_logging("critical")
    asyncio.run(work())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
