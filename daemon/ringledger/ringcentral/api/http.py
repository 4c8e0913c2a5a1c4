"""One HTTP exchange with the platform: size, time and errors under control.

What must stay true: every failure is a ``PlatformError``; an answer never exceeds the size limit, packed or unpacked;
no redirect is followed, for it would carry the token elsewhere; no token, form field or body text is shown by an error.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from multidict import CIMultiDictProxy

from ringledger.ringcentral.api.unpacking import ACCEPTED, NotUnpacked, Unpacker
from ringledger.ringcentral.decode.values import cut
from ringledger.ringcentral.errors import (
    BadRequest,
    Malformed,
    NotFound,
    PermissionDenied,
    PlatformError,
    PlatformUnavailable,
)
from ringledger.ringcentral.ratelimit.limits import retry_after

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=10, sock_read=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes = field(repr=False)


class ErrorDetail(msgspec.Struct, rename="camel"):
    """One entry of an error body's ``errors``."""

    error_code: str | None = None
    permission_name: str | None = None


class ErrorBody(msgspec.Struct, rename="camel"):
    """An error body, OAuth's (snake case) and the API's (camel case) alike."""

    error: str | None = None
    error_description: str | None = msgspec.field(default=None, name="error_description")
    error_code: str | None = None
    message: str | None = None
    permission_name: str | None = None
    errors: list[ErrorDetail] = []

    @property
    def code(self) -> str:
        """The most exact code the body has; act on it, never on the text."""
        inner = self.errors[0].error_code if self.errors else None
        return cut(inner or self.error_code or self.error) or ""

    @property
    def text(self) -> str:
        """The platform's words for people."""
        return self.error_description or self.message or ""


_ERROR: Final = msgspec.json.Decoder(ErrorBody)


async def refuse_redirects(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A middleware for what cannot be asked with ``allow_redirects=False``: a WebSocket's handshake."""
    response = await send(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientResponseError(
            response.request_info, (), status=response.status, message="redirects are not followed"
        )
    return response


def open_session(**options: Any) -> aiohttp.ClientSession:
    """A session for the platform: without cookies, which would only grow, and without redirects.

    ``options``: those of ``aiohttp.ClientSession``.
    """
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), middlewares=(refuse_redirects,), **options)


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> Answer:
    """Send one request (``content``: aiohttp's ``params``, ``json``, ``data``); any status is an answer.

    Raises :class:`PlatformUnavailable` or :class:`Malformed`.
    """
    try:
        async with session.request(
            method,
            url,
            headers={**(headers or {}), "Accept-Encoding": ACCEPTED},
            timeout=TIMEOUT,
            allow_redirects=False,
            auto_decompress=False,
            **content,
        ) as response:
            if 300 <= response.status < 400:
                raise _redirected(response.status)
            return Answer(response.status, response.headers, await _body(response))
    except aiohttp.ClientResponseError as error:
        raise _redirected(error.status) if 300 <= error.status < 400 else Malformed("no sound answer") from None
    except aiohttp.ClientPayloadError:
        raise Malformed("the answer was cut off") from None
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise PlatformUnavailable(unreachable(url, error)) from None


def _redirected(status: int) -> Malformed:
    return Malformed(f"status {status}: redirects are not followed")


def unreachable(url: str, error: BaseException) -> str:
    """Which host and port could not be reached, and why, in the words of the system, not of a library."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme in {"http", "ws"} else 443)
    return f"{parts.hostname}:{port}: {cause_of(error)}"


def cause_of(error: BaseException) -> str:
    """Why a connection could not be made or broke, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        return f"its certificate is not trusted ({getattr(inner, 'verify_message', '') or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host, or no name server answers"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "no TLS connection could be agreed on"
    system = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(system, socket.gaierror):
        return "no such host, or no name server answers"
    if isinstance(system, OSError) and system.errno:
        return os.strerror(system.errno)
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "is no address that can be asked"
    return "the connection was closed before there was an answer"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    try:
        unpacker = Unpacker(response.headers.get("Content-Encoding", ""), MAX_ANSWER_BYTES)
        async for chunk in response.content.iter_any():
            unpacker.feed(chunk)
        return unpacker.body()
    except NotUnpacked as error:
        raise Malformed(str(error)) from None


def error_body(answer: Answer) -> ErrorBody | None:
    """The error an answer's body tells; ``None`` when it is no such body."""
    try:
        return _ERROR.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def failure(answer: Answer) -> PlatformError:
    """The error for an answer that is no success; 401 and 429 are the callers' own business."""
    if answer.status >= 500 or answer.status in (408, 401):
        return PlatformUnavailable(f"status {answer.status}", retry_after=retry_after(answer.headers))
    told = error_body(answer)
    if told is None:
        return Malformed(f"status {answer.status} without a readable error")
    if answer.status == 403:
        inner = told.errors[0].permission_name if told.errors else None
        return PermissionDenied(inner or told.permission_name or "", told.code, told.text)
    if answer.status == 404:
        return NotFound(told.code, told.text)
    return BadRequest(told.code, told.text, status=answer.status)
