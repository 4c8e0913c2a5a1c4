"""Text that strangers wrote, made safe where it leaves: for a terminal, for JSON on a terminal, for a spreadsheet.

Anybody who can call, be called, or name himself in a directory chooses text that the ledger keeps as it came. What must
stay true: whatever goes to a terminal passes :func:`visible` or :func:`json_text`, so that no text moves the cursor,
changes the title, hides or reorders what stands beside it; whatever goes into CSV passes :class:`CsvWriter`.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable
from typing import IO, Any, Final

#: Characters that show nothing though Unicode does not class them as format characters.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
#: Controls (C0, DEL, C1), format characters (bidirectional marks, zero widths, tags), lone surrogates, separators of
#: lines and paragraphs.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _obeyed(character: str) -> bool:
    """Whether a terminal does something other than show the character."""
    return unicodedata.category(character) in _HIDDEN or character in _BLANKS


def _harmless(text: str) -> bool:
    """Whether a text has nothing to be escaped; says no of some that have nothing either."""
    return text.isprintable() and (text.isascii() or not any(blank in text for blank in _BLANKS))


def visible(text: str, *, kept: str = "") -> str:
    r"""The text for a terminal: what would be obeyed or not be seen stands as an escape (``\x1b``, ``\u202e``).

    kept: characters that stay, such as the line feed in text of several lines of our own.
    """
    if _harmless(text):
        return text
    return "".join(one if one in kept or not _obeyed(one) else _escape(one) for one in text)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def json_text(document: str) -> str:
    r"""The same JSON, without characters a terminal obeys: in its strings they stand as ``\uXXXX``.

    Line feeds between values stay.
    """
    if _harmless(document):
        return document
    return "".join(one if one == "\n" or not _obeyed(one) else _json_escape(one) for one in document)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


#: A telephone number, whole or masked: no spreadsheet computes anything from it.
_NUMBER: Final = re.compile(r"\+[0-9*]{1,20}")
#: Where a spreadsheet may see the start of a cell (a semicolon or a tab separates in some countries), before what makes
#: it a formula. An apostrophe that stands there already is doubled, so that the mark can be taken off again.
_FORMULA: Final = re.compile("(?:^|(?<=[;\t\r\n]))(?=[=+\\-@'\t\r\n\uff1d\uff0b\uff0d\uff20])")


def inert(value: Any) -> Any:
    """A value for CSV: text that a spreadsheet would take for a formula gets an apostrophe before it.

    Anything that is no text, and a telephone number, stays as it is. :func:`restored` gives the text back.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub("'", value)


_MARK: Final = re.compile("(?:^|(?<=[;\t\r\n]))'")


def restored(text: str) -> str:
    """The text that :func:`inert` was given."""
    return _MARK.sub("", text)


class CsvWriter:
    """Rows of comma-separated values (RFC 4180, but lines end with a line feed alone); nothing stands for null.

    No text in them is a formula; on a terminal none is obeyed either.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        # both ends of a line belong to the terminator, or a carriage return in a name would not be quoted
        self._writer = csv.writer(self, lineterminator="\r\n")

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write the rows."""
        self._writer.writerows(map(self._cell, row) for row in rows)

    def write(self, line: str) -> None:
        """What the csv module calls with each row."""
        self._stream.write(line[:-2] + "\n")

    def _cell(self, value: Any) -> Any:
        return visible(inert(value)) if self._shown and isinstance(value, str) else inert(value)
