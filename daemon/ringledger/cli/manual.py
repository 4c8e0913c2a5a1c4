"""The manual pages ringledger(8) and ringledger.toml(5), made from the commands and the settings themselves.

``python -m ringledger.cli.manual DIRECTORY`` writes the pages and the completion scripts (`make generate`).
"""

import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer._completion_shared import get_completion_script

from ringledger import __version__
from ringledger.cli.app import COMPLETE, app
from ringledger.cli.reference import documented_codes
from ringledger.config.model import DEFAULT_PATH, RELOADABLE, Settings

FILES = {
    "/var/lib/ringledger/ringledger.db": "The database; the group ringledger may read it.",
    "/var/lib/ringledger/backups": "What `ringledger db backup` and its timer have made.",
    "/etc/ringledger/ringledger.toml": "The configuration, see ringledger.toml(5).",
    "/etc/ringledger/client_id, client_secret, jwt": "Credentials, handed over by systemd; for root alone.",
}
SIGNALS = {
    "SIGTERM, SIGINT": "End in good order; a second one ends at once.",
    "SIGHUP": "Read the configuration again; what may change at once is taken over, a wrong one is refused.",
}
#: Where each script is looked for by its shell, below ``share``.
COMPLETIONS = {"bash": "ringledger.bash", "zsh": "_ringledger", "fish": "ringledger.fish"}


def pages() -> dict[str, str]:
    """File names and contents."""
    made = {"man/ringledger.8": commands_page(), "man/ringledger.toml.5": settings_page()}
    for shell, name in COMPLETIONS.items():
        script = get_completion_script(prog_name="ringledger", complete_var=COMPLETE, shell=shell)
        made[f"completions/{name}"] = script.rstrip("\n") + "\n"
    return made


def commands_page() -> str:
    """ringledger(8)."""
    command: Any = typer.main.get_command(app)
    lines = [
        *_head("ringledger", 8, "keeps an exact ledger of a RingCentral account's calls"),
        ".SH SYNOPSIS",
        ".B ringledger",
        "[\\-\\-config PATH] [\\-\\-json] COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        _text(command.help or ""),
        ".SH COMMANDS",
        *_commands(command, "ringledger"),
        *_listed("SIGNALS", SIGNALS),
        *_listed("EXIT STATUS", {str(code): text for code, text in documented_codes()}),
        *_listed("FILES", FILES),
        ".SH SEE ALSO",
        "ringledger.toml(5), systemctl(1), journalctl(1)",
    ]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """ringledger.toml(5)."""
    lines = [
        *_head("ringledger.toml", 5, "configuration of ringledger"),
        ".SH SYNOPSIS",
        _text(str(DEFAULT_PATH)),
        ".SH DESCRIPTION",
        _text(
            "TOML. Every key is optional but the credentials; an unknown one is an error. Later sources win: the file, "
            "systemd's credentials, environment variables RINGLEDGER_SECTION__KEY. `ringledger check-config` shows "
            "every value in force with its source. Keys marked * are taken over on SIGHUP, others at the next start."
        ),
    ]
    for section, field in Settings.model_fields.items():
        model = field.annotation if section != "webhooks" else field.annotation.__args__[0]  # type: ignore[union-attr]
        if isinstance(model, type) and issubclass(model, BaseModel):
            heading = f"[{section}]" if section != "webhooks" else "[[webhooks]]"
            lines += [f".SH {heading}", _text(inspect.cleandoc(model.__doc__ or "")), *_keys(section, model)]
    return "\n".join([*lines, ".SH SEE ALSO", "ringledger(8)"]) + "\n"


def _keys(section: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        live = " *" if f"{section}.{name}" in RELOADABLE else ""
        required = field.default is PydanticUndefined
        yield ".TP"
        yield f".B {_text(name)}{' (required)' if required else ''}{live}"
        default = "" if required else f"Default: {_value(field.default)}. "
        yield _text(default + (field.description or ""))


def _value(value: Any) -> str:
    if hasattr(value, "get_secret_value") or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _head(name: str, section: int, brief: str) -> list[str]:
    return [f'.TH {_text(name)} {section} "" "ringledger {__version__}"', ".SH NAME", f"{_text(name)} \\- {brief}"]


def _listed(title: str, entries: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, text in entries.items():
        yield from (".TP", f".B {_text(name)}", _text(text))


def _commands(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        own = [one for one in command.params if one.name != "help"]
        words = [_argument(one) for one in own if one.param_type_name == "argument"]
        yield f".SS {_text(' '.join([path, name, *words]))}"
        yield _text(inspect.cleandoc(command.help or ""))
        for option in own:
            if option.param_type_name == "option":
                yield from (".TP", f".B {_text(_option(option))}", _text(option.help or ""))
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    annotation: Any = None if option.is_flag else option.type_descriptor.annotation
    choices = [str(one.value) for one in annotation] if _is_enum(annotation) else []
    kind = "" if option.is_flag else option.metavar or "|".join(choices) or "VALUE"
    return " ".join(word for word in (", ".join(option.opts), kind) if word)


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _text(text: str) -> str:
    """Running text as roff wants it: no line begins with a control character, hyphens are what one types."""
    plain = re.sub(r"``|`", "", " ".join(text.split()))
    escaped = plain.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped


def write(directory: Path) -> None:
    """Write every page below ``directory``."""
    for name, content in pages().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
