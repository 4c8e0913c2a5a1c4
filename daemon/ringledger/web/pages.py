"""The page: board, calls, one call, charts, coverage, and the way in.

What must stay true: an address shows the same to everybody who may see it, so it can be sent; what is wrong with a
filter is said beside it; nothing but signing in and out is ever sent by a form.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from ringledger.domain.disposition import Disposition
from ringledger.ledger.read import queries
from ringledger.ledger.read.filters import FILTERS, CallFilter
from ringledger.ledger.read.groups import By
from ringledger.ledger.read.hours import hours_and_extensions
from ringledger.ledger.read.periods import zone_name
from ringledger.ledger.read.sight import SEEN
from ringledger.ledger.read.stats import stats
from ringledger.ledger.times import to_ms, to_text
from ringledger.observability.logging import LOG, Event
from ringledger.web import api, charts, drawing, formats, health, rows, strips
from ringledger.web.access import COOKIE, SIGNED_IN, Viewer
from ringledger.web.backend import Asking, Backend, Shared, backend_of, now_ms, of_extension, shown
from ringledger.web.problems import Problem
from ringledger.web.templating import STATIC, address, content, page

pages = APIRouter(include_in_schema=False)

#: Finished calls the board shows.
RECENT: Final = 12
#: Days of a chart and of the coverage without a period.
CHART_PERIOD: Final = "30d"
COVERAGE_PERIOD: Final = "7d"
_FIELDS: Final = (*FILTERS, "account_id")
#: The tables of a call: at the left, at the right, and below over the whole width.
_TABLES: Final = (
    (("Legs", "legs", {"extension_id": "extension", "direction": "direction", "started_at": "started",
                       "answered_at": "answered", "ended_at": "ended", "status": "last status", "source": "source"}),
     ("What each source says", "sources", {"source": "source", "started_at": "started", "ended_at": "ended",
                                           "duration_seconds": "duration", "result": "result", "seen_at": "seen"})),
    (("Changes of status", "transitions", {"at": "at", "from_status": "from", "to_status": "to", "source": "source"}),
     ("Calls that belong to it", "parts", {"session_id": "session", "started_at": "started", "result": "result"})),
    (("Where each figure comes from", "figures",
      {"figure": "figure", "value": "value", "at": "at", "extension_id": "extension", "says": "says",
       "sequence": "sequence", "source": "source", "record_id": "record"}),
     ("What came late, in the order of arrival", "late",
      {"received_at": "came", "at": "at", "behind_seconds": "behind", "extension_id": "extension", "says": "says",
       "source": "source", "changed": "changed"}),
     ("Journal", "events", {"at": "at", "received_at": "came", "extension_id": "extension", "status": "status",
                            "sequence": "sequence", "source": "source", "outcome": "outcome", "reason": "reason"})),
)  # fmt: skip


def _common(request: Request, backend: Backend, viewer: Viewer | None, here: str) -> dict[str, Any]:
    return {
        "here": here,
        "zone": zone_name(backend.zone),
        "viewer": viewer,
        "signed_in": COOKIE in request.cookies,
        "names": {},
    }


async def _people(backend: Backend, viewer: Viewer) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The extensions the viewer sees, and the names of all of them by id."""

    async def ask(engine: Any) -> tuple[list[Any], list[Any]]:
        known = await queries.presence(engine)
        return known, await of_extension(engine, known, viewer)

    known, mine = await backend.glance(ask)
    names = {one["extension_id"]: one["name"] or one["extension_number"] or "" for one in shown(known, viewer)}
    return shown(mine, viewer), {ident: name for ident, name in names.items() if name}


# -- board -----------------------------------------------------------------------------------------------------------


@pages.get("/")
async def board(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Open calls, extensions, today's figures."""
    people, names = await _people(backend, viewer)
    condition = await health.of(backend, viewer)
    today = api.filter_of({"since": "today"}, backend, viewer, _only_account(viewer))
    everything = api.filter_of({}, backend, viewer, _only_account(viewer))

    async def ask(engine: Any) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
        active = await of_extension(engine, await queries.active_calls(engine), viewer)
        recent = await queries.calls(engine, everything, limit=RECENT)
        return active, recent, (await stats(engine, today, By.DIRECTION, zone=backend.zone))[1]

    active, recent, figures = await backend.glance(ask)
    as_of = condition["as_of"] or condition["at"]

    def running(row: Mapping[str, Any]) -> int:
        return max(0, to_ms(as_of) - to_ms(row["answered_at"] or row["started_at"])) // 1000

    values = _common(request, backend, viewer, "/") | {"names": names, "people": people, "health": condition}
    values |= {"active": shown(active, viewer), "recent": shown(recent, viewer), "today": figures}
    return page("board.html", as_of=as_of, running=running, **values)


def _only_account(viewer: Viewer) -> str | None:
    """The account of a viewer of several, for what a page shows unasked: the first."""
    return min(viewer.accounts) if viewer.accounts else None


# -- calls -----------------------------------------------------------------------------------------------------------


@pages.get("/calls")
async def calls(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Search, and what it finds."""
    if (clean := _cleaned(request)) is not None:
        return clean
    texts = dict(request.query_params)
    people, names = await _people(backend, viewer)
    values = _common(request, backend, viewer, "/calls") | _form(texts, people, viewer) | {"names": names}
    values["health"] = await health.of(backend, viewer)
    cursor = texts.get("cursor")
    try:
        wanted = _wanted(texts, backend, viewer, more=("cursor",))
        found, following = await api.page_of(backend, viewer, wanted, api.PAGE, cursor)
    except Problem as problem:
        if problem.parameter is None:
            raise
        return page("calls.html", problem.status, problem=problem, rows=[], next_=None, first=None, query="", **values)
    kept = {name: text for name, text in texts.items() if name != "cursor"}
    return page(
        "calls.html",
        problem=None,
        rows=found,
        next_=_address("/calls", kept | {"cursor": following}) if following else None,
        first=_address("/calls", kept) if cursor else None,
        query=_address("", kept),
        **values,
    )


@pages.get("/calls.csv")
@pages.get("/calls.jsonl")
async def exported(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Return all calls of a search as a file: what the API answers to a client that accepts it."""
    form = formats.Form.CSV if request.url.path.endswith("csv") else formats.Form.JSONL
    wanted = _wanted(dict(request.query_params), backend, viewer)

    async def piece(after: str | None) -> tuple[Sequence[formats.Row], str | None]:
        return await api.page_of(backend, viewer, wanted, api.PIECE, after)

    first = await piece(None)
    said = dict(request.query_params)
    LOG.info(Event.WEB_EXPORTED, viewer=viewer.name, what="calls", format=form.value, query=said)
    return formats.streamed(piece, first, list(rows.Call.model_fields), form, name="calls")


@pages.get("/calls/{session_id}")
async def call(request: Request, backend: Shared, viewer: Asking, session_id: str) -> Response:
    """One call, drawn and explained."""
    story = await api.story_of(backend, viewer, session_id[:200], request.query_params.get("account_id"))
    _, names = await _people(backend, viewer)
    tables = [[(title, story[part], list(columns.items())) for title, part, columns in side] for side in _TABLES]
    drawn = drawing.drawn(story, names, now_ms())
    values = _common(request, backend, viewer, "/calls") | {"names": names, "story": story, "tables": tables}
    values["health"] = await health.of(backend, viewer)
    return page("call.html", session_id=session_id[:200], drawing=drawn, **values)


# -- figures ---------------------------------------------------------------------------------------------------------


@pages.get("/charts")
async def figures(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Charts of a period."""
    if (clean := _cleaned(request)) is not None:
        return clean
    texts = {"since": CHART_PERIOD} | dict(request.query_params)
    people, names = await _people(backend, viewer)
    values = _common(request, backend, viewer, "/charts") | _form(texts, people, viewer) | {"names": names}
    values |= {"query": _address("", texts), "health": await health.of(backend, viewer)}
    try:
        wanted = _wanted(texts, backend, viewer)

        async def ask(engine: Any) -> tuple[Mapping[datetime, Any], list[dict[str, Any]]]:
            await api.judged(engine, wanted)
            return await hours_and_extensions(engine, wanted, zone=backend.zone)

        found, extensions = await backend.search(ask)
    except Problem as problem:
        if problem.parameter is None:
            raise
        return page("charts.html", problem.status, problem=problem, charts=None, **values)
    made = charts.drawn(found, extensions, _days(wanted, backend))
    return page("charts.html", problem=None, charts=made, **values)


def _days(wanted: CallFilter, backend: Backend) -> list[date]:
    """The days of the period, as far as one could draw them."""
    now = now_ms()
    first, last = (
        datetime.fromtimestamp(at / 1000, backend.zone).date()
        for at in (wanted.since or now, min(wanted.until - 1, now) if wanted.until else now)
    )
    count = (last - first).days + 1
    return [first + timedelta(days=n) for n in range(count)] if count <= charts.MOST_DAYS else []


@pages.get("/coverage")
async def coverage(request: Request, backend: Shared, viewer: Asking) -> Response:
    """Whether the ledger has every call of a period, and how the feed is."""
    if (clean := _cleaned(request)) is not None:
        return clean
    texts = {"since": COVERAGE_PERIOD} | dict(request.query_params)
    values = _common(request, backend, viewer, "/coverage") | {"health": await health.of(backend, viewer)}
    values |= {
        "texts": dict.fromkeys(("since", "until")) | texts,
        "problem": None,
        "strips": None,
        "spans": [],
        "complete": False,
        "gaps": 0,
    }
    try:
        first, last = api.period_of(backend, texts.get("since"), texts.get("until"))
        found = await api.spans_of(backend, viewer, texts.get("since"), texts.get("until"))
    except Problem as problem:
        if problem.parameter is None:
            raise
        return page("coverage.html", problem.status, **values | {"problem": problem})
    now = now_ms()
    begun = first if first is not None else to_ms(found[0]["from_at"]) if found else now
    silent = values["health"]["daemon"] == "not answering"
    known = strips.spans_of(found, begun, min(last or now, now), silent=silent)
    dark = [one for one in known if one.state not in SEEN]
    told = [
        {"from_at": to_text(one.first), "until_at": to_text(one.last), "lasted": (one.last - one.first) / 1000}
        | {"state": one.state, "cause": one.cause, "recovered_calls": one.recovered}
        for one in reversed(known)
        if one.state != "live"
    ]
    drawn = {"strips": strips.strips_of(known, backend.zone), "spans": told[:200], "gaps": len(dark)}
    return page("coverage.html", **values | drawn | {"complete": not dark and bool(known)})


# -- what they share -------------------------------------------------------------------------------------------------


def _cleaned(request: Request) -> Response | None:
    """Where an address without its empty fields is, when there are some: a form sends all it has."""
    given = request.query_params.multi_items()
    kept = [(name, text) for name, text in given if text.strip()]
    if kept == given:
        return None
    return RedirectResponse(_address(request.url.path, dict(kept)), 303)


def _address(path: str, texts: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(texts)}" if texts else path


def _form(texts: Mapping[str, str], people: Sequence[Any], viewer: Viewer) -> dict[str, Any]:
    accounts = sorted({one["account_id"] for one in people} | viewer.accounts)
    known = dict.fromkeys((*_FIELDS, "cursor")) | dict(texts)
    return {"texts": known, "people": people, "accounts": accounts, "dispositions": list(Disposition)}


def _wanted(texts: Mapping[str, str], backend: Backend, viewer: Viewer, *, more: tuple[str, ...] = ()) -> CallFilter:
    """The filter of an address. Raises ``Problem``."""
    strange = next((name for name in texts if name not in {*_FIELDS, *more}), None)
    if strange is not None:
        raise Problem(400, "parameter", f"{strange[:60]}: no such filter.", parameter=strange[:60])
    asked = {name: text for name, text in texts.items() if name in FILTERS}
    account = texts.get("account_id") or (_only_account(viewer) if viewer.accounts else None)
    return api.filter_of(asked, backend, viewer, account)


# -- the way in ------------------------------------------------------------------------------------------------------


@pages.get("/sign-in")
async def sign_in(request: Request, backend: Shared) -> Response:
    """Where a token is asked for."""
    values = _common(request, backend, None, "/sign-in")
    return page("sign_in.html", next_=_within(request.query_params.get("next", "/")), wrong="", **values)


@pages.post("/sign-in")
async def signed_in(request: Request, backend: Shared) -> Response:
    """A token: the browser keeps a seal in its place."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    wanted = _within(form.get("next", ["/"])[0])
    peer = request.client.host if request.client else ""
    door = backend.doorkeeper
    guessing = door.is_guessing(peer)
    viewer = None if guessing else door.of_token(form.get("token", [""])[0].strip())
    if viewer is None:
        wrong = "Too many wrong tokens; wait a minute." if guessing else "Nobody has this token."
        if not guessing:
            door.refuse(peer)
            LOG.warning(Event.WEB_REFUSED, peer=peer, reason="unknown token")
        values = _common(request, backend, None, "/sign-in")
        return page("sign_in.html", 429 if guessing else 401, next_=wanted, wrong=wrong, **values)
    LOG.info(Event.WEB_SIGNED_IN, viewer=viewer.name)
    answer = RedirectResponse(wanted, 303)
    secure = door.is_proxy(peer) and request.headers.get("x-forwarded-proto") == "https"
    answer.set_cookie(
        COOKIE, door.cookie_for(viewer), max_age=SIGNED_IN, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return answer


@pages.post("/sign-out")
async def signed_out() -> Response:
    """Forget who it was."""
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _within(wanted: str) -> str:
    """Return the address if it is one of this server, else the board's: no visitor is led elsewhere."""
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if inside else "/"


@pages.get("/static/{name}")
async def static(name: str) -> Response:
    """A file of the page; there are no others."""
    if name not in STATIC:
        raise Problem(404, "not-found", "There is no such file.")
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content(name), media_type=STATIC[name], headers=kept)


@pages.get("/favicon.ico")
async def favicon() -> Response:
    """What browsers ask for unasked."""
    return RedirectResponse(address("icon.svg"), 301)


@pages.get("/livez")
async def livez() -> Response:
    """Whether the process answers."""
    return Response("ok\n", media_type="text/plain")


def told(request: Request, problem: Problem) -> Response | None:
    """Return a problem as a page, for a browser."""
    if request.url.path.startswith(("/api/", "/static/")) or "text/html" not in request.headers.get("accept", ""):
        return None
    viewer = getattr(request.state, "viewer", None)
    values = _common(request, backend_of(request), viewer, request.url.path)
    again = problem.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in problem.headers
    answer = page("error.html", problem.status, problem=problem.body(), again=again, **values)
    answer.headers.update(problem.headers)
    return answer
