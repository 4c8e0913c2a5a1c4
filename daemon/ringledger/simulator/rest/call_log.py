"""The platform's books over REST: active-calls, the call log, one of its records, call-log-sync.

All of it follows from the calls of the exchange (see :mod:`ringledger.simulator.exchange.records`) and from the
``log`` lines
of stories; :mod:`ringledger.simulator.exchange.call_log` says what the books hold at an instant. What must stay
true: every page
is taken from the books as they are when it is asked for, so new calls shift pages; a filter that is not understood is
refused, never ignored.
"""

from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from ringledger.durations import DAY_MS
from ringledger.simulator.clock import SimClock, to_ms
from ringledger.simulator.exchange.call_log import BooksOptions, Known, Shelf
from ringledger.simulator.exchange.model import Extension
from ringledger.simulator.exchange.records import simple, unanswered
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.rest.answers import api_error, invalid, not_found
from ringledger.simulator.rest.permissions import ADMIN, Permissions
from ringledger.simulator.rest.resources import API, Rest, page_of
from ringledger.simulator.rest.sync import SyncTokens

SYNC_FRAME_MS = 30 * DAY_MS
MAX_SYNC = 250
WITH_SESSION = frozenset({"sessionId", "view", "page", "perPage"})
#: What is asked of the records themselves.
FILTERS = frozenset({"direction", "type", "phoneNumber", "extensionNumber", "showBlocked"})


@dataclass
class Books:
    """The four resources, of the account and of one extension."""

    clock: SimClock
    rest: Rest
    permissions: Permissions
    options: BooksOptions = field(default_factory=BooksOptions)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.clock, self.rest, self.options)
        self.tokens = SyncTokens(self.clock)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        account = API + "/account/{account}"
        for base in (account, account + "/extension/{extension}"):
            router.add_get(base + "/active-calls", self.active_calls)
            router.add_get(base + "/call-log", self.call_log)
            router.add_get(base + "/call-log/{record}", self.one_record)
            router.add_get(base + "/call-log-sync", self.sync)

    async def active_calls(self, request: web.Request) -> web.Response:
        """GET .../active-calls: calls in progress, and those that have just ended, newest first."""
        extension = self._scope(request)
        return self._page(request, extension, "active-calls", _matching(self.shelf.listed(extension), request))

    async def call_log(self, request: web.Request) -> web.Response:
        """GET .../call-log: ended calls, newest first; the last 24 hours unless asked otherwise."""
        extension = self._scope(request)
        _check_session(request)
        return self._page(request, extension, "call-log", _matching(self._asked_for(request, extension), request))

    async def one_record(self, request: web.Request) -> web.Response:
        """GET .../call-log/{id}."""
        extension = self._scope(request)
        wanted = request.match_info["record"]
        if "," in wanted:
            raise api_error(501, "CMN-202", "Several records at once are not served here")
        for known in self.shelf.logged(extension):
            if known.id == wanted:
                return web.json_response(_shown(known, request))
        raise not_found("callRecordId")

    async def sync(self, request: web.Request) -> web.Response:
        """GET .../call-log-sync: FSync is the newest records, ISync what is new since a token."""
        extension = self._scope(request)
        kind = request.query.get("syncType", "FSync")
        if kind not in ("FSync", "ISync"):
            raise invalid("syncType")
        now, scope = self.clock.now_ms(), extension.id if extension else ""
        known = self._full(request, extension, now) if kind == "FSync" else self._since(request, extension, scope)
        group = request.query.get("statusGroup", "All")
        if group not in ("All", "Missed"):
            raise invalid("statusGroup")
        records = [_shown(one, request) for one in known if group == "All" or unanswered(one.write())]
        info = {"syncType": kind, "syncToken": self.tokens.issue(scope, now), "syncTime": self.clock.now_iso()}
        uri = f"{self.shelf.base(extension)}/call-log-sync"
        return web.json_response({"uri": uri, "records": records, "syncInfo": info})

    # -- synchronisation ----------------------------------------------------------------------------------------

    def _full(self, request: web.Request, extension: Extension | None, now: int) -> list[Known]:
        count = _count(request, "recordCount")
        if count is None:
            raise invalid("recordCount")
        since = _instant(request, "dateFrom")
        if since is not None and since < now - SYNC_FRAME_MS - DAY_MS:
            raise invalid("dateFrom")
        return self.shelf.logged(extension, since=since or 0)[:count]

    def _since(self, request: web.Request, extension: Extension | None, scope: str) -> list[Known]:
        life = self.options.sync_token_seconds
        since = self.tokens.read(request.query.get("syncToken", ""), scope, life)
        known = self.shelf.logged(extension, after=since)
        if len(known) > self.options.max_changes:
            raise self.tokens.refusal("CLG-104")
        if count := _count(request, "recordCount"):
            known += [one for one in self.shelf.logged(extension) if one.at <= since][:count]
        return known[:MAX_SYNC]

    # -- answers ------------------------------------------------------------------------------------------------

    def _scope(self, request: web.Request) -> Extension | None:
        """The extension the path names, ``None`` for the whole account; raises the platform's refusals."""
        if "extension" in request.match_info:
            found = self.rest.find_extension(request)
            self.permissions.require("ReadCallLog")
            return found
        self.rest.oauth.require(request)
        self.rest.account_of(request)
        self.permissions.require("ReadCallLog", ADMIN)
        return None

    def _asked_for(self, request: web.Request, extension: Extension | None) -> list[Known]:
        """Those that began between dateFrom and dateTo; a session is looked for in all of time."""
        if "sessionId" in request.query:
            return self.shelf.of_session(extension, request.query["sessionId"])
        if "telephonySessionId" in request.query:
            return self.shelf.logged(extension)
        until = _instant(request, "dateTo")
        until = self.clock.now_ms() if until is None else until
        since = _instant(request, "dateFrom")
        return self.shelf.logged(extension, since=until - DAY_MS if since is None else since, until=until)

    def _page(self, request: web.Request, extension: Extension | None, name: str, records: list[Known]) -> web.Response:
        uri = f"{self.shelf.base(extension)}/{name}"
        page = page_of(records, request, uri, totals=self.options.totals)
        return web.json_response(page | {"records": [_shown(one, request) for one in page["records"]]})


def _shown(known: Known, request: web.Request) -> Json:
    view = request.query.get("view", "Simple")
    if view not in ("Simple", "Detailed"):
        raise invalid("view")
    return known.write() if view == "Detailed" else simple(known.write())


def _check_session(request: web.Request) -> None:
    """A session is asked for alone, and a number not together with an extension."""
    asked = set(request.query)
    others = sorted(asked - WITH_SESSION) if "sessionId" in asked else []
    if {"phoneNumber", "extensionNumber"} <= asked:
        others = others or ["extensionNumber"]
    if others:
        first = "sessionId" if "sessionId" in asked else "phoneNumber"
        text = f"Parameter [{first}] is not allowed for usage along with parameter [{others[0]}]"
        raise api_error(400, "CLG-110", text)


def _matching(known: list[Known], request: web.Request) -> list[Known]:
    """Those the other filters let through. Several values of a filter are alternatives."""
    query = request.query
    for place, name in enumerate(("sessionId", "telephonySessionId")):
        if name in query:
            known = [one for one in known if one.names[place] == query[name]]
    if not FILTERS.intersection(query):
        return known
    return [one for one in known if _fits(one.write(), request)]


def _fits(record: Json, request: web.Request) -> bool:
    query = request.query
    number, extension = query.get("phoneNumber", "").lstrip("+ "), query.get("extensionNumber")
    return (
        all(record[name] in wanted for name in ("direction", "type") if (wanted := query.getall(name, [])))
        and (not number or number in _numbers(record, "phoneNumber"))
        and (not extension or extension in _numbers(record, "extensionNumber"))
        and (query.get("showBlocked", "true").lower() != "false" or record["result"] != "Blocked")
    )


def _numbers(record: Json, name: str) -> set[str]:
    sides = [part.get(side, {}) for part in (record, *record.get("legs", ())) for side in ("from", "to")]
    return {str(side.get(name, "")).lstrip("+") for side in sides}


def _instant(request: web.Request, name: str) -> int | None:
    """A time of the query, ms; one without an offset is UTC."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return to_ms(moment if moment.tzinfo else datetime.fromisoformat(text + "Z"))
    except ValueError:
        raise invalid(name) from None


def _count(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise invalid(name)
    return int(text)
