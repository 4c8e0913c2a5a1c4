"""Periods as people write them, and times, durations and counts as they read them.

What must stay true: a time without an offset is local time; everything inside is milliseconds since the epoch, UTC.
"""

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+)([smhdw])")
#: What ``--since`` and ``--until`` take.
WHEN = "2026-03-02, 2026-03-02T09:30, today, yesterday, or a time ago: 30m, 2h, 7d"


def instant(text: str, now: datetime | None = None) -> int:
    """Milliseconds since the epoch. Raises ``typer.BadParameter`` for what is no time."""
    now = (now or datetime.now().astimezone()).astimezone()
    word = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    try:
        if word in {"today", "yesterday"}:
            return _ms(midnight - timedelta(days=word == "yesterday"))
        if word == "now":
            return _ms(now)
        if ago := _AGO.fullmatch(word):
            return _ms(now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]))
        return _ms(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time; write {WHEN}") from None


def _ms(moment: datetime) -> int:
    return round(moment.astimezone().timestamp() * 1000)


def short(text: str | None, *, seconds: bool = True) -> str:
    """A time of the database in local time: `03-02 09:30:12`; empty for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%m-%d %H:%M:%S" if seconds else "%m-%d %H:%M")


def clock(text: str | None) -> str:
    """The time of day with milliseconds, local; `–` for none."""
    return datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S.%f")[:-3] if text else "–"


def span(seconds: float | None) -> str:
    """A duration: `15.1 s`, `12:05`, `1:02:05`, `7 d 0:00`; empty for none."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def dated(text: str, now: datetime | None = None) -> str:
    """As :func:`short`, with the year before it when that is not the present one."""
    year, present = (one.astimezone().year for one in (datetime.fromisoformat(text), now or datetime.now(UTC)))
    return short(text) if year == present else f"{year}-{short(text)}"


def counted(number: int, what: str, several: str = "") -> str:
    """`1 call`, `3 calls`; ``several``: the plural, when it takes more than an s."""
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"
