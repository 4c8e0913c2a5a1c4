"""The small words of call stories: options, spans, directions, made-up ids."""

import hashlib
import re

FLAGS = frozenset({"no-id", "monitored", "twice", "lost", "queue"})
DIRECTIONS = {"in": "Inbound", "out": "Outbound", "Inbound": "Inbound", "Outbound": "Outbound"}


def options_of(words: list[str]) -> dict[str, str]:
    """``key=value`` words and flags as a dict; ``ValueError`` for anything else."""
    options: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and key not in FLAGS:
            raise ValueError(f"{word!r} is neither key=value nor one of {', '.join(sorted(FLAGS))}")
        if key in options:
            raise ValueError(f"{key} is given twice")
        options[key] = value if equals else "yes"
    return options


def check_keys(options: dict[str, str], allowed: frozenset[str]) -> None:
    if unknown := options.keys() - allowed:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(allowed))}")


def milliseconds(text: str) -> int:
    """``11s``, ``0.5s``, ``5m``, ``2h`` in ms; ``ValueError`` for anything else."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh])", text)
    if not match:
        raise ValueError(f"{text!r} is no span: write 11s, 5m or 2h")
    return round(float(match[1]) * {"s": 1_000, "m": 60_000, "h": 3_600_000}[match[2]])


def direction_of(text: str) -> str:
    """``in`` and ``out``, or the platform's own words."""
    if text not in DIRECTIONS:
        raise ValueError(f"direction is in or out, not {text!r}")
    return DIRECTIONS[text]


def digest(*parts: str) -> str:
    """A made-up id that is the same at every reading."""
    return hashlib.md5("/".join(parts).encode(), usedforsecurity=False).hexdigest()
