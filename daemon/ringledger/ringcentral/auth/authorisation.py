"""The authorisation: one owner of the token, one request at a time, nothing on disk (platform page 4).

What must stay true: a token request refused by the platform is never repeated; however many callers need a token
at once, one request is sent; a refresh token is used once, and re-sent once only when its answer was lost. All
seconds are platform seconds.

A grant may outlive the process in the memory of a ``GrantKeeper``, so that the next one goes on with the same session
of the platform: only then a WebSocket feed is recovered (platform page 3.4). A kept token is trusted as far as our own:
it is used until its time or a 401, then renewed, then replaced by a login.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Final

import aiohttp
import msgspec

from ringledger.ringcentral.api.http import Answer, error_body, exchange, failure
from ringledger.ringcentral.auth.session import Grant, GrantKeeper, NotKept, fingerprint, pack, unpack
from ringledger.ringcentral.decode.values import WireId, life, text_id
from ringledger.ringcentral.errors import CredentialsRejected, Malformed, PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.ratelimit.limits import RateGroup, RateLimits

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: A token is renewed when so much of its life is over.
REFRESH_AT: Final = 2 / 3
ATTEMPTS: Final = 3
ATTEMPT_SECONDS: Final = 10.0
#: Next try of a refresh that failed while the old token still works.
REFRESH_RETRY_SECONDS: Final = 60.0
TOKEN_PATH: Final = "/restapi/oauth/token"  # noqa: S105  an address
REVOKE_PATH: Final = "/restapi/oauth/revoke"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What opens the platform: an app, and a JWT or (where still granted) a user's name and password."""

    client_id: str
    client_secret: str = field(repr=False)
    jwt: str = field(default="", repr=False)
    username: str = ""
    extension: str = ""
    password: str = field(default="", repr=False)

    def login_form(self) -> dict[str, str]:
        """The form of a first token request."""
        if self.jwt:
            return {"grant_type": JWT_GRANT, "assertion": self.jwt}
        form = {"grant_type": "password", "username": self.username, "password": self.password}
        return {**form, "extension": self.extension} if self.extension else form

    def mark(self, server_url: str) -> str:
        """Changes with the server and with every one of the credentials; tells none of them."""
        return fingerprint(
            server_url, self.client_id, self.client_secret, self.jwt, self.username, self.extension, self.password
        )


class AuthEventKind(StrEnum):
    """Log events of the authorisation (contract 6)."""

    OBTAINED = "auth.token_obtained"
    REFRESHED = "auth.token_refreshed"
    REJECTED = "auth.rejected"
    RESUMED = "auth.session_resumed"
    NOT_RESUMED = "auth.session_not_resumed"


@dataclass(frozen=True, slots=True)
class AuthEvent:
    """Something worth a log line; ``detail`` holds no secret."""

    kind: AuthEventKind
    detail: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class AuthStatus:
    """The authorisation as it stands; ``expires_in`` in platform seconds."""

    logged_in: bool
    expires_in: int = 0
    refreshable: bool = False
    scope: str = ""
    owner_id: str = ""


#: A token goes into a header; a longer text is not one.
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384, pattern=r"^[\x21-\x7e]+$")]


class TokenAnswer(msgspec.Struct):
    """The platform's answer to a token request."""

    access_token: Token
    expires_in: float
    refresh_token: Token | None = None
    refresh_token_expires_in: float | None = None
    scope: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    owner_id: WireId = ""


class Authenticator:
    """Gives out access tokens. ``on_event`` is told of what belongs in the log; ``attempts``: how often a login is
    tried while the platform is down; ``keeper``: keeps each grant for the next process, and has that of the last.
    """

    def __init__(
        self,
        server_url: str,
        session: aiohttp.ClientSession,
        credentials: Credentials,
        limits: RateLimits,
        *,
        on_event: Callable[[AuthEvent], None] | None = None,
        attempts: int = ATTEMPTS,
        keeper: GrantKeeper | None = None,
    ) -> None:
        self._server_url = server_url.rstrip("/")
        self._session = session
        self._credentials = credentials
        self._mark = credentials.mark(self._server_url)
        self._limits = limits
        self._pace = limits.pace
        self._on_event = on_event
        self._attempts = attempts
        self._keeper = keeper
        self._grant: Grant | None = self._kept()
        self._not_before = 0.0
        self._rejected: CredentialsRejected | None = None
        self._flight: asyncio.Task[Grant] | None = None

    def __repr__(self) -> str:
        return f"Authenticator({self._server_url!r}, {self.status})"

    @property
    def status(self) -> AuthStatus:
        """The authorisation as it stands."""
        now = self._pace.now()
        grant = self._grant
        if grant is None or now >= grant.expires_at:
            return AuthStatus(logged_in=False, refreshable=grant is not None and now < grant.refresh_until)
        return AuthStatus(
            logged_in=True,
            expires_in=int(grant.expires_at - now),
            refreshable=now < grant.refresh_until,
            scope=grant.scope,
            owner_id=grant.owner_id,
        )

    async def token(self) -> str:
        """A token that works; raises :class:`PlatformError`, :class:`CredentialsRejected` for good."""
        now = self._pace.now()
        grant = self._grant
        if grant is not None and now < max(grant.refresh_at, min(self._not_before, grant.expires_at)):
            return grant.access_token
        return (await self._single_flight()).access_token

    async def refresh(self) -> None:
        """Renew the token now, whatever its age."""
        await self._single_flight()

    def invalidate(self, token: str) -> None:
        """The platform answered 401 to ``token``; a token replaced since then is left alone."""
        grant = self._grant
        if grant is not None and grant.access_token == token:
            self._grant = replace(grant, refresh_at=0.0, expires_at=0.0)
            self._not_before = 0.0

    async def logout(self) -> None:
        """Revoke the session; the platform's failures are ignored."""
        grant, self._grant = self._grant, None
        if grant is None:
            return
        if self._keeper is not None:
            self._keeper.save(b"")
        with contextlib.suppress(PlatformError):
            await self._post(REVOKE_PATH, {"token": grant.refresh_token or grant.access_token})

    async def _single_flight(self) -> Grant:
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._obtain(), name="token request")
            self._flight.add_done_callback(_retrieve)
        return await asyncio.shield(self._flight)

    async def _obtain(self) -> Grant:
        if self._rejected is not None:
            raise self._rejected
        before = self._grant
        try:
            grant = await self._refresh(before) or await self._login()
        except (PlatformUnavailable, Throttled):
            if before is None or self._pace.now() >= before.expires_at:
                raise
            self._not_before = self._pace.now() + REFRESH_RETRY_SECONDS
            return before
        self._grant = grant
        if self._keeper is not None:
            self._keeper.save(pack(grant, self._mark, self._pace))
        return grant

    def _kept(self) -> Grant | None:
        """What the last process was granted, if it is still of use."""
        try:
            record = self._keeper.load() if self._keeper is not None else None
            grant = unpack(record, self._mark, self._pace) if record else None
        except (NotKept, ValueError) as odd:
            self._tell(AuthEventKind.NOT_RESUMED, {"reason": str(odd)})
            return None
        if grant is not None:
            left = max(0, int(grant.expires_at - self._pace.now()))
            self._tell(AuthEventKind.RESUMED, {"expires_in": left})
        return grant

    async def _refresh(self, before: Grant | None) -> Grant | None:
        """A grant by the refresh token; ``None`` when a new login is needed.

        In an outage the token is kept for later: its answer may have been lost, and a new login would end the
        session that a feed wants to resume.
        """
        if before is None or before.refresh_token is None or self._pace.now() >= before.refresh_until:
            return None
        form = {"grant_type": "refresh_token", "refresh_token": before.refresh_token}
        answer = await self._attempt(form, attempts=2)
        if answer.status != 200:
            return None
        return self._accept(answer, AuthEventKind.REFRESHED)

    async def _login(self) -> Grant:
        answer = await self._attempt(self._credentials.login_form(), attempts=self._attempts)
        if answer.status == 200:
            return self._accept(answer, AuthEventKind.OBTAINED)
        told = error_body(answer)
        if told is None or not told.code or answer.status not in (400, 401, 403):
            raise failure(answer)
        self._rejected = CredentialsRejected(told.code, told.text)
        self._tell(AuthEventKind.REJECTED, {"reason": told.code})
        raise self._rejected

    async def _attempt(self, form: dict[str, str], *, attempts: int) -> Answer:
        """Send a token request; outages are repeated, refusals returned."""
        for attempt in range(1, attempts + 1):
            try:
                answer = await self._post(TOKEN_PATH, form)
                if answer.status < 500 and answer.status != 408:
                    return answer
                raise failure(answer)
            except PlatformUnavailable as error:
                if attempt == attempts:
                    raise
                await self._pace.sleep(error.retry_after or ATTEMPT_SECONDS)
        raise AssertionError("unreachable")

    async def _post(self, path: str, form: dict[str, str]) -> Answer:
        await self._limits.acquire(RateGroup.AUTH, background=False)
        basic = _basic(self._credentials)
        answer = await exchange(
            self._session, "POST", self._server_url + path, headers={"Authorization": basic}, data=form
        )
        self._limits.learn(RateGroup.AUTH, answer.headers)
        if answer.status == 429:
            raise Throttled(self._limits.penalise(RateGroup.AUTH, answer.headers), RateGroup.AUTH)
        return answer

    def _accept(self, answer: Answer, kind: AuthEventKind) -> Grant:
        try:
            told = msgspec.json.decode(answer.body, type=TokenAnswer)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Malformed("a token answer without a token") from None
        now, lives = self._pace.now(), life(told.expires_in)
        if lives is None:
            raise Malformed("a token answer whose token has no life")
        refreshable = told.refresh_token is not None
        self._not_before = 0.0
        self._tell(kind, {"expires_in": int(lives)})
        return Grant(
            access_token=told.access_token,
            refresh_token=told.refresh_token,
            refresh_at=now + lives * REFRESH_AT,
            expires_at=now + lives,
            refresh_until=now + (life(told.refresh_token_expires_in) or 604_800) if refreshable else now,
            scope=told.scope,
            owner_id=text_id(told.owner_id) or "",
        )

    def _tell(self, kind: AuthEventKind, detail: dict[str, str | int]) -> None:
        if self._on_event is not None:
            self._on_event(AuthEvent(kind, detail))


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.client_id}:{credentials.client_secret}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def _retrieve(task: asyncio.Task[Grant]) -> None:
    """Mark a failure as seen, even when every caller has gone."""
    if not task.cancelled():
        task.exception()
