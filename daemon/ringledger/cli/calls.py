"""`calls`: finished calls, newest first. `calls show` is in :mod:`ringledger.cli.explain`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from ringledger.cli.failures import usage
from ringledger.cli.frame import console, frame_of, print_table, read
from ringledger.cli.helps import PlainGroup
from ringledger.cli.output import (
    CALL_COLUMNS,
    SPARE,
    calls_table,
    legend,
    masked_rows,
    numbered,
    print_csv,
    print_json,
)
from ringledger.cli.times import WHEN, instant

Since = Annotated[int | None, typer.Option(parser=instant, metavar="TIME", help=f"From then on: {WHEN}.")]
Until = Annotated[int | None, typer.Option(parser=instant, metavar="TIME", help="Before then.")]
FullNumbers = Annotated[bool, typer.Option("--full-numbers", help="Do not mask phone numbers.")]


def ordered(since: int | None, until: int | None) -> None:
    """Raise :class:`~ringledger.cli.failures.Failure` for a period that is over before it begins: nothing is in it."""
    if since is not None and until is not None and since >= until:
        raise usage("--since must lie before --until")


#: How many calls a terminal gets when nobody says how many.
SCREENFUL = 50


class Direction(StrEnum):
    """What ``--direction`` takes."""

    IN = "in"
    OUT = "out"


class Disposition(StrEnum):
    """What ``--disposition`` takes; a test compares it with the domain's."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    MISSED = "missed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNKNOWN = "unknown"


Ending = Annotated[
    Disposition | None, typer.Option("--disposition", metavar="HOW", help=f"How it ended: {', '.join(Disposition)}.")
]

calls_app = typer.Typer(
    help="Finished calls, newest first; `calls show SESSION` explains one.", rich_markup_mode="rich", cls=PlainGroup
)


@calls_app.callback(invoke_without_command=True)
def calls(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    direction: Annotated[Direction | None, typer.Option(help="An internal call is out.")] = None,
    disposition: Ending = None,
    number: Annotated[str | None, typer.Option(help="Either end's number, with or without +.")] = None,
    extension: Annotated[str | None, typer.Option(help="An extension's id or number.")] = None,
    unconfirmed: Annotated[bool, typer.Option("--unconfirmed", help="Not confirmed by the platform yet.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"At most so many; a table has {SCREENFUL} if not given.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")] = False,
    full_numbers: FullNumbers = False,
) -> None:
    """Finished calls from the database, newest first.

    Phone numbers show their last four digits, unless log.numbers is "full" or --full-numbers is given; that holds for
    --json and --csv too. A ? behind the disposition: the platform has not confirmed it yet.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ringledger.ledger import queries
    from ringledger.platform.numbers import normalise

    frame = frame_of(ctx)
    ordered(since, until)
    if csv and frame.json:
        raise usage("--csv and --json exclude each other; keep one")
    settings = frame.settings()
    wanted = queries.CallFilter(
        since=since,
        until=until,
        direction=None if direction is None else {"in": "Inbound", "out": "Outbound"}[direction],
        disposition=disposition,
        number=number and (normalise(number, settings.platform.default_region) or number),
        extension=extension,
        unconfirmed=unconfirmed,
    )
    tabular = not (csv or frame.json)
    most = limit if limit or not tabular else SCREENFUL
    rows = read(settings, lambda engine: queries.calls(engine, wanted, limit=most))
    rows = masked_rows(rows, masked=frame.masked(settings, full_numbers))
    if frame.json:
        print_json(rows)
    elif csv:
        print_csv(rows, CALL_COLUMNS)
    else:
        known = numbered(rows, read(settings, queries.extension_numbers))
        _print_table(known, cut=limit is None and len(rows) == SCREENFUL)


def _print_table(rows: list[dict[str, Any]], *, cut: bool) -> None:
    out = console()
    if not rows:
        out.print("no such call")
        return
    print_table(calls_table(rows), spare=SPARE)
    if meaning := legend(rows):
        out.print(meaning, style="dim")
    if cut:
        out.print(f"the newest {SCREENFUL}; --limit N shows more", style="dim")
