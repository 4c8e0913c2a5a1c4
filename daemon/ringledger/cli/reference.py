"""docs/commands.md, made from the commands themselves (`python -m ringledger.cli.reference`)."""

import ast
import inspect
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from textwrap import fill
from typing import Any

import typer

from ringledger.cli import INTERRUPTED
from ringledger.cli.app import app
from ringledger.cli.help import unwrapped
from ringledger.exits import Exit

HEAD = """\
# Commands

Made by `make generate` from the commands' own help. `ringledger COMMAND --help` says the same.

`--config PATH` (or `RINGLEDGER_CONFIG`), `--json` on everything that prints data, and `--no-color` may stand before or
after the command. Times are written `2026-03-02`, `2026-03-02T09:30` (in the zone of `report.timezone`,
or with an offset), `2026-03` (its first day), `today`, `yesterday`, or as a time ago: `30m`, `2h`, `7d`; `--until` is
not included. A filter that can match nothing is an error (64), with the reason. Phone numbers show their last four
digits in tables, JSON and CSV alike, unless `log.numbers` is `"full"` or `--full-numbers` is given.

Every error is one line on standard error: what is wrong, where, what to do.
"""


def reference() -> str:
    """The whole page."""
    command: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *_commands(command), *_codes()]) + "\n"


def _commands(group: Any, path: str = "ringledger") -> Iterator[str]:
    for name, command in group.commands.items():
        yield from _command(command, f"{path} {name}")
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")


def _command(command: Any, path: str) -> Iterator[str]:
    own = [one for one in command.params if one.name != "help"]
    arguments = " ".join(_argument(one) for one in own if one.param_type_name == "argument")
    yield f"## `{path}`\n"
    yield f"```\n{' '.join(word for word in (path, '[OPTIONS]' if _options(own) else '', arguments) if word)}\n```\n"
    yield "\n\n".join(fill(one, 120) for one in unwrapped(command.help or "").split("\n\n")) + "\n"
    if options := _options(own):
        yield "| option | default | |\n|---|---|---|"
        yield "\n".join(options) + "\n"


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _options(params: list[Any]) -> list[str]:
    return [_option(one) for one in params if one.param_type_name == "option"]


def _option(option: Any) -> str:
    kind = "" if option.is_flag else option.metavar or _kind(option.type_descriptor.annotation)
    value = getattr(option.default, "value", option.default)
    shown = "" if value is None or value is False or value == () else f"`{value}`"
    names = " ".join(word for word in (", ".join(option.opts), kind) if word)
    return f"| `{names}` | {'required' if option.required else shown} | {option.help or ''} |"


def _kind(annotation: Any) -> str:
    """What a value of an option looks like: its choices, or a word for its type."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "\\|".join(choice.value for choice in annotation)
    return "N" if annotation in {int, float} else "TEXT"


#: `run` and `simulate` go on until a person ends them.
INTERRUPTION = (
    "Broken off by Ctrl-C. `run` and `simulate` end in good order then, with 0; a second signal ends them at once, "
    "with 128 and its number."
)


def documented_codes() -> Iterator[tuple[int, str]]:
    """Every exit code with its meaning, in order."""
    docs = dict(_documented())
    yield from ((int(code), docs[code.name]) for code in Exit)
    yield INTERRUPTED, INTERRUPTION


def _codes() -> Iterator[str]:
    yield "## Exit codes\n\n| code | meaning |\n|---|---|"
    yield "\n".join(f"| {code} | {' '.join(text.split())} |" for code, text in documented_codes())


def _documented() -> Iterator[tuple[str, str]]:
    """The sentence below each code in :class:`Exit`."""
    (body,) = ast.parse(inspect.getsource(Exit)).body
    statements = getattr(body, "body", [])
    for before, after in pairwise(statements):
        if isinstance(before, ast.Assign) and isinstance(before.targets[0], ast.Name):
            yield before.targets[0].id, ast.literal_eval(after.value)


if __name__ == "__main__":
    print(reference(), end="")
