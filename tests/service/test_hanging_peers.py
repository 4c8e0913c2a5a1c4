"""Peers that take a connection and never come to an end: each way out has a deadline and a bound, whatever they do.

TLS that is never agreed on, headers and bodies that drip or do not end, redirects in a circle. What PubNub's SDK waits
for longer than a poll is thrown away by its feed (tests/ringcentral/pubnub/test_feed.py).
"""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from yarl import URL

from ringledger.ringcentral.api.http import exchange, open_session
from ringledger.ringcentral.errors import PlatformError
from ringledger.ringcentral.websocket.connection import _handshake
from ringledger.service.webhooks.delivery import post, posting

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
#: The longest deadline of them (REST's), and work; KiB more.
LATEST, MOST_MORE = 65.0, 60_000
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def _for_ever(writer: asyncio.StreamWriter, first: bytes, piece: bytes, pause: float = 0) -> None:
    writer.write(first)
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


def endless(first: bytes, piece: bytes, pause: float = 0) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await _for_ever(writer, first, piece, pause)

    return behave


ENDLESS = {
    "says nothing": says_nothing,
    "headers without end": endless(HEAD, b"X-A: " + b"y" * 50 + b"\r\n"),
    "a header without end": endless(HEAD + b"X: ", b"y" * 65_536),
    "headers that drip": endless(HEAD + b"X: ", b"y", 3),
    "a body that drips": endless(HEAD + b"Content-Length: 100000\r\n\r\n", b"y", 3),
    "chunks that drip": endless(CHUNKED, b"1\r\na\r\n", 3),
    "an extension of a chunk that drips": endless(CHUNKED + b"1;", b"a", 3),
    "trailers without end": endless(CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: " + b"y" * 50 + b"\r\n"),
    "continue, continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 3),
    "redirects in a circle": endless(b"", b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 3),
}


@asynccontextmanager
async def peer(behave: Behaviour):
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await behave(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)


class Hook:
    """As a receiver is asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def headers(self, *_: Any) -> dict[str, str]:
        return {}


async def rest(url: str) -> None:
    async with open_session() as session:
        with pytest.raises(PlatformError):
            await exchange(session, "GET", url)


async def websocket(url: str) -> None:
    async with open_session() as session:
        with pytest.raises(PlatformError):
            await _handshake(session, URL(url.replace("http", "ws", 1)))


async def webhook(url: str) -> None:
    async with posting(15) as session:
        await post(session, Hook(url), "e", "{}", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", [rest, websocket, webhook], ids=lambda one: one.__name__)
@pytest.mark.parametrize(("what", "scheme"), [*((what, "http") for what in ENDLESS), ("says nothing", "https")])
async def test_nobody_is_waited_for_without_end(what: str, scheme: str, way: Callable[[str], Awaitable[None]]) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    async with peer(ENDLESS[what]) as port:
        await way(f"{scheme}://127.0.0.1:{port}/")
    assert time.monotonic() - began < LATEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MORE
