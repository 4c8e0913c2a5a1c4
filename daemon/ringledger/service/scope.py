"""Whose books are read: the whole account's, or those of each extension that is watched.

The account's own listings need an administrator; without one each watched extension is asked by itself. What must
stay true: records of extensions nobody watches never get past here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from ringledger.domain.observation import RecordClaim, Source
from ringledger.platform.errors import PermissionDenied
from ringledger.platform.query import CallLogQuery
from ringledger.platform.records import RecordPage
from ringledger.platform.rest import Listing, PlatformClient, SyncPage

T = TypeVar("T")
#: Our own extension when the platform does not let us read its id: its records cannot be told from others by id.
UNREADABLE: Final = "~"


class PlatformBooks:
    """Active-calls and the call log, within our scope.

    ``watched``: extension ids, or ``None`` for every extension of the account.
    """

    def __init__(self, client: PlatformClient, account_id: str, watched: Iterable[str] | None) -> None:
        self.client = client
        self.account_id = account_id
        self.watched: set[str] | None = None if watched is None else set(watched)
        self._whole_account = self.watched is None or len(self.watched) > 1

    async def active_calls(self) -> Listing:
        """Every page of every listing, or ``PlatformError``: a part is never returned as the whole."""
        parts = await self._everywhere(
            lambda extension_id: self.client.active_calls(account_id=self.account_id, extension_id=extension_id)
        )
        return Listing(
            claims=self.mine(claim for part in parts for claim in part.claims),
            unreadable=tuple(one for part in parts for one in part.unreadable),
            read_at=min(part.read_at for part in parts),
        )

    async def log_pages(self, query: Callable[[str | None], CallLogQuery]) -> AsyncIterator[RecordPage]:
        """The call log page by page. A failed page raises ``PlatformError``: what came before is not the whole."""
        async for page in self.pages(Source.CALL_LOG, query):
            yield page

    async def pages(self, source: Source, query: Callable[[str | None], CallLogQuery]) -> AsyncIterator[RecordPage]:
        """Active-calls or the call log page by page; raises as :meth:`log_pages`."""
        try:
            for extension_id in self._scopes():
                async for page in self.client.record_pages(
                    source.value, query(extension_id), source, account_id=self.account_id
                ):
                    yield page
        except PermissionDenied:
            if not self._narrow():
                raise
            async for page in self.pages(source, query):
                yield page

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

    def mine(self, claims: Iterable[RecordClaim]) -> tuple[RecordClaim, ...]:
        """The records of extensions we watch; a record that names none is judged by its session."""
        if self.watched is None or UNREADABLE in self.watched:
            return tuple(claims)
        return tuple(one for one in claims if one.extension_id is None or one.extension_id in self.watched)

    def _scopes(self) -> Sequence[str | None]:
        if self._whole_account or self.watched is None:
            return [None]
        return sorted(self.watched)

    def _narrow(self) -> bool:
        """No administrator: ask for each extension by itself from now on, if we know which."""
        if not self._whole_account or self.watched is None:
            return False
        self._whole_account = False
        return True

    async def _everywhere(self, ask: Callable[[str | None], Awaitable[T]]) -> list[T]:
        try:
            return [await ask(extension_id) for extension_id in self._scopes()]
        except PermissionDenied:
            if not self._narrow():
                raise
            return [await ask(extension_id) for extension_id in self._scopes()]
