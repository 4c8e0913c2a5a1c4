"""The kinds of call there are. Each plan makes what happens from a source of random numbers and a first moment."""

import random
from collections.abc import Callable

from tests.generator.world import Call, Change, Leg, Party

MAIN = Party("+18885434778", "Main Line")


class Planner:
    """Pieces of calls. Every moment it hands out is new, so that the order of time is never a matter of taste."""

    def __init__(self, rng: random.Random, at: int) -> None:
        self.rng = rng
        self.at = at
        self._calls = 0

    def later(self, low: float, high: float) -> int:
        """Let between ``low`` and ``high`` seconds pass; returns the moment reached."""
        self.at += max(1, self.rng.randint(round(low * 1000), round(high * 1000)))
        return self.at

    def caller(self) -> Party:
        return Party(f"+1415555{self.rng.randrange(10_000):04d}", self.rng.choice(["", "Ada", "Åsa Öst"]))

    def extensions(self, count: int) -> list[str]:
        return [str(one) for one in self.rng.sample(range(2_000_000, 2_000_100), count)]

    def call(self, kind: str, result: str, **about: object) -> Call:
        self._calls += 1
        session = str(70_000_000_000 + self.rng.randrange(10**9) * 10 + self._calls)
        return Call(session, f"s-{self.rng.getrandbits(96):024x}", kind, result, **about)  # type: ignore[arg-type]

    def leg(self, call: Call, extension: str, direction: str, sender: Party, to: Party, **about: object) -> Leg:
        leg = Leg(extension, f"{self.rng.getrandbits(64):016x}", direction, sender, to, **about)  # type: ignore[arg-type]
        call.legs.append(leg)
        return leg

    def inbound(self, kind: str, result: str = "Accepted", **about: object) -> tuple[Call, Leg]:
        call = self.call(kind, result)
        return call, self.leg(call, self.extensions(1)[0], "Inbound", self.caller(), MAIN, **about)

    def enter(self, leg: Leg, status: str, termination: str | None = None) -> None:
        """The leg enters a status now."""
        leg.changes.append(Change(self.at, status, termination))

    def step(self, leg: Leg, status: str, low: float, high: float, termination: str | None = None) -> None:
        """Some seconds later the leg enters a status."""
        self.later(low, high)
        self.enter(leg, status, termination)

    def ring(self, leg: Leg) -> None:
        """The leg rings, now, and is answered."""
        self.enter(leg, "Ringing")
        self.step(leg, "CallConnected", 1.5, 25)

    def end(self, leg: Leg, low: float = 3, high: float = 90) -> None:
        self.step(leg, "NoCall", low, high, self.rng.choice(["final", "final", None]))


def missed(p: Planner) -> list[Call]:
    call, leg = p.inbound("missed", "Missed")
    p.enter(leg, "Ringing")
    p.end(leg, 3, 40)
    return [call]


def voicemail(p: Planner) -> list[Call]:
    """It rings, presence shows its end, and a message is left that only the records know of."""
    call, leg = p.inbound("voicemail", "Voicemail")
    p.enter(leg, "Ringing")
    p.end(leg, 10, 25)
    call.unseen = p.rng.randint(5_000, 40_000)
    return [call]


def answered(p: Planner) -> list[Call]:
    call, leg = p.inbound("answered")
    p.ring(leg)
    p.end(leg)
    return [call]


def held(p: Planner, times: int = 1) -> list[Call]:
    call, leg = p.inbound("hold" if times == 1 else "hold_twice")
    p.ring(leg)
    for _ in range(times):
        p.step(leg, "OnHold", 2, 40)
        p.step(leg, "CallConnected", 1, 40)
    if p.rng.random() < 0.2:  # hung up while held
        leg.changes.pop()
    p.end(leg)
    return [call]


def held_twice(p: Planner) -> list[Call]:
    return held(p, 2)


def queue(p: Planner) -> list[Call]:
    """Agents ring one after the other; now and then nobody does for some seconds."""
    call, caller = p.call("queue", "Accepted"), p.caller()
    agents = p.extensions(p.rng.randint(2, 4))
    for number, agent in enumerate(agents):
        leg = p.leg(call, agent, "Inbound", caller, MAIN, queue=True)
        if number == len(agents) - 1:
            p.ring(leg)
            p.end(leg)
        else:
            p.enter(leg, "Ringing")
            leg.result = "Missed"
            p.end(leg, 3, 15)
            p.later(0.1, 8)
    return [call]


def ring_all(p: Planner) -> list[Call]:
    """All agents ring, and ring again under new leg ids after a moment in which none does."""
    call, caller = p.call("ring_all", "Accepted"), p.caller()
    agents = p.extensions(p.rng.randint(2, 4))
    first = [p.leg(call, agent, "Inbound", caller, MAIN, queue=True) for agent in agents]
    for leg in first:
        p.enter(leg, "Ringing")
        p.later(0.01, 0.2)
    p.later(3, 15)
    for leg in first:
        p.enter(leg, "NoCall", p.rng.choice([None, "final"]))
        p.later(0.01, 0.2)
    p.later(0.3, 6)
    again = [p.leg(call, agent, "Inbound", caller, MAIN, queue=True) for agent in agents]
    for leg in again:
        p.enter(leg, "Ringing")
        p.later(0.01, 0.2)
    winner = p.rng.choice(again)
    p.step(winner, "CallConnected", 1, 15)
    for leg in again:
        if leg is not winner:
            leg.result = "Answered Elsewhere"
            p.step(leg, "NoCall", 0.01, 0.3, "final")
    p.end(winner)
    return [call]


def blind_transfer(p: Planner) -> list[Call]:
    call, caller = p.call("blind_transfer", "Accepted"), p.caller()
    first, second = (p.leg(call, one, "Inbound", caller, MAIN) for one in p.extensions(2))
    p.ring(first)
    p.later(3, 60)
    p.enter(second, "Ringing")
    p.step(first, "NoCall", 0.05, 0.4, "final")
    p.step(second, "CallConnected", 1, 15)
    p.end(second)
    return [call]


def held_transfer(p: Planner) -> list[Call]:
    """Held first, then given away; the new side is answered at once."""
    call, caller = p.call("held_transfer", "Accepted"), p.caller()
    first, second = (p.leg(call, one, "Inbound", caller, MAIN) for one in p.extensions(2))
    p.ring(first)
    p.step(first, "OnHold", 3, 60)
    p.later(1, 15)
    p.enter(second, "Ringing")
    p.step(second, "CallConnected", 1, 10)
    p.step(first, "NoCall", 0.05, 0.8, "final")
    p.end(second)
    return [call]


def attended_transfer(p: Planner) -> list[Call]:
    """The caller is held while the two colleagues talk (a call of its own), then given away."""
    call, caller = p.call("attended_transfer", "Accepted"), p.caller()
    one, two = p.extensions(2)
    asking = p.call("consultation", "Call connected", internal=True)
    first = p.leg(call, one, "Inbound", caller, MAIN)
    p.ring(first)
    p.step(first, "OnHold", 3, 40)
    p.later(0.2, 2)
    out = p.leg(asking, one, "Outbound", Party("101", "One"), Party("102", "Two"))
    heard = p.leg(asking, two, "Inbound", Party("101", "One"), Party("102", "Two"))
    p.enter(out, "Ringing")
    p.step(heard, "Ringing", 0.03, 0.2)
    p.step(heard, "CallConnected", 2, 12)
    p.step(out, "CallConnected", 0.02, 0.2)
    p.step(out, "NoCall", 3, 30, "final")
    p.step(heard, "NoCall", 0.02, 0.2, "final")
    second = p.leg(call, two, "Inbound", caller, MAIN)
    p.step(second, "Ringing", 0.02, 0.2)
    p.step(second, "CallConnected", 0.02, 0.6)
    p.step(first, "NoCall", 0.02, 0.5, "final")
    p.end(second)
    return [call, asking]


def park(p: Planner) -> list[Call]:
    """Parked by one extension, fetched by another."""
    call, caller = p.call("park", "Accepted"), p.caller()
    one, two = p.extensions(2)
    first = p.leg(call, one, "Inbound", caller, MAIN)
    p.ring(first)
    p.step(first, "ParkedCall", 2, 40)
    p.later(2, 60)
    second = p.leg(call, two, "Outbound", Party("102", "Two"), Party("*801"))
    p.enter(second, "CallConnected")
    p.step(first, "NoCall", 0.05, 0.8, "final")
    p.end(second)
    return [call]


def internal(p: Planner) -> list[Call]:
    call = p.call("internal", "Call connected", internal=True, action="VoIP Call")
    one, two = p.extensions(2)
    ends = Party("101", "One"), Party("102", "Two")
    out, heard = p.leg(call, one, "Outbound", *ends), p.leg(call, two, "Inbound", *ends)
    p.enter(out, "Ringing")
    p.step(heard, "Ringing", 0.03, 0.3)
    if p.rng.random() < 0.8:
        p.step(heard, "CallConnected", 1, 15)
        p.step(out, "CallConnected", 0.02, 0.2)
    else:
        call.result = "No Answer"
    p.step(out, "NoCall", 3, 60, "final")
    p.step(heard, "NoCall", 0.02, 0.2, "final")
    return [call]


def outbound(p: Planner) -> list[Call]:
    call = p.call("outbound", "Call connected", action="VoIP Call")
    leg = p.leg(call, p.extensions(1)[0], "Outbound", MAIN, p.caller())
    if p.rng.random() < 0.75:
        p.ring(leg)
    else:
        call.result = p.rng.choice(["No Answer", "Busy"])
        p.enter(leg, "Ringing")
    p.end(leg)
    return [call]


def ringout(p: Planner) -> list[Call]:
    """One session; its first item has no id yet."""
    call = p.call("ringout", "Call connected", action="RingOut Web")
    leg = p.leg(call, p.extensions(1)[0], "Outbound", MAIN, p.caller(), id_from=1)
    p.ring(leg)
    p.end(leg)
    return [call]


def ringout_pair(p: Planner) -> list[Call]:
    """Two sessions: one's own telephone rings, then the other end; both are over together."""
    outer = p.call("ringout_pair", "Call connected", action="RingOut Web")
    inner = p.call("ringout_pair", "Accepted", action="RingOut Web", part_of=outer.session)
    (extension,), other = p.extensions(1), p.caller()
    own = p.leg(inner, extension, "Inbound", other, MAIN)
    leg = p.leg(outer, extension, "Outbound", MAIN, other)
    p.enter(own, "Ringing")
    p.step(own, "CallConnected", 1, 4)
    p.step(leg, "Ringing", 0.05, 0.5)
    p.step(leg, "CallConnected", 2, 20)
    p.end(leg)
    p.step(own, "NoCall", 0.02, 0.8)
    return [outer, inner]


def restart(p: Planner) -> list[Call]:
    """The extension's counter begins anew while the call goes on (more than a minute without an event)."""
    call, leg = p.inbound("restart")
    p.ring(leg)
    if p.rng.random() < 0.5:
        p.step(leg, "OnHold", 2, 20)
    p.step(leg, "CallConnected" if leg.changes[-1].status == "OnHold" else "OnHold", 65, 200)
    if leg.changes[-1].status == "OnHold":
        p.step(leg, "CallConnected", 2, 20)
    p.end(leg)
    return [call]


def intermediate(p: Planner) -> list[Call]:
    """A ``NoCall`` that is not the end."""
    call, leg = p.inbound("intermediate")
    p.ring(leg)
    if p.rng.random() < 0.5:
        p.step(leg, "OnHold", 2, 20)
    p.step(leg, "NoCall", 2, 20, "intermediate")
    if leg.changes[-2].status == "OnHold" or p.rng.random() < 0.7:
        p.step(leg, "CallConnected", 0.2, 8)
    p.end(leg)
    return [call]


KINDS: dict[str, Callable[[Planner], list[Call]]] = {
    "missed": missed,
    "voicemail": voicemail,
    "answered": answered,
    "hold": held,
    "hold_twice": held_twice,
    "queue": queue,
    "ring_all": ring_all,
    "blind_transfer": blind_transfer,
    "attended_transfer": attended_transfer,
    "held_transfer": held_transfer,
    "park": park,
    "internal": internal,
    "outbound": outbound,
    "ringout": ringout,
    "ringout_pair": ringout_pair,
    "restart": restart,
    "intermediate": intermediate,
}
