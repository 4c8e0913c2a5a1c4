"""One-shot faults of the PubNub endpoint, by name: each spoils exactly one poll.

What must stay true: a fault never loses a message by itself; the poll after it still finds everything newer than the
cursor it brings.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from ringledger.simulator.faults.poison import bomb

Json = dict[str, Any]
CONTENT_TYPE = 'text/javascript; charset="UTF-8"'

_FORBIDDEN = {
    "message": "Forbidden",
    "payload": {"channels": []},
    "error": True,
    "service": "Access Manager",
    "status": 403,
}
_BODIES: dict[str, tuple[int, bytes]] = {
    "status-403": (403, json.dumps(_FORBIDDEN).encode()),
    "status-429": (429, b'{"message":"Too Many Requests","error":true,"status":429}'),
    "status-500": (500, b"Internal Server Error"),
    "html-502": (502, b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"),
    "status-503": (503, b"Service Unavailable"),
    "status-204": (204, b""),
    "empty": (200, b""),
    "object": (200, b"{}"),
    "array": (200, b"[]"),
    "null": (200, b"null"),
    "number": (200, b"5"),
    "redirect-307": (307, b""),
    "deep": (200, b"[" * 100_000),
}
_SPOILED: dict[str, Callable[[Json], bytes]] = {
    "truncated": lambda answer: json.dumps(answer).encode()[:-7],
    "invalid-utf8": lambda answer: json.dumps(answer).encode()[:-1] + b',"x":"\xff\xfe"}',
    "no-m": lambda answer: json.dumps({"t": answer["t"]}).encode(),
    "no-t": lambda answer: json.dumps({"m": answer["m"]}).encode(),
    "no-tt": lambda answer: json.dumps(answer | {"t": {"r": answer["t"]["r"]}}).encode(),
    "no-r": lambda answer: json.dumps(answer | {"t": {"t": answer["t"]["t"]}}).encode(),
    "far-cursor": lambda answer: json.dumps(answer | {"t": {"t": str(2**70), "r": answer["t"]["r"]}}).encode(),
    "endless-cursor": lambda answer: json.dumps(answer | {"t": {"t": float("inf"), "r": 1}}).encode(),
}
#: Faults that end the connection or wait for a message; the broker acts on them itself.
CONNECTION_FAULTS = ("reset", "hang", "bad-message")
NAMES = (*_BODIES, *_SPOILED, "poll-bomb", *CONNECTION_FAULTS)


class FaultQueue(deque[str]):
    """The faults to come; adding one also wakes a poll that is being held, so that it takes effect now."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def append(self, name: str) -> None:
        if name not in NAMES:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(NAMES)}")
        super().append(name)
        self._wake()

    def extend(self, names: Iterable[str]) -> None:
        for name in names:
            self.append(name)


def spoiled_answer(name: str, answer: Json) -> web.Response:
    """The response of a poll under the named fault; ``answer`` is what would have been said."""
    if name == "poll-bomb":
        return web.Response(body=bomb(), headers={"Content-Type": CONTENT_TYPE, "Content-Encoding": "gzip"})
    status, body = _BODIES[name] if name in _BODIES else (200, _SPOILED[name](answer))
    if status == 204:
        return web.Response(status=204)
    kind = "text/html" if name == "html-502" else CONTENT_TYPE
    headers = {"Content-Type": kind, **({"Location": "/elsewhere"} if status == 307 else {})}
    return web.Response(status=status, body=body, headers=headers)


def with_bad_message(answer: Json) -> Json:
    """The same batch with an entry in front that lacks nearly everything."""
    return answer | {"m": [{"a": "1", "f": "?", "c": 5, "d": {"not": "a presence event"}}, *answer["m"]]}
