"""`check-config`: every value in force and where it came from. Secrets are hidden, nobody is asked."""

from typing import Any

import typer
from rich.text import Text

from ringledger.cli.frame import console, frame_of
from ringledger.cli.output import print_json, table


def check_config(ctx: typer.Context) -> None:
    """The configuration in force, with its sources.

    Secrets are hidden and nobody is asked. What is wrong is named with its file and line; exit code 78.
    """
    frame = frame_of(ctx)
    found = frame.settings().sources()
    if frame.json:
        print_json([{"key": one.key, "value": _plain(one.value), "source": one.source} for one in found])
        return
    made = table("key", "value", "source")
    for one in found:
        style = "dim" if one.source == "default" else ""
        made.add_row(Text(one.key, style=style), Text(_text(one.value), style=style), Text(one.source, style=style))
    console().print(made)
    console().print("the configuration is valid", style="green")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
