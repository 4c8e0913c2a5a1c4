"""What a source claims, in our own words. The tracker gets nothing else: a notification and a read as they are, what a
listing or a log answered as ``Records`` and ``Listing`` (:mod:`~ringledger.domain.tracker`), made of what is here.

A pushed notification and a read of presence are both a :class:`PresenceObservation`: a snapshot of one extension's
calls. Records of active-calls and the call log are :class:`RecordClaim`. Nothing here decides anything but identity.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from ringledger.domain.status import TelephonyStatus, TerminationType


class Source(StrEnum):
    """Where an observation comes from."""

    PRESENCE = "presence"
    """A pushed notification."""
    PRESENCE_READ = "presence-read"
    """Presence read over REST: a snapshot without a sequence."""
    ACTIVE_CALLS = "active-calls"
    CALL_LOG = "call-log"

    #: The text's own: an enumeration's is a Python call.
    __hash__ = str.__hash__


#: Names of the module are read in a fraction of the time that members of an enumeration take.
PRESENCE, PRESENCE_READ, ACTIVE_CALLS, CALL_LOG = Source


#: Sources that show a leg from its extension's side; the others are the platform's books.
PRESENCE_SOURCES: Final = frozenset({PRESENCE, PRESENCE_READ})


class Direction(StrEnum):
    """From the extension's point of view."""

    INBOUND = "Inbound"
    OUTBOUND = "Outbound"

    __hash__ = str.__hash__


INBOUND, OUTBOUND = Direction


class CallKey(NamedTuple):
    """Identity of a call (rule 1.1)."""

    account_id: str
    session_id: str


class Party(NamedTuple):
    """One end of a call. ``number`` is E.164 or a short extension number, ``None`` when withheld; ``raw`` is
    the text as received (rules 10.1, 10.4).
    """

    number: str | None = None
    name: str | None = None
    raw: str | None = None


UNKNOWN_PARTY = Party()


class CallItem(NamedTuple):
    """One entry of an extension's active calls (platform page 1.4).

    ``status`` is ``None`` when the platform used a word we do not know (``status_text`` has it).
    ``monitored``: the item mirrors another extension's call (``sipData.toTag`` is ``blf``).
    """

    session_id: str | None
    telephony_session_id: str | None
    leg_id: str | None
    direction: Direction | None
    status: TelephonyStatus | None
    status_text: str
    termination: TerminationType | None = None
    from_party: Party = UNKNOWN_PARTY
    to_party: Party = UNKNOWN_PARTY
    started_at: int | None = None
    queue_call: bool = False
    on_behalf_of: str | None = None
    monitored: bool = False

    @property
    def call_session_id(self) -> str | None:
        """The session that identifies the call; ``None`` when the item cannot be tracked (rule 1.1)."""
        if self.session_id and self.session_id != "0":
            return self.session_id
        return self.telephony_session_id or None


class PresenceObservation(NamedTuple):
    """A snapshot of one extension's calls.

    ``at`` is the platform's timestamp, ``received_at`` ours (both ms). ``sequence`` and ``uuid`` are ``None`` only
    for ``presence-read``. ``truncated``: the array was cut at seven, so absence proves nothing. ``asked_at``: when a
    read was asked for, by the clock of ``received_at``; ``None`` for what was pushed.
    """

    account_id: str
    extension_id: str
    at: int
    received_at: int
    sequence: int | None
    uuid: str | None
    items: tuple[CallItem, ...]
    truncated: bool = False
    source: Source = Source.PRESENCE
    presence_status: str | None = None
    user_status: str | None = None
    dnd_status: str | None = None
    asked_at: int | None = None


class RecordClaim(NamedTuple):
    """One record (or leg of a record) of active-calls or the call log: what the platform's own books say.

    Durations are ms. ``started_at``, ``duration_ms``, ``result``: ``None`` when the record does not say; a duration of
    0 that is said counts. ``running``: the record speaks of a call in progress. ``read_at``: when the answer that held
    the record was given (ms, the platform's time).
    """

    account_id: str
    session_id: str | None
    telephony_session_id: str | None
    record_id: str
    source: Source
    direction: Direction
    from_party: Party
    to_party: Party
    extension_id: str | None
    started_at: int | None
    duration_ms: int | None
    result: str | None
    action: str | None
    running: bool
    read_at: int
    leg_of: str | None = None
    internal: bool = False
    queue_call: bool = False
    #: Duration is in whole seconds (no ``durationMs``): ends are known to the second only.
    coarse: bool = False
    #: When it was asked for and when it was taken, by our own clock, ms (for a replay of the journal).
    asked_at: int | None = None
    received_at: int | None = None
    #: The extension ids of the calling and the called end, each empty when the record names none.
    parties: tuple[str, ...] = ()

    @property
    def call_session_id(self) -> str | None:
        """The session that identifies the call (rule 1.1)."""
        if self.session_id and self.session_id != "0":
            return self.session_id
        return self.telephony_session_id or None

    @property
    def ended_at(self) -> int | None:
        """Start plus duration, ms; ``None`` unless the record says both."""
        if self.started_at is None or self.duration_ms is None:
            return None
        return self.started_at + self.duration_ms


class Unreadable(NamedTuple):
    """A payload that could not be read: it is counted and logged, and never raised at the feed.

    ``reason``: a short stable word (``not_base64``, ``undecryptable``, ``not_json``, ``wrong_shape`` ...);
    ``detail``: what was wrong, without payload text; ``raw``: the text itself, shortened, numbers masked;
    ``source``: what brought it; ``body``: the text itself, bounded, as it is put aside.
    """

    reason: str
    detail: str
    raw: str
    received_at: int
    source: Source = Source.PRESENCE
    body: str = ""

    def __repr__(self) -> str:
        """Without the body, which holds whole telephone numbers."""
        return f"Unreadable({self.reason!r}, {self.detail!r}, {self.raw!r}, {self.received_at}, {self.source!r})"


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """How far a feed has been read. It is committed in the same transaction as what was read (rule 9.1).

    ``feed``: ``pubnub`` or ``websocket``; ``key``: what the token belongs to (subscriber key and channel, or the
    subscription); ``token``: opaque to everybody but the feed; ``account_id``: whose feed it is, known where it is
    taken in.
    """

    feed: str
    key: str
    token: str
    at: int
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a feed hands over in one go. ``position`` is where the feed stands after it; ``after_gap``: something may be
    missing between this and what was handed over before; ``more``: it has more to hand over at once, it is behind.
    """

    observations: tuple[PresenceObservation, ...]
    unreadable: tuple[Unreadable, ...]
    position: FeedPosition | None
    after_gap: bool = False
    more: bool = False
