"""Somebody else's web server: takes deliveries, answers as it is told to, remembers everything."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any, NamedTuple

from aiohttp import web

#: Events whose data is the row.
ROW = frozenset({"call.finished", "call.amended", "call.confirmed"})


class Delivery(NamedTuple):
    """One request. ``status``: what it was answered."""

    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def name(self) -> str:
        return str(self.event["type"]).removeprefix("ringledger.")


class Receiver:
    """``answer``: the status for an event; ``hang``: set while nobody is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.seen: list[Delivery] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.waiting = 0
        self.most_waiting = 0
        self._go = asyncio.Event()
        self._go.set()
        self._runner: web.AppRunner | None = None

    def hang(self) -> None:
        self._go.clear()

    def go_on(self) -> None:
        self._go.set()

    @property
    def accepted(self) -> list[Delivery]:
        return [one for one in self.seen if 200 <= one.status < 300]

    def names(self, session: str | None = None) -> list[str]:
        """What was accepted, in order; of one call."""
        return [one.name for one in self.accepted if session is None or one.event["subject"] == session]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            await self._go.wait()
        finally:
            self.waiting -= 1
        status = self.answer(json.loads(body))
        self.seen.append(Delivery(dict(request.headers), body, status))
        return web.Response(status=status, headers=self.headers, body=self.body)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/hook/token-in-the-path"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    await receiver.start()
    try:
        yield receiver
    finally:
        receiver.go_on()
        await receiver.stop()


def in_order(hook: Receiver) -> None:
    """Of each call: the beginning first, revisions rising; what comes twice comes twice in a row."""
    by_call = groupby(sorted(hook.accepted, key=lambda one: one.event["subject"]), lambda one: one.event["subject"])
    for session, deliveries in by_call:
        told = list(deliveries)
        ids = [one.event["id"] for one in told]
        first = list(dict.fromkeys(ids))
        assert [one for one, _ in groupby(ids)] == first, session
        revisions = [one.event["data"]["revision"] for one in told if one.name in ROW]
        assert revisions == sorted(revisions), session
        names = [one.split("/")[2] for one in first]
        if "call.opened" in names:
            assert names[0] == "call.opened", session


def signed(hook: Receiver, secret: str) -> None:
    """Every delivery bears a signature over what came, and the id of its event."""
    for one in hook.accepted:
        event_id, timestamp = one.headers["Webhook-Id"], one.headers["Webhook-Timestamp"]
        digest = hmac.new(secret.encode(), f"{event_id}.{timestamp}.".encode() + one.body, hashlib.sha256).digest()
        assert one.headers["Webhook-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert event_id == one.event["id"]
