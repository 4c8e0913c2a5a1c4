"""The read API, `/api/v1`: what the commands show, over HTTP.

What must stay true: parameters are the commands' filters under their names, an unknown one is an error; names in
answers are the columns of the views; each export and each call that is opened is one line in the log.
"""

import base64
import binascii
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from ringledger.ledger.read import queries, sight
from ringledger.ledger.read.filters import FILTERS, CallFilter, FilterError, chosen, period
from ringledger.ledger.read.groups import By
from ringledger.ledger.read.stats import stats as counted
from ringledger.ledger.times import to_text
from ringledger.observability.logging import LOG, Event
from ringledger.web import formats, health, rows
from ringledger.web.access import Viewer
from ringledger.web.backend import (
    Asking,
    Backend,
    Shared,
    allowed,
    now_ms,
    of_extension,
    own_ids,
    shown,
)
from ringledger.web.problems import Problem, ProblemDetails

#: Rows of a page without `limit`, and at most; rows of a piece of an export.
PAGE: Final = 50
LONGEST_PAGE: Final = 1_000
PIECE: Final = 1_000

_LISTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {form: {"schema": {"type": "string"}} for form in ("text/csv", "application/jsonl")}},
}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ProblemDetails, "content": {"application/problem+json": {}}, "description": text}
    for status, text in {
        400: "A parameter that can match nothing, or that there is none of.",
        401: "Nobody said who asks.",
        403: "Not for this viewer.",
        503: "The database cannot be read now, or the question takes too long.",
    }.items()
}


def known_parameters(request: Request) -> None:
    """Raise ``Problem`` for a parameter the address does not have, or one that is given twice."""
    described = request.app.openapi()["paths"][request.scope["route"].path]["get"].get("parameters", ())
    names = [one["name"] for one in described if one["in"] == "query"]
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}."
            raise Problem(400, "parameter", f"{name[:60]}: no such parameter; {hint}", parameter=name[:60])
        if name in seen:
            raise Problem(400, "parameter", f"{name}: is given twice.", parameter=name)
        seen.add(name)


api = APIRouter(prefix="/api/v1", responses=_PROBLEMS, dependencies=[Depends(known_parameters)])


def _filter(name: str) -> Any:
    return Query(description=FILTERS[name].help, max_length=200)


#: Not a filter of the commands: `--account` takes a configured name, the rows have the account's id.
Account = Annotated[str | None, Query(description="Calls of this account alone.", max_length=64)]


def asked_for(  # noqa: PLR0917 - the framework hands them over by name
    backend: Shared,
    viewer: Asking,
    since: Annotated[str | None, _filter("since")] = None,
    until: Annotated[str | None, _filter("until")] = None,
    direction: Annotated[str | None, _filter("direction")] = None,
    disposition: Annotated[str | None, _filter("disposition")] = None,
    number: Annotated[str | None, _filter("number")] = None,
    extension: Annotated[str | None, _filter("extension")] = None,
    unconfirmed: Annotated[bool | None, Query(description=FILTERS["unconfirmed"].help)] = None,
    account_id: Account = None,
) -> CallFilter:
    """The filter the parameters ask for. Raises ``Problem``."""
    texts = {
        "since": since, "until": until, "direction": direction, "disposition": disposition, "number": number,
        "extension": extension, "unconfirmed": unconfirmed or None,
    }  # fmt: skip
    return filter_of(texts, backend, viewer, account_id)


def filter_of(
    texts: Mapping[str, str | bool | None], backend: Backend, viewer: Viewer, account_id: str | None = None
) -> CallFilter:
    """The filter of texts by name, as the viewer may ask it. Raises ``Problem``."""
    try:
        wanted = chosen(texts, now_ms=now_ms(), zone=backend.zone, read_number=backend.read_number)
    except FilterError as error:
        raise _parameter(error) from None
    return allowed(wanted, viewer, account_id)


def _parameter(error: FilterError) -> Problem:
    reason = error.reason.replace("--", "").rstrip(".")
    return Problem(400, "parameter", f"{error.name}: {reason}.", parameter=error.name)


Wanted = Annotated[CallFilter, Depends(asked_for)]


async def judged(engine: Any, wanted: CallFilter) -> None:
    """Raise ``Problem`` for an unknown extension."""
    try:
        await queries.judge(engine, wanted)
    except FilterError as error:
        raise _parameter(error) from None


# -- calls -----------------------------------------------------------------------------------------------------------


@api.get("/calls", response_model=rows.Page[rows.Call], responses=_LISTS, tags=["calls"])
async def calls(  # noqa: PLR0917
    request: Request,
    backend: Shared,
    viewer: Asking,
    wanted: Wanted,
    limit: Annotated[
        int | None,
        Query(ge=1, le=LONGEST_PAGE, description=f"Rows of a page: {PAGE} if not given; CSV and JSON lines: all."),
    ] = None,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before.")] = None,
) -> Response:
    """Finished calls, newest first.

    A page's `next` leads to the rows that follow its last one: calls that come meanwhile move nothing. CSV and JSON
    lines have all calls, unless `limit` is given; then the header `X-Next-Cursor` has the next page's cursor.
    """
    form = formats.form_of(request)
    whole = form is not formats.Form.JSON and limit is None
    size = PIECE if whole else limit or PAGE

    async def page(after: str | None) -> tuple[Sequence[formats.Row], str | None]:
        return await page_of(backend, viewer, wanted, size, after)

    first = await page(cursor)
    if form is formats.Form.JSON:
        return formats.listed(first[0], [], form, next_=first[1], name="calls")
    LOG.info(Event.WEB_EXPORTED, viewer=viewer.name, what="calls", format=form.value, query=_said(request))
    columns = list(rows.Call.model_fields)
    if whole:
        return formats.streamed(page, first, columns, form, name="calls")
    return formats.listed(first[0], columns, form, next_=first[1], name="calls")


async def page_of(
    backend: Backend, viewer: Viewer, wanted: CallFilter, size: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of calls, and the cursor of the next. Raises ``Problem``, ``LedgerError``."""
    after = None if cursor is None else _place(cursor)

    async def ask(engine: Any) -> queries.Rows:
        if after is None:
            await judged(engine, wanted)
        return await queries.calls(engine, wanted, limit=size + 1, after=after)

    found = await backend.search(ask)
    more = len(found) > size
    page = found[:size]
    return shown(page, viewer), _cursor(page[-1]) if more else None


def _cursor(row: formats.Row) -> str:
    place = json.dumps([row["started_at"], row["session_id"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[str, str]:
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        started_at, session_id = place
    except (binascii.Error, UnicodeDecodeError, ValueError, TypeError):
        raise Problem(400, "parameter", "cursor: is none of ours; take `next` as it is.", parameter="cursor") from None
    if not (isinstance(started_at, str) and isinstance(session_id, str)):
        raise Problem(400, "parameter", "cursor: is none of ours; take `next` as it is.", parameter="cursor")
    return started_at, session_id


def _said(request: Request) -> dict[str, str]:
    """The parameters, for the log; the name of a number's field makes it masked there."""
    return dict(request.query_params)


@api.get("/calls/{session_id}", response_model=rows.Story, tags=["calls"], responses={404: _PROBLEMS[400]})
async def call(
    backend: Shared,
    viewer: Asking,
    session_id: Annotated[str, Path(max_length=200)],
    account_id: Account = None,
) -> Response:
    """One call, open or finished: its legs, changes of status, journal, and what each source says of it."""
    return formats.json(await story_of(backend, viewer, session_id, account_id))


async def story_of(backend: Backend, viewer: Viewer, session_id: str, account_id: str | None) -> dict[str, Any]:
    """Everything the ledger knows of a call the viewer may see. Raises ``Problem``, ``LedgerError``."""
    account = allowed(CallFilter(), viewer, account_id).account_id

    async def ask(engine: Any) -> queries.CallStory | None:
        story = await queries.call(engine, session_id, account_id=account)
        if story is None or viewer.role != "own":
            return story
        mine = await own_ids(engine, viewer)
        sides = [*story.legs, *([story.call] if story.call else []), *([story.active] if story.active else [])]
        return story if any(side["extension_id"] in mine for side in sides) else None

    story = await backend.glance(ask)
    if story is None:
        raise Problem(404, "not-found", f"{session_id[:60]}: no such call, or not yours to see.")
    LOG.info(Event.WEB_CALL_OPENED, viewer=viewer.name, session_id=session_id, account_id=account)
    told: dict[str, Any] = {}
    for name, part in asdict(story).items():
        if isinstance(part, list):
            told[name] = shown(part, viewer)
        elif isinstance(part, str):
            told[name] = part
        else:
            told[name] = next(iter(shown([part], viewer)), None) if part else None
    return told


# -- now -------------------------------------------------------------------------------------------------------------


@api.get("/active", response_model=rows.Page[rows.ActiveCall], responses=_LISTS, tags=["now"])
async def active(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Calls open now, oldest first; the two halves of a RingOut are one call."""

    async def ask(engine: Any) -> list[formats.Row]:
        return await of_extension(engine, await queries.active_calls(engine), viewer)

    found = shown(await backend.glance(ask), viewer)
    return formats.listed(found, list(rows.ActiveCall.model_fields), formats.form_of(request), name="active")


@api.get("/presence", response_model=rows.Page[rows.Presence], responses=_LISTS, tags=["now"])
async def presence(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Each extension's status now."""

    async def ask(engine: Any) -> list[formats.Row]:
        return await of_extension(engine, await queries.presence(engine), viewer)

    found = shown(await backend.glance(ask), viewer)
    return formats.listed(found, list(rows.Presence.model_fields), formats.form_of(request), name="presence")


# -- figures ---------------------------------------------------------------------------------------------------------


@api.get("/stats", response_model=rows.Page[rows.Figures], responses=_LISTS, tags=["figures"])
async def stats(
    request: Request,
    backend: Shared,
    viewer: Asking,
    wanted: Wanted,
    by: Annotated[By, Query(description="What to count by.")] = By.DAY,
) -> Response:
    """Counts, answer rate, ring and talk times of finished calls."""

    async def ask(engine: Any) -> list[dict[str, Any]]:
        await judged(engine, wanted)
        return (await counted(engine, wanted, by, zone=backend.zone))[0]

    found = shown(await backend.search(ask), viewer)
    form = formats.form_of(request)
    if form is not formats.Form.JSON:
        LOG.info(Event.WEB_EXPORTED, viewer=viewer.name, what="stats", format=form.value, query=_said(request))
    columns = list(found[0]) if found else [by.value]
    return formats.listed(found, columns, form, name=f"stats-by-{by}")


Time = Annotated[str | None, Query(max_length=60)]


@api.get("/coverage", response_model=rows.Page[rows.CoverageSpan], responses=_LISTS, tags=["figures"])
async def coverage(
    request: Request, backend: Shared, viewer: Asking, since: Time = None, until: Time = None
) -> Response:
    """When the feed was live, doubtful or blind, and what healed each hole: spans that touch the period."""
    found = await spans_of(backend, viewer, since, until)
    return formats.listed(found, list(rows.CoverageSpan.model_fields), formats.form_of(request), name="coverage")


def period_of(backend: Backend, since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """From and until, ms. Raises ``Problem``."""
    try:
        return period(since, until, now_ms=now_ms(), zone=backend.zone)
    except FilterError as error:
        raise _parameter(error) from None


async def spans_of(backend: Backend, viewer: Viewer, since: str | None, until: str | None) -> list[dict[str, Any]]:
    """Spans of coverage, the newest as the running daemon knows it now. Raises ``Problem``, ``LedgerError``."""
    first, last = period_of(backend, since, until)
    earlier = None if first is None else first - sight.NO_HOLE_MS

    async def ask(engine: Any) -> list[dict[str, Any]]:
        found = await queries.coverage(engine, since=earlier, until=last)
        if last is not None and last < now_ms():
            return found
        return sight.until_now(found, await backend.daemon_status(engine))

    found = await backend.glance(ask)
    return [span for span in shown(found, viewer) if first is None or span["until_at"] > to_text(first)]


@api.get("/health", response_model=rows.Health, tags=["figures"])
async def healthy(backend: Shared, viewer: Asking) -> Response:
    """Whether what is shown is what goes on: does the daemon write, is its feed live."""
    return formats.json(await health.of(backend, viewer))
