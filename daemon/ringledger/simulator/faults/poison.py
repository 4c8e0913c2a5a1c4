"""What a stranger or somebody else's code might send: values that are well-formed and impossible.

What must stay true: a poisoned notification goes before the true one and bears an id and a session of its own, so a
client that survives it records exactly the true calls.
"""

import copy
import json
import random
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

Json = dict[str, Any]
#: A bomb unpacks to so many bytes.
BOMB_BYTES = 512 * 1024 * 1024
#: Times of no call: before the first and after the last year a clock can tell, and merely absurd ones.
TIMES = (
    "9999-12-31T23:59:59.999-12:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999Z",
    "1999-12-31T23:59:59.999Z",
    "2099-12-31T00:00:00.000Z",
)
#: Dates of answers, the same.
DATES = ("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT")
#: Headers of rate limits that would stop everything for ever, or fill the memory.
RATES: tuple[dict[str, str], ...] = (
    {"X-Rate-Limit-Limit": "10", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Window": "99999999"},
    {"X-Rate-Limit-Limit": "999999999", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Window": "60"},
    {"X-Rate-Limit-Limit": "1e308", "X-Rate-Limit-Remaining": "-1", "X-Rate-Limit-Window": "nan"},
)
#: Records of which nothing can be made, as they stand in a listing.
RECORDS = (
    '{"id": "poison-1", "sessionId": "666001", "direction": "Inbound", "startTime": "9999-12-31T23:59:59.999Z"}',
    '{"id": "poison-2", "sessionId": "666002", "direction": "Inbound", "startTime": "0001-01-01T00:00:00+14:00"}',
    '{"id": "poison-3", "direction": "Inbound", "duration": 1e300, "startTime": "2026-01-05T10:00:00Z"}',
    '{"id": "poison-4", "n": 01}',
    '{"id": "poison-5", "n": ' + "[" * 3000 + "]" * 3000 + "}",
    '{"id": "' + "6" * 5000 + '"}',
    "null",
)
#: What stands in place of a value in a scrambled answer.
ODD: tuple[Any, ...] = (
    None, 0, -1, 2**63, 10**30, 1e300, "", "\x00", [], {}, True, [[]], "9999-12-31T23:59:59.999-12:00", "noon", "~",
    "0", "anonymous", "In Progress", "911", "N" * 3_000, "7" * 300, "2026-01-05T10:00:00Z", "\u202e", ["x"] * 50,
)  # fmt: skip
#: A name with half a character, which a record may have.
HALF = "Ann \\ud83d"


def notifications(envelope: Json) -> Iterator[Json]:
    """Poisoned kinds of a notification."""
    number = 0
    for at in TIMES:
        for place in ("timestamp", "startTime"):
            number += 1
            made = _stranger(envelope, number)
            if place == "timestamp":
                made["timestamp"] = at
            for item in made["body"].get("activeCalls", ()) if place == "startTime" else ():
                item["startTime"] = at
            if place == "timestamp" or made["body"].get("activeCalls"):
                yield made
    for name, value in (("sequence", 2**70), ("sequence", "soon"), ("totalActiveCalls", 10**30)):
        number += 1
        made = _stranger(envelope, number)
        made["body"][name] = value
        yield made


def _stranger(envelope: Json, number: int) -> Json:
    made = copy.deepcopy(envelope)
    made["uuid"] = f"poison-{number}-{envelope.get('uuid', '')}"[:100]
    for item in made["body"].get("activeCalls", ()):
        item["sessionId"], item["telephonySessionId"] = f"66600{number}", f"s-poison-{number}"
    return made


def poisoned_listing(text: str) -> str:
    """A listing with poison among its records, and half a character in each name."""
    body = json.loads(text)
    records = [json.dumps(record) for record in body["records"]]
    halved = [record.replace('"name": "', f'"name": "{HALF} ') for record in records]
    middle = len(halved) // 2
    mixed = [*halved[:middle], *RECORDS, *halved[middle:]]
    marker = "@@records@@"
    return json.dumps(body | {"records": marker}).replace(f'"{marker}"', "[" + ", ".join(mixed) + "]", 1)


def scrambled(value: Any, dice: random.Random) -> Any:
    """JSON with one value in twenty swapped for another, or left out."""
    if dice.random() < 0.05:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: scrambled(inner, dice) for key, inner in value.items() if dice.random() > 0.02}
    if isinstance(value, list):
        return [scrambled(inner, dice) for inner in value]
    return value


@cache
def bomb() -> bytes:
    """A gzip body of half a megabyte that unpacks to :data:`BOMB_BYTES` of blanks."""
    packer = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    piece = b" " * (1024 * 1024)
    return b"".join([*(packer.compress(piece) for _ in range(BOMB_BYTES // len(piece))), packer.flush()])
