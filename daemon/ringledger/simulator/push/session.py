"""The gateway's memory: connections, and the sessions that outlive them.

What must stay true: frame numbers of a session only grow, while the ``sequence`` a client sees begins anew with each
recovery; a ``wsc`` that was not given out here is recognised as forged.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
import socket as sockets
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from ringledger.simulator.push.payloads import Json, dumped
from ringledger.simulator.push.subscriptions import Subscription
from ringledger.simulator.rest.oauth import Session

BUFFER_SIZE = 100
RECOVERY_SECONDS = 180.0


def abort(transport: asyncio.BaseTransport | None) -> None:
    """End a TCP connection with RST, not FIN."""
    if isinstance(transport, asyncio.Transport):
        plug = transport.get_extra_info("socket")
        if plug is not None:
            plug.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class Peer:
    """One open connection. Frames are queued and written in order by a task of its own."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        oauth_session: Session,
        *,
        muted: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self.socket, self.oauth_session = socket, oauth_session
        self.session: WsSession | None = None
        self.active = 0  # requests not answered yet
        self._request, self._muted, self._on_change = request, muted, on_change
        self.unwritten = 0
        self._out: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._opened = self._used = time.monotonic()

    def send(self, text: str | bytes | None) -> None:
        """Queue a frame; ``None``: close after what is queued."""
        self.unwritten += 1
        self._out.put_nowait(text)

    def send_frame(self, meta: Json, body: Any = None) -> None:
        frame = [meta] if body is None else [meta, body]
        self.send(dumped(frame))

    def send_error(self, code: str, message: str, *, status: int = 400, close: bool = True) -> None:
        meta = {"type": "Error", "messageId": secrets.token_hex(8), "status": status, "headers": {}}
        self.send_frame(meta, {"errorCode": code, "message": message})
        if close:
            self.send(None)

    def reset(self) -> None:
        abort(self._request.transport)

    def parsed(self, message: WSMessage) -> tuple[Json, Any] | None:
        """The frame a client sent; ``None`` when it is none."""
        self._used = time.monotonic()
        try:
            frame = json.loads(message.data) if message.type is WSMsgType.TEXT else None
        except ValueError:
            return None
        if not isinstance(frame, list) or not frame or not isinstance(frame[0], dict):
            return None
        return frame[0], frame[1] if len(frame) > 1 else None

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """While this lasts, queued frames are written; what is queued at the end still is, if anybody listens."""
        task = asyncio.create_task(self._write())
        try:
            yield
            self.send(None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(task, 2.0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def limited(self, idle_seconds: float, absolute_seconds: float) -> AsyncIterator[None]:
        """While this lasts, the connection is ended when it is too old or too quiet."""
        task = asyncio.create_task(self._expire(idle_seconds, absolute_seconds))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _write(self) -> None:
        while True:
            text = await self._out.get()
            try:
                if text is None:
                    await self.socket.close()
                    return
                if not self._muted():
                    await (self.socket.send_str(text) if isinstance(text, str) else self.socket.send_bytes(text))
            except (ConnectionError, RuntimeError):
                return
            finally:
                self._used = time.monotonic()
                self.unwritten -= 1
                self._on_change()

    async def _expire(self, idle_seconds: float, absolute_seconds: float) -> None:
        while True:
            idle, old = self._used + idle_seconds, self._opened + absolute_seconds
            left = min(idle, old) - time.monotonic()
            if left <= 0:
                code, what = ("WSG-903", "Absolute") if old <= idle else ("WSG-902", "Idle")
                self.send_error(code, f"{what} timeout reached")
                return
            await asyncio.sleep(left)


class WsSession:
    """What a ``wsc`` stands for: a subscription and its newest events."""

    def __init__(self, peer: Peer, sign: Callable[[str, int], str], buffer_size: int) -> None:
        self.id = secrets.token_hex(8)
        self.oauth_session_id = peer.oauth_session.session_id
        self.subscription: Subscription | None = None
        self.peer: Peer | None = None
        self.lost_at: float | None = None
        self.number = 0
        self.sent = 0
        self._base = 0
        self._sign = sign
        self._events: deque[tuple[int, Json, Json]] = deque(maxlen=buffer_size)

    @property
    def pending(self) -> bool:
        """Whether an event has not been written to a connection."""
        unsent = bool(self._events) and self._events[-1][0] > self.sent
        return unsent or (self.peer is not None and self.peer.unwritten > 0)

    def attach(self, peer: Peer, details: Json, *, after: int | None) -> None:
        """Greet a new connection; ``after``: it goes on behind that frame of ours."""
        self.peer, peer.session, self.lost_at = peer, self, None
        if after is None:
            wsc = self.next_wsc()
        else:
            self._base = after - 1
            wsc = self._wsc(after)
        meta = {"type": "ConnectionDetails", "messageId": secrets.token_hex(8), "status": 200, "wsc": wsc}
        peer.send_frame(meta | {"headers": {"RCRequestId": secrets.token_hex(8)}}, details)
        for number, kept, body in list(self._events):
            if after is not None and number > after:
                self._send(number, kept, body)

    def keep(self, meta: Json, body: Json) -> None:
        """An event: remembered, and sent if anybody is there."""
        self.number += 1
        self._events.append((self.number, meta, body))
        if self.peer is not None:
            self._send(self.number, meta, body)

    def next_wsc(self) -> Json:
        self.number += 1
        return self._wsc(self.number)

    def expired(self, seconds: float) -> bool:
        return self.lost_at is not None and time.monotonic() - self.lost_at > seconds

    def _send(self, number: int, meta: Json, body: Json) -> None:
        if self.peer is not None:
            headers = {"RCRequestId": secrets.token_hex(8)}
            self.peer.send_frame(meta | {"headers": headers, "wsc": self._wsc(number)}, body)
            self.sent = max(self.sent, number)

    def _wsc(self, number: int) -> Json:
        return {"token": self._sign(self.id, number), "sequence": number - self._base}


class WsSessions:
    """All sessions, by the ``wsc`` tokens that were given out for them."""

    def __init__(self) -> None:
        self.recovery_seconds, self.buffer_size = RECOVERY_SECONDS, BUFFER_SIZE
        self._secret = secrets.token_bytes(16)
        self._sessions: dict[str, WsSession] = {}

    def new(self, peer: Peer) -> WsSession:
        session = WsSession(peer, self._sign, self.buffer_size)
        self._sessions[session.id] = session
        return session

    def of(self, subscription: Subscription) -> WsSession | None:
        return next((s for s in self._sessions.values() if s.subscription is subscription), None)

    def subscribed(self) -> list[WsSession]:
        """Sessions that have a subscription and may still be recovered."""
        return [s for s in self._sessions.values() if s.subscription and not s.expired(self.recovery_seconds)]

    def detach(self, peer: Peer) -> None:
        session = peer.session
        if session is not None and session.peer is peer:
            session.peer, session.lost_at = None, time.monotonic()

    def forget(self, session: WsSession) -> None:
        self._sessions.pop(session.id, None)

    def find(self, wsc: str) -> tuple[WsSession | None, int] | None:
        """The session and the number a token names (``None`` for a session long gone); ``None``: it is forged."""
        session_id, _, rest = wsc.partition(".")
        number = rest.partition(".")[0]
        genuine = self._sign(session_id, int(number)) if number.isdecimal() else ""
        if not hmac.compare_digest(wsc.encode(), genuine.encode()):
            return None
        return self._sessions.get(session_id), int(number)

    def why_not(self, session: WsSession | None, peer: Peer) -> str:
        """The error code of a recovery that fails; empty when it succeeds."""
        if session is None or session.expired(self.recovery_seconds):
            return "WSG-1001"
        if session.oauth_session_id != peer.oauth_session.session_id:
            return "WSG-1003"
        return "" if session.subscription is not None else "WSG-1005"

    def _sign(self, session_id: str, number: int) -> str:
        text = f"{session_id}.{number}"
        return f"{text}.{hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:16]}"
