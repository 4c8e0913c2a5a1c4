"""One HTTP exchange with the platform: size, time and errors under control.

What must stay true: every failure is a ``PlatformError``; an answer never exceeds the size limit; no token, form
field or body text is shown by an error.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec
from multidict import CIMultiDictProxy

from ringledger.platform.errors import (
    BadRequest,
    Malformed,
    NotFound,
    PermissionDenied,
    PlatformError,
    PlatformUnavailable,
)
from ringledger.platform.limits import retry_after

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
        return inner or self.error_code or self.error or ""

    @property
    def text(self) -> str:
        """The platform's words for people."""
        return self.error_description or self.message or ""


_ERROR: Final = msgspec.json.Decoder(ErrorBody)


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
            method, url, headers=headers, timeout=TIMEOUT, allow_redirects=False, **content
        ) as response:
            body = await _body(response)
            return Answer(response.status, response.headers, body)
    except (aiohttp.ClientPayloadError, aiohttp.ContentTypeError):
        raise Malformed("the answer was cut off") from None
    except TimeoutError:
        raise PlatformUnavailable("no answer in time") from None
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise PlatformUnavailable(f"no connection ({type(error).__name__})") from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise Malformed(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


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
