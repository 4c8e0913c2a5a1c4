"""The forms in which calls leave the ledger: CSV, JSON lines, Parquet.

What must stay true: a sheet holds no more than the rows it was last given.
"""

import csv
import io
from collections.abc import Callable
from itertools import starmap
from typing import IO, Any, Final

from msgspec.json import Encoder

from ringledger.cli.failures import usage
from ringledger.cli.output import CALL_COLUMNS
from ringledger.ledger.times import to_ms_or_none

Rows = list[tuple[Any, ...]]

TIMES: Final = frozenset({"started_at", "answered_at", "ended_at", "confirmed_at", "updated_at"})
TRUTHS: Final = frozenset({"internal", "queue_call", "end_estimated"})
COUNTS: Final = frozenset({"leg_count", "events_accepted", "events_ignored", "revision"})
SECONDS: Final = frozenset({"ring_seconds", "talk_seconds", "hold_seconds", "duration_seconds"})


class CsvSheet:
    """Header and rows (RFC 4180), UTF-8; nothing stands for null."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(CALL_COLUMNS)

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        self._writer.writerows(rows)

    def close(self) -> None:
        """Give the stream back, with everything in it."""
        self._text.detach()


class JsonlSheet:
    """One object a line, UTF-8."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._encode = Encoder().encode

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        self._stream.writelines(self._encode(dict(zip(CALL_COLUMNS, row, strict=True))) + b"\n" for row in rows)

    def close(self) -> None:
        """Nothing is left to do."""


class ParquetSheet:
    """Typed columns; a row group for each write."""

    def __init__(self, stream: IO[bytes], arrow: Any, parquet: Any) -> None:
        self._arrow = arrow
        self._schema = arrow.schema([(name, _type(arrow, name)) for name in CALL_COLUMNS])
        self._writer = parquet.ParquetWriter(stream, self._schema)

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        columns = starmap(_converted, zip(CALL_COLUMNS, zip(*rows, strict=True), strict=True))
        arrays = [
            self._arrow.array(list(values), field.type) for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the directory of the file."""
        self._writer.close()


def parquet_sheet() -> Callable[[IO[bytes]], ParquetSheet]:
    """What makes a sheet of a stream. Raises ``Failure`` when the library is not installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise usage("--format parquet needs pyarrow; install it: pip install 'ringledger[parquet]'") from None
    return lambda stream: ParquetSheet(stream, pa, parquet)


def _type(arrow: Any, name: str) -> Any:
    if name in TIMES:
        return arrow.timestamp("ms", tz="UTC")
    if name in TRUTHS:
        return arrow.bool_()
    if name in COUNTS:
        return arrow.int64()
    return arrow.float64() if name in SECONDS else arrow.string()


def _converted(name: str, values: tuple[Any, ...]) -> Any:
    if name in TIMES:
        return map(to_ms_or_none, values)
    return map(bool, values) if name in TRUTHS else values
