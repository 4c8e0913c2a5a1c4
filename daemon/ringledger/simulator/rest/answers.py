"""Answers of the platform that are the same everywhere: error bodies, the common headers, the JSON reader."""

import json
import uuid
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from ringledger.simulator.clock import SimClock

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An error body with its status; raised anywhere below a request handler."""

    def __init__(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status, self.body, self.headers = status, body, headers or {}


def api_error(status: int, code: str, message: str, *, inner: tuple[str, str] | None = None) -> ApiError:
    """A resource error; ``inner`` is the entry of ``errors`` when it differs from the outer code and message."""
    inner_code, inner_message = inner or (code, message)
    errors = [{"errorCode": inner_code, "message": inner_message}]
    return ApiError(status, {"errorCode": code, "message": message, "errors": errors})


def oauth_error(code: str, error: str, message: str, *, status: int = 400) -> ApiError:
    """An error of the token endpoint."""
    errors = [{"errorCode": code, "message": message}]
    return ApiError(status, {"error": error, "error_description": message, "errors": errors})


def not_found(parameter: str) -> ApiError:
    return api_error(404, "CMN-102", f"Resource for parameter [{parameter}] is not found")


def invalid(parameter: str) -> ApiError:
    return api_error(400, "CMN-101", f"Parameter [{parameter}] value is invalid")


async def json_body(request: web.Request) -> Json:
    """The request's JSON object; CMN-103 when it is none."""
    try:
        body = json.loads(await request.read() or b"null")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise api_error(400, "CMN-103", "Cannot parse the request body")
    return body


def error_middleware(clock: SimClock, *, announces_pace: bool = True) -> Any:
    """Turn :class:`ApiError` into its body, unknown paths into CMN-120, and put the common headers on every answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            response = await handler(request)
        except ApiError as error:
            response = web.json_response(error.body, status=error.status, headers=error.headers)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            body = api_error(404, "CMN-120", "Invalid URI").body
            response = web.json_response(body, status=404)
        if not response.prepared:
            response.headers["RCRequestId"] = str(uuid.uuid4())
            response.headers["Date"] = formatdate((clock.now_ms() + clock.told_ahead_ms) / 1000, usegmt=True)
            if announces_pace:
                response.headers["X-Simulated-Pace"] = f"{clock.speed:g}"
        return response

    return middleware
