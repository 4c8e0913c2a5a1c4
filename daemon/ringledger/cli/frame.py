"""What every command shares: the options that may stand anywhere, the settings, and the way to the database.

What must stay true: commands that only read open the database read-only and check its version first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from ringledger.cli.output import without
from ringledger.settings import Settings, load_settings

T = TypeVar("T")

#: Options that may stand before or after the command; those that take a value are true.
EVERYWHERE = {"--config": True, "--json": False, "--no-color": False}

#: Columns of an output nobody looks at: nothing is cut.
UNSEEN = 250


@dataclass(slots=True)
class Frame:
    """The options given for the whole program (``ctx.obj``)."""

    config: Path | None = None
    json: bool = False

    def settings(self, overrides: Mapping[str, Any] | None = None) -> Settings:
        """The configuration in force. Raises ``SettingsError``."""
        return load_settings(self.config, overrides=overrides)

    def masked(self, settings: Settings, full_numbers: bool) -> bool:
        """Whether phone numbers are shown by their last four digits only."""
        return settings.log.numbers == "masked" and not full_numbers


def frame_of(ctx: typer.Context) -> Frame:
    """The frame of the running command."""
    frame = ctx.find_root().obj
    return frame if isinstance(frame, Frame) else Frame()


def hoisted(arguments: list[str]) -> list[str]:
    """The arguments with the options of :data:`EVERYWHERE` moved to the front, where the program reads them."""
    front: list[str] = []
    rest: list[str] = []
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        name, equals, _ = word.partition("=")
        if word == "--":
            return [*front, *rest, word, *pending]
        if name not in EVERYWHERE:
            rest.append(word)
            continue
        front.append(word)
        if EVERYWHERE[name] and not equals and pending:
            front.append(pending.pop(0))
    return front + rest


def console(*, stderr: bool = False) -> Console:
    """Where tables go; as wide as its content when nobody looks (a pipe, a file)."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=UNSEEN)


def print_table(made: Table, *, spare: Sequence[str] = ()) -> None:
    """Print a table with every cell whole: what is cut cannot be copied into the next command.

    On a narrow terminal the columns ``spare`` are left out, in that order, as long as it does not fit; what is too wide
    even so is left to the terminal to wrap.
    """
    out = console()
    for heading in spare:
        if _natural(made) > out.width:
            made = without(made, heading)
    Console(highlight=False, width=max(out.width, _natural(made))).print(made)


def _natural(made: Table) -> int:
    endless = Console(width=10_000)
    return Measurement.get(endless, endless.options, made).maximum


def read(settings: Settings, ask: Callable[[Any], Awaitable[T]]) -> T:
    """The answer of ``ask(engine)`` from a read-only connection. Raises as :func:`reading` does."""

    async def work() -> T:
        async with reading(settings) as engine:
            return await ask(engine)

    return asyncio.run(work())


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Any]:
    """The engine of read-only connections. Raises ``LedgerError`` (no database: one line that says where it was
    looked for, who says so, and what to do)."""
    from ringledger.ledger.errors import DatabaseMissing, LedgerError
    from ringledger.ledger.ledger import Ledger

    try:
        ledger = await Ledger.open(settings.database.url, read_only=True)
    except DatabaseMissing:
        raise DatabaseMissing(
            f"{settings.database.path}: no such database (database.url, {origin(settings, 'database.url')}); "
            "start the daemon, which creates it, or name another with --config"
        ) from None
    except LedgerError:
        await asyncio.to_thread(_name_the_fault, settings.database.url)
        raise
    try:
        yield ledger.reader
    finally:
        await ledger.close()


def _name_the_fault(url: str) -> None:
    """Raise what a slower look finds out about a database that does not open: it names the file and a remedy."""
    from ringledger.ledger.upgrade import version_of

    version_of(url)


def origin(settings: Settings, key: str) -> str:
    """Where a setting comes from, for a person."""
    return next((one.source for one in settings.sources() if one.key == key), "default")
