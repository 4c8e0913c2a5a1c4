"""`export`: finished calls to a file or to standard output.

What must stay true: the memory it takes does not grow with the number of calls.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import IO, Annotated, Any, Final, Protocol

import typer

from ringledger.cli.context import options_of, reading
from ringledger.cli.errors import usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.ledger.filters import Asked, call_filter, filtered, of_account
from ringledger.cli.ledger.unread import tell_unread, unread
from ringledger.config.model import Settings
from ringledger.ledger.read.filters import FILTERS, CallFilter
from ringledger.ledger.schema.calls import CALL_COLUMNS, NUMBERS
from ringledger.observability.redaction import mask_number

Rows = list[tuple[Any, ...]]

#: A ledger has few numbers, each of them often.
_hidden = lru_cache(maxsize=4096)(mask_number)
_NUMBERS: Final = tuple(CALL_COLUMNS.index(name) for name in NUMBERS if name in CALL_COLUMNS)


class Format(StrEnum):
    """What ``--format`` takes."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Sheet(Protocol):
    """Where rows go, so many at once."""

    def write(self, rows: Rows) -> None:
        """Rows with the columns of ``CALL_COLUMNS``."""

    def close(self) -> None:
        """What belongs behind the last row."""


@filtered(*FILTERS)
def export(
    ctx: typer.Context,
    format: Annotated[  # noqa: A002
        Format, typer.Option(help="csv has a header; jsonl is one object a line; parquet has typed columns.")
    ],
    asked: Asked,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", readable=False, help="Else standard output.")
    ] = None,
    full_numbers: FullNumbers = False,
) -> None:
    """Finished calls to a file, oldest first.

    The columns are those of the view `calls`; phone numbers are masked as the command `calls` does. parquet needs the
    package's extra `parquet`; its times are timestamps and its truths booleans.
    In CSV an apostrophe stands before text that a spreadsheet would take for a formula (and before an apostrophe), at
    the beginning and behind a semicolon, a tab or a line's end; the other forms have the text as it is.
    """
    options = options_of(ctx)
    if options.json and format is not Format.JSONL:
        raise usage(f"--format {format} and --json exclude each other; keep one")
    settings = options.settings()
    sheet_of = _sheets(format)
    if format is Format.PARQUET and output is None and sys.stdout.isatty():
        raise usage("parquet is nothing for a terminal; name a file with --output")
    wanted = call_filter(asked, settings)
    asyncio.run(
        _export(settings, wanted, sheet_of, output, masked=options.masked(settings, full_numbers), as_json=options.json)
    )


async def _export(
    settings: Settings, wanted: CallFilter, sheet_of: Any, output: Path | None, *, masked: bool, as_json: bool
) -> None:
    from ringledger.ledger.read import queries

    async with reading(settings) as engine:
        wanted = await of_account(engine, wanted, settings)
        tell_unread(await unread(engine, wanted, settings), as_json=as_json)
        with _opened(output) as stream:
            sheet: Sheet = sheet_of(stream)
            chunks: AsyncIterator[Rows] = queries.each_call(engine, wanted, columns=CALL_COLUMNS)
            async for rows in chunks:
                sheet.write([_masked(row) for row in rows] if masked else rows)
            sheet.close()


def _masked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    hidden = list(row)
    for number in _NUMBERS:
        if isinstance(hidden[number], str):
            hidden[number] = _hidden(hidden[number])
    return tuple(hidden)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes]]:
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from ringledger.ledger.file.opening import replaced_file

    with replaced_file(output) as file:
        yield file


def _sheets(format_: Format) -> Any:
    """What makes a sheet of a stream of bytes. Raises ``Failure`` when a library for it is missing."""
    from ringledger.cli.ledger import formats

    if format_ is Format.PARQUET:
        return formats.parquet_sheet()
    return formats.CsvSheet if format_ is Format.CSV else formats.JsonlSheet
