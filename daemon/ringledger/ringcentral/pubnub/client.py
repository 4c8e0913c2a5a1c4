"""The PubNub SDK, tamed: one client on one channel, every poll guarded.

The SDK's subscribe loop ends silently on many faults and moves its cursor before anybody has the messages. Here
every answer passes a :class:`PollGate` first, which commits it; only then the SDK hears of it, with no messages
left in it. What must stay true: whatever goes wrong in a poll becomes a ``PubNubException``, for only that keeps
the SDK polling; an answer is of bounded size, packed and unpacked, and a redirect is never followed, whatever the SDK
asks for. Uses private names of the SDK, pinned by a contract test.
"""
# ruff: noqa: SLF001  the SDK has no public way to stop cleanly

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

import httpx
from pubnub.enums import PNReconnectionPolicy
from pubnub.exceptions import PubNubAsyncioException, PubNubException
from pubnub.models.envelopes import AsyncioEnvelope
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio
from pubnub.request_handlers.async_httpx import AsyncHttpxRequestHandler, PubNubAsyncHTTPTransport

from ringledger.ringcentral.api.unpacking import NotUnpacked, Unpacker
from ringledger.ringcentral.subscriptions.subscription import PubNubDelivery

#: Longest hold of a poll plus a margin; a shorter one loses messages to endless timeouts.
POLL_SECONDS: Final = 310
CONNECT_SECONDS: Final = 10
#: Longest answer, bytes, packed and unpacked: a hundred messages of 32 KiB, in base64, and room.
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
SUBSCRIBE_PATH: Final = "/v2/subscribe/"
#: A path that drops packets silently is noticed after about a minute instead of five.
KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_SDK_LOGGERS: Final = {
    "pubnub": logging.CRITICAL,
    "pubnub.subscribe": logging.CRITICAL,
    "pubnub.presence": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}


class BadAnswer(Exception):
    """A poll was answered with something that is no answer."""


class Refusal(Exception):
    """A poll was answered with another status than success."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or f"status {status}")
        self.status = status


class BoundedTransport(PubNubAsyncHTTPTransport):  # type: ignore[misc]
    """The SDK's transport for answers of bounded size that come from where they were asked for."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange. Raises :class:`Refusal` without success, :class:`BadAnswer` for more than
        ``MAX_ANSWER_BYTES``.
        """
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        try:
            if 300 <= response.status_code < 400:
                raise Refusal(response.status_code, f"status {response.status_code}: redirects are not followed")
            if response.status_code != 200:  # the SDK reads the body first, be it a proxy's page
                raise Refusal(response.status_code)
            unpacker = Unpacker(response.headers.get("Content-Encoding", ""), MAX_ANSWER_BYTES)
            async for piece in response.stream:
                unpacker.feed(piece)
            body = unpacker.body()
        except NotUnpacked as error:
            raise BadAnswer(str(error)) from None
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _ABOUT_THE_BODY]
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)


_ABOUT_THE_BODY: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


#: What the SDK raises of a body that it cannot read.
_UNREADABLE: Final = (ValueError, AttributeError, TypeError, RecursionError, OverflowError)


class PollGate(Protocol):
    """Decides about every poll of one client."""

    async def before_poll(self) -> None:
        """Return when a poll may be opened."""

    async def answered(self, cursor: int, answer: Any) -> tuple[str, int]:
        """Take the parsed ``answer`` of a poll asked at ``cursor``; returns the new cursor and its region
        after the commit. Raises :class:`BadAnswer` for no answer, anything else to have it asked again.
        """

    def failed(self, reason: str, status: int | None, *, unreadable: bool) -> None:
        """A poll failed; the SDK waits and asks again. ``unreadable``: what came after the cursor is no answer."""


class GuardedHandler(AsyncHttpxRequestHandler):  # type: ignore[misc]
    """The SDK's request handler with a gate in front of every poll."""

    gate: PollGate

    def __init__(self, pubnub: Any) -> None:
        self.pubnub = pubnub
        verify = pubnub.config.ssl
        self._connector = BoundedTransport(verify=verify, http2=verify, socket_options=KEEPALIVE)

    async def async_request(self, options_func: Callable[[], Any], cancellation_event: Any) -> Any:
        """One request of the SDK; polls pass the gate."""
        options = options_func()
        if not options.path.startswith(SUBSCRIBE_PATH):
            return await super().async_request(options_func, cancellation_event)
        options.merge_params_in({})
        cursor = int(options.params.get("tt", 0))
        try:
            return await self._poll(cursor, options_func, cancellation_event)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  whatever it was, the SDK must go on
            reason, status = _explain(error)
            self.gate.failed(reason, status, unreadable=cursor > 0 and isinstance(error, BadAnswer))
            raise PubNubException(errormsg=reason, status_code=status or 0) from None

    async def _poll(self, cursor: int, options_func: Callable[[], Any], cancellation_event: Any) -> Any:
        await self.gate.before_poll()
        try:
            envelope = await super().async_request(options_func, cancellation_event)
        except _UNREADABLE:
            raise BadAnswer("unreadable answer") from None
        if envelope is None:  # the SDK's way to say that it was cancelled
            raise asyncio.CancelledError
        token, region = await self.gate.answered(cursor, envelope.result)
        return AsyncioEnvelope({"t": {"t": token, "r": region}, "m": []}, envelope.status)


class PubNubChannel:
    """One SDK client on the channel of one subscription.

    ``origin``: empty for PubNub's own, else an ``http://`` or ``https://`` address. ``backoff``: first and
    longest wait between attempts, whole seconds (the SDK overflows on fractions after many attempts).
    """

    def __init__(
        self,
        delivery: PubNubDelivery,
        gate: PollGate,
        *,
        user_id: str,
        origin: str = "",
        backoff: tuple[int, int] = (1, 30),
        poll_seconds: int = POLL_SECONDS,
    ) -> None:
        quiet_sdk()
        config = PNConfiguration()
        config.disable_config_locking = False
        config.subscribe_key = delivery.subscriber_key
        config.user_id = user_id
        config.reconnect_policy = PNReconnectionPolicy.EXPONENTIAL
        config.maximum_reconnection_retries = -1
        config.reconnection_interval, config.maximum_reconnection_interval = backoff
        config.subscribe_request_timeout = poll_seconds
        config.connect_timeout = CONNECT_SECONDS
        if origin:
            url = httpx.URL(origin)
            config.origin = url.netloc.decode()
            config.ssl = url.scheme == "https"
        handler = type("BoundHandler", (GuardedHandler,), {"gate": gate})
        self._address = delivery.address
        self._pubnub = PubNubAsyncio(config, custom_request_handler=handler)
        self._pubnub._subscription_manager.loop.close()  # a spare one that the SDK opens, never uses and never closes

    def start(self, cursor: int) -> None:
        """Poll from ``cursor`` (a timetoken), 0: from now on."""
        builder = self._pubnub.subscribe().channels(self._address)
        (builder.with_timetoken(cursor) if cursor else builder).execute()

    async def close(self) -> None:
        """Stop polling and free everything, whatever state the client is in; once more does no harm."""
        manager = self._pubnub._subscription_manager
        tasks = []
        for engine in (manager.event_engine, manager.presence_engine):
            engine.stop()  # first: a cancelled effect would schedule a reconnect
            effects = engine.get_dispatcher()._managed_effects.values()
            tasks += [task for effect in effects if (task := _open_task(effect)) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        handler = self._pubnub._request_handler
        if handler._session is not None:
            await handler._session.aclose()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def quiet_sdk() -> None:
    """Keep the SDK's own log lines out: they show keys and channels, and we report what they say."""
    for name, level in _SDK_LOGGERS.items():
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, level))


def _open_task(effect: Any) -> "asyncio.Task[Any] | None":
    task = getattr(effect, "task", None)
    return task if isinstance(task, asyncio.Task) and not task.done() else None


def _explain(error: Exception) -> tuple[str, int | None]:
    """A short reason without addresses or bodies, and the HTTP status if there was one."""
    if isinstance(error, PubNubException | PubNubAsyncioException):
        return "refused", None
    if isinstance(error, Refusal):
        return str(error), error.status
    if isinstance(error, BadAnswer):
        return str(error), None
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "no answer in time", None
    if isinstance(error, ValueError | AttributeError | TypeError | RecursionError | OverflowError):
        return "unreadable answer", None
    if isinstance(error, httpx.ConnectError):
        return "no connection to PubNub", None
    return "broken connection to PubNub", None
