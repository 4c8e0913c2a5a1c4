"""`stats`: counts, answer rate, ring and talk times, with bars.

What must stay true: an answer rate is of inbound calls only; hours and days are those of the report's zone.
"""

from typing import Annotated, Any

import typer
from rich.bar import Bar

from ringledger.cli.context import console, options_of, print_table, read
from ringledger.cli.errors import usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.ledger.filters import Asked, call_filter, filtered, none_found, of_account
from ringledger.cli.ledger.unread import tell_unread, unread
from ringledger.cli.render import masked_rows, print_csv, print_json, table
from ringledger.cli.times import shown_zone, span
from ringledger.ledger.read.filters import FILTERS
from ringledger.ledger.read.groups import FIGURES, By
from ringledger.ledger.read.periods import zone_name
from ringledger.ledger.schema.calls import NUMBERS

Row = dict[str, Any]


@filtered(*FILTERS)
def stats(
    ctx: typer.Context,
    asked: Asked,
    by: Annotated[
        By, typer.Option(help="What to count by; number is the other party's, a week begins on Monday.")
    ] = By.DAY,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated, with a header.")] = False,
    full_numbers: FullNumbers = False,
) -> None:
    """Counts, answer rate, ring and talk times of finished calls.

    The rate is of calls that came in; answered counts calls of both directions. A mean leaves out what nobody saw: the
    ring time of calls known from the platform's records alone. Hours and days are those of report.timezone. The
    table ends with a total; JSON and CSV have the groups alone.
    """
    from ringledger.ledger.read.stats import stats as counted

    options = options_of(ctx)
    if csv and options.json:
        raise usage("--csv and --json exclude each other; keep one")
    settings = options.settings()
    wanted = call_filter(asked, settings)

    async def look(engine: Any) -> tuple[tuple[list[Row], Row], list[Row]]:
        mine = await of_account(engine, wanted, settings)
        return await counted(engine, mine, by, zone=settings.report.zone), await unread(engine, mine, settings)

    (groups, total), holes = read(settings, look)
    tell_unread(holes, as_json=options.json)
    groups = masked_rows(groups, masked=options.masked(settings, full_numbers), names=("number", *NUMBERS))
    if options.json:
        print_json(groups)
    elif csv:
        print_csv(groups, _columns(by))
    elif groups:
        _print(groups, total, by)
    else:
        console().print(none_found(asked))


def _columns(by: By) -> list[str]:
    """The columns of a group, in the order of its row."""
    more = ["time_zone"] if by.of_time else ["extension_number", "extension_name"] if by is By.EXTENSION else []
    return [by.value, *FIGURES, *more]


def _print(groups: list[Row], total: Row, by: By) -> None:
    numbers = ("calls", "in", "out", "answered", "missed", "rate", "ring ø", "talk ø", "talk")
    heading = f"{by} ({zone_name(shown_zone())})" if by.of_time else "ext" if by is By.EXTENSION else by.value
    named = by is By.EXTENSION
    made = table(heading, *(["name"] if named else []), *numbers, "", right=numbers, gap=1)
    most = max(line["calls"] for line in groups)
    for line in groups:
        key = (
            [line.get("extension_number") or line[by] or "none", line["extension_name"] or ""] if named else [line[by]]
        )
        made.add_row(*key, *_cells(line), Bar(most, 0, line["calls"], width=20, color="cyan"))
    if len(groups) > 1:
        made.add_row("total", *([""] if named else []), *_cells(total), "", style="bold")
    print_table(made, spare=("", "name"))


def _cells(line: Row) -> list[str]:
    rate = "" if line["answer_rate"] is None else f"{line['answer_rate']:.0%}"
    counts = [str(line[name]) for name in ("calls", "inbound", "outbound", "answered", "missed")]
    times = [span(line[name]) for name in ("ring_seconds_mean", "talk_seconds_mean", "talk_seconds")]
    return [*counts, rate, *times]
