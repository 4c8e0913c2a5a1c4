"""Hindsight: a call began and ended while the feed was away, the platform's books told of it first, and now the feed
tells the rest: who rang, who answered, how long it was held.

What must stay true: hindsight changes no end and reopens nothing (semantics 2.5, 2.8); it gives the row the figures it
would have had if the feed had been first.
"""

from collections.abc import Iterable

from ringledger.domain.call import CallSession, Leg
from ringledger.domain.observation import PRESENCE_SOURCES
from ringledger.domain.record import COARSE_MS
from ringledger.domain.status import TelephonyStatus, aggregate


def only_books_told(call: CallSession) -> bool:
    """Whether presence had nothing to say of the call while it went on."""
    if call.hindsight is not None:
        return True
    return call.events_accepted == 0 and not any(leg.source in PRESENCE_SOURCES for leg in call.legs)


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
    """Whether a ``NoCall`` at ``at`` of a call that is over tells the call's end. In hindsight one long before the end
    the books told is that of one extension alone: what the others did afterwards is no life after the end.
    """
    return call.hindsight is None or call.ended_at is None or at >= call.ended_at - COARSE_MS
