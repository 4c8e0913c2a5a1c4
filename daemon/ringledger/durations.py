"""Durations: how long a day is, and how people read one, the same on a terminal and on a page."""

from typing import Final

#: A day, ms.
DAY_MS: Final = 86_400_000


def in_words(seconds: float) -> str:
    """A duration: `15.1 s`, `12:05`, `1:02:05`, `7 d 0:00`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def roughly(seconds: float) -> str:
    """A duration of which the size matters: `40 s`, `12 min`, `3.5 h`, `4 d`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3_600:
        return f"{seconds / 60:.0f} min"
    return f"{round(seconds / 3_600, 1):g} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"
