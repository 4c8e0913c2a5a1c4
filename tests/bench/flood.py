"""A platform that has much to say: the simulator, with a channel that is always a hundred messages ahead.

`python tests/bench/flood.py EVENTS` prints ``{"url": ..., "key": ..., "credentials": ...}`` and serves until its
standard input closes. Answers are made before anybody polls; all messages have been delivered when polls are held.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from aiohttp import web
from load import ACCOUNT, EXTENSIONS, KEY, Event, office_events, sealed

from ringledger.simulator import Options, Simulator
from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.pbx import Pbx, default_extensions
from ringledger.simulator.push.pubnub import PubNub
from ringledger.simulator.push.subscriptions import Subscription
from ringledger.simulator.push.websocket import WebSockets

#: Messages in one answer: what PubNub gives at most.
ANSWER = 100
#: Later than any cursor a client may begin with.
FIRST = int(time.time() + 600) * 10_000_000


class Flood(PubNub):
    """A channel whose messages are known beforehand; cursor FIRST + n stands before message n."""

    def __init__(self, clock: SimClock, events: list[Event]) -> None:
        super().__init__(clock)
        self._events = events
        self._answers: list[str] = []

    def open(self, subscription: Subscription) -> dict[str, Any]:
        delivery = super().open(subscription)
        self.prepare(delivery["address"], delivery["encryptionKey"])
        return delivery

    def prepare(self, channel: str, key: str) -> None:
        payloads = sealed(self._events, key)
        messages = [
            {"a": "1", "f": 0, "p": {"t": str(FIRST + n + 1), "r": 4}, "k": self.subscribe_key, "c": channel, "d": text}
            for n, text in enumerate(payloads)
        ]
        self._answers = [
            json.dumps({"t": {"t": str(FIRST + start + ANSWER), "r": 4}, "m": messages[start : start + ANSWER]})
            for start in range(0, len(messages), ANSWER)
        ]

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        cursor = int(request.query.get("tt", "0"))
        if not cursor:
            return web.json_response({"t": {"t": str(FIRST), "r": 4}, "m": []})
        nth = max(0, cursor - FIRST) // ANSWER
        if nth < len(self._answers):
            return web.Response(text=self._answers[nth], content_type="text/javascript")
        await asyncio.sleep(300)
        return web.json_response({"t": {"t": str(cursor), "r": 4}, "m": []})


class Torrent(WebSockets):
    """A gateway that has all its notifications at hand when somebody subscribes; nothing of them can be recovered."""

    events: tuple[Event, ...] = ()

    def _create(self, peer: Any, body: Any) -> dict[str, Any]:
        answer = super()._create(peer, body)
        self._pouring = asyncio.get_running_loop().create_task(self._pour(peer.session.subscription))
        return answer

    async def _pour(self, subscription: Subscription) -> None:
        for n, event in enumerate(self.events):
            self.deliver(subscription, json.loads(event.text))
            if n % 100 == 99:
                await asyncio.sleep(0)


async def serve(count: int) -> None:
    start = int(time.time() * 1000)  # later than what the daemon reads of presence when it starts
    simulator = Simulator(pbx=Pbx(default_extensions(EXTENSIONS), account_id=ACCOUNT))
    events = office_events(count, start=start)
    simulator.pubnub = flood = Flood(simulator.clock, events)
    torrent = Torrent(simulator.clock, simulator.oauth, simulator.subscriptions, simulator.gates)
    simulator.websocket = torrent
    torrent.events = tuple(events)
    simulator.subscriptions.transports["PubNub"] = flood
    simulator.subscriptions.transports["WebSocket"] = torrent
    given: dict[type, Any] = {PubNub: flood, WebSockets: torrent}
    simulator.routes = [given.get(type(routes), routes) for routes in simulator.routes]
    async with simulator:
        login = Options().credentials
        flood.prepare("bench", KEY)
        hello = {"url": simulator.url, "subscribe_key": flood.subscribe_key, "client_id": login.client_id,
                 "client_secret": login.client_secret, "jwt": login.jwt}  # fmt: skip
        print(json.dumps(hello), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # a held poll is nobody's loss


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(serve(int(sys.argv[1])))
