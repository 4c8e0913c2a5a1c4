"""Times, durations and counts as people read them.

What must stay true: times are shown in the zone of the report (`[report] timezone`), which a heading names.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

from ringledger.durations import in_words
from ringledger.ledger.times import in_zone

#: The zone of everything shown; `[report] timezone` sets it.
_zone: tzinfo = UTC


def show_in(zone: tzinfo) -> None:
    """Show times in that zone from now on."""
    global _zone  # noqa: PLW0603 - one process shows one zone, as it has one locale
    _zone = zone


def shown_zone() -> tzinfo:
    """The zone in which times are shown."""
    return _zone


def local(text: str) -> datetime:
    """A time of the database in the zone of the report."""
    return in_zone(text, _zone)


def headed(heading: str, texts: Iterable[str | None]) -> str:
    """A heading of times with their zone: `started (UTC)`, `started (CET/CEST)` when both occur."""
    names = dict.fromkeys(local(text).tzname() or "" for text in texts if text)
    return f"{heading} ({'/'.join(names) or datetime.now(_zone).tzname()})"


def short(text: str | None, *, seconds: bool = True) -> str:
    """A time of the database in the report's zone: `03-02 09:30:12`; empty for none."""
    if not text:
        return ""
    return local(text).strftime("%m-%d %H:%M:%S" if seconds else "%m-%d %H:%M")


def clock(text: str | None) -> str:
    """The time of day with milliseconds; `–` for none."""
    return local(text).strftime("%H:%M:%S.%f")[:-3] if text else "–"


def span(seconds: float | None) -> str:
    """A duration as :func:`ringledger.durations.in_words` has it; empty for none."""
    return "" if seconds is None else in_words(seconds)


def dated(text: str, now: datetime | None = None) -> str:
    """As :func:`short`, with the year before it when that is not the present one."""
    year, present = local(text).year, (now or datetime.now(UTC)).astimezone(_zone).year
    return short(text) if year == present else f"{year}-{short(text)}"


def dates(texts: Sequence[str]) -> list[str]:
    """The times of a table, as :func:`short`; when one is of another year, all of them as `2025-12-31 09:30`: a row
    with two years and seconds is wider than a terminal."""
    present = datetime.now(_zone).year
    if all(local(text).year == present for text in texts):
        return [short(text) for text in texts]
    return [f"{local(text):%Y-%m-%d %H:%M}" for text in texts]


def counted(number: int, what: str, several: str = "") -> str:
    """`1 call`, `3 calls`; ``several``: the plural, when it takes more than an s."""
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"
