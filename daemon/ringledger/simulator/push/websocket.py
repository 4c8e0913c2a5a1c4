"""WebSocket delivery: one-time tokens, frames, and sessions that survive a lost connection.

What must stay true: a session numbers its frames, and a ``wsc`` names one of these numbers; whoever comes back with
it in time gets the events after it, but never more than the newest hundred. Seconds here are real ones.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from ringledger.simulator.clock import SimClock, iso_z
from ringledger.simulator.faults.barriers import Gates
from ringledger.simulator.push.session import Peer, WsSession, WsSessions, abort
from ringledger.simulator.push.subscriptions import Subscription, Subscriptions
from ringledger.simulator.rest.answers import ApiError, Json, api_error, invalid, not_found
from ringledger.simulator.rest.oauth import OAuth, Session

SUBSCRIPTION = "/restapi/v1.0/subscription"
LIFE_SECONDS = 86_399


class WebSockets:
    """The WebSocket gateway of the simulator, and the transport that publishes through it.

    Faults: ``silent`` loses every event without a word; ``mute`` sends nothing at all on open connections.
    """

    def __init__(self, clock: SimClock, oauth: OAuth, subscriptions: Subscriptions, gates: Gates) -> None:
        self.clock, self.oauth, self.subscriptions, self.gates = clock, oauth, subscriptions, gates
        self.sessions = WsSessions()
        self.token_seconds, self.ping_seconds = 30.0, 30.0
        self.idle_seconds, self.absolute_seconds = 1800.0, 86_400.0
        self.max_requests = 10
        self.silent = self.mute = False
        self.tokens_issued = 0
        self.connects = 0  # connections accepted so far
        self.base_url = ""
        self.peers: list[Peer] = []
        self._tickets: dict[str, tuple[float, Session]] = {}
        self._refuse_until = 0.0
        self._changed = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/restapi/oauth/wstoken", self.token)
        router.add_get("/ws", self.connect)

    async def token(self, request: web.Request) -> web.Response:
        """POST /restapi/oauth/wstoken: opens one connection, once, soon."""
        session = self.oauth.session_of(request)
        text = "WS-" + secrets.token_urlsafe(24)
        self._tickets[text] = (time.monotonic() + self.token_seconds, session)
        self.tokens_issued += 1
        uri = self.base_url.replace("http", "ws", 1) + "/ws"
        return web.json_response({"uri": uri, "ws_access_token": text, "expires_in": round(self.token_seconds)})

    # -- the transport of a subscription ------------------------------------------------------------------------

    def open(self, _subscription: Subscription) -> Json:
        return {"transportType": "WebSocket", "encryption": False}

    def deliver(self, subscription: Subscription, envelope: Json) -> None:
        session = self.sessions.of(subscription)
        if session is None or self.silent:
            return
        if session.expired(self.sessions.recovery_seconds):
            self._end_session(session)
            return
        meta = {"type": "ServerNotification", "messageId": str(envelope.get("uuid")), "status": 200}
        session.keep(meta, envelope)
        self._wake()

    def close(self, subscription: Subscription) -> None:
        session = self.sessions.of(subscription)
        if session is not None:
            session.subscription = None

    def send_text(self, text: str | bytes) -> int:
        """Send a frame as it is (bytes: a binary one) on every connection; returns how many."""
        for peer in self.peers:
            peer.send(text)
        return len(self.peers)

    def send_error(self, code: str, message: str, *, close: bool = True) -> None:
        """An ``Error`` frame on every connection, after which it may be closed."""
        for peer in self.peers:
            peer.send_error(code, message, close=close)

    # -- what a test does and waits for -------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        return len(self.peers)

    async def cut(self, seconds: float = 0.0) -> None:
        """Reset every connection and refuse new ones for so long; returns when they are gone."""
        self._refuse_until = time.monotonic() + seconds
        for peer in list(self.peers):
            peer.reset()
        await self._until(lambda: not self.peers, 10.0)

    async def wait_subscribed(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until some connection has a subscription."""
        await self._until(lambda: any(p.session and p.session.subscription for p in self.peers), timeout)

    async def wait_sent(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until everything published has been handed to a connection."""
        await self._until(lambda: not any(s.pending or s.peer is None for s in self.sessions.subscribed()), timeout)

    async def _until(self, holds: Callable[[], bool], timeout: float) -> None:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            while not holds():
                await self._changed.wait()

    # -- a connection -------------------------------------------------------------------------------------------

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """GET /ws?access_token=...[&wsc=...]."""
        if time.monotonic() < self._refuse_until:
            abort(request.transport)
            return web.Response()
        until, oauth_session = self._tickets.pop(request.query.get("access_token", ""), (0.0, None))
        if oauth_session is None or time.monotonic() > until:
            raise api_error(401, "TokenInvalid", "OAuth token is invalid", inner=("OAU-149", "Unparsable access token"))
        socket = web.WebSocketResponse(heartbeat=self.ping_seconds)
        await socket.prepare(request)
        peer = Peer(request, socket, oauth_session, muted=lambda: self.mute, on_change=self._wake)
        self.peers.append(peer)
        self.connects += 1
        try:
            async with peer.writing(), peer.limited(self.idle_seconds, self.absolute_seconds):
                if self._greet(peer, request.query.get("wsc")):
                    await self._listen(peer)
        finally:
            self.peers.remove(peer)
            self.sessions.detach(peer)
            self._wake()
        return socket

    def _greet(self, peer: Peer, wsc: str | None) -> bool:
        """ConnectionDetails, and what was missed; ``False`` when there is nothing to talk about."""
        details: Json = {"creationTime": iso_z(self.clock.now_ms()), **self._limits()}
        session, after = None, None
        if wsc is not None:
            found = self.sessions.find(wsc)
            if found is None:
                peer.send_error("WSG-400", "Malformed WebSocket session context token")
                return False
            if failed := self.sessions.why_not(found[0], peer):
                details |= {"recoveryState": "Failed", "recoveryErrorCode": failed}
                self._end_session(found[0])
            else:
                session, after = found
                details["recoveryState"] = "Successful"
        (session or self.sessions.new(peer)).attach(peer, details, after=after)
        self._wake()
        return True

    def _limits(self) -> Json:
        return {
            "maxConnectionsPerSession": 50,
            "recoveryBufferSize": self.sessions.buffer_size,
            "recoveryTimeout": round(self.sessions.recovery_seconds),
            "idleTimeout": round(self.idle_seconds),
            "absoluteTimeout": round(self.absolute_seconds),
            "maxActiveRequests": self.max_requests,
        }

    async def _listen(self, peer: Peer) -> None:
        async with asyncio.TaskGroup() as requests:
            async for message in peer.socket:
                frame = peer.parsed(message)
                if frame is None:
                    peer.send_error("WSG-400", "Malformed frame", close=False)
                elif frame[0].get("type") == "Heartbeat":
                    peer.send_frame({"type": "Heartbeat", "messageId": frame[0].get("messageId")})
                elif peer.active >= self.max_requests:
                    error = api_error(429, "CMN-301", "Request rate exceeded")
                    self._answer(peer, frame[0], error.status, error.body)
                else:
                    peer.active += 1
                    requests.create_task(self._serve(peer, *frame))

    async def _serve(self, peer: Peer, meta: Json, body: Any) -> None:
        try:
            status, answer = await self._handle(peer, meta, body)
        except ApiError as error:
            status, answer = error.status, error.body
        finally:
            peer.active -= 1
        self._answer(peer, meta, status, answer)

    def _answer(self, peer: Peer, asked: Json, status: int, body: Any) -> None:
        headers = {"RCRequestId": secrets.token_hex(8)}
        meta = {"type": "ClientRequest", "messageId": asked.get("messageId"), "status": status, "headers": headers}
        if peer.session is not None:
            peer.send_frame(meta | {"wsc": peer.session.next_wsc()}, body)
        self._wake()

    # -- requests over the socket -------------------------------------------------------------------------------

    async def _handle(self, peer: Peer, meta: Json, body: Any) -> tuple[int, Any]:
        method, path = str(meta.get("method")), str(meta.get("path")).rstrip("/")
        await self.gates.passed(path)
        if path.startswith("/restapi/oauth"):
            raise api_error(404, "CMN-120", "Invalid URI")
        if path != SUBSCRIPTION and not path.startswith(SUBSCRIPTION + "/"):
            return await self._forward(peer, method, path, meta)
        if method == "POST" and path == SUBSCRIPTION:
            return 200, self._create(peer, body)
        subscription = peer.session.subscription if peer.session else None
        if subscription is None or path != f"{SUBSCRIPTION}/{subscription.id}":
            raise not_found("subscriptionId")
        if method == "PUT":
            self.subscriptions.change(subscription, body if isinstance(body, dict) else {})
        elif method == "DELETE":
            self.subscriptions.close(subscription)
            return 204, None
        return 200, self._show(subscription)

    def _create(self, peer: Peer, body: Any) -> Json:
        """A second subscription of a connection replaces the first."""
        mode = body.get("deliveryMode") if isinstance(body, dict) else None
        if not isinstance(mode, dict) or mode.get("transportType") != "WebSocket" or peer.session is None:
            raise invalid("deliveryMode.transportType")
        before = peer.session.subscription
        wanted = {name: value for name, value in body.items() if name != "expiresIn"}
        subscription = self.subscriptions.open(peer.oauth_session.owner_id, wanted)
        subscription.expires_at = 2**62  # the server itself renews it
        if before is not None:
            self.subscriptions.close(before)
        peer.session.subscription = subscription
        return self._show(subscription)

    def _show(self, subscription: Subscription) -> Json:
        subscription.expires_at = self.clock.now_ms() + LIFE_SECONDS * 1000
        shown = self.subscriptions.show(subscription) | {"expiresIn": LIFE_SECONDS}
        subscription.expires_at = 2**62
        return shown

    async def _forward(self, peer: Peer, method: str, path: str, meta: Json) -> tuple[int, Any]:
        """A plain read, by the routes everybody uses."""
        if method != "GET":
            raise api_error(501, "CMN-202", "Not supported by the simulator over WebSocket")
        self._http = self._http or aiohttp.ClientSession()
        headers = {"Authorization": f"Bearer {peer.oauth_session.access_token}"}
        query = meta.get("query") if isinstance(meta.get("query"), dict) else None
        async with self._http.get(self.base_url + path, params=query, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    # -- the end ------------------------------------------------------------------------------------------------

    def _end_session(self, session: WsSession | None) -> None:
        """A subscription dies with its session."""
        if session is None or session.peer is not None:
            return
        if session.subscription is not None:
            self.subscriptions.close(session.subscription)
        self.sessions.forget(session)

    async def stop(self) -> None:
        """Close every connection."""
        for peer in list(self.peers):
            await peer.socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
