"""One WebSocket connection and its frames: opened with a token of its own, read ahead of its user, watched for signs of
life.

A frame (platform page 3.2) is ``[meta]`` or ``[meta, body]``, read in two steps; a plain notification in one. What must
stay true: whatever arrives, :func:`read_frame` returns a frame or raises :class:`WireError`; a broken body never hides
the meta before it; both ways read a plain notification alike. Nothing is sent before ``ConnectionDetails``; pings are
answered even while the user is busy; answers find their questions by ``messageId`` alone; frames are handed out in
order, those that came before the end included; a token never appears in an error.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

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
from ringledger.ringcentral.decode.unreadable import MAX_BYTES, WireError, WireReason, decode, has_nul
from ringledger.ringcentral.decode.values import (
    ID_LENGTH,
    INT64_MAX,
    PATH_LENGTH,
    WORD_LENGTH,
    Int64,
    WireId,
    cut,
    text_id,
    whole,
)
from ringledger.ringcentral.errors import Malformed, PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.ratelimit.limits import DEFAULT_PENALTY_SECONDS, RateGroup, retry_after

T = TypeVar("T")

#: A larger frame ends the connection.
MAX_FRAME_BYTES: Final = 1024 * 1024
#: Characters of a recovery context, which is kept and sent back in an address; a longer text is not one.
MOST_TOKEN: Final = 4096
#: A longer error code is cut.
CODE_LENGTH: Final = 32
#: An answer with more headers is taken as one without.
MOST_HEADERS: Final = 100
#: The platform ends every connection with one of these some day: idle for too long, or too old.
ORDINARY_CODES: Final = frozenset({"WSG-902", "WSG-903"})
#: So many frames, and bytes of them, are read ahead while their user has no time: a ping behind them is answered all
#: the same. Beyond that the platform has to wait.
READ_AHEAD: Final = 50_000
READ_AHEAD_BYTES: Final = 32 * 1024 * 1024
CONNECT_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 1.0


# -- frames --------------------------------------------------------------------------------------------------------


class Wsc(msgspec.Struct, frozen=True):
    """The recovery context: a connection opened with ``token`` gets what came after it. ``token``: empty for none."""

    token: Annotated[str, msgspec.Meta(max_length=MOST_TOKEN)] = ""
    sequence: Int64 = 0


class WireMeta(msgspec.Struct, rename="camel", gc=False):
    """The first part of a frame. Only what tells frames apart is strict: the rest never costs an event."""

    type: str | None = None
    message_id: WireId = None
    status: Any = None
    wsc: Any = None
    headers: Any = None


class WireDetails(msgspec.Struct, rename="camel"):
    """The body of ``ConnectionDetails``; times are seconds."""

    recovery_buffer_size: Int64 = 100
    recovery_timeout: float = 180.0
    recovery_state: str | None = None
    recovery_error_code: str | None = None


class WireFault(msgspec.Struct, rename="camel"):
    """The body of an ``Error`` frame."""

    error_code: str = ""
    message: str = ""


class Frame(msgspec.Struct, frozen=True):
    """One frame; ``body`` is its JSON text, empty when there is none."""

    kind: str
    message_id: str | None
    status: int | None
    wsc: Wsc | None
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)


_Word = Annotated[str, msgspec.Meta(max_length=WORD_LENGTH)]
_Long = Annotated[str, msgspec.Meta(max_length=PATH_LENGTH)]


class PlainMeta(msgspec.Struct, rename="camel", gc=False):
    """As :class:`WireMeta`, of a notification: all as it should be, and nothing that has to be looked at."""

    type: Literal["ServerNotification"]
    message_id: Annotated[str, msgspec.Meta(max_length=ID_LENGTH)] | None = None
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    wsc: Wsc | None = None
    headers: Annotated[dict[_Word, _Long], msgspec.Meta(max_length=MOST_HEADERS)] | None = None


_plain: Final = msgspec.json.Decoder(tuple[PlainMeta, msgspec.Raw]).decode
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_META: Final = msgspec.json.Decoder(WireMeta)
_DETAILS: Final = msgspec.json.Decoder(WireDetails)
_FAULT: Final = msgspec.json.Decoder(WireFault)


def read_frame(data: str | bytes) -> Frame:
    """One received message; raises :class:`WireError`."""
    frame = read_plain(data)
    return read_any(data) if frame is None else frame


def read_plain(data: str | bytes) -> Frame | None:
    """A notification in the shape that nearly all have, in one step; ``None`` for all that is to be judged."""
    if len(data) > MAX_BYTES or has_nul(data):
        return None
    try:
        meta, body = _plain(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Frame(meta.type, meta.message_id or None, meta.status, meta.wsc, bytes(body), meta.headers or {})


def read_any(data: str | bytes) -> Frame:
    """A frame of any shape that can be read. Raises :class:`WireError`."""
    try:
        parts = decode(_PARTS, data)
    except WireError as error:
        meta_text, body = _split(data, error)
    else:
        if not parts:
            raise WireError(WireReason.WRONG_SHAPE, "an empty frame", data)
        meta_text, body = bytes(parts[0]), bytes(parts[1]) if len(parts) > 1 else b""
    meta = decode(_META, meta_text)
    if not meta.type:
        raise WireError(WireReason.MISSING_FIELD, "a frame without type", data)
    return Frame(
        cut(meta.type) or "",
        text_id(meta.message_id),
        whole(meta.status, 100, 599),
        _wsc(meta.wsc),
        body,
        _headers(meta.headers),
    )


def _headers(told: Any) -> dict[str, str]:
    """Headers of an answer, those that are text or a number."""
    if not isinstance(told, dict) or len(told) > MOST_HEADERS:
        return {}
    return {cut(name) or "": cut(str(value), PATH_LENGTH) or "" for name, value in told.items() if _is_short(value)}


def _is_short(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= INT64_MAX
    return isinstance(value, str) and len(value) <= PATH_LENGTH


def _wsc(told: Any) -> Wsc | None:
    """A recovery context that can be kept and sent back."""
    wsc = _lax(told, Wsc)
    return wsc if wsc is not None and len(wsc.token) <= MOST_TOKEN and "\x00" not in wsc.token else None


def _lax(value: Any, kind: type[T]) -> T | None:
    """``value`` as ``kind``, from text too; ``None`` when it is no such thing."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return None


def read_details(frame: Frame) -> WireDetails:
    """What ``ConnectionDetails`` says; its defaults when it cannot be read."""
    try:
        return decode(_DETAILS, frame.body)
    except WireError:
        return WireDetails()


def read_fault(frame: Frame) -> WireFault:
    """What an ``Error`` frame says, shortened."""
    try:
        fault = decode(_FAULT, frame.body)
        return WireFault(cut(fault.error_code, CODE_LENGTH) or "", cut(fault.message) or "")
    except WireError:
        return WireFault()


def _split(data: str | bytes, error: WireError) -> tuple[bytes, bytes]:
    """Meta and the rest of a frame that is not JSON as a whole, as multipart answers are; else raises ``error``."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    start = text.find("{")
    if start < 0 or text[:start].strip() != "[":
        raise error
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        raise error from None
    return text[start:end].encode("utf-8", "replace"), text[end:].lstrip(" ,").encode("utf-8", "replace")


# -- a connection --------------------------------------------------------------------------------------------------


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
