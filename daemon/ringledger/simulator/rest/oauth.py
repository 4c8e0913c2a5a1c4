"""Access and refresh tokens: grants, the single use of a refresh token, expiry, revocation.

What must stay true: an access token works until it expires, is replaced by a refresh, or its session is revoked;
a refresh token works once, and the same one again for ten seconds with the same answer.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass, field

from aiohttp import BasicAuth, web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.rest.answers import Json, api_error, oauth_error

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
RESEND_GRACE_MS = 10_000
LOST_ANSWER_GRACE_MS = 3_600_000
SCOPE = "ReadCallLog ReadPresence ReadAccounts SubscriptionWebSocket RingOut SMS InternalMessages"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the simulator accepts. The values are invented; they open nothing else."""

    client_id: str = "sim-client"
    client_secret: str = "sim-secret"  # noqa: S105
    jwt: str = "sim-jwt"
    username: str = "+15550100000"
    extension: str = ""
    password: str = "sim-password"  # noqa: S105


@dataclass(slots=True)
class Session:
    """One authorisation; times in simulated ms."""

    session_id: str
    owner_id: str
    access_token: str = ""
    access_expires: int = 0
    refresh_token: str = ""
    refresh_expires: int = 0
    used: dict[str, tuple[int, Json]] = field(default_factory=dict)
    access_used: bool = False


class OAuth:
    """The token endpoint and the guard of every other endpoint."""

    def __init__(
        self,
        clock: SimClock,
        credentials: Credentials,
        owner_id: str,
        *,
        legacy_2015: bool = False,
        token_seconds: int = 3600,
        refresh_seconds: int = 604_800,
        lifetime_scale: float = 1.0,
        issue_refresh: bool = True,
    ) -> None:
        self.clock, self.credentials, self.owner_id = clock, credentials, owner_id
        self.legacy_2015, self.issue_refresh = legacy_2015, issue_refresh
        self.token_seconds, self.refresh_seconds = token_seconds, refresh_seconds
        self.lifetime_scale = lifetime_scale
        self.sessions: list[Session] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/restapi/oauth/token", self.token)
        router.add_post("/restapi/oauth/revoke", self.revoke)

    async def token(self, request: web.Request) -> web.Response:
        """POST /restapi/oauth/token."""
        self._check_client(request)
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        grant = fields.get("grant_type", "")
        if grant == "refresh_token":
            return web.json_response(self._refresh(fields.get("refresh_token", "")))
        if grant == JWT_GRANT:
            self._check_jwt(fields.get("assertion", ""))
        elif grant == "password":
            self._check_password(fields)
        else:
            raise oauth_error("OAU-250", "unsupported_grant_type", "Unsupported grant type")
        return web.json_response(self._login())

    async def revoke(self, request: web.Request) -> web.Response:
        """POST /restapi/oauth/revoke: ends the whole session, whichever of its tokens is given."""
        self._check_client(request)
        form = await request.post()
        token = form.get("token") or request.query.get("token")
        self.sessions = [s for s in self.sessions if token not in (s.access_token, s.refresh_token)]
        return web.Response(status=200)

    def require(self, request: web.Request) -> str:
        """The extension id that owns the request's access token; raises the 401 bodies."""
        return self.session_of(request).owner_id

    def session_of(self, request: web.Request) -> Session:
        """The session of the request's access token; raises the 401 bodies."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise api_error(
                401,
                "AccessTokenNotFound",
                "Access token not found",
                inner=("OAU-134", "Authorization header is invalid"),
            )
        session = next((s for s in self.sessions if s.access_token == token), None)
        if session is None:
            raise api_error(401, "TokenInvalid", "OAuth token is invalid", inner=("OAU-213", "Token not found"))
        if session.access_expires <= self.clock.now_ms():
            raise api_error(401, "TokenExpired", "Access token expired", inner=("OAU-128", "Access token expired"))
        session.access_used = True
        return session

    def expire_access_tokens(self) -> None:
        """For tests: every access token is expired from now on; refresh tokens stay good."""
        for session in self.sessions:
            session.access_expires = 0

    def revoke_all(self) -> None:
        """For tests: no token of any kind is known any more."""
        self.sessions.clear()

    def _check_client(self, request: web.Request) -> None:
        try:
            given = BasicAuth.decode(request.headers.get("Authorization", ""))
        except (ValueError, binascii.Error):
            raise oauth_error("OAU-123", "invalid_client", "Invalid Authorization header", status=401) from None
        if (given.login, given.password) != (self.credentials.client_id, self.credentials.client_secret):
            raise oauth_error("OAU-146", "invalid_client", "Invalid client credentials", status=401)

    def _check_jwt(self, assertion: str) -> None:
        if assertion != self.credentials.jwt:
            raise oauth_error("OAU-213", "invalid_grant", "Token not found")

    def _check_password(self, fields: dict[str, str]) -> None:
        if not self.legacy_2015:
            raise oauth_error("OAU-251", "unauthorized_client", "Unauthorized for this grant type")
        wanted = self.credentials
        same_user = fields.get("username", "").lstrip("+") == wanted.username.lstrip("+")
        if (
            not same_user
            or fields.get("password") != wanted.password
            or fields.get("extension", "") != wanted.extension
        ):
            raise oauth_error("OAU-140", "invalid_grant", "Invalid resource owner credentials", status=401)

    def _login(self) -> Json:
        session = Session(secrets.token_hex(8), self.owner_id)
        self.sessions = [*self.sessions[-4:], session]  # a sixth session revokes the oldest
        return self._issue(session)

    def _refresh(self, token: str) -> Json:
        now = self.clock.now_ms()
        for session in self.sessions:
            if token and session.refresh_token == token:
                if session.refresh_expires <= now:
                    break
                answer = self._issue(session)
                session.used = {token: (now, answer)}
                return answer
            if token in session.used:
                at, answer = session.used[token]
                grace = RESEND_GRACE_MS if session.access_used else LOST_ANSWER_GRACE_MS
                if now - at <= grace:
                    return answer
        raise oauth_error("OAU-213", "invalid_grant", "Token not found")

    def _issue(self, session: Session) -> Json:
        now = self.clock.now_ms()
        scale = 1000 * self.lifetime_scale
        session.access_token, session.access_used = secrets.token_urlsafe(24), False
        session.access_expires = now + round(self.token_seconds * scale)
        answer: Json = {
            "access_token": session.access_token,
            "token_type": "bearer",
            "expires_in": self.token_seconds,
            "scope": SCOPE,
            "owner_id": session.owner_id,
            "endpoint_id": secrets.token_urlsafe(8),
            "session_id": session.session_id,
        }
        if self.issue_refresh:
            session.refresh_token = secrets.token_urlsafe(24)
            session.refresh_expires = now + round(self.refresh_seconds * scale)
            answer["refresh_token"] = session.refresh_token
            answer["refresh_token_expires_in"] = self.refresh_seconds
        return answer


def basic(credentials: Credentials) -> str:
    """The Authorization header of a client with these credentials."""
    text = f"{credentials.client_id}:{credentials.client_secret}"
    return "Basic " + base64.b64encode(text.encode()).decode()
