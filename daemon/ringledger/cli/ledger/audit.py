"""`audit`: the ledger against the platform's call log. Nothing is written."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from ringledger.cli.context import console, options_of, print_table, read
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.ledger.filters import Asked, From, Until, call_filter, filtered, of_account
from ringledger.cli.platform.client import PATIENCE, MaxWait, ask, bar, period
from ringledger.cli.render import masked_rows, print_json, table
from ringledger.cli.times import counted, headed, short, span
from ringledger.exits import Exit
from ringledger.observability.redaction import mask_number

if TYPE_CHECKING:
    from ringledger.domain.audit import Difference, Report

Row = dict[str, Any]

#: How lately a call may have ended to be left out, seconds; a test compares the first with the service's.
GRACE: Final = 180.0
LONGEST_GRACE: Final = 604_800.0
WORDS = {
    "missing_in_ledger": "missing in the ledger",
    "missing_on_platform": "missing on the platform",
    "unconfirmed": "not confirmed yet",
}


@filtered("number", "extension")
def audit(
    ctx: typer.Context,
    asked: Asked,
    since: From,
    until: Until = None,
    grace: Annotated[
        float,
        typer.Option(min=0, max=LONGEST_GRACE, metavar="SECONDS", help="Leave out calls that ended so lately."),
    ] = GRACE,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
) -> int:
    """Compare the ledger with the platform's call log for a period, call by call.

    Exits 0 when they agree, 1 with differences; each one is named, with whether a back-fill of the period mends it.
    Numbers that differ are named and do not count: of two, as after a transfer, the first that was reported stays, and
    nothing will change that. Calls that still go on or settle, or ended less than --grace seconds ago, are
    left out and counted: the log is late. What was purged is no difference.
    """
    from ringledger.service.commands.audit import audit as compared

    options = options_of(ctx)
    settings = options.account_settings()
    first, last = period(since, until, settings)
    wanted = call_filter(asked, settings)
    wanted = read(
        settings, lambda engine: of_account(engine, wanted, settings)
    )  # also: a database that is not there, before asking
    grace_ms = round(grace * 1000)
    with bar("reading the call log", first, last) as progress:
        report = ask(
            settings,
            lambda asking: compared(asking, first, last, progress, asked=wanted, grace_ms=grace_ms),
            max_wait=max_wait,
        )
    masked = options.masked(settings, full_numbers)
    rows = masked_rows(map(row_of, report.differences), masked=masked)
    for row in rows:
        row.update({side: _masked(row, side) if masked else row[side] for side in ("ledger", "platform")})
    if options.json:
        print_json(_document(report, rows, first, last, grace))
    else:
        _print(report, rows, grace)
    differs = report.unreadable or any(not row["lasting"] for row in rows)
    return int(Exit.DIFFERENCES if differs else Exit.OK)


def row_of(one: "Difference") -> Row:
    """A difference with the names our views use; starts as text, durations in seconds."""
    from ringledger.ledger.times import to_text

    def said(value: str | int | None) -> Any:
        if not isinstance(value, int):
            return value
        return to_text(value) if one.kind == "start" else value / 1000

    return {
        "kind": one.kind.value,
        "session_id": one.session_id,
        "started_at": to_text(one.started_at),
        "from_number": one.from_number,
        "to_number": one.to_number,
        "ledger": said(one.ledger),
        "platform": said(one.platform),
        "mendable": one.mendable,
        "lasting": one.lasting,
    }


def _masked(row: Row, side: str) -> Any:
    said = row[side]
    return " to ".join(map(mask_number, said.split(" to "))) if row["kind"] == "numbers" else said


def _document(report: "Report", rows: list[Row], since: int, until: int, grace: float) -> Row:
    from ringledger.ledger.times import to_text

    return {
        "since": to_text(since),
        "until": to_text(until),
        "compared": report.compared,
        "left_out": report.left_out,
        "unreadable": report.unreadable,
        "grace_seconds": grace,
        "summary": dict(Counter(row["kind"] for row in rows)),
        "differences": rows,
    }


def _print(report: "Report", rows: list[Row], grace: float) -> None:
    out = console()
    if rows:
        _print_differences(report, rows)
    elif report.compared:
        said = f"{counted(report.compared, 'call')} compared: the ledger and the platform's call log agree"
        out.print(said, style="green")
    else:
        out.print("nothing to compare: neither the ledger nor the platform's call log has a finished call")
    if report.unreadable:
        unreadable = f"{counted(report.unreadable, 'record')} of the log could not be read"
        out.print(f"{unreadable}: see `ringledger quarantine list`", style="yellow")
    if report.left_out:
        left_out = f"{counted(report.left_out, 'call')} left out: not finished yet, or ended less than {grace:g} s ago"
        out.print(f"{left_out} (--grace)", style="dim")
    if any(row["mendable"] for row in rows):
        out.print("`ringledger backfill` for the same period writes what the ledger lacks", style="dim")
    if any(row["kind"] == "missing_on_platform" for row in rows):
        out.print(
            "what is missing on the platform no back-fill mends: see `ringledger calls show SESSION`", style="dim"
        )
    if lasting := sum(row["lasting"] for row in rows):
        verb = "is" if lasting == 1 else "are"
        which = (
            f"{counted(lasting, 'difference')} {verb} of numbers: of two that differ, as after a transfer, the first"
        )
        out.print(f"{which} reported counts; no back-fill mends that, and the exit code leaves it out", style="dim")


def _print_differences(report: "Report", rows: list[Row]) -> None:
    heads = headed("started", [row["started_at"] for row in rows]), "from", "to", "difference", "ledger", "platform"
    made = table(*heads, "session", gap=1)
    for row in rows:
        made.add_row(
            short(row["started_at"]),
            row["from_number"] or "withheld",
            row["to_number"] or "",
            Text(WORDS.get(kind := str(row["kind"]), kind), style="yellow" if row["lasting"] else "red"),
            *(Text(_shown(row, side)) for side in ("ledger", "platform")),
            row["session_id"],
        )
    print_table(made, spare=("to", "from"), folds=("difference", "ledger", "platform"))
    kinds = Counter(row["kind"] for row in rows)
    groups = ", ".join(f"{number} {WORDS.get(kind, kind)}" for kind, number in kinds.most_common())
    told = f"{counted(report.compared, 'call')} compared, {counted(len(rows), 'difference')}: {groups}"
    console().print(told, style="yellow" if all(row["lasting"] for row in rows) else "red")


def _shown(row: Row, side: str) -> str:
    said = row[side]
    if said is None:
        return "–"
    if row["kind"] == "start":
        return short(said)
    return span(said) if row["kind"] == "duration" else str(said)
