"""The facts of a call, and their order.

A call is a set of immutable facts; legs, status, times and the row are functions of that set. Nothing here is ever
changed, only added. What must stay true: the order of facts follows from the facts, never from the order in which they
arrived. What does depend on arrival is stamped into a fact once (``received_at``, ``asked_at``, ``stale``,
``live_since``). A complete answer is a fact of the calls that it does not have as well, also of one that nobody knows
yet, and becomes so when that call is known: what it had is kept as an ``Inventory``.

Every fact is a tuple of primitives, :class:`~ringledger.domain.observation.CallItem` and
:class:`~ringledger.domain.observation.RecordClaim`, so that it can be stored as JSON and read back equal.
``FACT_KINDS`` names the types. Times are ms since the epoch: the platform's, but for the stamps.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from ringledger.domain.observation import UNKNOWN_PARTY, CallItem, Direction, Party, RecordClaim, Source
from ringledger.domain.status import TelephonyStatus, TerminationType

#: A smaller sequence begins a new epoch when it was sent so much later than that extension's newest event (rule 2.3).
RESTART_AFTER_MS: Final = 60_000


class EndSource(StrEnum):
    """The source that reported the end of a call or of a leg."""

    PRESENCE = "presence"
    RECONCILED = "reconciled"
    CALL_LOG = "call-log"
    EXPIRED = "expired"


class PresenceEvent(NamedTuple):
    """One notification of one extension, as far as it tells of this call.

    ``items``: its entries about this call whose status is known. Without any, it is a newer whole snapshot that no
    longer lists the call: a doubt, no end and no part of the timeline (rule 5.5). ``whole``: the snapshot names
    every leg that the call has at this extension. ``stale``: a larger sequence of this extension had arrived
    before; it is reported and counted, nothing depends on it. ``live_since``: our time at which the unbroken span
    of the feed began in which the event came; two events with different values have a blind span between them (rule
    4).
    """

    extension_id: str
    sequence: int
    at: int
    items: tuple[CallItem, ...]
    whole: bool = True
    uuid: str | None = None
    received_at: int = 0
    stale: bool = False
    live_since: int = 0


class Read(NamedTuple):
    """The presence of one extension as read over REST. ``at`` is the date of the answer: whole seconds, and older than
    it looks (rule 6.7). ``items``: the live entries about this call; without any, the extension does not have the call.
    """

    extension_id: str
    at: int
    items: tuple[CallItem, ...]
    whole: bool = True
    asked_at: int = 0
    received_at: int = 0


class Record(NamedTuple):
    """One reading of one record of active-calls or the call log. ``watched``: presence of the record's extension is
    received at all; a queue's is not.
    """

    claim: RecordClaim
    watched: bool = True


class Absence(NamedTuple):
    """A complete listing of active calls, given at ``at``, did not have the call."""

    at: int
    asked_at: int = 0


class Inventory(NamedTuple):
    """Which calls a complete answer of the platform had: the presence of one extension as read, or (of no extension) a
    listing of active calls. ``names``: sessions and telephony sessions. It is of no call. A call that is known later,
    and that it does not name, gets a ``Read`` without items or an ``Absence`` from it.
    """

    extension_id: str
    at: int
    names: tuple[str, ...] = ()
    asked_at: int = 0
    received_at: int = 0


class GivenUp(NamedTuple):
    """No source has spoken of the call for very long; void when it was heard of after ``last_seen_at``."""

    last_seen_at: int


class Ignored(NamedTuple):
    """One item of a notification that is no fact of the call, kept for the journal only. ``reason``: a word of
    :class:`~ringledger.domain.changes.IgnoredReason`. The fold passes over it.
    """

    extension_id: str
    leg_id: str | None
    status: str
    sequence: int | None
    at: int
    received_at: int
    source: Source
    reason: str


class Watermark(NamedTuple):
    """The newest event of one extension about the call, for the sequence guard (rule 2.1)."""

    extension_id: str
    epoch: int
    sequence: int
    at: int


class StatusChange(NamedTuple):
    """The call's status has become ``status``. ``sequence``, ``extension_id``: of the event which brought it."""

    at: int
    status: TelephonyStatus
    source: Source
    sequence: int | None = None
    extension_id: str | None = None


class LegSummary(NamedTuple):
    """One leg as its facts left it. ``answer_estimated``: the leg was only found answered (rule 4.3)."""

    extension_id: str
    direction: Direction
    leg_id: str | None
    source: Source
    status: TelephonyStatus
    live: bool
    started_at: int
    start_estimated: bool = False
    answered_at: int | None = None
    answer_estimated: bool = False
    ended_at: int | None = None
    end_source: EndSource = EndSource.PRESENCE
    end_estimated: bool = False
    termination: TerminationType | None = None
    from_party: Party = UNKNOWN_PARTY
    to_party: Party = UNKNOWN_PARTY
    queue_call: bool = False
    on_behalf_of: str | None = None
    seen_at: int = 0


class Summary(NamedTuple):
    """What a call's earlier facts said together: the starting point of a fold whose facts are retired, or were never
    kept (a database of an older version). It comes first in the order of facts; a call has at most one.

    ``at``: the time of its last fact. An event that is not after the ``watermarks`` entry of its extension moves no
    status. ``held_ms``: time on hold that ``changes`` do not tell; ``None``: it was not seen. ``hold_since``: it is on
    hold now. ``answer_estimated``, ``rung_at``: see rule 4.3. ``records``: the readings that count.
    """

    at: int
    legs: tuple[LegSummary, ...] = ()
    watermarks: tuple[Watermark, ...] = ()
    changes: tuple[StatusChange, ...] = ()
    status: TelephonyStatus = TelephonyStatus.NO_CALL
    started_at: int | None = None
    start_estimated: bool = False
    rung_at: int | None = None
    answered_at: int | None = None
    answer_estimated: bool = False
    held_ms: int | None = 0
    hold_since: int | None = None
    ended_at: int | None = None
    end_source: EndSource = EndSource.PRESENCE
    end_estimated: bool = False
    seen_at: int = 0
    telephony_session_id: str | None = None
    internal: bool = False
    events_accepted: int = 0
    events_ignored: int = 0
    records: tuple[Record, ...] = ()
    confirmed_at: int | None = None


Fact = PresenceEvent | Read | Record | Absence | Inventory | GivenUp | Ignored | Summary

#: The stored word for each type of fact.
FACT_KINDS: Final[dict[str, type[Fact]]] = {
    "event": PresenceEvent,
    "read": Read,
    "record": Record,
    "absence": Absence,
    "inventory": Inventory,
    "given_up": GivenUp,
    "ignored": Ignored,
    "summary": Summary,
}

#: The order of two events of one extension: epoch, sequence, server time, uuid (rule 2.3).
Order = tuple[int, int, int, str]


def ordered(events: Iterable[PresenceEvent], after: Watermark | None = None) -> list[tuple[Order, PresenceEvent]]:
    """Return the events of one extension about one call in their order. Epochs follow from the events themselves: one
    begins at an event with a smaller sequence, sent more than ``RESTART_AFTER_MS`` after the newest one before it.
    ``after``: the watermark of a summary, from which they go on.
    """
    epoch, top, newest_at = (0, -(2**63), 0) if after is None else (after.epoch, after.sequence, after.at)
    result: list[tuple[Order, PresenceEvent]] = []
    for event in sorted(events, key=_by_time):
        if event.sequence >= top:
            top = event.sequence
        elif event.at > newest_at + RESTART_AFTER_MS:
            epoch, top = epoch + 1, event.sequence
        newest_at = max(newest_at, event.at)
        result.append(((epoch, event.sequence, event.at, event.uuid or ""), event))
    result.sort(key=_by_order)
    return result


def _by_time(event: PresenceEvent) -> tuple[int, int, str]:
    return event.at, event.sequence, event.uuid or ""


def _by_order(pair: tuple[Order, PresenceEvent]) -> Order:
    return pair[0]
