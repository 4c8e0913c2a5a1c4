"""Times, durations, shares and statuses in words for a page.

What must stay true: a time in text is UTC; the page's script puts the viewer's zone in its place and says so.
"""

from datetime import UTC, datetime
from typing import Final

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
    """A duration: `15.1 s`, `12:05`, `1:02:05`, `7 d 0:00`; a dash for none."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


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
