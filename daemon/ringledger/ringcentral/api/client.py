"""The platform's REST interface: typed methods, nothing of its own but paging.

What must stay true: a listing is returned whole or not at all, and an answer that cannot be read counts as an
outage. Instants handed out (``read_at``) are the platform's own: the ``Date`` of its answer.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp

from ringledger.clock import now_ms
from ringledger.domain.observation import PresenceObservation, RecordClaim, Source, Unreadable
from ringledger.ringcentral.api.connection import Connection, PlatformNoticeKind, Request
from ringledger.ringcentral.api.directory import (
    ExtensionInfo,
    ExtensionList,
    WhoAmI,
    decode_extension_page,
    decode_whoami,
)
from ringledger.ringcentral.api.http import Answer
from ringledger.ringcentral.api.query import CallLogQuery, iso, segment
from ringledger.ringcentral.auth.authorisation import Authenticator
from ringledger.ringcentral.decode.presence import decode_presence_read
from ringledger.ringcentral.decode.records import RecordPage, WireListing, decode_listing, decode_records
from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.ringcentral.decode.values import whole
from ringledger.ringcentral.errors import BadRequest, Malformed, PermissionDenied, SyncExpired
from ringledger.ringcentral.ratelimit.limits import RateGroup, RateLimits
from ringledger.ringcentral.subscriptions.subscription import Subscription, decode_subscription, decode_subscriptions

#: Pages of one listing, and records in one that is taken whole, at most.
MAX_PAGES: Final = 2000
MAX_LISTED: Final = 200_000
#: Also the platform's most for an incremental synchronisation.
PAGE_SIZE: Final = 250
#: The platform's most: thousands of extensions are few requests then, for their group has forty a minute.
EXTENSIONS_PAGE_SIZE: Final = "1000"
SYNC_ERRORS: Final = frozenset({"CLG-101", "CLG-102", "CLG-103", "CLG-104", "CLG-105"})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecordListing:
    """All pages of a listing, each record once. ``read_at``: when the first page was told, ms; a record has the date of
    its own page (rule 6.8).
    """

    claims: tuple[RecordClaim, ...]
    unreadable: tuple[Unreadable, ...]
    read_at: int


@dataclass(frozen=True, slots=True)
class SyncPage(RecordPage):
    """An answer of call-log-sync. ``full``: it has as many records as one may have, there may be more."""

    full: bool = False


class PlatformClient(Connection):
    """What the daemon asks of the platform. ``account``: id or ``~``; every method raises ``PlatformError``."""

    def __init__(
        self,
        server_url: str,
        session: aiohttp.ClientSession,
        auth: Authenticator,
        limits: RateLimits,
        *,
        account: str = "~",
        default_region: str = "US",
        on_notice: Callable[[PlatformNoticeKind, str], None] | None = None,
    ) -> None:
        super().__init__(server_url, session, auth, limits, on_notice=on_notice)
        self.account = account
        self.default_region = default_region

    async def request(
        self,
        method: str,
        path: str,
        *,
        group: RateGroup,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        background: bool = True,
    ) -> Answer:
        """Send one request below ``/restapi/v1.0``; any 2xx is returned."""
        return await self.send(
            Request(method=method, path=path, group=group, params=params, json=json, background=background)
        )

    # -- who ----------------------------------------------------------------------------------------------------

    async def whoami(self) -> WhoAmI:
        """Whose authorisation this is; ``~`` for ids one may not read."""
        try:
            answer = await self.request("GET", f"/account/{self.account}/extension/~", group=RateGroup.LIGHT)
        except PermissionDenied:
            return WhoAmI("~", "~", None, None)
        me = read_answer(decode_whoami, answer.body)
        if me.account_id != "~":
            return me
        return WhoAmI(await self._account_id(), me.extension_id, me.extension_number, me.name)

    async def _account_id(self) -> str:
        try:
            answer = await self.request("GET", f"/account/{self.account}", group=RateGroup.LIGHT)
        except PermissionDenied:
            return "~"
        return read_answer(decode_whoami, answer.body).extension_id

    async def extensions(self, *, background: bool = True) -> ExtensionList:
        """Every extension of the account."""
        found: dict[str, ExtensionInfo] = {}
        unreadable = 0
        path, params = f"/account/{self.account}/extension", {"perPage": EXTENSIONS_PAGE_SIZE}
        async for body, _ in self.pages(path, group=RateGroup.MEDIUM, params=params, background=background):
            page = read_answer(decode_extension_page, body)
            found |= {one.id: one for one in page.people}
            unreadable += page.unreadable
        return ExtensionList(list(found.values()), unreadable)

    # -- subscriptions ------------------------------------------------------------------------------------------

    async def create_subscription(
        self, filters: list[str], *, transport: str = "PubNub", expires_in: int | None = None
    ) -> Subscription:
        """Ask for the events of ``filters``; check ``disabled_filters`` of the answer."""
        delivery: dict[str, Any] = {"transportType": transport}
        if transport == "PubNub":
            delivery["encryption"] = True
        body: dict[str, Any] = {"eventFilters": filters, "deliveryMode": delivery}
        if expires_in is not None:
            body["expiresIn"] = expires_in
        answer = await self.request("POST", "/subscription", group=RateGroup.MEDIUM, json=body, background=False)
        return read_answer(decode_subscription, answer.body)

    async def renew_subscription(self, subscription_id: str) -> Subscription:
        """Prolong it; its delivery parameters may change."""
        path = f"/subscription/{segment(subscription_id)}/renew"
        answer = await self.request("POST", path, group=RateGroup.LIGHT, background=False)
        return read_answer(decode_subscription, answer.body)

    async def get_subscription(self, subscription_id: str) -> Subscription:
        """As it stands, delivery parameters included."""
        path = f"/subscription/{segment(subscription_id)}"
        answer = await self.request("GET", path, group=RateGroup.LIGHT, background=False)
        return read_answer(decode_subscription, answer.body)

    async def subscriptions(self) -> list[Subscription]:
        """All of this user and app, whichever process made them; at most thirty, without their delivery parameters."""
        answer = await self.request("GET", "/subscription", group=RateGroup.LIGHT, background=False)
        return read_answer(decode_subscriptions, answer.body)

    async def delete_subscription(self, subscription_id: str) -> None:
        """End it."""
        path = f"/subscription/{segment(subscription_id)}"
        await self.request("DELETE", path, group=RateGroup.MEDIUM, background=False)

    # -- presence and records -----------------------------------------------------------------------------------

    async def read_presence(
        self, extension_id: str, *, account_id: str, background: bool = True
    ) -> PresenceObservation:
        """One extension's calls, all of them, as they were when the answer was given."""
        answer = await self.request(
            "GET",
            f"/account/{self.account}/extension/{segment(extension_id)}/presence",
            group=RateGroup.LIGHT,
            params={"detailedTelephonyState": "true", "sipData": "true"},
            background=background,
        )
        return read_answer(
            decode_presence_read,
            answer.body,
            account_id=account_id,
            extension_id=extension_id,
            default_region=self.default_region,
            read_at=self.told_at(answer),
            received_at=now_ms(),
            latest=self.latest_ms(),
        )

    async def active_calls(
        self, *, account_id: str, extension_id: str | None = None, background: bool = True
    ) -> RecordListing:
        """Calls in progress and just ended, all pages; of the whole account without ``extension_id``."""
        query = CallLogQuery(extension_id=extension_id, type=None, per_page=PAGE_SIZE)
        return await self._listing("active-calls", query, account_id, Source.ACTIVE_CALLS, background=background)

    async def call_log(self, query: CallLogQuery, *, account_id: str, background: bool = True) -> RecordListing:
        """The call log's answer to ``query``, all pages."""
        return await self._listing("call-log", query, account_id, Source.CALL_LOG, background=background)

    async def record_pages(
        self, name: str, query: CallLogQuery, source: Source, *, account_id: str, background: bool = True
    ) -> AsyncIterator[RecordPage]:
        """The listing ``name`` page by page; active-calls ignores most filters. A failed page raises: what came before
        is not the whole.
        """
        path, params, faxes = query.path(self.account, name), query.params(), query.type == "Fax"
        async for body, read_at in self.pages(path, group=RateGroup.HEAVY, params=params, background=background):
            yield self._records(body, account_id, source, read_at, faxes=faxes)

    async def call_log_sync(
        self,
        *,
        account_id: str,
        extension_id: str | None = None,
        sync_token: str | None = None,
        since_ms: int | None = None,
        record_count: int = PAGE_SIZE,
        background: bool = True,
    ) -> SyncPage:
        """What is new since ``sync_token``; without one everything since ``since_ms``. The newest of it, if it is too
        much for one answer: then the rest is told by the call log alone, for the next token speaks of all.

        Raises :class:`SyncExpired` when the token is no longer good.
        """
        params = {"syncType": "ISync", "syncToken": sync_token} if sync_token else {"syncType": "FSync"}
        if not sync_token:
            params["recordCount"] = str(record_count)
            if since_ms is not None:
                params["dateFrom"] = iso(since_ms)
        path = CallLogQuery(extension_id=extension_id).path(self.account, "call-log-sync")
        try:
            answer = await self.request("GET", path, group=RateGroup.HEAVY, params=params, background=background)
        except BadRequest as error:
            if error.code in SYNC_ERRORS:
                raise SyncExpired(error.code, "the synchronisation token has expired") from None
            raise
        page = self._records(answer.body, account_id, Source.CALL_LOG, self.told_at(answer))
        full = len(read_answer(decode_listing, answer.body).records or ()) >= (
            PAGE_SIZE if sync_token else record_count
        )
        return SyncPage(page.claims, page.unreadable, page.next_page, page.sync_token, full=full)

    async def pages(
        self,
        path: str,
        *,
        group: RateGroup,
        params: Mapping[str, str] | None = None,
        background: bool = True,
    ) -> AsyncIterator[tuple[bytes, int]]:
        """Each page's body and when it was told (ms); a failed page raises.

        A platform that goes on naming a next page and gives the same one again, or one of another number than was asked
        for, has no more: that ends the listing where all of it has been seen, and raises where it may not be all.
        """
        seen: set[bytes] = set()
        full = False
        for page in range(1, MAX_PAGES + 1):
            asked = {**(params or {}), "page": str(page)}
            answer = await self.request("GET", path, group=group, params=asked, background=background)
            listing = read_answer(decode_listing, answer.body)
            mark = _mark(listing)
            told = listing.paging.page if listing.paging else None
            if page > 1 and (mark in seen or (told is not None and told < page)):
                if full:
                    raise Malformed(f"page {page} of a listing is one that came before")
                return
            seen.add(mark)
            yield answer.body, self.told_at(answer)
            if listing.next_page is None:
                return
            full = len(listing.records or ()) >= _per_page(params, listing)
        raise Malformed(f"a listing of more than {MAX_PAGES} pages")

    async def _listing(
        self, name: str, query: CallLogQuery, account_id: str, source: Source, *, background: bool
    ) -> RecordListing:
        claims: dict[str, RecordClaim] = {}
        unreadable: list[Unreadable] = []
        first: int | None = None
        path, params = query.path(self.account, name), query.params()
        async for body, read_at in self.pages(path, group=RateGroup.HEAVY, params=params, background=background):
            first = read_at if first is None else first
            page = self._records(body, account_id, source, read_at)
            claims.update((claim.record_id, claim) for claim in page.claims)
            unreadable += page.unreadable
            if len(claims) > MAX_LISTED:
                raise Malformed(f"a listing of more than {MAX_LISTED} records")
        return RecordListing(tuple(claims.values()), tuple(unreadable), first or 0)

    def _records(
        self, body: bytes, account_id: str, source: Source, read_at: int, *, faxes: bool = False
    ) -> RecordPage:
        return read_answer(
            decode_records,
            body,
            account_id=account_id,
            source=source,
            default_region=self.default_region,
            read_at=read_at,
            faxes=faxes,
            latest=self.latest_ms(),
        )


def _mark(listing: WireListing) -> bytes:
    """Tells the records of one page from those of another."""
    told = hashlib.blake2b(digest_size=16)
    for raw in listing.records or ():
        told.update(bytes(raw))
        told.update(b"\n")
    return told.digest()


def _per_page(params: Mapping[str, str] | None, listing: WireListing) -> int:
    """How many records a page may hold: what the platform says, else what was asked for."""
    told = listing.paging.per_page if listing.paging else None
    return told if told and told > 0 else whole((params or {}).get("perPage"), 1) or PAGE_SIZE


def read_answer(decoder: Callable[..., T], body: bytes, **context: Any) -> T:
    """Decode an answer; one that cannot be read counts as an outage."""
    try:
        return decoder(body, **context)
    except WireError as error:
        raise Malformed(f"unreadable answer, {error}") from None
