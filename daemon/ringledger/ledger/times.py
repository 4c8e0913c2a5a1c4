"""Times as the database holds them: text, UTC, ``YYYY-MM-DDTHH:MM:SS.mmmZ``; int milliseconds everywhere else.

The text sorts like the time does (years 0000 to 9999), and SQLite's date functions read it. Standard library only: what
prints times must not wait for SQLAlchemy.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import ClassVar, Final, overload

from ringledger.exits import Exit

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DAMAGED: Final = "database: holds something else where a time has to be; restore the newest backup"
_SECOND: Final = tuple(f"{second:02d}" for second in range(60))
_SUFFIX: Final = tuple(f".{ms:03d}Z" for ms in range(1000))


class NotATime(ValueError):
    """A database holds something else where a time has to be: it is damaged, or a stranger has made it."""

    exit_code: ClassVar[int] = Exit.DATA


@lru_cache(maxsize=256)
def _minute(minutes: int) -> str:
    return (_EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:").rjust(17, "0")


@lru_cache(maxsize=1024)  # the rows of one batch repeat few moments
def to_text(ms: int) -> str:
    """Milliseconds since the epoch as the database's text. Raises ``OverflowError`` beyond the year 9999."""
    minutes, rest = divmod(ms, 60_000)
    return _minute(minutes) + _SECOND[rest // 1000] + _SUFFIX[rest % 1000]


def to_text_or_none(ms: int | None) -> str | None:
    """As :func:`to_text`; ``None`` stays ``None``."""
    return None if ms is None else to_text(ms)


def in_zone(text: str, zone: tzinfo) -> datetime:
    """A time of the database in a zone. Raises :class:`NotATime` for anything else."""
    try:
        return datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, TypeError, OverflowError):
        raise NotATime(_DAMAGED) from None


def to_ms(text: str) -> int:
    """The inverse of :func:`to_text`. Raises :class:`NotATime` for anything else."""
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        raise NotATime(_DAMAGED) from None


@overload
def to_ms_or_none(text: str) -> int: ...
@overload
def to_ms_or_none(text: None) -> None: ...
def to_ms_or_none(text: str | None) -> int | None:
    """As :func:`to_ms`; ``None`` stays ``None``."""
    return None if text is None else to_ms(text)
