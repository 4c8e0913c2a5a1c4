"""What the long proofs stand on: a door between a daemon and its platform, and calls in fast motion."""

import asyncio
import heapq
import itertools
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from ringledger.simulator import SimCall, Simulator

#: After so many simulated seconds the platform's log has every call that has ended.
LOG_DELAY_SECONDS = 100


class Door:
    """A TCP relay to a local port. While it is shut connections are refused, and those that were open are reset."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._own_port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._own_port}"

    async def open(self) -> None:
        """Let everybody through."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self._own_port)
        self._own_port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Nobody gets through any more."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection("127.0.0.1", self._port)
        pair = {writer, onward}
        self._writers |= pair
        try:
            await asyncio.gather(_pour(reader, onward), _pour(there, writer))
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shut()


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


def door_to(sim: Simulator) -> Door:
    """A door in front of a simulator; give its ``url`` to whoever is to go through it."""
    return Door(int(sim.url.rpartition(":")[2]))


async def happen(sim: Simulator, calls: Iterable[SimCall], *, real_seconds: float = 0.0) -> None:
    """Let planned calls happen from their first to their last step, moving simulated time along; spread over so many
    real seconds, so that a daemon can look on."""
    order = itertools.count()
    steps = [(step.at, next(order), call, step) for call in calls for step in call.plan]
    heapq.heapify(steps)
    pause = real_seconds / max(1, len(steps))
    while steps:
        at, _, call, step = heapq.heappop(steps)
        sim.clock.advance_to(at)
        sim.pbx.apply(call, step)
        if pause:
            await asyncio.sleep(pause)
