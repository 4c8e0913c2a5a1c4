"""Damage: of bytes, and of values in well-formed JSON."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

#: What is put in place of a piece of text.
SPLICES = (
    b"null", b"{}", b"[]", b"-1", b"1e999", b"NaN", b'"\\ud800"', b"\\ud83d", b"\xff", b"\xed\xa0\xbd", b"9" * 60,
    b"true", b'""', b"\x00", b"\\u0000", b"[" * 200, b'{"a":' * 50, b"9" * 5000, b"\xe2\x80\xae", b"\x1b]0;x\x07", b'"',
    b"\\", b",", b"]", b"}",
)  # fmt: skip
#: What is put in place of a value.
VALUES: tuple[Any, ...] = (
    None, 0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 2**70, 10**400, 1.5, -0.0, 1e300, "", " ", "\x00", "\x1b[2J", [], {},
    True, False, [[]], [None], {"id": None}, "2026-13-45T99:99:99Z", "9999-12-31T23:59:59.999-12:00",
    "0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z", "2099-12-31T00:00:00Z", "2026-01-05T10:00:00Z", "~", "0",
    "anonymous", "+1", "+16505551000*102", "Ringing", "NoCall", "OnHold", "In Progress", "911", "N" * 3_000, "7" * 300,
    "=cmd|'/c calc'!A0", "[/x]", "\u202e", "\U0001f4a9", ["x"] * 50, "e\u0301" * 200,
)  # fmt: skip


def damaged(payload: bytes, dice: random.Random) -> bytes:
    """One to four small damages of bytes."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(payload) + 1)
        until = min(len(payload), at + dice.randrange(40))
        middle: bytes = dice.choice((b"", dice.randbytes(3), dice.choice(SPLICES), payload[at:until] * 2))
        payload = payload[:at] + middle + payload[until:]
    return payload


def swapped(value: Any, dice: random.Random, rate: float = 0.06) -> Any:
    """Well-formed JSON with a few values swapped for others, fields left out and repeated."""
    if dice.random() < rate:
        return dice.choice(VALUES)
    if isinstance(value, dict):
        return {key: swapped(inner, dice, rate) for key, inner in value.items() if dice.random() > rate / 3}
    if isinstance(value, list):
        inner = [swapped(one, dice, rate) for one in value]
        return inner * dice.choice((1, 1, 1, 1, 1, 2, 9)) if len(inner) < 20 else inner
    return value


def mutated(seeds: Sequence[Any], dice: random.Random) -> bytes:
    """A damaged seed; now and then one that is only other than any seed."""
    seed = dice.choice(seeds)
    if isinstance(seed, bytes):
        return damaged(seed, dice)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: damaged(json.dumps(seed).encode(), dice),
        lambda: encoded(swapped(seed, dice), dice),
        lambda: damaged(encoded(swapped(seed, dice), dice), dice),
    )
    return dice.choice(kinds)()


def encoded(value: Any, dice: random.Random) -> bytes:
    """JSON text, with characters as themselves or escaped."""
    return json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
