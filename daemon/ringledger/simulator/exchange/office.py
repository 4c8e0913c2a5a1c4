"""A random office: a day of calls that is the same for the same seed.

The mix: answered inbound 55, missed 10, outbound 8, internal 5, RingOut pair 5, queue fan-out 5, blind transfer 3,
hold twice 2, voicemail 3, busy 2, declined 2 - in hundredths. Every plan begins with a Ringing and ends every leg.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ringledger.simulator.exchange.model import Direction, Extension, SimCall, SimLeg, Step

CALLERS = (
    "Wanda O'Brien",
    "Åsa Lindqvist",
    "José Núñez",
    "李雷",
    "Zoë 📞 Smith",
    "ACME Supplies",
    "WIRELESS CALLER",
    "",
)
QUEUE_NUMBER, QUEUE_NAME = "+16505550900", "Support Queue"


@dataclass(slots=True)
class Office:
    """``calls_per_hour`` calls on average among ``extensions``, from one generator of random numbers.

    ``customers``: numbers and names of who calls and is called, the first of them most often; else anybody. Offices of
    different ``name`` share no telephony session and no leg, whatever their seeds: what shares one is one call.
    """

    extensions: list[Extension]
    calls_per_hour: float = 60.0
    seed: int = 0
    first_session: int = 900_000_000_000
    customers: tuple[tuple[str, str], ...] = ()
    name: str = "office"
    _random: random.Random = field(init=False)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if len(self.extensions) < 2:
            raise ValueError("an office needs two extensions at least")
        if self.calls_per_hour <= 0:
            raise ValueError("calls_per_hour must be positive")
        self._random = random.Random(f"{self.name}-{self.seed}")

    def calls(self, start: int) -> Iterator[SimCall]:
        """Calls in the order of their start, for ever; ``start`` is an instant in ms."""
        at = float(start)
        kinds, weights = list(_MIX), [weight for weight, _ in _MIX.values()]
        while True:
            at += self._random.expovariate(self.calls_per_hour / 3_600_000)
            kind = self._random.choices(kinds, weights)[0]
            plan: Callable[[str, int], list[SimCall]] = getattr(self, _MIX[kind][1])
            yield from plan(kind, round(at))

    def day(self, start: int, hours: float) -> list[SimCall]:
        """The calls that begin within ``hours`` after ``start``."""
        calls: list[SimCall] = []
        for call in self.calls(start):
            if call.plan[0].at >= start + hours * 3_600_000:
                return calls
            calls.append(call)
        raise AssertionError("an office never closes")

    # -- pieces -------------------------------------------------------------------------------------------------

    def _ms(self, low: float, high: float) -> int:
        """A duration between ``low`` and ``high`` seconds."""
        return self._random.randint(round(low * 1000), round(high * 1000))

    def _caller(self) -> tuple[str, str]:
        if self.customers:
            return self.customers[int(len(self.customers) * self._random.random() ** 2)]
        return f"+1415555{self._random.randrange(10_000):04d}", self._random.choice(CALLERS)

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def _call(self, kind: str, direction: Direction, result: str, action: str) -> SimCall:
        self._count += 1
        session = self.first_session + self._count * 10_000 + self._random.randrange(900)
        return SimCall(
            session_id=str(session),
            telephony_session_id=f"s-{self._hex(32)}",
            direction=direction,
            kind=kind,
            result=result,
            action=action,
            legs=[],
            listed_after_ms=self._ms(3, 10),
            logged_after_ms=self._ms(15, 60),
        )

    def _leg(
        self,
        call: SimCall,
        extension: Extension,
        direction: Direction,
        other: tuple[str, str],
        *,
        queue: bool = False,
    ) -> SimLeg:
        own = (QUEUE_NUMBER, QUEUE_NAME) if queue else (extension.direct_number, extension.name)
        source, target = (other, own) if direction == "Inbound" else (own, other)
        leg = SimLeg(self._hex(32), len(call.legs) + 1, extension.id, direction, *source, *target, queue_call=queue)
        call.legs.append(leg)
        return leg

    def _single(self, kind: str, direction: Direction, result: str, action: str) -> SimCall:
        call = self._call(kind, direction, result, action)
        self._leg(call, self._random.choice(self.extensions), direction, self._caller())
        return call

    # -- kinds of call ------------------------------------------------------------------------------------------

    def plan_answered(self, kind: str, at: int) -> list[SimCall]:
        direction: Direction = "Outbound" if kind == "outbound" else "Inbound"
        result, action = ("Call connected", "VoIP Call") if direction == "Outbound" else ("Accepted", "Phone Call")
        call = self._single(kind, direction, result, action)
        answer = at + self._ms(2, 20)
        call.plan = [Step(at, 0, "Ringing"), Step(answer, 0, "CallConnected"), self._end(answer, 0)]
        return [call]

    def _end(self, after: int, leg: int, low: float = 5, high: float = 300) -> Step:
        return Step(after + self._ms(low, high), leg, "NoCall", "final")

    def plan_unanswered(self, kind: str, at: int) -> list[SimCall]:
        direction, result, action, low, high = _UNANSWERED[kind]
        call = self._single(kind, direction, result, action)
        call.plan = [Step(at, 0, "Ringing"), self._end(at, 0, low, high)]
        return [call]

    def plan_hold_twice(self, kind: str, at: int) -> list[SimCall]:
        call = self._single(kind, "Inbound", "Accepted", "Phone Call")
        now = at + self._ms(2, 15)
        call.plan = [Step(at, 0, "Ringing"), Step(now, 0, "CallConnected")]
        for _ in range(2):
            held = now + self._ms(5, 60)
            now = held + self._ms(3, 45)
            call.plan += [Step(held, 0, "OnHold"), Step(now, 0, "CallConnected")]
        call.plan.append(self._end(now, 0, 5, 60))
        return [call]

    def plan_internal(self, kind: str, at: int) -> list[SimCall]:
        call = self._call(kind, "Outbound", "Call connected", "VoIP Call")
        call.internal = True
        caller, callee = self._random.sample(self.extensions, 2)
        self._leg(call, caller, "Outbound", (callee.number, callee.name))
        self._leg(call, callee, "Inbound", (caller.number, caller.name))
        answer = at + self._ms(2, 15)
        end = answer + self._ms(5, 240)
        ringing = [Step(at, 0, "Ringing"), Step(at + 80, 1, "Ringing")]
        answered = [Step(answer, 1, "CallConnected"), Step(answer + 60, 0, "CallConnected")]
        call.plan = [
            *ringing,
            *answered,
            Step(end, 0, "NoCall", "final"),
            Step(end + 40, 1, "NoCall", "final"),
        ]
        return [call]

    def plan_queue(self, kind: str, at: int) -> list[SimCall]:
        call = self._call(kind, "Inbound", "Accepted", "Phone Call")
        caller = self._caller()
        members = self._random.sample(self.extensions, min(4, len(self.extensions)))
        for member in members:
            self._leg(call, member, "Inbound", caller, queue=True)
        winner, answer = self._random.randrange(len(members)), at + self._ms(4, 25)
        call.plan = [Step(at + 10 * n, n, "Ringing") for n in range(len(members))]
        call.plan.append(Step(answer, winner, "CallConnected"))
        losers = [n for n in range(len(members)) if n != winner]
        call.plan += [Step(answer + 50 + 10 * n, n, "NoCall", "final") for n in losers]
        for n in losers:
            call.legs[n].result = "Answered Elsewhere"
        call.plan.append(self._end(answer, winner))
        return [call]

    def plan_transfer(self, kind: str, at: int) -> list[SimCall]:
        call = self._call(kind, "Inbound", "Accepted", "Phone Call")
        caller = self._caller()
        for extension in self._random.sample(self.extensions, 2):
            self._leg(call, extension, "Inbound", caller)
        answer = at + self._ms(2, 15)
        hand_over = answer + self._ms(10, 120)
        second = hand_over + self._ms(2, 12)
        call.plan = [
            Step(at, 0, "Ringing"),
            Step(answer, 0, "CallConnected"),
            Step(hand_over, 1, "Ringing"),
            Step(hand_over + 120, 0, "NoCall", "final"),
            Step(second, 1, "CallConnected"),
            self._end(second, 1),
        ]
        return [call]

    def plan_ringout(self, kind: str, at: int) -> list[SimCall]:
        """Two sessions a thousand apart, numbers crossed: the call to one's own phone, and the call that is meant."""
        talked = self._random.random() < 0.8
        outer = self._call(kind, "Outbound", "Call connected" if talked else "No Answer", "RingOut Web")
        inner = self._call(kind, "Inbound", "Accepted", "RingOut Web")
        inner.session_id, inner.part_of = str(int(outer.session_id) + 1000), outer.session_id
        extension, other = self._random.choice(self.extensions), self._caller()
        self._leg(outer, extension, "Outbound", other)
        self._leg(inner, extension, "Inbound", other)
        answer = at + self._ms(3, 12)
        end = answer + self._ms(8, 240)
        for call, late in ((outer, 0), (inner, 90)):
            call.plan = [
                Step(at + late, 0, "Ringing"),
                Step(answer + late, 0, "CallConnected"),
                Step(end + late, 0, "NoCall", "final"),
            ]
        return [outer, inner]


_UNANSWERED: dict[str, tuple[Direction, str, str, float, float]] = {
    "missed": ("Inbound", "Missed", "Phone Call", 8, 30),
    "voicemail": ("Inbound", "Voicemail", "Phone Call", 18, 25),
    "declined": ("Inbound", "Rejected", "Phone Call", 2, 6),
    "busy": ("Outbound", "Busy", "VoIP Call", 1, 4),
}
#: Weight in hundredths, and the method that plans such a call.
_MIX = {
    "answered": (55, "plan_answered"),
    "missed": (10, "plan_unanswered"),
    "outbound": (8, "plan_answered"),
    "internal": (5, "plan_internal"),
    "ringout": (5, "plan_ringout"),
    "queue": (5, "plan_queue"),
    "transfer": (3, "plan_transfer"),
    "hold": (2, "plan_hold_twice"),
    "voicemail": (3, "plan_unanswered"),
    "busy": (2, "plan_unanswered"),
    "declined": (2, "plan_unanswered"),
}
