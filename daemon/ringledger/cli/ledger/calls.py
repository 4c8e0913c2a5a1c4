"""`calls`: finished calls, newest first. `calls show` is in :mod:`ringledger.cli.ledger.explain`."""

from typing import Annotated, Any

import typer

from ringledger.cli.context import console, options_of, print_table, read, with_accounts
from ringledger.cli.errors import usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.ledger.filters import Asked, call_filter, filtered, none_found, of_account
from ringledger.cli.ledger.unread import tell_unread, unread
from ringledger.cli.render import (
    FOLDS,
    SPARE,
    TIMES,
    calls_table,
    legend,
    masked_rows,
    print_csv,
    print_json,
)
from ringledger.ledger.read.filters import FILTERS, MOST, Longest
from ringledger.ledger.schema.calls import CALL_COLUMNS

FullNumbers = Annotated[bool, typer.Option("--full-numbers", help="Do not mask phone numbers.")]


#: How many calls a terminal gets without --limit.
SCREENFUL = 50


calls_app = typer.Typer(
    help="Finished calls, newest first; `calls show SESSION` explains one.", rich_markup_mode="rich", cls=PlainGroup
)


@calls_app.callback(invoke_without_command=True)
@filtered(*FILTERS)
def calls(
    ctx: typer.Context,
    asked: Asked,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help=f"At most so many; a table has {SCREENFUL} if not given.")
    ] = None,
    longest: Annotated[
        Longest | None,
        typer.Option(help="Those first of which this took longest, ring for who waited; where it is not known, none."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")] = False,
    full_numbers: FullNumbers = False,
) -> None:
    """Finished calls from the database, newest first, or with --longest ring by how long the caller waited.

    Phone numbers show their last four digits, unless log.numbers is "full" or --full-numbers is given; that holds for
    --json and --csv too. A ? behind the disposition: the platform has not confirmed it yet.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ringledger.ledger.read import queries

    options = options_of(ctx)
    if csv and options.json:
        raise usage("--csv and --json exclude each other; keep one")
    settings = options.settings()
    wanted = call_filter(asked, settings)
    tabular = not (csv or options.json)
    most = limit if limit or not tabular else SCREENFUL

    async def look(engine: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        mine = await of_account(engine, wanted, settings)
        found = await queries.calls(engine, mine, limit=most, longest=longest)
        return await with_accounts(engine, settings, found), await unread(engine, mine, settings)

    rows, holes = read(settings, look)
    tell_unread(holes, as_json=options.json)
    rows = masked_rows(rows, masked=options.masked(settings, full_numbers))
    if options.json:
        print_json(rows)
    elif csv:
        print_csv(rows, CALL_COLUMNS)
    else:
        most_of = "the newest" if longest is None else "the first"
        cut = f"{most_of} {SCREENFUL}; --limit N shows more" if limit is None and len(rows) == SCREENFUL else ""
        unknown = "" if longest is None else f" whose {longest} time is known"
        _print_table(rows, asked, unknown=unknown, cut=cut, longest=longest)


def _print_table(rows: list[dict[str, Any]], asked: Asked, *, unknown: str, cut: str, longest: Longest | None) -> None:
    out = console()
    if not rows:
        out.print(none_found(asked) + unknown)
        return
    times = TIMES if longest is None or longest in TIMES else (*TIMES, longest.value)
    spare = [one for one in SPARE if one != longest]
    print_table(calls_table(rows, times=times), spare=spare, folds=FOLDS)
    if meaning := legend(rows):
        out.print(meaning, style="dim")
    if cut:
        out.print(cut, style="dim")
