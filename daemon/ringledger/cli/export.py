"""`export`: finished calls to a file or to standard output."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ringledger.cli.calls import FullNumbers, Since
from ringledger.cli.frame import frame_of, read
from ringledger.cli.output import CALL_COLUMNS, masked_rows, print_csv


class Format(StrEnum):
    """What ``--format`` takes."""

    CSV = "csv"
    JSONL = "jsonl"


def export(
    ctx: typer.Context,
    format: Annotated[Format, typer.Option(help="csv has a header; jsonl is one object a line.")],  # noqa: A002
    since: Since = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else standard output.")] = None,
    full_numbers: FullNumbers = False,
) -> None:
    """Finished calls to a file, oldest first.

    The columns are those of the view `calls`; phone numbers are masked as the command `calls` does.
    """
    from ringledger.ledger import queries

    frame = frame_of(ctx)
    settings = frame.settings()
    rows = read(settings, lambda engine: queries.calls(engine, queries.CallFilter(since=since)))
    rows = masked_rows(reversed(rows), masked=frame.masked(settings, full_numbers))
    if output is None:
        _write(rows, format, sys.stdout)
        return
    with output.open("w", encoding="utf-8", newline="") as file:
        _write(rows, format, file)


def _write(rows: list[dict[str, Any]], format_: Format, stream: TextIO) -> None:
    if format_ is Format.CSV:
        print_csv(rows, CALL_COLUMNS, stream)
        return
    stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
