"""Errors as problem+json (RFC 9457): what is wrong, and what the client can do.

What must stay true: no answer holds a traceback, a token or a value that was not sent.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ringledger.ledger.errors import DatabaseMissing, DatabaseNewer, DatabaseOutdated, LedgerError, LedgerSlow
from ringledger.ledger.times import NotATime

MEDIA_TYPE: Final = "application/problem+json"


class ProblemDetails(BaseModel):
    """What an error says."""

    type: str = Field(default="about:blank", description="A name for the kind of problem, for programs.")
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(default="", description="What is wrong this time, and what to do.")
    parameter: str | None = Field(default=None, description="The query parameter that is to blame.")


class Problem(Exception):
    """An answer that is an error. ``kind``: a short name that stays, of which the type is made."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.parameter = parameter
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The document."""
        said: dict[str, Any] = {
            "type": f"urn:ringledger:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return said if self.parameter is None else said | {"parameter": self.parameter}

    def response(self) -> Response:
        """The answer."""
        return JSONResponse(self.body(), self.status, self.headers, media_type=MEDIA_TYPE)


def of_ledger(error: LedgerError, seconds: float) -> Problem:
    """The answer to a question the ledger cannot take. ``seconds``: how long one may take."""
    if isinstance(error, LedgerSlow):
        detail = f"This takes longer than {seconds:g} s; ask for a shorter period (since, until) or add a filter."
        return Problem(503, "too-slow", detail)
    again = {"Retry-After": "5"}
    if isinstance(error, DatabaseMissing):
        return Problem(503, "database-missing", f"The database is not there: {error}.", headers=again)
    if isinstance(error, DatabaseNewer | DatabaseOutdated):
        return Problem(503, "database-version", f"The database is of another version: {error}.", headers=again)
    return Problem(503, "database-unavailable", f"The database cannot be read: {error}.", headers=again)


def of_damage(error: NotATime) -> Problem:
    """The answer where the database holds what this program has not written."""
    return Problem(503, "database-damaged", f"The {error}.")


def of_http(error: HTTPException) -> Problem:
    """The framework's own refusals."""
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    detail = {
        404: "There is nothing at this address; /openapi.json lists what there is.",
        405: "This address can only be read.",
    }.get(error.status_code, str(error.detail))
    return Problem(error.status_code, kind, detail, headers=error.headers)


def of_validation(error: RequestValidationError) -> Problem:
    """The first parameter that is not what it should be."""
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return Problem(400, "parameter", f"{name}: {first['msg']}.", parameter=name)


#: The log has its traceback, the answer only says so.
BUG: Final = Problem(500, "internal", "This is a bug of ringledger; its log says more.")


def install(app: FastAPI, seconds: float, told: Callable[[Request, Problem], Response | None]) -> None:
    """Make every error a problem document. ``told``: makes it a page instead, for those who read pages."""

    def handler(made: Any) -> Any:
        async def handle(request: Request, error: Exception) -> Response:
            problem: Problem = made(error)
            return told(request, problem) or problem.response()

        return handle

    app.add_exception_handler(Exception, handler(lambda _: BUG))
    app.add_exception_handler(Problem, handler(lambda error: error))
    app.add_exception_handler(LedgerError, handler(lambda error: of_ledger(error, seconds)))
    app.add_exception_handler(NotATime, handler(of_damage))
    app.add_exception_handler(HTTPException, handler(of_http))
    app.add_exception_handler(RequestValidationError, handler(of_validation))
