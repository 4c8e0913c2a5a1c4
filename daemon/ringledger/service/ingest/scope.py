"""Whose call log is read: the whole account's, or that of each extension that is watched.

The account's own listings need an administrator; without one each watched extension is asked by itself. What must
stay true: a record that concerns neither a watched extension nor a known call never gets past here; an extension that
no longer exists does not keep the others' call logs from being read.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final, TypeVar

from ringledger.domain.observation import Direction, RecordClaim, Source
from ringledger.ringcentral.api.client import PlatformClient, RecordListing, SyncPage
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.ringcentral.decode.records import RecordPage
from ringledger.ringcentral.errors import NotFound, PermissionDenied

T = TypeVar("T")
#: Our own extension when the platform does not let us read its id: its records cannot be told from others by id.
UNREADABLE: Final = "~"
#: Which of these records' names (sessions, telephony sessions) are those of calls we know.
Known = Callable[[Collection[RecordClaim]], Awaitable[Collection[str]]]


class ScopedCallLog:
    """Active-calls and the call log, within our scope.

    ``watched``: extension ids, or ``None`` for every extension of the account.
    """

    def __init__(
        self, client: PlatformClient, account_id: str, watched: Iterable[str] | None, known: Known | None = None
    ) -> None:
        self.client = client
        self.account_id = account_id
        self.watched: set[str] | None = None if watched is None else set(watched)
        #: Which calls the ledger has; ``None``: there is no ledger, and no call is known.
        self._known = known
        self._whole_account = self.watched is None or len(self.watched) > 1

    async def active_calls(self) -> RecordListing:
        """Every page of every listing, or ``PlatformError``: a part is never returned as the whole.

        An extension that is no longer there has none, which proves nothing: presence is asked before a call of it ends.
        """
        parts = await self._everywhere(
            lambda extension_id: self.client.active_calls(account_id=self.account_id, extension_id=extension_id)
        )
        return RecordListing(
            claims=await self.ours([claim for part in parts for claim in part.claims]),
            unreadable=tuple(one for part in parts for one in part.unreadable),
            read_at=min(part.read_at for part in parts),
        )

    async def log_pages(self, query: Callable[[str | None], CallLogQuery]) -> AsyncIterator[RecordPage]:
        """The call log page by page. A failed page raises ``PlatformError``: what came before is not the whole."""
        async for page in self.pages(Source.CALL_LOG, query):
            yield page

    async def pages(self, source: Source, query: Callable[[str | None], CallLogQuery]) -> AsyncIterator[RecordPage]:
        """Active-calls or the call log page by page; raises as :meth:`log_pages`."""
        answered, gone = False, None
        try:
            for extension_id in self._scopes():
                try:
                    async for page in self.client.record_pages(
                        source.value, query(extension_id), source, account_id=self.account_id
                    ):
                        yield page
                    answered = True
                except NotFound as error:
                    gone = error
        except PermissionDenied:
            if not self._narrow():
                raise
            async for page in self.pages(source, query):
                yield page
            return
        if gone is not None and not answered:
            raise gone

    async def sync(self, token: str | None, since_ms: int | None) -> SyncPage:
        """What is new in the call log. Tokens are per scope, so only a single scope is synchronised (``can_sync``)."""
        (extension_id,) = self._scopes()
        try:
            return await self.client.call_log_sync(
                account_id=self.account_id, extension_id=extension_id, sync_token=token, since_ms=since_ms
            )
        except PermissionDenied:
            self._narrow()  # what is asked next is asked of each extension
            raise

    @property
    def can_sync(self) -> bool:
        """Whether one synchronisation covers everything watched."""
        return self._whole_account or len(self._scopes()) == 1

    def mine(self, claims: Iterable[RecordClaim], known: Collection[str] = ()) -> tuple[RecordClaim, ...]:
        """The records of extensions we watch, of calls with them, and of calls by one of the names ``known``; a record
        that names no extension is judged by its session.
        """
        if self.watched is None or UNREADABLE in self.watched:
            return tuple(claims)
        return tuple(one for one in claims if self._concerns(one) or not known_as(one).isdisjoint(known))

    async def ours(self, claims: Sequence[RecordClaim]) -> tuple[RecordClaim, ...]:
        """Return the records about watched extensions or known calls, rewritten from the watched extension's point of
        view.

        A running call that no watched extension takes part in any more is left out, even if it began at one: no event
        would report its end.
        """
        strangers = [one for one in claims if not self._concerns(one) and not one.running]
        known = await self._known(strangers) if self._known is not None and strangers else ()
        finished = [one for one in claims if not one.running or self._concerns(one)]
        return tuple(self._from_our_side(one) for one in self.mine(finished, known))

    def _concerns(self, claim: RecordClaim) -> bool:
        """Whether a watched extension took part, or may have."""
        if self.watched is None or UNREADABLE in self.watched or claim.extension_id is None:
            return True
        return claim.extension_id in self.watched or not self.watched.isdisjoint(claim.parties)

    def _from_our_side(self, claim: RecordClaim) -> RecordClaim:
        """Return the record from the point of view of the watched extension that it names as a party.

        The account's call log has one record of a call between two extensions: the caller's.
        """
        if self.watched is None or claim.extension_id is None or claim.extension_id in self.watched:
            return claim
        sides = list(zip(claim.parties, (Direction.OUTBOUND, Direction.INBOUND), strict=False))
        sides.sort(key=lambda side: side[1] is not claim.direction)
        found = next(((one, direction) for one, direction in sides if one in self.watched), None)
        return claim if found is None else claim._replace(extension_id=found[0], direction=found[1])

    def _scopes(self) -> Sequence[str | None]:
        if self._whole_account or self.watched is None:
            return [None]
        return sorted(self.watched)

    def _narrow(self) -> bool:
        """Ask for each extension by itself from now on, without an administrator. Returns whether that is possible."""
        if not self._whole_account or self.watched is None:
            return False
        self._whole_account = False
        return True

    async def _everywhere(self, ask: Callable[[str | None], Awaitable[T]]) -> list[T]:
        try:
            return await self._of_each(ask)
        except PermissionDenied:
            if not self._narrow():
                raise
            return await self._of_each(ask)

    async def _of_each(self, ask: Callable[[str | None], Awaitable[T]]) -> list[T]:
        """Return the answers for all scopes that still exist. Raises ``NotFound`` when none does."""
        answers, gone = [], None
        for extension_id in self._scopes():
            try:
                answers.append(await ask(extension_id))
            except NotFound as error:
                gone = error
        if gone is not None and not answers:
            raise gone
        return answers


def known_as(claim: RecordClaim) -> set[str]:
    """The names of the call a record speaks of."""
    return {name for name in (claim.call_session_id, claim.telephony_session_id) if name}
