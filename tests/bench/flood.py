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
from ringledger.simulator.pbx import Pbx, default_extensions
from ringledger.simulator.pubnub import PubNub
from ringledger.simulator.subscriptions import Subscription

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


async def serve(count: int) -> None:
    start = int(time.time() * 1000) - 3_600_000
    simulator = Simulator(pbx=Pbx(default_extensions(EXTENSIONS), account_id=ACCOUNT))
    simulator.pubnub = flood = Flood(simulator.clock, office_events(count, start=start))
    simulator.subscriptions.transports["PubNub"] = flood
    simulator.routes = [flood if isinstance(routes, PubNub) else routes for routes in simulator.routes]
    async with simulator:
        given = Options().credentials
        flood.prepare("bench", KEY)
        hello = {"url": simulator.url, "subscribe_key": flood.subscribe_key, "client_id": given.client_id,
                 "client_secret": given.client_secret, "jwt": given.jwt}  # fmt: skip
        print(json.dumps(hello), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # a held poll is nobody's loss


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asyncio.run(serve(int(sys.argv[1])))
