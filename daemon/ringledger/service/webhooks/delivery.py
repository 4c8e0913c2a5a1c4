"""One delivery over HTTP: what is sent, and what an answer means.

What must stay true: only 2xx is acceptance; redirects are not followed; of an answer's body no more than a little is
read; nothing a receiver does raises.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple, Protocol

import aiohttp

from ringledger.service.webhooks.letters import WebhookReceiver

#: Longest body of an answer that is read (so that the connection can be used again); bytes.
READ_AT_MOST: Final = 4_096
GONE: Final = 410
#: What a receiver has against this letter, not against any.
NOT_THIS_ONE: Final = frozenset({400, 409, 413, 422})


class _Longest(Protocol):
    @property
    def longest_seconds(self) -> float: ...


class AttemptResult(NamedTuple):
    """What came of one attempt. ``error``: what went wrong, ``None``: accepted. ``gone``: the receiver wants no more
    events of this kind. ``receivers_fault``: another letter would have failed too. ``retry_after``: seconds the
    receiver asks us to wait."""

    error: str | None = None
    gone: bool = False
    receivers_fault: bool = False
    retry_after: float = 0.0

    def wait(self, schedule: _Longest) -> float:
        """Return how long to wait before the next attempt, seconds, as far as the receiver may decide it."""
        return min(self.retry_after, schedule.longest_seconds)


@asynccontextmanager
async def posting(timeout_seconds: float) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for deliveries: no cookies, no decompression, one deadline for everything."""
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    connector = aiohttp.TCPConnector(limit=0)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=jar, auto_decompress=False
    ) as session:
        yield session


async def post(
    session: aiohttp.ClientSession, receiver: WebhookReceiver, event_id: str, text: str, timestamp: int
) -> AttemptResult:
    """Deliver one event; raises nothing but cancellation. ``timestamp``: seconds since the epoch, now."""
    body = text.encode()
    headers = receiver.headers(event_id, timestamp, body)
    try:
        async with session.post(receiver.url, data=body, headers=headers, allow_redirects=False) as response:
            answer = _judged(response.status, response.headers.get("Retry-After", ""))
            with suppress(aiohttp.ClientError, TimeoutError):
                if (response.content_length or 0) <= READ_AT_MOST and not response.content.at_eof():
                    await response.content.read(READ_AT_MOST)
            return answer
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a receiver does, it is its own trouble
        return AttemptResult(_reason(error), receivers_fault=True)


def _judged(status: int, retry_after: str) -> AttemptResult:
    if 200 <= status < 300:
        return AttemptResult()
    if status == GONE:
        return AttemptResult("answered 410: it wants no more of this", gone=True)
    if 300 <= status < 400:
        return AttemptResult(
            f"answered {status}: redirects are not followed; set the new address", receivers_fault=True
        )
    seconds = float(retry_after) if retry_after.isdecimal() else 0.0
    return AttemptResult(f"answered {status}", receivers_fault=status not in NOT_THIS_ONE, retry_after=seconds)


def _reason(error: Exception) -> str:
    """A few words. Texts of errors may hold the whole address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError | aiohttp.ClientSSLError):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {os.strerror(error.os_error.errno) if error.os_error.errno else 'no connection'}"
    return "cannot deliver: the connection was closed before there was an answer"
