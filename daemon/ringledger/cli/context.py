"""What every command shares: the options that may stand anywhere, the settings, and the way to the database.

What must stay true: commands that only read open the database read-only and check its version first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import typer
from rich.cells import cell_len
from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ringledger.cli.errors import usage
from ringledger.cli.render import without
from ringledger.cli.terminal import Terminal, console, say_lines
from ringledger.cli.times import show_in
from ringledger.config.model import Settings, load_settings

__all__ = [
    "EVERYWHERE",
    "GlobalOptions",
    "console",
    "hoisted",
    "options_of",
    "origin",
    "print_table",
    "read",
    "reading",
]

T = TypeVar("T")

#: A column whose cells go on in the next line is at least so wide.
LEGIBLE: Final = 12

#: Options that may stand before or after the command; those that take a value are true.
EVERYWHERE = {"--config": True, "--account": True, "--json": False, "--no-color": False}
#: So many accounts are named in one line.
NAMED: Final = 10


@dataclass(slots=True)
class GlobalOptions:
    """The options given for the whole program (``ctx.obj``)."""

    config: Path | None = None
    json: bool = False
    account: str | None = None

    def settings(self, overrides: Mapping[str, Any] | None = None) -> Settings:
        """The configuration in force; with --account that of the one account. Raises ``SettingsError``, ``Failure``."""
        settings = load_settings(self.config, overrides=overrides)
        show_in(settings.report.zone)
        return settings if self.account is None else self._named(settings, self.account)

    def account_settings(self) -> Settings:
        """The configuration of one account; of several it is to be named. Raises ``SettingsError``, ``Failure``."""
        settings = self.settings()
        if not settings.accounts:
            return settings
        own = settings.of_accounts()
        if len(own) > 1:
            raise usage(f"there are several accounts; name one with --account: {_some(own)}")
        return next(iter(own.values()))

    def _named(self, settings: Settings, name: str) -> Settings:
        own = settings.of_accounts()
        if not settings.accounts:
            raise usage(f"--account {name}: the configuration has one account, and it has no name")
        if name not in own:
            raise usage(f"--account {name}: no such account; there are: {_some(own)}")
        return own[name]

    def masked(self, settings: Settings, full_numbers: bool) -> bool:
        """Whether phone numbers are shown by their last four digits only."""
        return settings.log.numbers == "masked" and not full_numbers


def _some(names: Collection[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(list(names)[:NAMED]) + more


async def account_id(engine: Any, settings: Settings) -> str | None:
    """The id of the account that was named, ``None`` for all there are. Raises ``FilterError``: it has never run."""
    from ringledger.ledger.read.queries import account_named

    return await account_named(engine, settings.account_name) if settings.account_name else None


async def with_accounts(engine: Any, settings: Settings, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with the name of its account in front, where there are several and none was named."""
    from ringledger.ledger.read.queries import account_names

    if not settings.accounts or not rows:
        return rows
    names = await account_names(engine)
    return [{"account": names.get(row["account_id"], row["account_id"]), **row} for row in rows]


def options_of(ctx: typer.Context) -> GlobalOptions:
    """Return the global options of the running command."""
    options = ctx.find_root().obj
    return options if isinstance(options, GlobalOptions) else GlobalOptions()


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


def rest_of(arguments: Sequence[str]) -> list[str]:
    """The arguments of :func:`hoisted` without the options at their front: the command first."""
    pending = list(arguments)
    while pending and pending[0].partition("=")[0] in EVERYWHERE:
        name, equals, _ = pending.pop(0).partition("=")
        if EVERYWHERE[name] and not equals and pending:
            pending.pop(0)
    return pending


def print_table(
    made: Table,
    *,
    spare: Sequence[str] = (),
    folds: Sequence[str] = (),
    quiet: bool = False,
    out: Terminal | None = None,
) -> list[str]:
    """Print a table with every cell whole: what is cut cannot be copied into the next command.

    On a narrow terminal the columns ``spare`` are left out, in that order, as long as it does not fit; then the cells
    of the columns ``folds`` go on in the next line. What is too wide even so is left to the terminal to wrap. Lines end
    with their last word where nobody looks. What was left out is told below the table; with ``quiet`` its headings are
    returned for :func:`tell_left_out` alone. ``out``: else standard output.
    """
    out = out or console()
    left_out = []
    natural = _natural(made)
    for heading in spare:
        if natural <= out.width:
            break
        made = without(made, heading)
        natural = _natural(made)
        left_out += [heading] if heading else []
    if natural > out.width:
        for one in made.columns:
            if one.header in folds:
                one.no_wrap, one.overflow = False, "fold"
    shown = Terminal(width=max(out.width, _least(made, natural)), stderr=out.stderr)
    if shown.is_terminal:
        shown.print(made)
    else:
        with shown.capture() as captured:
            shown.print(made)
        say_lines("\n".join(line.rstrip() for line in captured.get().splitlines()), stderr=out.stderr)
    if not quiet:
        tell_left_out(left_out, out)
    return left_out


def tell_left_out(headings: Sequence[str], out: Terminal | None = None) -> None:
    """Say which columns a narrow terminal does without, if any: what is not seen is not missed."""
    if headings:
        named = ", ".join(dict.fromkeys(headings))
        (out or console()).print(f"no room for: {named} (a wider terminal or --json shows them)", style="dim")


def _natural(made: Table) -> int:
    endless = Terminal(width=10_000)
    return Measurement.get(endless, endless.options, made).maximum


def _least(made: Table, natural: int) -> int:
    """The least width for the table: a column that folds may get narrow, not illegible."""
    folded = (
        max(cell_len(_plain(cell)) for cell in (one.header, *one.cells)) for one in made.columns if not one.no_wrap
    )
    return natural - sum(max(0, width - LEGIBLE) for width in folded)


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


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
    from ringledger.ledger.write.store import Ledger

    try:
        ledger = await Ledger.open(settings.database.url, read_only=True)
    except DatabaseMissing:
        if not settings.database.is_file:
            raise
        raise DatabaseMissing(missing(settings, "start the daemon, which creates it")) from None
    except LedgerError:
        await asyncio.to_thread(_name_the_fault, settings.database.url)
        raise
    try:
        yield ledger.reader
    finally:
        await ledger.close()


def missing(settings: Settings, cure: str) -> str:
    """What is missing where a database is looked for, who says where, and what to do: ``cure`` where there is a
    directory for it."""
    from ringledger.ledger.file.copies import taken_away  # loads SQLAlchemy, for which help need not wait

    path, says = settings.database.path, f"database.url, {origin(settings, 'database.url')}"
    if not path.parent.exists():
        return f"{path.parent}: no such directory ({says}); create it, or name another database with --config"
    with suppress(OSError):
        for saved in taken_away(path)[-1:]:
            cure = f"what was in the one that was taken away is in {saved}: ringledger db restore {saved}"
    return f"{path}: no such database ({says}); {cure}, or name another with --config"


def _name_the_fault(url: str) -> None:
    """Raise what a slower look finds out about a database that does not open: it names the file and a remedy."""
    from ringledger.ledger.schema.migrate import version_of

    version_of(url)


def origin(settings: Settings, key: str) -> str:
    """Where a setting comes from, for a person."""
    return next((one.source for one in settings.sources() if one.key == key), "default")
