"""How answers look: JSON, CSV, and tables for people.

What must stay true: the columns of JSON and CSV are those of the contract's views, in their order; phone numbers are
masked in every form alike, unless the configuration or the command says otherwise.
"""

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from ringledger.cli.terminal import say_json
from ringledger.cli.times import headed, short, span
from ringledger.ledger.schema.calls import NUMBERS
from ringledger.observability.redaction import mask_number
from ringledger.text import CsvWriter, visible

Row = Mapping[str, Any]

_STYLES = {
    "answered": "green",
    "missed": "red",
    "no_answer": "yellow",
    "voicemail": "cyan",
    "busy": "yellow",
    "declined": "yellow",
    "failed": "red",
    "Ringing": "yellow",
    "CallConnected": "green",
    "OnHold": "cyan",
    "ParkedCall": "cyan",
    "live": "green",
    "healed": "green",
    "doubtful": "yellow",
    "blind": "red",
    "ignored": "dim",
}


def masked_rows(rows: Iterable[Row], *, masked: bool, names: Collection[str] = NUMBERS) -> list[dict[str, Any]]:
    """The rows with the phone numbers in the columns ``names`` masked, if so wanted; short extension numbers stay."""
    return [
        {name: _masked(value) if masked and name in names else value for name, value in row.items()} for row in rows
    ]


def _masked(value: Any) -> Any:
    return mask_number(value) if isinstance(value, str) else value


def print_json(data: Any) -> None:
    """One JSON document on standard output; objects of a list stand on a line each."""
    if isinstance(data, list):
        lines = ",\n".join(json.dumps(one, ensure_ascii=False, default=str) for one in data)
        say_json(f"[\n{lines}\n]" if data else "[]")
    else:
        say_json(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def print_csv(rows: Iterable[Row], columns: Sequence[str], stream: Any = None) -> None:
    """Header and rows (RFC 4180); nothing stands for null, and no text is a formula."""
    writer = CsvWriter(stream or sys.stdout)
    writer.rows([columns])
    writer.rows([row.get(name) for name in columns] for row in rows)


def rang(row: Row) -> bool:
    """Whether the ring time of a row of ``calls`` is known: a call known from records alone was not seen ringing."""
    return row["ring_seconds"] is not None


def who(row: Row) -> str:
    """An extension in a table: its number, or its id while that is not known."""
    return row.get("extension_number") or row["extension_id"] or ""


def word(text: str | None) -> Text:
    """A status, state or disposition in its colour."""
    return Text(visible(text or ""), style=_STYLES.get(text or "", ""))


def table(*columns: str, right: Iterable[str] = (), gap: int = 2) -> Table:
    """A plain table; the columns named in ``right`` are numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=True, overflow="ellipsis")
    return made


def without(made: Table, heading: str) -> Table:
    """The same table of :func:`table` without one of its columns."""
    kept = [one for one in made.columns if one.header != heading]
    left = table(gap=made.padding[1])
    for one in kept:
        left.add_column(one.header, justify=one.justify, no_wrap=True, overflow="ellipsis")
    for cells in zip(*(one.cells for one in kept), strict=True):
        left.add_row(*cells)
    return left


#: Columns of :func:`calls_table` a narrow terminal does without, the first of them first.
SPARE: Final = ("ring", "ext", "talk")
#: The times of a call that :func:`calls_table` shows.
TIMES: Final = ("ring", "talk")
#: Those whose cells may go on in the next line, if it is narrower still.
FOLDS: Final = ("disposition",)


def calls_table(rows: Iterable[Row], *, times: tuple[str, ...] = TIMES) -> Table:
    """Finished calls, one line each, with these of their times; moments are those of the report's zone."""
    rows = list(rows)
    several = of_accounts(rows)
    made = table(
        *several, headed("started", [row["started_at"] for row in rows]),
        "", "from", "to", "ext", "disposition", *times, "session",
        right=times, gap=1,
    )  # fmt: skip
    for row in rows:
        made.add_row(*(row[name] for name in several), *_call_cells(row, times))
    return made


def of_accounts(rows: Iterable[Row]) -> tuple[str, ...]:
    """The column that says whose a row is, where there are several accounts."""
    return ("account",) if any("account" in row for row in rows) else ()


def legend(rows: Iterable[Row]) -> str:
    """What to say below a :func:`calls_table`, if anything."""
    return "?: not confirmed by the platform yet" if any(row.get("confirmed_at") is None for row in rows) else ""


def _call_cells(row: Row, times: tuple[str, ...]) -> list[Any]:
    """One line of :func:`calls_table`; a ``?`` behind the disposition: the platform has not confirmed it yet."""
    disposition = word(row["disposition"])
    if row.get("confirmed_at") is None:
        disposition.append(" ?", style="dim")
    return [
        short(row["started_at"]),
        "int" if row["internal"] else {"Inbound": "in", "Outbound": "out"}[row["direction"]],
        row["from_number"] or "withheld",
        row["to_number"] or "",
        who(row),
        disposition,
        *(_time(row, name) for name in times),
        row["session_id"],
    ]


def _time(row: Row, name: str) -> str:
    """Return a time of a call as text; blank where it is unknown, and for the talk of a call without an answer."""
    known = row["answered_at"] if name == "talk" else row[f"{name}_seconds"] is not None
    return span(row[f"{name}_seconds"]) if known else ""
