"""/livez, /readyz and /metrics over HTTP, when ``http.listen`` says so.

What must stay true: /livez touches nothing but the book of loops; no answer holds a number, a name or a secret.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from ringledger.admission import Admission, AdmittedProtocol
from ringledger.observability.metrics import CONTENT_TYPE, Metrics
from ringledger.service.health.checks import Finding, Severity
from ringledger.service.health.vitals import Vitals

#: How long a connection is kept for the next request, and at all, seconds.
KEPT_SECONDS: Final = 20.0
LONGEST_SECONDS: Final = 120.0
SIGNS: Final = {Severity.OK: "+", Severity.WARNING: "!", Severity.FAILURE: "-"}


@asynccontextmanager
async def serving(listen: str, vitals: Vitals, metrics: Metrics, goodbye: float) -> AsyncIterator[str]:
    """Answer at HOST:PORT (``listen``; empty: do nothing); yields the address in use. Raises ``OSError``.

    ``goodbye``: seconds the end may take; answers under way are broken off after half of it.
    """
    if not listen:
        yield ""
        return
    host, _, port = listen.rpartition(":")
    runner = web.AppRunner(
        application(vitals, metrics), access_log=None, shutdown_timeout=goodbye / 2, keepalive_timeout=KEPT_SECONDS
    )
    await runner.setup()
    admission = Admission("http.listen")
    server: asyncio.Server | None = None
    try:
        server = await _listen(runner, admission, host, int(port))
        address = server.sockets[0].getsockname()
        yield f"{address[0]}:{address[1]}"
    finally:
        if server is not None:
            server.close()
        admission.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, admission: Admission, host: str, port: int) -> asyncio.Server:
    handlers = runner.server
    if handlers is None:
        raise RuntimeError("the runner is not set up")
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: AdmittedProtocol(handlers(), admission, LONGEST_SECONDS), host.strip("[]"), port
        )
    except socket.gaierror as error:  # which does not say what it is about
        raise OSError(error.errno, error.strerror, f"http.listen {host}") from error
    except OSError as error:  # nor this one, but for the address
        raise OSError(error.errno, os.strerror(error.errno or 0), f"http.listen {host}:{port}") from error


def application(vitals: Vitals, metrics: Metrics) -> web.Application:
    """The three answers."""

    async def livez(_request: web.Request) -> web.Response:
        stuck = vitals.loops.stuck()
        return web.Response(status=503 if stuck else 200, text=f"stuck: {', '.join(stuck)}\n" if stuck else "ok\n")

    async def readyz(request: web.Request) -> web.Response:
        name = request.query.get("account")
        if name is not None and not vitals.knows(name):
            return web.Response(status=404, text=f"{name}: no such account\n")
        findings, failed = vitals.findings(name), vitals.failures(name)
        if "verbose" in request.query:
            text = "".join(_lines(findings))
        else:
            text = ", ".join(dict.fromkeys(map(_named, failed))) or "ok"
        return web.Response(status=503 if failed else 200, text=text.rstrip("\n") + "\n")

    async def exposed(_request: web.Request) -> web.Response:
        vitals.measure()
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposed)])
    return app


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for one in findings:
        yield f"[{SIGNS[one.severity]}] {_named(one)}: {one.found}" + (f"; {one.cure}" if one.cure else "") + "\n"


def _named(one: Finding) -> str:
    """A check's code, with the account it is about."""
    return f"{one.account}/{one.code}" if one.account else one.code
