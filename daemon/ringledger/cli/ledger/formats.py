"""The forms in which calls leave the ledger: CSV, JSON lines, Parquet.

What must stay true: a sheet holds no more than the rows it was last given.
"""

import codecs
from collections.abc import Callable
from itertools import starmap
from typing import IO, Any, Final, cast

from msgspec.json import Encoder

from ringledger.cli.errors import usage
from ringledger.ledger.schema.calls import CALL_COLUMNS, SHOWN, ColumnKind
from ringledger.ledger.times import to_ms_or_none
from ringledger.text import CsvWriter, json_text

Rows = list[tuple[Any, ...]]

_KINDS: Final = {column.shown: column.kind for column in SHOWN}


class CsvSheet:
    """Header and rows (RFC 4180), UTF-8; nothing stands for null. No text in it is a formula for a spreadsheet."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._writer = CsvWriter(cast("IO[str]", codecs.getwriter("utf-8")(stream)))
        self._writer.rows([CALL_COLUMNS])

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        self._writer.rows(rows)

    def close(self) -> None:
        """Nothing is left to do."""


class JsonlSheet:
    """One object a line, UTF-8."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._encode = Encoder().encode

    def write(self, rows: Rows) -> None:
        """Write the rows."""
        lines = (self._encode(dict(zip(CALL_COLUMNS, row, strict=True))) for row in rows)
        self._stream.writelines(_unobeyed(line) + b"\n" for line in lines)

    def close(self) -> None:
        """Nothing is left to do."""


def _unobeyed(line: bytes) -> bytes:
    """The same JSON, without what a terminal obeys: DEL, C1 controls, bidirectional marks."""
    return line if line.isascii() and b"\x7f" not in line else json_text(line.decode()).encode()


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
    match _KINDS[name]:
        case ColumnKind.TIME:
            return arrow.timestamp("ms", tz="UTC")
        case ColumnKind.TRUTH:
            return arrow.bool_()
        case ColumnKind.COUNT:
            return arrow.int64()
        case ColumnKind.SPAN:
            return arrow.float64()
        case _:
            return arrow.string()


def _converted(name: str, values: tuple[Any, ...]) -> Any:
    if _KINDS[name] is ColumnKind.TIME:
        return map(to_ms_or_none, values)
    return map(bool, values) if _KINDS[name] is ColumnKind.TRUTH else values
