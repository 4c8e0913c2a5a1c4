"""What stands among the feed positions, and is judged where a start reads it: anybody may have changed a row by hand.

A feed's own token is the feed's. Beside it the pipeline keeps since when the feed has been seen, and what the last
complete listings had. What must stay true: no token ends a start; one that cannot be read is told and counted, and
counts as not there: a poll and a back-fill find what it told of.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from ringledger.config.model import Transport
from ringledger.domain.facts import Inventory
from ringledger.domain.observation import FeedPosition
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.decode.values import EARLIEST_MS
from ringledger.service.build import bookmark_reader

#: The name under which it is kept since when the feed has been seen.
SIGHT: Final = "sight"
#: The name under which it is kept what the last complete listings had.
LISTINGS: Final = "listings"

_sight: Final = msgspec.json.Decoder(int).decode
_listings: Final = msgspec.json.Decoder(list[tuple[int, tuple[str, ...]]]).decode
#: What a decoder raises: for another shape, for text that is no Unicode, for brackets within brackets.
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def sight_position(at: int) -> FeedPosition:
    """The feed has been seen without a blind span since ``at``, ms."""
    return FeedPosition(SIGHT, "", str(at), at)


def seen_since(position: FeedPosition) -> int | None:
    """Since when the feed had been seen, ms; ``None``: the token does not tell."""
    try:
        at = _sight(position.token)
    except _UNREADABLE:
        return None
    return at if EARLIEST_MS <= at <= position.at else None


def listings_position(listings: Sequence[Inventory]) -> FeedPosition:
    """What the last complete listings had; the newest of them stands last."""
    told = msgspec.json.encode([(had.at, had.names) for had in listings]).decode()
    return FeedPosition(LISTINGS, "", told, listings[-1].at)


def last_listings(position: FeedPosition) -> list[Inventory] | None:
    """What the last complete listings had; ``None``: the token does not tell."""
    try:
        told = _listings(position.token)
    except _UNREADABLE:
        return None
    if not all(EARLIEST_MS <= at <= position.at for at, _ in told):
        return None
    return [Inventory("", at, names) for at, names in told]


def tell_unreadable(positions: Mapping[str, FeedPosition], transport: Transport, metrics: Metrics) -> None:
    """Log and count each token that cannot be read. ``transport``: the feed that is to go on. The token of a
    synchronisation has no form: the platform refuses what it did not give, and gives another.
    """
    readers: dict[str, Callable[[FeedPosition], object]] = {
        SIGHT: seen_since,
        LISTINGS: last_listings,
        transport: bookmark_reader(transport),
    }
    for name, read in readers.items():
        position = positions.get(name)
        if position is not None and read(position) is None:
            LOG.warning(Event.DATABASE_UNREADABLE, table="feed_position", row=name)
            metrics.store_unreadable.labels(table="feed_position").inc()
