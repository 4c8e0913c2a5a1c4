"""What faults do to answers of the REST interface.

What must stay true: a request a fault answers for is never carried out, except for ``cut-body`` and
``empty-listing``, which spoil a real answer. Seconds of ``slow`` are real ones, as a client's patience is.
"""

import asyncio
import json
import re

from aiohttp import web

from ringledger.simulator.answers import Handler, api_error
from ringledger.simulator.faultplan import FaultPlan
from ringledger.simulator.limits import Limits, group_of

LISTING = re.compile(r"/(active-calls|call-log|call-log-sync|extension)$")
PAGE = "<html><head><title>Service unavailable</title></head><body>Please come back later</body></html>"


class RestFaults:
    """The middleware that lets faults happen."""

    def __init__(self, plan: FaultPlan, limits: Limits) -> None:
        self.plan, self.limits = plan, limits

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
        response = await handler(request)
        if "empty-listing" in struck:
            response = _emptied(response)
        return await _cut(request, response) if "cut-body" in struck else response

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
    return listing or name != "empty-listing"


def _emptied(response: web.StreamResponse) -> web.StreamResponse:
    """The same answer without records and without a page after it."""
    if not isinstance(response, web.Response) or response.text is None or response.status != 200:
        return response
    body = json.loads(response.text)
    body["records"] = []
    body.get("navigation", {}).pop("nextPage", None)
    return web.json_response(body)


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
