"""Damaged notifications: whatever damage makes of them, only ``WireError`` comes out."""

import json
import random

from ringledger.platform.unreadable import WireError
from ringledger.platform.wire import decode_notification
from tests.platform.payloads import EVENT_2015, event, item

ROUNDS = 4000
SPLICES = [b"null", b"{}", b"[]", b"-1", b"1e999", b'"\\ud800"', b"\xff", b"9" * 60, b"true", b'""', b"\x00"]


def mutate(payload: bytes, dice: random.Random) -> bytes:
    """One to four small damages."""
    for _ in range(dice.randint(1, 4)):
        at, until = sorted((dice.randrange(len(payload) + 1), dice.randrange(len(payload) + 1)))
        until = min(until, at + 40)
        middle = dice.choice([b"", dice.randbytes(3), dice.choice(SPLICES), payload[at:until] * 2])
        payload = payload[:at] + middle + payload[until:]
    return payload


def mutate_values(value: object, dice: random.Random) -> object:
    """Well-formed JSON with a few values swapped for others."""
    if dice.random() < 0.06:
        return dice.choice([None, 0, -(2**70), 1.5, "", "\u0000", [], {}, True, [[]], "2026-13-45T99:99:99Z"])
    if isinstance(value, dict):
        return {key: mutate_values(inner, dice) for key, inner in value.items()}
    if isinstance(value, list):
        return [mutate_values(inner, dice) for inner in value]
    return value


def attempt(payload: bytes) -> str:
    try:
        decode_notification(payload, account_id="1", default_region="US", received_at=0)
    except WireError as error:
        error.raw.encode()
        return error.reason
    return "read"


def test_only_wire_errors_come_out() -> None:
    dice = random.Random(20260105)
    seeds = [event(), EVENT_2015, event(activeCalls=[item(id=str(n)) for n in range(7)], totalActiveCalls=9)]
    outcomes = {attempt(mutate(json.dumps(dice.choice(seeds)).encode(), dice)) for _ in range(ROUNDS)}
    outcomes |= {attempt(json.dumps(mutate_values(dice.choice(seeds), dice)).encode()) for _ in range(ROUNDS)}
    assert {"read", "not_json", "wrong_shape", "missing_body"} <= outcomes
