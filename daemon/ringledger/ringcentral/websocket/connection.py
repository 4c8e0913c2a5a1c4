"""One WebSocket connection: opened with a token of its own, read ahead of its user, watched for signs of life.

What must stay true: nothing is sent before ``ConnectionDetails``; pings are answered even while the user is busy;
answers find their questions by ``messageId`` alone; frames are handed out in order, those that came before the end
included; a token never appears in an error.
"""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import aiohttp
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ringledger.addresses import is_loopback
from ringledger.clock import now_ms
from ringledger.domain.observation import Unreadable
from ringledger.ringcentral.api.client import PlatformClient, read_answer
from ringledger.ringcentral.api.connection import Request
from ringledger.ringcentral.api.http import Answer, cause_of, failure, unreachable
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import PATH_LENGTH
from ringledger.ringcentral.errors import Malformed, PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.ratelimit.limits import DEFAULT_PENALTY_SECONDS, RateGroup, retry_after
from ringledger.ringcentral.websocket.frames import (
    MAX_FRAME_BYTES,
    MOST_TOKEN,
    Frame,
    WireDetails,
    read_details,
    read_fault,
    read_frame,
)

#: The platform ends every connection with one of these some day: idle for too long, or too old.
ORDINARY_CODES: Final = frozenset({"WSG-902", "WSG-903"})
#: So many frames, and bytes of them, are read ahead while their user has no time: a ping behind them is answered all
#: the same. Beyond that the platform has to wait.
READ_AHEAD: Final = 50_000
READ_AHEAD_BYTES: Final = 32 * 1024 * 1024
CONNECT_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 1.0


class WireTicket(msgspec.Struct):
    """The answer of ``wstoken``."""

    uri: Annotated[str, msgspec.Meta(max_length=PATH_LENGTH)]
    ws_access_token: Annotated[str, msgspec.Meta(max_length=MOST_TOKEN)]


_TICKET: Final = msgspec.json.Decoder(WireTicket)


class ConnectionEnded(Exception):
    """The connection is over. ``code``: the platform's, if it gave one; ``unreadable``: the frame that broke it."""

    def __init__(self, reason: str, *, code: str = "", unreadable: Unreadable | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.unreadable = unreadable

    @property
    def ordinary(self) -> bool:
        """Whether it is nothing to speak of."""
        return self.code in ORDINARY_CODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigilance:
    """How long a connection may be quiet, real seconds: ``heartbeat_seconds`` without a frame and we ask,
    ``dead_seconds`` without any sign and it is given up; it is looked at every ``watch_seconds``. A greeting or an
    answer may take ``answer_seconds``.
    """

    heartbeat_seconds: float = 60.0
    dead_seconds: float = 90.0
    watch_seconds: float = 1.0
    answer_seconds: float = 20.0


class WebSocketConnection:
    """An open connection. ``details`` is its first frame's body, ``greeting`` that frame itself.

    ``on_beat`` is called every ``watch_seconds`` while it is in order.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        greeting: Frame,
        vigilance: Vigilance,
        on_beat: Callable[[], None],
    ) -> None:
        self.greeting = greeting
        self.details: WireDetails = read_details(greeting)
        self.last_sign = self.last_frame = time.monotonic()
        self._socket = socket
        self._vigilance = vigilance
        self._on_beat = on_beat
        #: What was read, with its size in bytes.
        self._ahead: deque[tuple[Frame | Unreadable, int]] = deque()
        self._ahead_bytes = 0
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._stir = asyncio.Event()
        self._space = asyncio.Event()
        self._full = False
        self._ended: ConnectionEnded | None = None
        self._tasks = [
            asyncio.create_task(self._read(), name="websocket reader"),
            asyncio.create_task(self._watch(), name="websocket watch"),
        ]

    # -- for the feed -------------------------------------------------------------------------------------------

    async def batch(self, limit: int, seconds: float) -> list[Frame | Unreadable]:
        """Up to ``limit`` frames that are there; waits up to ``seconds`` for one, or for :meth:`wake`.

        Raises :class:`ConnectionEnded` when it is over and everything has been handed out.
        """
        if not self._ahead and self._ended is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stir.wait()
        self._stir.clear()
        if not self._ahead and self._ended is not None:
            raise self._ended
        taken = [self._ahead.popleft() for _ in range(min(limit, len(self._ahead)))]
        self._ahead_bytes -= sum(size for _, size in taken)
        self._space.set()
        return [frame for frame, _ in taken]

    def wake(self) -> None:
        """Let :meth:`batch` return."""
        self._stir.set()

    async def request(self, method: str, path: str, body: Any = None) -> bytes:
        """Ask over the socket; the answer's body. Raises ``PlatformError``, or :class:`ConnectionEnded`."""
        message_id = str(uuid.uuid4())
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        meta = {"type": "ClientRequest", "messageId": message_id, "method": method, "path": path}
        try:
            async with asyncio.timeout(self._vigilance.answer_seconds):
                await self._send([meta] if body is None else [meta, body])
                return _judged(await answer)
        except TimeoutError:
            raise PlatformUnavailable("no answer over the WebSocket in time") from None
        finally:
            self._answers.pop(message_id, None)

    async def close(self) -> None:
        """End it; what was read ahead is dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()

    # -- reading ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        ended = ConnectionEnded("it broke")
        try:
            while True:
                await self._until_space()
                message = await self._socket.receive()
                self.last_sign = time.monotonic()
                if message.type is aiohttp.WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    self._take(message.data)
                elif message.type is not aiohttp.WSMsgType.PONG:
                    ended = _ending(message)
                    return
        except ConnectionEnded as told:
            ended = told
        except (aiohttp.ClientError, OSError) as error:
            ended = ConnectionEnded(f"no connection: {cause_of(error)}")
        finally:
            self._end(ended)

    async def _until_space(self) -> None:
        while len(self._ahead) >= READ_AHEAD or self._ahead_bytes >= READ_AHEAD_BYTES:
            self._full = True
            self._space.clear()
            await self._space.wait()
        self._full = False

    def _take(self, data: str | bytes) -> None:
        self.last_frame = self.last_sign
        try:
            frame = read_frame(data)
        except WireError as error:
            self._keep(error.unreadable(now_ms()), len(data))
        else:
            self._sort(frame, len(data))
        self._stir.set()

    def _keep(self, frame: Frame | Unreadable, size: int) -> None:
        self._ahead.append((frame, size))
        self._ahead_bytes += size

    def _sort(self, frame: Frame, size: int) -> None:
        """Every frame goes on, for its ``wsc``; answers wake who asked, errors that answer nothing are the end."""
        if frame.kind in ("ClientRequest", "Error"):
            waiting = self._answers.get(frame.message_id or "")
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            elif frame.kind == "Error":
                raise _refusal(frame)
        self._keep(frame, size)

    def _end(self, ended: ConnectionEnded) -> None:
        if self._ended is None:
            self._ended = ended
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(self._ended)
        self._stir.set()

    # -- watching -----------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Ask when it is quiet, give up when nothing comes; while its user has no time, silence is our own."""
        asked = 0.0
        while self._ended is None:
            await asyncio.sleep(self._vigilance.watch_seconds)
            now = time.monotonic()
            if self._full:
                self.last_sign = now
            if now - self.last_sign > self._vigilance.dead_seconds:
                self._end(ConnectionEnded(f"nothing came for {now - self.last_sign:.0f} s"))
                return
            self._on_beat()
            if now - max(self.last_frame, asked) > self._vigilance.heartbeat_seconds:
                asked = now
                with contextlib.suppress(ConnectionEnded, TimeoutError):
                    async with asyncio.timeout(self._vigilance.watch_seconds):
                        await self._send([{"type": "Heartbeat", "messageId": str(uuid.uuid4())}])

    async def _send(self, frame: list[Any]) -> None:
        try:
            await self._socket.send_str(msgspec.json.encode(frame).decode())
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionEnded(f"no connection: {cause_of(error)}") from None


async def open_connection(
    client: PlatformClient, wsc: str | None, vigilance: Vigilance, on_beat: Callable[[], None]
) -> WebSocketConnection:
    """Fetch a token and connect, with ``wsc`` to go on where a former connection ended.

    Raises ``PlatformError``, or :class:`ConnectionEnded` when the platform closes it without a greeting.
    """
    wanted = Request(method="POST", path="/wstoken", root="/restapi/oauth", group=RateGroup.AUTH, background=False)
    ticket = read_answer(_read_ticket, (await client.send(wanted)).body)
    query = {"access_token": ticket.ws_access_token, **({"wsc": wsc} if wsc else {})}
    socket = await _handshake(client.session, _address(ticket).update_query(query))
    try:
        greeting = await _greeting(socket, vigilance.answer_seconds)
    except BaseException:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close()
        raise
    return WebSocketConnection(socket, greeting, vigilance, on_beat)


def _address(ticket: WireTicket) -> URL:
    """Where to connect. Raises :class:`Malformed`: the token it carries does not travel in clear."""
    try:
        address = URL(ticket.uri)
    except ValueError:
        raise Malformed("a WebSocket address that is none") from None
    if address.scheme != "wss" and not (address.scheme == "ws" and is_loopback(address.host or "")):
        raise Malformed("a WebSocket address that is not wss://")
    return address


async def _handshake(session: aiohttp.ClientSession, address: URL) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await session.ws_connect(
                address,
                autoping=False,
                max_msg_size=MAX_FRAME_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
    except aiohttp.ClientResponseError as error:  # a redirect too: it is not followed
        raise PlatformUnavailable(f"status {error.status} instead of a WebSocket") from None
    except TimeoutError:
        raise PlatformUnavailable(f"no WebSocket: {unreachable(str(address), TimeoutError())}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise PlatformUnavailable(f"no WebSocket: {unreachable(str(address), error)}") from None


async def _greeting(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> Frame:
    """The first frame, which has to be ``ConnectionDetails``."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    break
                else:
                    raise _ending(message)
    except TimeoutError:
        raise PlatformUnavailable("no greeting in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionEnded(f"no connection: {cause_of(error)}") from None
    frame = read_answer(read_frame, message.data)
    if frame.kind == "Error":
        raise _refusal(frame)
    if frame.kind != "ConnectionDetails":
        raise Malformed(f"a greeting of type {frame.kind[:40]}")
    return frame


def _read_ticket(payload: bytes) -> WireTicket:
    return decode(_TICKET, payload)


def _ending(message: aiohttp.WSMessage) -> ConnectionEnded:
    """Why there are no more messages."""
    if message.type is not aiohttp.WSMsgType.ERROR:
        return ConnectionEnded("closed by the platform")
    error = message.data
    if not isinstance(error, aiohttp.WebSocketError):
        return ConnectionEnded(f"no connection: {cause_of(error)}")
    too_large = error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    reason = WireReason.TOO_LARGE if too_large else WireReason.NOT_TEXT
    broken = WireError(reason, f"a frame against the protocol, close code {error.code}")
    return ConnectionEnded("a frame against the protocol", unreadable=broken.unreadable(now_ms()))


def _refusal(frame: Frame) -> ConnectionEnded:
    """What an ``Error`` frame that answers nothing means: the platform ends the connection, or we had better."""
    fault = read_fault(frame)
    return ConnectionEnded(f"{fault.error_code} {fault.message}".strip() or "an error", code=fault.error_code)


def _judged(frame: Frame) -> bytes:
    """The body of a good answer; any other raises ``PlatformError``."""
    headers: Mapping[str, str] = frame.headers
    proxy = CIMultiDictProxy(CIMultiDict(headers))
    status = frame.status or 0
    if frame.kind == "ClientRequest" and 200 <= status < 300:
        return frame.body
    if status == 429:
        raise Throttled(retry_after(proxy) or DEFAULT_PENALTY_SECONDS, RateGroup.MEDIUM)
    error: PlatformError = failure(Answer(status, proxy, frame.body))
    raise error
