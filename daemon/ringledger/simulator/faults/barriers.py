"""Answers held back until somebody lets them go: what a client does meanwhile can be looked at without waiting.

What must stay true: a request at a closed gate is carried out once it opens, and only then.
"""

import asyncio

from aiohttp import web

from ringledger.simulator.rest.answers import Handler


class Gate:
    """Closed until :meth:`release`; ``reached`` is set when the first request waits at it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    def release(self) -> None:
        """Let everybody pass, for good."""
        self._open.set()

    async def passed(self) -> None:
        self.reached.set()
        await self._open.wait()


class Gates:
    """The gates of one simulator, each for requests with a certain text in their path, over HTTP and WebSocket."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def hold(self, path: str) -> Gate:
        """Hold back what has ``path`` in its path."""
        gate = self._gates[path] = Gate()
        return gate

    async def passed(self, path: str) -> None:
        """Return when every gate in the way is open."""
        for part, gate in self._gates.items():
            if part in path:
                await gate.passed()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self.passed(request.path)
        return await handler(request)
