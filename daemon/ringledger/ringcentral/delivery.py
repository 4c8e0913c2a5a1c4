"""What every feed has in common: where it delivers, what it reports, and the interface the service runs.

What must stay true: :meth:`FeedSink.deliver` returns only after the commit, and a feed asks for nothing newer
before it has returned.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from ringledger.domain.observation import Delivery

#: A delivery that fails so often in a row is no passing trouble: the feed ends with the sink's own error, loudly.
MOST_SINK_FAILURES: Final = 5


class FeedNoticeKind(StrEnum):
    """Log events of a feed (contract 6)."""

    CONNECTED = "feed.connected"
    DISCONNECTED = "feed.disconnected"
    RESUMED = "feed.resumed"
    GAP = "feed.gap"
    SILENT = "feed.silent"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_RENEWED = "subscription.renewed"
    SUBSCRIPTION_LOST = "subscription.lost"
    FILTERS_REFUSED = "subscription.filters_refused"


class GapCause(StrEnum):
    """Why events may be missing (``reason`` of ``feed.gap``)."""

    NO_POSITION = "no_position"
    TOO_OLD = "too_old"
    KEY_CHANGED = "key_changed"
    POSSIBLE_OVERFLOW = "possible_overflow"
    OUTAGE = "outage"
    UNREADABLE = "unreadable"
    SUBSCRIPTION_LOST = "subscription_lost"


@dataclass(frozen=True, slots=True)
class FeedNotice:
    """Something about the feed itself. ``at_ms``: our clock. A gap's ``detail`` has ``from_at`` (ms, the last
    instant known to be covered, or ``None``) and ``until_at`` (ms). ``delivered``: the deliveries say themselves before
    which of them something may be missing.
    """

    kind: FeedNoticeKind
    at_ms: int
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    delivered: bool = False


class FeedSink(Protocol):
    """Where a feed delivers."""

    async def room(self) -> None:
        """Return when intake may go on."""

    async def deliver(self, delivery: Delivery) -> None:
        """Return after the commit; raise, and the feed delivers the same again, ``MOST_SINK_FAILURES`` times."""

    def notice(self, notice: FeedNotice) -> None:
        """Hear about the feed; never raises, never blocks."""


class Feed(Protocol):
    """A source of notifications."""

    async def run(self, sink: FeedSink) -> None:
        """Feed ``sink`` until cancelled; raises :class:`CredentialsRejected` when there is no hope."""

    async def watch(self, filters: Sequence[str]) -> None:
        """Other extensions are to be watched: subscribe anew, and report the gap."""

    async def rebuild(self, reason: str) -> None:
        """The subscription is dead, whatever the platform says: make a new one, and report the gap."""


def filters_mark(filters: Sequence[str]) -> str:
    """A short text that tells one set of event filters from another, for a position to carry."""
    return hashlib.sha256("\n".join(sorted(filters)).encode()).hexdigest()[:16]
