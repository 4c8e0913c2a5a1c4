"""PubNub delivery: channels with a short memory, and the long poll that reads them.

What must stay true: timetokens are 17 digits and only grow; a poll returns what is newer than its cursor, at most a
hundred, or is held; a channel remembers its last hundred messages (``queue_limit``) and loses older ones without a
word.
"""

import asyncio
import base64
import json
import secrets
import socket
import struct
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Any

from aiohttp import web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.faults.pubnub import CONTENT_TYPE, FaultQueue, spoiled_answer, with_bad_message
from ringledger.simulator.push.encryption import encrypt
from ringledger.simulator.push.payloads import Json, dumped
from ringledger.simulator.push.subscriptions import Subscription

QUEUE_LIMIT = 100
#: Messages in one answer, however many a channel remembers.
ANSWER_LIMIT = 100
REGION = 4


class PubNub:
    """The PubNub origin of the simulator, and the transport that publishes to it."""

    def __init__(self, clock: SimClock, *, hold_seconds: float = 280.0, queue_limit: int = QUEUE_LIMIT) -> None:
        self.clock, self.hold_seconds, self.queue_limit = clock, hold_seconds, queue_limit
        self.subscribe_key = f"sub-c-{uuid.uuid4()}"
        self.forbid_dead_channels = False  # 403 instead of silence after the end of a subscription
        self.polls = 0  # subscribe requests so far, handshakes included
        self._channels: defaultdict[str, list[tuple[int, Any]]] = defaultdict(list)
        self._dead: set[str] = set()
        self._cursors: dict[str, int] = {}
        self._held: dict[str, int] = {}
        self._last_token = 0
        self._closing = False
        self._changed = asyncio.Event()
        self.faults = FaultQueue(self._wake)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v2/subscribe/{key}/{channels}/0", self.subscribe)
        router.add_get("/v2/presence/sub-key/{key}/channel/{channels}/leave", self.leave)
        router.add_get("/v2/presence/sub-key/{key}/channel/{channels}/heartbeat", self.heartbeat)
        router.add_get("/time/0", self.time)

    # -- the transport of a subscription ------------------------------------------------------------------------

    def open(self, _subscription: Subscription) -> Json:
        """A channel of its own and a fresh key."""
        address = f"{secrets.randbelow(9 * 10**13) + 10**13}_{secrets.token_hex(4)}"
        return {
            "transportType": "PubNub",
            "encryption": True,
            "address": address,
            "subscriberKey": self.subscribe_key,
            "encryptionAlgorithm": "AES",
            "encryptionKey": base64.b64encode(secrets.token_bytes(16)).decode(),
        }

    def deliver(self, subscription: Subscription, envelope: Json) -> None:
        sealed = encrypt(dumped(envelope).encode(), subscription.delivery["encryptionKey"])
        self.publish(subscription.delivery["address"], sealed)

    def close(self, subscription: Subscription) -> None:
        self._dead.add(subscription.delivery["address"])
        self._wake()

    def publish(self, channel: str, data: Any) -> int:
        """Put ``data`` into a channel as it is; returns its timetoken."""
        token, queue = self._token(), self._channels[channel]
        queue.append((token, data))
        if len(queue) >= 2 * self.queue_limit:  # seldom: it moves them all
            del queue[: -self.queue_limit]
        self._wake()
        return token

    # -- what a test waits for ----------------------------------------------------------------------------------

    @property
    def polling(self) -> int:
        """How many polls are being held right now."""
        return sum(self._held.values())

    async def wait_polling(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until some subscriber holds a poll."""
        await self._until(lambda: self.polling > 0, timeout)

    async def wait_consumed(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until every live channel's newest message is behind the cursor of a poll being held."""
        await self._until(self._consumed, timeout)

    def _consumed(self) -> bool:
        live = [name for name, queue in self._channels.items() if queue and name not in self._dead]
        return all(self._held.get(name) and self._cursors.get(name, 0) >= self._channels[name][-1][0] for name in live)

    async def _until(self, holds: Callable[[], bool], timeout: float) -> None:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            while not holds():
                await self._changed.wait()

    # -- the wire -----------------------------------------------------------------------------------------------

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """GET /v2/subscribe/{key}/{channels}/0: a handshake with tt=0, else a long poll."""
        self.polls += 1
        channels = request.match_info["channels"].split(",")
        if request.match_info["key"] != self.subscribe_key:
            body = {
                "message": "Invalid Subscribe Key",
                "error": True,
                "service": "Access Manager",
                "status": 400,
            }
            return web.json_response(body, status=400)
        if self.forbid_dead_channels and self._dead.intersection(channels):
            return self._forbidden(channels)
        cursor = _cursor(request.query.get("tt", "0"))
        self._wake()
        if not cursor and not self._ripe(channels, cursor):
            return _answer(self._batch([], 0))
        return await self._poll(request, channels, cursor)

    async def leave(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": 200, "action": "leave", "message": "OK", "service": "Presence"})

    async def heartbeat(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": 200, "message": "OK", "service": "Presence"})

    async def time(self, _request: web.Request) -> web.Response:
        return web.json_response([self._token()])

    async def _poll(self, request: web.Request, channels: list[str], cursor: int) -> web.StreamResponse:
        for channel in channels:
            self._cursors[channel] = max(cursor, self._cursors.get(channel, 0))
            self._held[channel] = self._held.get(channel, 0) + 1
        self._wake()
        try:
            await self._hold(channels, cursor)
        finally:
            for channel in channels:
                self._held[channel] -= 1
        if self.forbid_dead_channels and self._dead.intersection(channels):
            return self._forbidden(channels)
        batch = self._batch(channels, cursor)
        fault = self.faults.popleft() if self.faults and self._ripe(channels, cursor) else None
        if fault in ("reset", "hang"):
            return await self._break(request, fault)
        if fault == "bad-message":
            return _answer(with_bad_message(batch))
        return spoiled_answer(fault, batch) if fault else _answer(batch)

    async def _hold(self, channels: list[str], cursor: int) -> None:
        """Until there is something to say, or the longest hold has passed."""
        try:
            async with asyncio.timeout(self.hold_seconds):
                while not (self._closing or self._newer(channels, cursor) or self._ripe(channels, cursor)):
                    if self.forbid_dead_channels and self._dead.intersection(channels):
                        return
                    await self._changed.wait()
        except TimeoutError:
            return

    def _ripe(self, channels: list[str], cursor: int) -> bool:
        """Whether the next fault can take effect: a bad message comes with a good one."""
        return bool(self.faults) and (self.faults[0] != "bad-message" or bool(self._newer(channels, cursor)))

    def _newer(self, channels: list[str], cursor: int) -> list[tuple[int, str, Any]]:
        """The first of what is remembered after a cursor."""
        if not cursor:
            return []
        found = merge(*(self._remembered(channel, cursor) for channel in channels), key=itemgetter(0))
        return list(islice(found, ANSWER_LIMIT))

    def _remembered(self, channel: str, cursor: int) -> list[tuple[int, str, Any]]:
        queue = self._channels.get(channel, [])
        first = max(len(queue) - self.queue_limit, bisect_right(queue, cursor, key=itemgetter(0)))
        return [(token, channel, data) for token, data in queue[first : first + ANSWER_LIMIT]]

    def _batch(self, channels: list[str], cursor: int) -> Json:
        entries = self._newer(channels, cursor)
        messages = [
            {
                "a": "1",
                "f": 0,
                "p": {"t": str(token), "r": REGION},
                "k": self.subscribe_key,
                "c": channel,
                "d": data,
            }
            for token, channel, data in entries
        ]
        return {"t": {"t": str(entries[-1][0] if entries else self._token()), "r": REGION}, "m": messages}

    async def _break(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "hang":
            while not self._closing:
                await self._changed.wait()
        if request.transport is not None:
            plug = request.transport.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST, not FIN
            request.transport.abort()
        return web.Response()

    def _forbidden(self, channels: list[str]) -> web.Response:
        payload = {"channels": channels}
        body = {
            "message": "Forbidden",
            "payload": payload,
            "error": True,
            "service": "Access Manager",
            "status": 403,
        }
        return web.json_response(body, status=403)

    def stop(self) -> None:
        """Let every held poll end."""
        self._closing = True
        self._wake()

    def _token(self) -> int:
        self._last_token = max(self._last_token + 1, self.clock.now_ms() * 10_000)
        return self._last_token

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _cursor(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _answer(batch: Json) -> web.Response:
    return web.Response(text=json.dumps(batch), headers={"Content-Type": CONTENT_TYPE})
