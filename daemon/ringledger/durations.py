"""Durations as people read them, the same on a terminal and on a page."""


def in_words(seconds: float) -> str:
    """A duration: `15.1 s`, `12:05`, `1:02:05`, `7 d 0:00`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
