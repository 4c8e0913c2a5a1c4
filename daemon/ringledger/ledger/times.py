"""Times as the database holds them: text, UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``; int milliseconds everywhere else.

The text sorts like the time does (years 0000 to 9999), and SQLite's date functions read it. Standard library only: what
prints times must not wait for SQLAlchemy.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, overload

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SUFFIX: Final = tuple(f".{ms:03d}Z" for ms in range(1000))


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


@lru_cache(maxsize=2048)  # the rows of one batch repeat few moments
def to_text(ms: int) -> str:
    """Milliseconds since the epoch as the database's text. Raises ``OverflowError`` beyond the year 9999."""
    seconds, rest = divmod(ms, 1000)
    return _second(seconds) + _SUFFIX[rest]


def to_text_or_none(ms: int | None) -> str | None:
    """As :func:`to_text`; ``None`` stays ``None``."""
    return None if ms is None else to_text(ms)


def to_ms(text: str) -> int:
    """The inverse of :func:`to_text`. Raises ``ValueError`` for any other text."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


@overload
def to_ms_or_none(text: str) -> int: ...
@overload
def to_ms_or_none(text: None) -> None: ...
def to_ms_or_none(text: str | None) -> int | None:
    """As :func:`to_ms`; ``None`` stays ``None``."""
    return None if text is None else to_ms(text)
