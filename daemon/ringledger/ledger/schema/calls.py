"""The columns of a finished call's row, each declared once.

From here follow the table and its checks, what is written and how it is read back, the views, the rows of `serve` and
its OpenAPI document, the header and types of exports, and the page docs/database.md. A column that is computed is a
field of ``CallRecord`` with the same name; it is declared at the end, and migrated.

What must stay true: no import of SQLAlchemy, for which no help should wait; the order is that of the table.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any, Final, NamedTuple

from ringledger.domain.call import CallRecord
from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import EndSource
from ringledger.domain.observation import Direction, Source


class ColumnKind(Enum):
    """What a value is, in all its forms."""

    TEXT = auto()
    #: A telephone number, text: shown masked unless numbers are wanted whole, and forgotten when its owner asks.
    NUMBER = auto()
    #: One of a list; text in the database, an enumeration in the domain.
    WORD = auto()
    #: Text in the database and the views, ms since the epoch in the domain.
    TIME = auto()
    #: 0 or 1, a boolean in the domain.
    TRUTH = auto()
    COUNT = auto()
    #: Whole milliseconds, seconds in the views: there `ring_ms` is `ring_seconds`.
    SPAN = auto()


class CallColumn(NamedTuple):
    """One column. ``meaning``: a line of the page and of the OpenAPI document; a column without one is in no view.

    ``maybe``: null is a value; ``words``: those of a ``WORD``; ``closed``: to which none will ever be added. ``added``:
    views show columns in the order in which they came to be, and 0 was the beginning. ``of``: an expression of the
    views, of what is in no column of the table.
    """

    name: str
    kind: ColumnKind
    meaning: str = ""
    maybe: bool = False
    words: type[StrEnum] | None = None
    closed: bool = False
    added: int = 0
    of: str = ""

    @property
    def shown(self) -> str:
        """Its name in the views."""
        return self.name.removesuffix("_ms") + "_seconds" if self.kind is ColumnKind.SPAN else self.name

    @property
    def expression(self) -> str:
        """What the views select."""
        if self.of:
            return f"{self.of} AS {self.name}"
        return f"{self.name} / 1000.0 AS {self.shown}" if self.kind is ColumnKind.SPAN else self.name


def who(of: str, name: str) -> str:
    """What is known of a row's extension; looked up only for a question that names the column, which a join is not."""
    return (
        f"(SELECT {name} FROM extension WHERE extension.account_id = {of}.account_id "  # noqa: S608 - our own names
        f"AND extension.extension_id = {of}.extension_id)"
    )


TEXT, NUMBER, WORD, TIME, TRUTH, COUNT, SPAN = ColumnKind

_ALL: Final = (
    CallColumn("account_id", TEXT, "the account"),
    CallColumn("session_id", TEXT, "the call, within its account"),
    CallColumn("telephony_session_id", TEXT, "the platform's other name for it", maybe=True),
    CallColumn(
        "direction", WORD, "`Inbound` or `Outbound`; an internal call is `Outbound`", words=Direction, closed=True
    ),
    CallColumn("internal", TRUTH, "1: between two of the account's extensions"),
    CallColumn("queue_call", TRUTH, "1: came through a call queue"),
    CallColumn("extension_id", TEXT, "the extension whose side the row is told from", maybe=True),
    CallColumn("from_number", NUMBER, "who called", maybe=True),
    CallColumn("from_name", TEXT, "their name, if the platform knows one", maybe=True),
    CallColumn("from_raw", TEXT, maybe=True),
    CallColumn("to_number", NUMBER, "who was called", maybe=True),
    CallColumn("to_name", TEXT, "their name", maybe=True),
    CallColumn("to_raw", TEXT, maybe=True),
    CallColumn("started_at", TIME, "when it began"),
    CallColumn("answered_at", TIME, "when it was answered; null: never", maybe=True),
    CallColumn("ended_at", TIME, "when it ended"),
    CallColumn("end_estimated", TRUTH, "1: the end was not seen, `ended_at` is the last sign of life"),
    CallColumn(
        "answer_estimated", TRUTH,
        "1: nobody saw the answer itself, `answered_at` is the earliest sign of it", added=1,
    ),
    CallColumn("ring_ms", SPAN, "first ringing to the answer, or to the end; null: nobody saw both", maybe=True),
    CallColumn("talk_ms", SPAN, "connected, without hold"),
    CallColumn(
        "hold_ms", SPAN,
        "on hold or parked; null: nobody saw the talk, the call is known from the platform's records alone", maybe=True,
    ),
    CallColumn("duration_ms", SPAN, "answer to end (0: never answered); once confirmed, the call log's figure"),
    CallColumn("disposition", WORD, ", ".join(Disposition), words=Disposition),
    CallColumn("result", TEXT, "the platform's own word", maybe=True),
    CallColumn(
        "result_source", WORD, "where that comes from: presence, active-calls, call-log", maybe=True, words=Source
    ),
    CallColumn(
        "end_source", WORD, "who told of the end: presence, reconciled, call-log, expired", words=EndSource
    ),
    CallColumn(
        "leg_count", COUNT,
        "how many parties' sides presence showed; of a call it never showed, how many the platform's records tell of."
        " `call_legs` has both, each side once",
    ),
    CallColumn("events_accepted", COUNT, "notifications that counted"),
    CallColumn("events_ignored", COUNT, "notifications that did not (late, repeated)"),
    CallColumn("part_of", TEXT, "the session this call belongs to", maybe=True),
    CallColumn("confirmed_at", TIME, "when the platform's own records confirmed it; null: not yet", maybe=True),
    CallColumn("revision", COUNT, "1 when first written, more after each correction"),
    CallColumn("updated_at", TIME, "when the row was last written"),
    CallColumn("publication", COUNT),
    CallColumn(
        "extension_number", TEXT, "the number of `extension_id`, if known", maybe=True, added=2,
        of=who("call", "extension_number"),
    ),
    CallColumn(
        "extension_name", TEXT, "its name, if known", maybe=True, added=2, of=who("call", "name"),
    ),
)  # fmt: skip

#: Those of the table.
COLUMNS: Final = tuple(column for column in _ALL if not column.of)
#: Those of the views.
SHOWN: Final = tuple(sorted((column for column in _ALL if column.meaning), key=lambda column: column.added))
#: Their names there, for a header when there is no row.
CALL_COLUMNS: Final = tuple(column.shown for column in SHOWN)
#: Those that are telephone numbers.
NUMBERS: Final = tuple(column.name for column in _ALL if column.kind is NUMBER)
#: Those of the views that others have written, or whose words are names.
TEXTS: Final = tuple(column.shown for column in SHOWN if column.kind in {TEXT, NUMBER})
#: What is known when the row is written, not when it is computed.
OF_COMMIT: Final = tuple(column.name for column in COLUMNS if column.name not in CallRecord._fields)


def restored(row: Mapping[Any, Any]) -> CallRecord:
    """The computed row, from the table's. Raises ``ValueError``, ``KeyError`` where it holds what none of ours does."""
    return CallRecord(
        **{column.name: _restored(column, row[column.name]) for column in COLUMNS if column.name not in OF_COMMIT}
    )


def _restored(column: CallColumn, value: Any) -> Any:
    if value is None:
        return None
    if column.words is not None:
        return column.words(value)
    return bool(value) if column.kind is ColumnKind.TRUTH else value


# -- the page ----------------------------------------------------------------------------------------------------------

_TABLE: Final = re.compile(r"(### `calls`\n.*?\n\|---\|---\|\n)(?:\|[^\n]*\n)*", re.DOTALL)


def described(columns: Iterable[CallColumn] = SHOWN) -> str:
    """The lines of the page's table."""
    return "".join(f"| `{column.shown}` | {column.meaning} |\n" for column in columns)


def with_columns(page: str) -> str:
    """The text of docs/database.md with the columns as they are declared."""
    return _TABLE.sub(lambda found: found[1] + described(), page, count=1)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_columns(path.read_text()))
