"""The machine's two clocks, by what they are for.

``monotonic`` measures spans and deadlines: it never jumps. ``wall`` and ``now_ms`` date what is written down: they may
jump, so no deadline hangs on them. A parameter ``clock`` or ``wall`` takes one of these functions.
"""

import time


def monotonic() -> float:
    """Seconds from an arbitrary start."""
    return time.monotonic()


def wall() -> float:
    """Seconds since 1970."""
    return time.time()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
