"""/livez, /readyz and /metrics over HTTP, when ``http.listen`` says so.

What must stay true: /livez touches nothing but the book of loops; no answer holds a number, a name or a secret.
"""

import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from ringledger.metrics import CONTENT_TYPE, Metrics
from ringledger.service.checks import Finding, Severity
from ringledger.service.vitals import Vitals

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
    runner = web.AppRunner(application(vitals, metrics), access_log=None, shutdown_timeout=goodbye / 2)
    await runner.setup()
    try:
        await _listen(runner, host, int(port))
        address = runner.addresses[0]
        yield f"{address[0]}:{address[1]}"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host.strip("[]"), port).start()
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
        findings = vitals.findings()
        failed = [one for one in findings if one.severity is Severity.FAILURE]
        verbose = "verbose" in request.query
        text = "".join(_lines(findings)) if verbose else ", ".join(one.code for one in failed) or "ok"
        return web.Response(status=503 if failed else 200, text=text.rstrip("\n") + "\n")

    async def exposed(_request: web.Request) -> web.Response:
        vitals.measure()
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", exposed)])
    return app


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for one in findings:
        yield f"[{SIGNS[one.severity]}] {one.code}: {one.found}" + (f"; {one.cure}" if one.cure else "") + "\n"
