"""Two sessions that are one call: a RingOut (rule 7.9). A function of two calls, derived with each row, never stored.

Newer payloads show a RingOut as an inbound leg to one's own telephone and the outbound call, each with a session of its
own. A user who calls back a caller at once, after a missed call or after a talk, has made two calls.
"""

from collections.abc import Mapping
from typing import Final

from ringledger.domain.call import Call
from ringledger.domain.observation import INBOUND, OUTBOUND, CallKey, Direction

#: How far apart the two sessions of one RingOut start at most, ms.
PAIR_WINDOW_MS: Final = 5_000
#: How much later than the outer call the inner leg may ring, and how far apart both may end, ms.
TOGETHER_MS: Final = 1_000


def direction_of(call: Call) -> Direction | None:
    """The direction of a call that has but one."""
    legs = call.legs
    if not legs:
        return None
    first = legs[0].direction
    return first if len(legs) == 1 or all(leg.direction is first for leg in legs) else None


def wholes(inners: Mapping[CallKey, Call], outers: Mapping[CallKey, Call]) -> dict[CallKey, CallKey]:
    """Which outer call each inner one is the leg of: one has one at most, and the nearest choose first."""
    pairs = [
        (abs(one.started_at - other.started_at), inner, outer)
        for inner, one in inners.items() for outer, other in outers.items() if is_pair(one, other)
    ]  # fmt: skip
    found: dict[CallKey, CallKey] = {}
    for _, inner, outer in sorted(pairs):
        if inner not in found and outer not in found.values():
            found[inner] = outer
    return found


def is_pair(inner: Call, outer: Call) -> bool:
    """Whether ``inner`` is the leg to the caller's own telephone of the RingOut ``outer``."""
    if not may_pair(inner, outer):
        return False
    if {leg.extension_id for leg in inner.legs} - {""} - {leg.extension_id for leg in outer.legs}:
        return False  # it rings at others too: that is a call of its own
    actions = [claim.action.casefold() for call in (inner, outer) for claim in call.told.claims if claim.action]
    if actions:
        return any(action.startswith("ringout") for action in actions)
    if inner.rang and inner.started_at > outer.started_at + TOGETHER_MS:
        return False  # one's own telephone rings first
    return not (_goes_on_after(outer, inner) or _goes_on_after(inner, outer))


def may_pair(inner: Call, outer: Call) -> bool:
    """Whether they may turn out to be a pair, whatever else is heard of them: by numbers, directions and starts."""
    if direction_of(inner) is not INBOUND or direction_of(outer) is not OUTBOUND:
        return False
    return abs(inner.started_at - outer.started_at) <= PAIR_WINDOW_MS and _is_crossed(inner, outer)


def _is_crossed(inner: Call, outer: Call) -> bool:
    one, two = inner.legs[0], outer.legs[0]
    numbers = (one.from_party.number, one.to_party.number)
    return None not in numbers and numbers == (two.to_party.number, two.from_party.number)


def _goes_on_after(one: Call, other: Call) -> bool:
    """Whether one call has shown life after the other's end. An estimated end proves nothing."""
    if other.ended_at is None or other.end_estimated:
        return False
    last = one.seen_at if one.ended_at is None else one.ended_at
    return last > other.ended_at + TOGETHER_MS
