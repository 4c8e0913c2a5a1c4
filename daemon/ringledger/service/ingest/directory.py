"""Who is watched: the extensions, their names and numbers, who joins and who leaves.

What must stay true: with ``extensions = "all"`` every enabled user is watched within an hour of joining; names are a
courtesy, and a missing permission to read them stops nothing.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from ringledger.config.model import Settings
from ringledger.domain.tracker import CallTracker
from ringledger.observability.logging import LOG, Event
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.directory import ExtensionInfo, WhoAmI
from ringledger.ringcentral.delivery import Feed
from ringledger.ringcentral.errors import CredentialsRejected, PermissionDenied, PlatformError
from ringledger.ringcentral.subscriptions.filters import presence_filters
from ringledger.service.ingest.pipeline import Pipeline

#: How often the list of extensions is read again, seconds; the loop gives a sign of life more often.
REFRESH_SECONDS = 3_600.0
BEAT_SECONDS = 15.0


class ExtensionDirectory:
    """The extensions the settings ask for, as the platform knows them."""

    def __init__(self, client: PlatformClient, settings: Settings, me: WhoAmI) -> None:
        self.watched: list[str] = []
        #: The account's list is read again this often, seconds.
        self.refresh_seconds = REFRESH_SECONDS
        self._client = client
        self._settings = settings
        self._me = me
        self._people: dict[str, ExtensionInfo] = {}
        #: Entries of the account's list that could not be read, the last time.
        self._unreadable = 0

    @property
    def everybody(self) -> bool:
        """Whether the whole account is watched."""
        return "all" in self._settings.platform.extensions

    async def load(self) -> list[str]:
        """Read the account's extensions; returns the ids to watch. Raises ``PlatformError``."""
        try:
            people, unreadable = await self._client.extensions()
        except PermissionDenied:
            if self.everybody:
                raise
            me = self._me
            people, unreadable = [ExtensionInfo(me.extension_id, me.extension_number, me.name, "", "")], 0
        self._tell(unreadable)
        self._people = {one.id: one for one in people}
        if self.everybody:
            self.watched = [one.id for one in people if one.has_presence]
        else:
            named = self._settings.platform.extensions
            self.watched = [self._me.extension_id if one == "~" else one for one in named]
        return self.watched

    def _tell(self, unreadable: int) -> None:
        """Say once how many entries cannot be read, and again when it is another number."""
        if unreadable != self._unreadable:
            self._unreadable = unreadable
            LOG.warning(Event.DIRECTORY_UNREADABLE, count=unreadable)

    def who(self, extension_id: str | None) -> tuple[str | None, str | None]:
        """An extension's number and name, as far as the directory knows them."""
        one = self._people.get(extension_id or "")
        return (None, None) if one is None else (one.number, one.name)

    def introduce(self, tracker: CallTracker, account_id: str) -> None:
        """Give watched extensions their names and numbers."""
        for one in self._known(self.watched):
            extension = tracker.extension(account_id, one.id)
            if (extension.extension_number, extension.name) != (one.number, one.name):
                extension.extension_number, extension.name = one.number, one.name
                tracker.changes.extensions[account_id, one.id] = extension

    async def _rest(self, beat: Callable[[], None]) -> None:
        """Until it is time to read the list again."""
        since = time.monotonic()
        while (left := since + self.refresh_seconds - time.monotonic()) > 0:
            beat()
            await asyncio.sleep(min(BEAT_SECONDS, left))

    def _known(self, ids: Iterable[str]) -> list[ExtensionInfo]:
        return [self._people[one] for one in ids if one in self._people]

    async def run(self, intake: Pipeline, feed: Feed, beat: Callable[[], None] = lambda: None) -> None:
        """Follow joins, leaves and new names, until cancelled. Raises ``CredentialsRejected``."""
        await intake.change(lambda: self.introduce(intake.tracker, intake.account_id))
        while True:
            await self._rest(beat)
            before = set(self.watched)
            try:
                await self.load()
            except CredentialsRejected:
                raise
            except PlatformError as error:
                LOG.warning(Event.POLL_FAILED, reason=type(error).__name__, detail=str(error), source="extensions")
                continue
            if before != set(self.watched):
                await feed.watch(presence_filters(self._settings.platform.account, self.watched))
            await intake.change(lambda: self.introduce(intake.tracker, intake.account_id))
