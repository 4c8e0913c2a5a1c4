"""JSON that is broken inside one value, taken apart by its brackets, commas and texts alone.

A parser gives up a whole page for one value it cannot read (a number like ``01``, a lone control character, a nesting a
thousand deep). What must stay true: nothing is recursive, time is linear in the text, and text whose brackets do not
match is not taken apart at all.
"""

import re
from typing import Final

#: A text has so many brackets, commas and quoted texts at most (about a second of work).
MOST_TOKENS: Final = 2_000_000
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_KEY: Final = re.compile(rb'\s*+"([A-Za-z_]{1,64})"\s*+:')
_CLOSES: Final = {b"]": b"[", b"}": b"{"}


def members(payload: bytes) -> dict[bytes, bytes] | None:
    """Return the members of a JSON object, their values unread; ``None``: it is no object."""
    parts = _parts(payload.strip(), b"{")
    if parts is None:
        return None
    return {key[1]: part[key.end() :].strip() for part in parts if (key := _KEY.match(part))}


def elements(payload: bytes) -> list[bytes] | None:
    """Return the elements of a JSON array, unread; ``None``: it is no array."""
    return _parts(payload.strip(), b"[")


def _parts(text: bytes, bracket: bytes) -> list[bytes] | None:
    """What commas separate directly inside the outermost bracket."""
    if text[:1] != bracket:
        return None
    found: list[bytes] = []
    opened: list[bytes] = []
    start = 1
    for count, token in enumerate(_TOKEN.finditer(text)):
        sign = token[0]
        if count > MOST_TOKENS:
            return None
        if sign in (b"{", b"["):
            opened.append(sign)
        elif sign in _CLOSES:
            if not opened or opened.pop() != _CLOSES[sign]:
                return None
            if not opened:
                found.append(text[start : token.start()])
                return [part for part in map(bytes.strip, found) if part] if token.end() == len(text) else None
        elif sign == b"," and len(opened) == 1:
            found.append(text[start : token.start()])
            start = token.end()
    return None
