"""The one place where values from outside are judged: times, whole numbers, text, ids, headers (rule 9.5).

Whatever decodes an answer, a notification or a header asks here. What must stay true: a time that is let through lies
between 2000 and 2100 and at most a day ahead of the later of our clock and the last ``Date`` that was believed; a whole
number fits into 63 bits; text is valid Unicode without NUL and of bounded length; an id is never shortened, one that is
too long is no id. So nothing that is let through can be refused by a database or a clock's arithmetic later.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Annotated, Final

import msgspec

from ringledger.ringcentral.decode.unreadable import WireError, WireReason

#: Times before this and from that on are damage, ms since 1970: the years 2000 to 2099.
EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
#: How far a time may be ahead of the later of our clock and the platform's, ms.
AHEAD_MS: Final = 86_400_000
INT64_MAX: Final = 2**63 - 1
#: Longest texts, characters: names are cut, and so are the words of the platform and numbers as they were written.
NAME_LENGTH: Final = 256
WORD_LENGTH: Final = 128
#: A longer text is no id.
ID_LENGTH: Final = 128
#: A longer address, filter or path is not the platform's.
PATH_LENGTH: Final = 512
#: A call that lasts longer is a damaged figure, ms.
MAX_DURATION_MS: Final = 366 * 86_400_000
#: Lifetimes the platform may announce, seconds: longer ones are cut to this.
MAX_LIFE_SECONDS: Final = 366 * 86_400.0

#: What SQLite and PostgreSQL can hold.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=INT64_MAX)]
#: Ids are text with us; the platform writes text or a number. A longer one does not decode.
WireId = Annotated[str, msgspec.Meta(max_length=ID_LENGTH)] | Int64 | None
#: A telephone number as it was written: cut, not refused, for a caller may choose it.
WireNumber = str | Int64 | None

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: RFC 9110's date, and the zones and missing weekday that servers really write.
_HTTP_DATE: Final = re.compile(
    r"(?:[A-Za-z]{3,9},?[ ]+)?(\d{1,2})[ -]([A-Za-z]{3})[ -](\d{4})[ ]+(\d{2}):(\d{2}):(\d{2})"
    r"(?:[ ]+(?:GMT|UTC|UT|Z|([+-])(\d{2}):?(\d{2})))?",
    re.ASCII,
)


# --- times ----------------------------------------------------------------------------------------------


def parse_time(text: str) -> int | None:
    """An ISO 8601 time (``…Z``, ``…+0000``, without zone: UTC) as ms; ``None`` when it is none, whatever its year."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - _EPOCH
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    except (ValueError, OverflowError):
        return None


#: As :func:`parse_time`: every event of a call repeats when it started. For texts of at most ``ID_LENGTH``.
remembered_time: Final = lru_cache(maxsize=1024)(parse_time)


def time_of(text: str, latest: int) -> int:
    """``text`` as ms. Raises :class:`WireError` when it is no time, or none between 2000 and ``latest`` (ms)."""
    at = remembered_time(text) if len(text) <= ID_LENGTH else None
    if at is None:
        raise WireError(WireReason.BAD_TIMESTAMP, "the timestamp is no ISO 8601 time")
    if not EARLIEST_MS <= at <= latest:
        raise WireError(WireReason.BAD_TIMESTAMP, "the timestamp is before 2000 or more than a day ahead")
    return at


def latest_time(now: int) -> int:
    """The latest time that is believed at ``now``, ms."""
    return min(max(now, EARLIEST_MS) + AHEAD_MS, LATEST_MS - 1)


def http_date(text: str) -> int | None:
    """A ``Date`` or ``Retry-After`` header's time, ms; ``None`` for all that is no date between 2000 and 2100."""
    found = _HTTP_DATE.fullmatch(text.strip()) if len(text) <= ID_LENGTH else None
    if found is None or found[2].lower() not in _MONTHS:
        return None
    month = _MONTHS.index(found[2].lower()) + 1
    day, year, hour, minute, second = (int(found[n]) for n in (1, 3, 4, 5, 6))
    zone = (int(found[8]) * 60 + int(found[9])) * (-1 if found[7] == "-" else 1) if found[7] else 0
    try:
        since = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    at = since.days * 86_400_000 + since.seconds * 1000 - zone * 60_000
    return at if EARLIEST_MS <= at < LATEST_MS else None


class PlatformDates:
    """Which of the platform's ``Date``s are believed.

    The first is, and every one within a day of our clock or of the last that was believed. Any other is believed when
    the next answer's says the same: a platform whose clock differs from ours says so each time, an odd answer does not.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._candidate: int | None = None

    def believes(self, date: int, now: int) -> bool:
        """Whether an answer may be dated so. ``date``, ``now`` (our clock): ms."""
        return self._last is None or abs(date - now) <= AHEAD_MS or abs(date - self._last) <= AHEAD_MS

    def learn(self, date: int, now: int) -> None:
        """An answer bears this ``Date``."""
        candidate, self._candidate = self._candidate, None
        if self.believes(date, now) or (candidate is not None and abs(date - candidate) <= AHEAD_MS):
            self._last = date
        else:
            self._candidate = date

    def latest(self, now: int) -> int:
        """The latest time that is believed of anything the platform tells, ms."""
        return latest_time(now if self._last is None else max(now, self._last))


# --- numbers --------------------------------------------------------------------------------------------


def figure(text: str | None, least: float, most: float) -> float | None:
    """A header's number between ``least`` and ``most``; ``None`` for all else."""
    try:
        value = float(text or "") if len(text or "") <= ID_LENGTH else -1.0
    except ValueError:
        return None
    return value if isfinite(value) and least <= value <= most else None


def whole(value: object, least: int = 0, most: int = INT64_MAX) -> int | None:
    """A whole number, from text too, between ``least`` and ``most``; ``None`` for all else."""
    if isinstance(value, str) and len(value) > ID_LENGTH:
        return None
    try:
        number = int(value)  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError):
        return None
    return number if least <= number <= most else None


def life(seconds: float | None) -> float | None:
    """How long something lives, seconds; ``None`` for no or an impossible announcement."""
    if seconds is None or not seconds > 0:
        return None
    return min(seconds, MAX_LIFE_SECONDS)


# --- text -----------------------------------------------------------------------------------------------


def cut(text: str | None, length: int = WORD_LENGTH) -> str | None:
    """``text`` of at most ``length`` characters, without NUL; ``None`` for absent and blank."""
    if not text:
        return None
    if len(text) > length:
        text = text[:length]
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def text_id(value: str | int | None) -> str | None:
    """An id as text; ``None`` for absent and blank. It has decoded as a :data:`WireId`, so it is no longer than one."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        return str(value)
    return value.replace("\x00", "\ufffd") if "\x00" in value else value
