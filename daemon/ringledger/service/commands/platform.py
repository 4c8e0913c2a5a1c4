"""How a command that runs once talks to the platform: a client that waits for its turn, up to a person's patience.

What must stay true: every wait is told before it begins; a request refused for its rate (429) was not carried out, so
it is sent again when the penalty is over; no command waits longer than --max-wait.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from ringledger.config.model import Settings
from ringledger.domain.observation import Source
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.connection import Request
from ringledger.ringcentral.api.directory import WhoAmI
from ringledger.ringcentral.api.http import TIMEOUT, Answer, open_session
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.ringcentral.auth.authorisation import Authenticator
from ringledger.ringcentral.decode.records import RecordPage
from ringledger.ringcentral.errors import PermissionDenied, Throttled
from ringledger.ringcentral.ratelimit.limits import RateLimits
from ringledger.service.build import authenticator, credentials_missing, penalties_of
from ringledger.service.ingest.scope import Known, ScopedCallLog

#: How long a command waits for the platform's rate limits unless told otherwise, platform seconds.
MAX_WAIT: Final = 120.0
#: A wait shorter than this is not worth a word.
SILENT_SECONDS: Final = 1.0


class OutOfPatience(Throttled):
    """The platform makes us wait longer than we were told to."""


class Patience:
    """What a person grants: ``max_wait`` platform seconds between two answers. ``tell(line)`` is told of each wait."""

    def __init__(self, max_wait: float, tell: Callable[[str], None]) -> None:
        self._max_wait = max_wait
        self._tell = tell
        self._waited = 0.0

    def wait(self, group: str, reason: str, seconds: float) -> None:
        """A wait begins (``RateLimits``). Raises :class:`OutOfPatience` instead when it takes too long."""
        if self._waited + seconds > self._max_wait:
            raise OutOfPatience(seconds, group)
        self._waited += seconds
        if seconds >= SILENT_SECONDS:
            why = "penalty" if reason == "penalty" else "rate limit"
            self._tell(f"waiting {seconds:.0f} s: {group.capitalize()} group's {why}")

    def answered(self) -> None:
        """The platform has answered: patience begins anew."""
        self._waited = 0.0


class OneShotClient(PlatformClient):
    """The client of a command: none of its requests is background work, and it waits out a penalty."""

    def __init__(self, *parts: Any, patience: Patience, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._patience = patience

    async def send(self, request: Request) -> Answer:
        """Send ``request``, again after a penalty. Raises :class:`OutOfPatience` and what the client raises."""
        while True:
            try:
                answer = await super().send(replace(request, background=False))
            except OutOfPatience:
                raise
            except Throttled:
                continue  # the group's penalty is waited for by the next attempt, or refused there
            self._patience.answered()
            return answer


@dataclass(frozen=True, slots=True)
class OneShot:
    """What a command works with."""

    settings: Settings
    client: OneShotClient
    auth: Authenticator
    pace: Pace

    def books(self, me: WhoAmI, known: Known | None = None) -> ScopedCallLog:
        """Return the call log within the scope that the settings ask for. ``known``: which calls the ledger has."""
        named = self.settings.platform.extensions
        watched = None if "all" in named else [me.extension_id if one == "~" else one for one in named]
        return ScopedCallLog(self.client, me.account_id, watched, known)


@asynccontextmanager
async def one_shot(
    settings: Settings, tell: Callable[[str], None], *, max_wait: float = MAX_WAIT, pace: Pace | None = None
) -> AsyncIterator[OneShot]:
    """A client for one command. ``tell(line)``: hears of waits. Raises ``CredentialsMissing`` when there are none.

    A platform that is down is told at once, not after the patience a daemon has.
    """
    credentials_missing(settings)
    patience = Patience(max_wait, tell)
    limits = RateLimits(pace=pace, on_wait=patience.wait, penalties=penalties_of(settings))
    async with open_session(timeout=TIMEOUT) as session:
        auth = authenticator(settings, session, limits, attempts=1)
        client = OneShotClient(
            settings.platform.server_url,
            session,
            auth,
            limits,
            account=settings.platform.account,
            default_region=settings.platform.default_region,
            patience=patience,
        )
        yield OneShot(settings, client, auth, limits.pace)


async def extension_named(client: PlatformClient, text: str) -> str:
    """The id of an extension given by id or number; ``~`` is one's own. Raises ``LookupError`` when there is none."""
    if text == "~":
        return text
    try:
        people, _ = await client.extensions(background=False)
    except PermissionDenied:
        return text  # who may not read the list has to know the id
    for named in ((one.id for one in people if one.number == text), (one.id for one in people if one.id == text)):
        if (found := next(named, None)) is not None:
            return found
    raise LookupError(text)


async def record_pages(
    asking: OneShot, source: Source, wanted: CallLogQuery, extension_id: str | None = None
) -> AsyncIterator[RecordPage]:
    """Pages of a listing: of one extension, or of what the settings watch. A failed page raises ``PlatformError``."""
    me = await asking.client.whoami()
    books = asking.books(me)
    if extension_id is None:
        async for page in books.pages(source, lambda one: replace(wanted, extension_id=one)):
            yield replace(page, claims=books.mine(page.claims))
        return
    query = replace(wanted, extension_id=extension_id)
    async for page in asking.client.record_pages(source.value, query, source, account_id=me.account_id):
        yield page
