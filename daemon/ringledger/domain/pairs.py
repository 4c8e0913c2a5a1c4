"""Two sessions that are one call: a RingOut (semantics 7).

Newer payloads show a RingOut as an inbound leg to one's own phone and the outbound call, each with a session of its
own. What gives them away: the same extension, numbers crossed, and starts within five seconds.
"""

from collections.abc import Iterable
from typing import Final

from ringledger.domain.call import CallSession
from ringledger.domain.observation import Direction
from ringledger.domain.verdicts import COARSE_MS

#: How far apart the two sessions of one RingOut start at most.
PAIR_WINDOW_MS: Final = 5_000


def pair_ringout(call: CallSession, neighbours: Iterable[CallSession]) -> CallSession | None:
    """Find the other half of a RingOut; the inbound half becomes part of the outbound one. Returns that half."""
    for other in neighbours:
        if abs(call.started_at - other.started_at) > PAIR_WINDOW_MS:
            continue  # nearly all: they share an extension, not a moment
        inner, outer = (call, other) if _direction(call) is Direction.INBOUND else (other, call)
        if inner.part_of is None and _crossed(inner, outer):
            inner.part_of = outer.session_id
            return inner
    return None


def _direction(call: CallSession) -> Direction | None:
    """The direction of a call that has but one."""
    directions = {leg.direction for leg in call.legs}
    return directions.pop() if len(directions) == 1 else None


def _crossed(inner: CallSession, outer: CallSession) -> bool:
    if (_direction(inner), _direction(outer)) != (Direction.INBOUND, Direction.OUTBOUND):
        return False
    one, two = inner.legs[0], outer.legs[0]
    if inner.first_rung_at is not None and inner.started_at > outer.started_at + COARSE_MS:
        return False  # one's own telephone rings first
    if {leg.extension_id for leg in inner.legs} - {""} - {leg.extension_id for leg in outer.legs}:
        return False  # it rings at others too: that is a call of its own
    numbers = (one.from_party.number, one.to_party.number)
    return None not in numbers and numbers == (two.to_party.number, two.from_party.number)
