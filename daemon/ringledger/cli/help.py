"""How the help of commands looks: paragraphs as wide as the terminal, switches without the type of a value they do not
take, commands in the order in which a newcomer meets them."""

import inspect
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

#: The order of the program's help. A command that is not named here comes last.
ORDER: Final = (
    "run", "demo", "simulate", "calls", "active", "presence", "top", "serve", "coverage", "stats", "export", "audit",
    "backfill", "platform", "ringout", "sms", "pager", "auth", "check-config", "doctor", "db", "purge", "webhooks",
    "quarantine", "replay", "completion",
)  # fmt: skip


class PlainCommand(TyperCommand):
    """A command."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _tidy(self)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help`` is a switch like others."""
        return _switch(super().get_help_option(ctx))


class PlainGroup(TyperGroup):
    """A family of commands."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _tidy(self)

    def get_help_option(self, ctx: Any) -> Any:
        """``--help`` is a switch like others."""
        return _switch(super().get_help_option(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of :data:`ORDER`, else as they were registered."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def unwrapped(text: str) -> str:
    """The text, each paragraph on one line of its own."""
    return "\n\n".join(" ".join(one.split()) for one in inspect.cleandoc(text).split("\n\n"))


def _tidy(command: Any) -> None:
    command.help = None if command.help is None else unwrapped(command.help)
    for one in command.params:
        _switch(one)


def _switch(one: Any) -> Any:
    if getattr(one, "is_flag", False) and one.metavar is None:
        one.metavar = ""
    return one
