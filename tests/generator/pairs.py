"""Pairs of calls near one another, in which it is not plain what belongs to what: the same people, the same minute.

What the rows of such calls are is a matter of the rules; here only that they are the same in any order of arrival.
"""

from collections.abc import Callable

from tests.generator.kinds import MAIN, Planner
from tests.generator.world import Call, Leg, Party

OURS = Party("+16505550101", "Ours")


def _inbound(p: Planner, kind: str, extension: str, caller: Party, to: Party = OURS) -> tuple[Call, Leg]:
    call = p.call(kind, "Missed")
    return call, p.leg(call, extension, "Inbound", caller, to)


def _outbound(p: Planner, kind: str, extension: str, callee: Party) -> tuple[Call, Leg]:
    call = p.call(kind, "Call connected")
    return call, p.leg(call, extension, "Outbound", OURS, callee)


def _goes_on(p: Planner, call: Call, leg: Leg) -> None:
    """It is answered or not, and ends."""
    if p.rng.random() < 0.5:
        call.result = "Accepted" if leg.direction == "Inbound" else "Call connected"
        p.step(leg, "CallConnected", 0.5, 20)
    elif leg.direction == "Outbound":
        call.result = "No Answer"
    p.end(leg, 0.5, 40)


def _one_after_the_other(p: Planner, kind: str, low: float, high: float, *, back: bool) -> list[Call]:
    """A call, and soon after its end another between the same people, the other way (``back``) or again."""
    (extension,), caller = p.extensions(1), p.caller()
    first, leg = _inbound(p, kind, extension, caller)
    p.enter(leg, "Ringing")
    _goes_on(p, first, leg)
    p.later(low, high)
    second, other = _outbound(p, kind, extension, caller) if back else _inbound(p, kind, extension, caller)
    p.enter(other, "Ringing")
    _goes_on(p, second, other)
    return [first, second]


def dials_again(p: Planner) -> list[Call]:
    return _one_after_the_other(p, "dials_again", 0.2, 70, back=False)


def calls_back(p: Planner) -> list[Call]:
    return _one_after_the_other(p, "calls_back", 0.05, 12, back=True)


def two_at_once(p: Planner) -> list[Call]:
    """The same caller rings twice at the same time, at one extension or two."""
    caller, places = p.caller(), p.extensions(2)
    first, leg = _inbound(p, "two_at_once", places[0], caller)
    second, other = _inbound(p, "two_at_once", p.rng.choice(places), caller)
    p.enter(leg, "Ringing")
    p.step(other, "Ringing", 0.05, 5)
    _goes_on(p, first, leg)
    _goes_on(p, second, other)
    return [first, second]


def two_at_once_and_a_call_back(p: Planner) -> list[Call]:
    """Who is rung twice at once by somebody calls him at the same moment: one of them may be his own telephone."""
    (extension,), caller = p.extensions(1), p.caller()
    inner, leg = _inbound(p, "two_and_back", extension, caller)
    second, other = _inbound(p, "two_and_back", extension, caller)
    outer, out = _outbound(p, "two_and_back", extension, caller)
    p.enter(leg, "Ringing")
    p.step(other, "Ringing", 0.05, 2)
    p.step(leg, "CallConnected", 0.2, 2)
    p.step(out, "Ringing", 0.05, 2)
    p.step(out, "CallConnected", 1, 20)
    for one in p.rng.sample([leg, other, out], 3):
        p.end(one, 0.02, p.rng.choice([0.8, 8]))
    inner.result = "Accepted"
    return [outer, inner, second]


def two_ringouts(p: Planner) -> list[Call]:
    """Two RingOuts of one person to the same number at nearly the same time."""
    (extension,), callee = p.extensions(1), p.caller()
    calls, ends = [], []
    for _ in range(2):
        inner, own = _inbound(p, "two_ringouts", extension, callee)
        outer, leg = _outbound(p, "two_ringouts", extension, callee)
        inner.result, inner.action, outer.action = "Accepted", "RingOut Web", "RingOut Web"
        p.step(own, "Ringing", 0.05, 2)
        p.step(own, "CallConnected", 0.5, 2)
        p.step(leg, "Ringing", 0.05, 1)
        calls += [outer, inner]
        ends += [leg, own]
    for leg in ends:
        p.end(leg, 0.02, 3)
    return calls


def shared_telephony(p: Planner) -> list[Call]:
    """Two sessions of one telephony session are one call."""
    calls = _one_after_the_other(p, "shared_telephony", 0.5, 20, back=p.rng.random() < 0.5)
    calls[1].telephony = calls[0].telephony
    return calls


def logged_otherwise(p: Planner) -> list[Call]:
    """Missed calls that the platform's records know by sessions of their own; for presence some two are one call."""
    (extension,), caller = p.extensions(1), p.caller()
    calls = []
    for number in range(p.rng.randint(1, 2)):
        call, leg = _inbound(p, "logged_otherwise", extension, caller, MAIN)
        if number:
            p.later(0.5, 50)
        p.enter(leg, "Ringing")
        p.end(leg, 3, 30)
        call.logged_as = f"8{call.session[1:]}"
        calls.append(call)
    if p.rng.random() < 0.5:
        calls[-1].telephony = calls[0].telephony
    return calls


PAIRS: dict[str, Callable[[Planner], list[Call]]] = {
    "dials_again": dials_again,
    "calls_back": calls_back,
    "two_at_once": two_at_once,
    "two_and_back": two_at_once_and_a_call_back,
    "two_ringouts": two_ringouts,
    "shared_telephony": shared_telephony,
    "logged_otherwise": logged_otherwise,
}
