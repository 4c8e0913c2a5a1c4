"""`audit`: the ledger against the platform's call log. Nothing is written."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.asking import PATIENCE, MaxWait, ask, bar, period
from ringledger.cli.calls import FullNumbers, Until
from ringledger.cli.frame import console, frame_of, print_table, read
from ringledger.cli.output import masked_rows, print_json, table
from ringledger.cli.times import WHEN, counted, instant, short, span
from ringledger.exits import Exit
from ringledger.redaction import mask_number

if TYPE_CHECKING:
    from ringledger.domain.audit import Difference, Report

Row = dict[str, Any]
From = Annotated[int, typer.Option("--since", parser=instant, metavar="TIME", help=f"From then on: {WHEN}.")]

WORDS = {
    "missing_in_ledger": "missing in the ledger",
    "missing_on_platform": "missing on the platform",
    "unconfirmed": "not confirmed yet",
}


def audit(
    ctx: typer.Context,
    since: From,
    until: Until = None,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
) -> int:
    """Compare the ledger with the platform's call log for a period, call by call.

    Exits 0 when they agree, 1 with differences; each one is named. Calls that still go on or settle, or ended within
    the last three minutes, are left out and counted: the log is late. `ringledger backfill` writes what the ledger
    lacks.
    """
    from ringledger.ledger import queries
    from ringledger.service.audit import audit as compared

    frame = frame_of(ctx)
    settings = frame.settings()
    since, until = period(since, until)
    read(settings, lambda engine: queries.calls(engine, limit=1))  # a database that is not there is told before asking
    with bar("reading the call log", since, until) as progress:
        report = ask(settings, lambda asking: compared(asking, since, until, progress), max_wait=max_wait)
    masked = frame.masked(settings, full_numbers)
    rows = masked_rows(map(row_of, report.differences), masked=masked)
    for row in rows:
        row.update({side: _masked(row, side) if masked else row[side] for side in ("ledger", "platform")})
    if frame.json:
        print_json(_document(report, rows, since, until))
    else:
        _print(report, rows)
    return int(Exit.DIFFERENCES if rows else Exit.OK)


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
    }


def _masked(row: Row, side: str) -> Any:
    said = row[side]
    return " to ".join(map(mask_number, said.split(" to "))) if row["kind"] == "numbers" else said


def _document(report: "Report", rows: list[Row], since: int, until: int) -> Row:
    from ringledger.ledger.times import to_text

    return {
        "since": to_text(since),
        "until": to_text(until),
        "compared": report.compared,
        "left_out": report.left_out,
        "summary": dict(Counter(row["kind"] for row in rows)),
        "differences": rows,
    }


def _print(report: "Report", rows: list[Row]) -> None:
    out = console()
    left_out = f"{counted(report.left_out, 'call')} left out: not finished yet, or only just"
    if not rows:
        said = f"{counted(report.compared, 'call')} compared: the ledger and the platform's call log agree"
        if report.compared:
            out.print(said, style="green")
        else:
            out.print("nothing to compare: neither the ledger nor the platform's call log has a finished call")
        if report.left_out:
            out.print(left_out, style="dim")
        return
    made = table("started", "from", "to", "difference", "ledger", "platform", "session", gap=1)
    for row in rows:
        made.add_row(
            short(row["started_at"]),
            row["from_number"] or "withheld",
            row["to_number"] or "",
            Text(WORDS.get(kind := str(row["kind"]), kind), style="red"),
            *(Text(_shown(row, side)) for side in ("ledger", "platform")),
            row["session_id"],
        )
    print_table(made)
    kinds = Counter(row["kind"] for row in rows)
    groups = ", ".join(f"{number} {WORDS.get(kind, kind)}" for kind, number in kinds.most_common())
    told = f"{counted(report.compared, 'call')} compared, {counted(len(rows), 'difference')}: {groups}"
    out.print(told, style="red")
    if report.left_out:
        out.print(left_out, style="dim")
    out.print("`ringledger backfill` for the same period writes what the ledger lacks", style="dim")


def _shown(row: Row, side: str) -> str:
    said = row[side]
    if said is None:
        return "–"
    if row["kind"] == "start":
        return short(said)
    return span(said) if row["kind"] == "duration" else str(said)
