"""`stats`: counts, answer rate, ring and talk times, with bars.

What must stay true: an answer rate is of inbound calls only; hours and days are local time.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.bar import Bar

from ringledger.cli.calls import FullNumbers, Since
from ringledger.cli.frame import console, frame_of, print_table, read
from ringledger.cli.output import masked_rows, print_json, rang, table
from ringledger.cli.times import span

Row = dict[str, Any]


class By(StrEnum):
    """What ``--by`` takes."""

    HOUR = "hour"
    DAY = "day"
    EXTENSION = "extension"
    NUMBER = "number"


def stats(
    ctx: typer.Context,
    since: Since = None,
    by: Annotated[By, typer.Option(help="What to count by; number is the other party's.")] = By.DAY,
    full_numbers: FullNumbers = False,
) -> None:
    """Counts, answer rate, ring and talk times of finished calls.

    The rate is of calls that came in; answered counts calls of both directions. The mean ring time leaves out calls
    nobody saw ring: those known from the platform's records alone.
    """
    from ringledger.ledger import queries

    frame = frame_of(ctx)
    settings = frame.settings()
    rows = read(settings, lambda engine: queries.calls(engine, queries.CallFilter(since=since)))
    rows = masked_rows(rows, masked=frame.masked(settings, full_numbers))
    groups = counted(rows, by)
    if frame.json:
        print_json(groups)
    elif groups:
        if by is By.EXTENSION:
            numbers = read(settings, queries.extension_numbers)
            groups = [line | {by.value: numbers.get(line[by], line[by])} for line in groups]
        _print(groups, by)
    else:
        console().print("no such call")


def counted(rows: Iterable[Row], by: By) -> list[Row]:
    """One line per group: by time in its order, else the busiest first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row, by), []).append(row)
    lines = [_line(key, calls, by) for key, calls in groups.items()]
    if by in {By.HOUR, By.DAY}:
        return sorted(lines, key=lambda line: str(line[by]))
    return sorted(lines, key=lambda line: (-line["calls"], line[by]))


def _key(row: Row, by: By) -> str:
    if by is By.EXTENSION:
        return row["extension_id"] or ""
    if by is By.NUMBER:
        return (row["from_number"] if row["direction"] == "Inbound" else row["to_number"]) or "withheld"
    local = datetime.fromisoformat(row["started_at"]).astimezone()
    return local.strftime("%Y-%m-%d" if by is By.DAY else "%Y-%m-%d %H:00")


def _line(key: str, calls: list[Row], by: By) -> Row:
    inbound = [call for call in calls if call["direction"] == "Inbound"]
    answered = [call for call in calls if call["disposition"] == "answered"]
    seen = [call["ring_seconds"] for call in calls if rang(call)]
    taken = sum(1 for call in inbound if call["disposition"] == "answered")
    return {
        by.value: key,
        "calls": len(calls),
        "inbound": len(inbound),
        "outbound": len(calls) - len(inbound),
        "answered": len(answered),
        "missed": sum(1 for call in calls if call["disposition"] == "missed"),
        "answer_rate": round(taken / len(inbound), 4) if inbound else None,
        "ring_seconds_mean": round(sum(seen) / len(seen), 3) if seen else None,
        "talk_seconds_mean": round(sum(call["talk_seconds"] for call in answered) / len(answered), 3)
        if answered
        else None,
        "talk_seconds": round(sum(call["talk_seconds"] for call in calls), 3),
    }


def _print(groups: list[Row], by: By) -> None:
    numbers = ("calls", "in", "out", "answered", "missed", "rate", "ring ø", "talk ø", "talk")
    made = table("ext" if by is By.EXTENSION else by.value, *numbers, "", right=numbers, gap=1)
    most = max(line["calls"] for line in groups)
    for line in groups:
        rate = "" if line["answer_rate"] is None else f"{line['answer_rate']:.0%}"
        counts = (str(line[name]) for name in ("calls", "inbound", "outbound", "answered", "missed"))
        times = (span(line[name]) for name in ("ring_seconds_mean", "talk_seconds_mean", "talk_seconds"))
        made.add_row(line[by.value], *counts, rate, *times, Bar(most, 0, line["calls"], width=20, color="cyan"))
    print_table(made, spare=("",))
