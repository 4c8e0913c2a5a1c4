"""`quarantine`: what could not be read or stored, shown, and tried again.

What must stay true: numbers in it are masked unless asked for in full, and no text of it is obeyed by a terminal; one
process writes, so a running daemon is asked to try again.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.context import GlobalOptions, account_id, options_of, print_table, read
from ringledger.cli.errors import Failure, of_kind, off_limits, usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.operate.webhooks import LARGEST_ID
from ringledger.cli.platform.client import PATIENCE, MaxWait, ask, tell
from ringledger.cli.render import print_json, table
from ringledger.cli.terminal import say
from ringledger.cli.times import counted, short
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.service.commands.platform import OneShot

quarantine_app = typer.Typer(
    help="What was put aside because it could not be read or stored.",
    no_args_is_help=True,
    cls=PlainGroup,
    rich_markup_mode="rich",
)
#: Characters of a text that the list shows.
BEGINNING = 60

Row = dict[str, Any]


@quarantine_app.command("list")
def list_entries(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="Show at most so many.")] = 50,
    full_numbers: FullNumbers = False,
) -> None:
    """What was put aside, newest first; each has cost itself and nothing else."""
    from ringledger.ledger.read import quarantine

    options = options_of(ctx)
    settings = options.settings()

    async def look(engine: Any) -> list[Row]:
        return await quarantine.entries(engine, limit=limit, account_id=await account_id(engine, settings))

    rows = read(settings, look)
    rows = _shown(options, settings, rows, full_numbers)
    if options.json:
        print_json(rows)
    elif rows:
        _print(rows)
    else:
        say("nothing was put aside")


@quarantine_app.command("show")
def show_entry(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="As `quarantine list` shows.")],
    full_numbers: FullNumbers = False,
) -> None:
    """One entry with its whole text."""
    from ringledger.ledger.read import quarantine

    options = options_of(ctx)
    settings = options.settings()
    rows = _shown(options, settings, read(settings, lambda engine: quarantine.entries(engine, [number])), full_numbers)
    if not rows:
        raise usage(f"quarantine show: there is no entry {number}; `ringledger quarantine list` shows what there is")
    if options.json:
        print_json(rows[0])
        return
    for name, value in rows[0].items():
        if name != "body":
            say(f"{name}: {value}")
    say(rows[0]["body"])


@quarantine_app.command("retry")
def retry_entries(
    ctx: typer.Context,
    ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="As `quarantine list` shows; one or more."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was put aside.")] = False,
    max_wait: MaxWait = PATIENCE,
) -> int:
    """Try again to read and store what was put aside, after an upgrade for instance.

    What is taken leaves the quarantine, the rest stays; exits 1 if some does. A running daemon does it when asked;
    without one this process does it itself, and asks the platform whose calls they are.
    """
    if bool(ids) == everything:
        raise usage("name the ids to retry, or --all; `ringledger quarantine list` shows them")
    options = options_of(ctx)
    settings = options.account_settings()
    done = _by_the_daemon(settings, ids or None)
    if done is None:
        done = ask(settings, lambda asking: _alone(asking, ids or None), max_wait=max_wait)
    left = done["tried"] - done["taken"]
    if options.json:
        print_json(done)
    elif not done["tried"]:
        say("there is no such entry; `ringledger quarantine list` shows what there is")
    else:
        say(f"{counted(done['taken'], 'entry', 'entries')} taken, {left} still cannot be read or stored")
    return int(Exit.DIFFERENCES if left else Exit.OK)


def _by_the_daemon(settings: "Settings", ids: Sequence[int] | None) -> Row | None:
    """What the daemon has done; ``None`` when none runs."""
    from ringledger.service.control.server import Refused, of_account, request, socket_path

    path = socket_path(settings.database.path)
    try:
        return asyncio.run(
            request(path, {**of_account(settings), "do": "quarantine-retry", "ids": ids}, lambda _: None)
        )
    except Refused as error:
        raise of_kind(error.kind, str(error)) from None
    except PermissionError:
        raise off_limits(settings.database.path) from None


async def _alone(asking: "OneShot", ids: Sequence[int] | None) -> Row:
    from dataclasses import asdict

    from ringledger.ledger.errors import LedgerLocked
    from ringledger.service.commands.backfill import alone

    try:
        async with alone(asking, tell) as refill:
            return asdict(await refill.retry(asking.settings.platform.default_region).run(ids))
    except LedgerLocked as error:
        where = "it has no socket for commands (is it still starting, or of an older version?)"
        raise Failure(Exit.TRY_AGAIN, f"{error}; {where}") from None


def _shown(options: GlobalOptions, settings: "Settings", rows: list[Row], full_numbers: bool) -> list[Row]:
    from ringledger.ringcentral.decode.unreadable import masked

    if options.masked(settings, full_numbers):
        return [{**row, "body": masked(row["body"])} for row in rows]
    return rows


def _print(rows: list[Row]) -> None:
    made = table("id", "received", "source", "reason", "kind", "text", right=("id",))
    for row in rows:
        text = row["body"]
        made.add_row(
            str(row["id"]), short(row["received_at"]), row["source"], row["reason"], row["kind"],
            text if len(text) <= BEGINNING else text[:BEGINNING] + "…",
        )  # fmt: skip
    print_table(made)
