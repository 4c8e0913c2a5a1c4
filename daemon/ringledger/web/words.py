"""Times, durations, shares and statuses in words for a page.

What must stay true: a time in text is UTC; the page's script puts the viewer's zone in its place and says so.
"""

from datetime import UTC, datetime
from typing import Final

from ringledger.durations import in_words

#: Statuses and dispositions as people say them.
STATUSES: Final = {
    "NoCall": "idle",
    "Ringing": "ringing",
    "CallConnected": "talking",
    "OnHold": "on hold",
    "ParkedCall": "parked",
}


def status(text: str | None) -> str:
    """A telephony status as people say it."""
    return STATUSES.get(text or "", text or "")


def words(text: str | None) -> str:
    """`no_answer` as `no answer`."""
    return (text or "").replace("_", " ")


def lasting(seconds: float | None) -> str:
    """A duration as :func:`ringledger.durations.in_words` has it; a dash for none."""
    return "–" if seconds is None else in_words(seconds)


def clock(ms: int) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")


def utc(text: str | None, *, seconds: bool = True) -> str:
    """A time of the database for a page: `2026-03-02 09:30:12`."""
    if not text:
        return "–"
    return text[: 19 if seconds else 16].replace("T", " ")


def share(part: float | None) -> str:
    """`87 %`; a dash for none."""
    return "–" if part is None else f"{part:.0%}".replace("%", " %")


def many(count: int) -> str:
    """`14,280`."""
    return f"{count:,}"
