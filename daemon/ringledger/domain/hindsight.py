"""Hindsight: a call began and ended while the feed was away, the platform's books told of it first, and now the feed
tells the rest: who rang, who answered, how long it was held.

What must stay true: hindsight changes no end and reopens nothing (semantics 2.5, 2.8); it gives the row the figures it
would have had if the feed had been first.
"""

from collections.abc import Iterable, Iterator

from ringledger.domain.call import CallSession, EndSource, Leg
from ringledger.domain.observation import PRESENCE_SOURCES, CallItem
from ringledger.domain.status import TelephonyStatus, TerminationType, aggregate
from ringledger.domain.verdicts import COARSE_MS


def only_books_told(call: CallSession) -> bool:
    """Whether presence had nothing to say of the call while it went on."""
    if call.hindsight is not None:
        return True
    return call.events_accepted == 0 and not any(leg.source in PRESENCE_SOURCES for leg in call.legs)


def statuses_told(items: Iterable[tuple[Leg, CallItem]]) -> Iterator[tuple[Leg, TelephonyStatus]]:
    """Which statuses an event tells of which legs; an end that is intermediate leaves a leg as it was."""
    for leg, item in items:
        if item.status is not None and item.termination is not TerminationType.INTERMEDIATE:
            yield leg, item.status


def look_back(
    call: CallSession, told: Iterable[tuple[Leg, TelephonyStatus]], gone: Iterable[Leg], at: int
) -> tuple[TelephonyStatus, TelephonyStatus]:
    """The call's status before and after ``at``, as its legs were then; spans on hold are counted (semantics 4).

    ``told``: legs and their statuses; ``gone``: legs that others have replaced.
    """
    then = call.hindsight = call.hindsight or {}
    before = aggregate(then.values())
    then.update({str(leg.number): status for leg, status in told})
    for leg in gone:
        if then.pop(str(leg.number), None) is not None:
            leg.ended_at = at
    after = aggregate(then.values())
    call.note_hold(after, at)
    return before, after


def tells_end(call: CallSession, at: int) -> bool:
    """Whether a ``NoCall`` at ``at`` of a call that is over tells the call's end. One long before the end others have
    told (the books, a read) is that of one side alone: what went on afterwards is no life after the end.
    """
    if call.ended_at is None or call.end_source is EndSource.PRESENCE:
        return True
    rounded = any(verdict.coarse for verdict in call.verdicts.values())
    return at >= call.ended_at - (COARSE_MS if rounded else 0)
