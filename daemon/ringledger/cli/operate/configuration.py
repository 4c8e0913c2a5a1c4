"""`check-config`: every value in force and where it came from. Secrets are hidden; nobody is asked unless told to."""

import asyncio
from typing import Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.render import print_json, table
from ringledger.config.model import Settings, load_settings


def check_config(
    ctx: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also obtain a token, and read one's own extension and its active calls.")
    ] = False,
) -> None:
    """The configuration in force, with its sources.

    A * marks what differs from the default; a *_file key that names no file is left out (--json has all). Secrets are
    hidden. What is wrong is named with its file and line; exit code 78. Missing credentials are told, but
    whoever only reads the database needs none. With --online the platform is asked: 78 without credentials, 77 when it
    rejects them, 69 when it does not answer.
    """
    options = options_of(ctx)
    settings = load_settings(options.config)
    found = settings.sources()
    from ringledger.service.health.diagnosis import login_missing

    if online:
        for account in settings.of_accounts().values():
            _ask(account)
    if options.json:
        print_json([{"key": one.key, "value": _plain(one.value), "source": one.source} for one in found])
        return
    defaults = {one.key: one.value for one in Settings().sources()}
    made = table("", "key", "value", "source", gap=1)
    for one in found:
        if one.key.endswith("_file") and not one.value:
            continue
        differs = one.value != defaults.get(one.key)
        cells = "*" if differs else "", one.key, _text(one.value), one.source
        made.add_row(*(Text(cell, style="" if differs else "dim") for cell in cells))
    print_table(made, folds=("value", "source"))
    console().print("*: differs from the default", style="dim")
    console().print("the configuration is valid" + (", the platform accepts it" if online else ""), style="green")
    for name, account in settings.of_accounts().items():
        if missing := login_missing(account):
            of = f"account {name}: " if name else ""
            console().print(f"{of}{missing}; the daemon and what asks the platform need it (78)", style="yellow")


def _ask(settings: "Settings") -> None:
    """Raises what the platform has against the configuration."""
    from ringledger.observability.logging import configure_logging
    from ringledger.ringcentral.api.http import open_session
    from ringledger.service.health.diagnosis import reached

    async def work() -> None:
        async with open_session() as session:
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
