"""What stands before every address: the Host, the method, who asks, and the headers every answer carries.

What must stay true: no answer leaves without the headers that keep other pages from showing, framing or reading it.
"""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringledger.ledger.errors import LedgerError
from ringledger.observability.logging import LOG, Event
from ringledger.web.access import COOKIE, Doorkeeper, host_of
from ringledger.web.problems import Problem

#: Nothing from elsewhere is loaded, shown inside of us, or shown around us.
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CSP,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}
#: Addresses open without a viewer: the sign-in, and what a page is made of.
OPEN: Final = ("/static/", "/sign-in", "/livez")
#: Longest address and longest body that are looked at, bytes.
LONGEST_ADDRESS: Final = 8_192
LONGEST_BODY: Final = 4_096
#: How long a peer may take to send one, seconds.
SENDING_SECONDS: Final = 10.0


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, doorkeeper: Doorkeeper, hosts: frozenset[str]) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _guarded(send, scope["path"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        peer = (scope.get("client") or ("", 0))[0]
        try:
            self._judge(scope, headers, peer)
        except Problem as problem:
            await self._turn_away(problem, scope, headers)(scope, receive, answer)
            return
        try:
            await self._app(scope, _bounded(receive), answer)
        except (LedgerError, Problem) as error:  # behind the first piece of a long answer, which ends without its end
            LOG.warning(Event.WEB_FAILED, path=scope["path"], reason=str(error))
        except Exception as error:  # noqa: BLE001 - the framework has answered that it is a bug
            LOG.error(Event.WEB_FAILED, path=scope["path"], exc_info=error)

    def _judge(self, scope: Scope, headers: Mapping[str, str], peer: str) -> None:
        path = scope["path"]
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(hosts) != 1 or host_of(headers["host"]) not in self._hosts:
            raise Problem(421, "host", "This server is not known by that name; serve.hosts lists its names.")
        if len(path) + len(scope["query_string"]) > LONGEST_ADDRESS:
            raise Problem(414, "too-long", f"The address is longer than {LONGEST_ADDRESS} characters.")
        allowed = {"GET", "HEAD", "POST"} if path in {"/sign-in", "/sign-out"} else {"GET", "HEAD"}
        if scope["method"] not in allowed:
            raise Problem(405, "method-not-allowed", "This can only be read.", headers={"Allow": ", ".join(allowed)})
        if scope["method"] == "POST" or headers.get("sec-fetch-mode", "navigate") != "navigate":
            _same_origin(headers)
        viewer = self._doorkeeper.viewer(peer, headers, _cookie(headers))
        if viewer is None and headers.get("authorization"):
            self._refused(peer)
        if viewer is None and not path.startswith(OPEN):
            raise Problem(
                401,
                "who",
                "Nobody said who asks; send `Authorization: Bearer TOKEN` with a token of serve.tokens.",
                headers={"WWW-Authenticate": 'Bearer realm="ringledger"'},
            )
        scope.setdefault("state", {})["viewer"] = viewer

    def _refused(self, peer: str) -> None:
        if self._doorkeeper.is_guessing(peer):
            raise Problem(429, "guessing", "Too many wrong tokens; wait a minute.", headers={"Retry-After": "60"})
        self._doorkeeper.refuse(peer)
        LOG.warning(Event.WEB_REFUSED, peer=peer, reason="unknown token")

    def _turn_away(self, problem: Problem, scope: Scope, headers: Mapping[str, str]) -> Response:
        """Browsers are shown the way in."""
        wants_page = "text/html" in headers.get("accept", "") and scope["method"] == "GET"
        if problem.status == 401 and wants_page and self._doorkeeper.has_tokens():
            query = scope["query_string"].decode("latin-1")
            wanted = scope["path"] + (f"?{query}" if query else "")
            return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}", 303)
        return problem.response()


def _same_origin(headers: Mapping[str, str]) -> None:
    """Raise ``Problem`` for what another site's page makes a browser ask: its user did not mean to."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Problem(403, "cross-site", "Another site's page may not ask this.")
    origin = headers.get("origin")
    if origin is not None and origin.rpartition("//")[2].lower() != headers.get("host", "").lower():
        raise Problem(403, "cross-site", "Another site's page may not ask this.")


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _guarded(send: Send, path: str) -> Send:
    """``send`` that adds the headers."""
    own = {"cache-control"} if path.startswith("/static/") else set()
    extra = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name not in own]

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return guarded


def _bounded(receive: Receive) -> Receive:
    """``receive`` that takes no more of a body than a form needs, nor waits for ever for it."""
    left = LONGEST_BODY

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise Problem(413, "too-long", f"The body is longer than {LONGEST_BODY} bytes.")
        return message

    return bounded
