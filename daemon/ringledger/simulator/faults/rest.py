"""What faults do to answers of the REST interface.

What must stay true: a request a fault answers for is never carried out, except for those that spoil a real answer
(``cut-body``, ``empty-listing``, ``poison-record``, ``scramble``, ``same-page``, ``odd-date``, ``odd-rate``). Seconds
of ``slow`` are real ones, as a client's patience is.
"""

import asyncio
import json
import re
from weakref import WeakKeyDictionary

from aiohttp import web

from ringledger.simulator.faults.plan import FaultPlan
from ringledger.simulator.faults.poison import DATES, RATES, bomb, poisoned_listing, scrambled
from ringledger.simulator.rest.answers import Handler, api_error
from ringledger.simulator.rest.limits import Limits, group_of

LISTING = re.compile(r"/(active-calls|call-log|call-log-sync|extension)$")
PAGE = "<html><head><title>Service unavailable</title></head><body>Please come back later</body></html>"


class RestFaults:
    """The middleware that lets faults happen."""

    def __init__(self, plan: FaultPlan, limits: Limits) -> None:
        self.plan, self.limits = plan, limits
        self._odd: WeakKeyDictionary[web.StreamResponse, dict[str, str]] = WeakKeyDictionary()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        struck = self._struck(request) if request.path.startswith("/restapi/") else {}
        if "slow" in struck:
            await asyncio.sleep(struck["slow"])
        if "429" in struck:
            group = group_of(request.method, request.path) or "light"
            raise self.limits.refuse(self.limits.user_of(request, group), group)
        if "page-fails" in struck:
            raise api_error(503, "CMN-201", "Service Temporary Unavailable")
        if "status-5xx" in struck:
            status = self.plan.dice.choice([500, 502, 503])
            raise api_error(status, "CMN-201", "Service Temporary Unavailable")
        if "html" in struck:
            return web.Response(text=PAGE, content_type="text/html")
        if "redirect" in struck:
            return web.Response(status=302, headers={"Location": str(request.url.with_path("/elsewhere"))})
        if "bomb" in struck:
            return packed_bomb("application/json")
        if "endless" in struck:
            return await _endless(request)
        return await self._spoiled(request, handler, struck)

    async def _spoiled(self, request: web.Request, handler: Handler, struck: dict[str, float]) -> web.StreamResponse:
        if "same-page" in struck:
            request = request.clone(rel_url=request.rel_url.update_query(page="1"))
        response = await handler(request)
        if "same-page" in struck:
            response = _never_last(response)
        if "empty-listing" in struck:
            response = _emptied(response)
        if "poison-record" in struck:
            response = _poisoned(response)
        if "scramble" in struck:
            response = self._scrambled(response)
        if "odd-date" in struck:
            self._odd.setdefault(response, {})["Date"] = self.plan.dice.choice(DATES)
        if "odd-rate" in struck:
            self._odd.setdefault(response, {}).update(self.plan.dice.choice(RATES))
        return await _cut(request, response) if "cut-body" in struck else response

    def _scrambled(self, response: web.StreamResponse) -> web.StreamResponse:
        if not isinstance(response, web.Response) or not response.text or response.status != 200:
            return response
        return web.json_response(scrambled(json.loads(response.text), self.plan.dice))

    @web.middleware
    async def headers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The outermost middleware: what faults say in headers outranks what the platform would say."""
        response = await handler(request)
        if not response.prepared:
            response.headers.update(self._odd.pop(response, {}))
        return response

    def _struck(self, request: web.Request) -> dict[str, float]:
        """The faults that strike this request, each with its seconds."""
        return {
            fault.name: fault.seconds
            for fault in self.plan.of("rest")
            if fault.path in request.path and _fits(fault.name, request) and self.plan.strikes(fault)
        }


def _fits(name: str, request: web.Request) -> bool:
    listing = request.method == "GET" and LISTING.search(request.path) is not None
    if name == "page-fails":
        return listing and request.query.get("page", "1") != "1"
    return listing or name not in ("empty-listing", "poison-record", "same-page")


def _emptied(response: web.StreamResponse) -> web.StreamResponse:
    """The same answer without records and without a page after it."""
    if not isinstance(response, web.Response) or response.text is None or response.status != 200:
        return response
    body = json.loads(response.text)
    body["records"] = []
    body.get("navigation", {}).pop("nextPage", None)
    return web.json_response(body)


def _never_last(response: web.StreamResponse) -> web.StreamResponse:
    """The same answer with a page after it, whatever page it is."""
    if not isinstance(response, web.Response) or response.text is None or response.status != 200:
        return response
    body = json.loads(response.text)
    if "navigation" in body:  # a synchronisation has no pages
        body["navigation"]["nextPage"] = body["navigation"].get("firstPage", {"uri": "?page=2"})
    return web.json_response(body)


def _poisoned(response: web.StreamResponse) -> web.StreamResponse:
    if not isinstance(response, web.Response) or response.text is None or response.status != 200:
        return response
    return web.Response(text=poisoned_listing(response.text), content_type="application/json")


def packed_bomb(content_type: str) -> web.Response:
    """An answer of half a megabyte that unpacks to half a gigabyte."""
    return web.Response(body=bomb(), headers={"Content-Type": content_type, "Content-Encoding": "gzip"})


async def _endless(request: web.Request) -> web.StreamResponse:
    """An answer in chunks that does not end while anybody listens."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


async def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Half of the answer, and then the end of the connection."""
    whole = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    half.content_length = len(whole) + 1
    await half.prepare(request)
    await half.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
