"""A scripted platform for what the simulator does not do: odd statuses, headers and bodies, in a given order."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fake:
    """Answers each request with the next scripted reply of its path; ``requests`` has what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._replies: dict[str, deque[Reply]] = {}

    def script(self, path: str, *replies: Reply) -> None:
        """Queue replies for ``path``; the last one stays."""
        self._replies.setdefault(path, deque()).extend(replies)

    def asked(self, path: str) -> list[dict[str, str]]:
        """Form or query of each request of ``path``."""
        return [fields for _, asked, fields in self.requests if asked == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        fields = {name: str(value) for name, value in form.items()} or dict(request.query)
        self.requests.append((request.method, request.path, fields))
        replies = self._replies[request.path]
        return await (replies.popleft() if len(replies) > 1 else replies[0])(request)


def reply(body: Any = None, status: int = 200, text: str | None = None, **headers: str) -> Reply:
    """JSON (or ``text``) with a status; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_request: web.Request) -> web.StreamResponse:
        if text is not None:
            return web.Response(status=status, text=text, headers=named)
        return web.json_response(body, status=status, headers=named)

    return answer


async def cut(request: web.Request) -> web.StreamResponse:
    """A body that ends before its announced length."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"records":[')
    assert request.transport is not None
    request.transport.abort()
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def serving() -> AsyncIterator[Fake]:
    """A fake on a loopback port."""
    fake = Fake()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
