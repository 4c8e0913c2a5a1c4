"""What both feeds do alike: the filters they watch, the request for a new subscription, and what they report.

What must stay true: a set of filters and its mark change together; what only an administrator can mend is reported once
for each reason, not at each attempt.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ringledger.clock import now_ms
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import FeedNotice, FeedNoticeKind, FeedSink, GapCause, filters_mark
from ringledger.ringcentral.subscriptions.stale import making_room
from ringledger.ringcentral.subscriptions.subscription import Subscription, not_served


class SubscribedFeed:
    """A feed with one subscription. ``transport``: the platform's name for its way; ``filters``: event filters.

    ``last_sign`` is for a watchdog: monotonic seconds of the last proof that the feed is not stuck.
    """

    def __init__(self, client: PlatformClient, filters: Sequence[str], *, account_id: str, transport: str) -> None:
        self.last_sign = time.monotonic()
        self._client = client
        self._filters = list(filters)
        self._mark = filters_mark(filters)
        self._account_id = account_id
        self._transport = transport
        self._rebuild = ""  # why a new subscription is wanted
        self._told = ""  # the last reason reported that waiting does not cure
        self._silent = False

    async def watch(self, filters: Sequence[str]) -> None:
        """Other extensions are to be watched: subscribe anew, and report the gap."""
        self._filters, self._mark = list(filters), filters_mark(filters)
        await self.rebuild("other extensions")

    async def rebuild(self, reason: str) -> None:
        """The subscription is dead, whatever the platform says: make a new one, and report the gap."""
        self._rebuild = reason or "asked for"
        self._look_up()

    def _look_up(self) -> None:
        """End the wait for events: something else is to be done."""
        raise NotImplementedError

    async def _request(
        self, sink: FeedSink, create: Callable[[], Awaitable[Subscription]], using: str = ""
    ) -> Subscription:
        """A new subscription, in the place of stale ones when there are too many; ``using``: the id of one to keep."""
        return await making_room(
            self._client,
            create,
            transport=self._transport,
            filters=self._filters,
            using=using,
            told=lambda reason: self._notice(sink, FeedNoticeKind.SUBSCRIPTION_LOST, reason),
        )

    # -- reports ------------------------------------------------------------------------------------------------

    def _tell_created(self, sink: FeedSink, subscription: Subscription) -> None:
        detail = {"subscription_id": subscription.id, "expires_in": subscription.expires_in}
        self._notice(sink, FeedNoticeKind.SUBSCRIPTION_CREATED, "", detail)
        self._tell_refused(sink, subscription)

    def _tell_refused(self, sink: FeedSink, subscription: Subscription) -> None:
        if refused := not_served(self._filters, subscription):
            detail = {"filters": [list(pair) for pair in refused]}
            self._notice(sink, FeedNoticeKind.FILTERS_REFUSED, "", detail)

    def _tell_gap(self, sink: FeedSink, cause: GapCause, from_at: int | None) -> None:
        self._notice(sink, FeedNoticeKind.GAP, cause.value, {"from_at": from_at, "until_at": now_ms()})

    def _tell_once(self, sink: FeedSink, reason: str) -> None:
        """What only an administrator can mend."""
        if reason != self._told:
            self._told = reason
            self._notice(sink, FeedNoticeKind.SUBSCRIPTION_LOST, reason)

    def _notice(
        self, sink: FeedSink, kind: FeedNoticeKind, reason: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        sink.notice(FeedNotice(kind, now_ms(), reason, detail or {}))
