"""The nouns of the simulated exchange: extensions, calls, legs, and what is true about a call.

One :class:`SimCall` is the single truth from which presence events, active-calls rows and call-log records follow.
Times are simulated milliseconds since the epoch, durations milliseconds.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Status = Literal["NoCall", "Ringing", "CallConnected", "OnHold", "ParkedCall"]
Direction = Literal["Inbound", "Outbound"]
Termination = Literal["final", "intermediate"]
Style = Literal["modern", "2015"]

STRENGTH: dict[str, int] = {"NoCall": 0, "Ringing": 1, "ParkedCall": 2, "OnHold": 3, "CallConnected": 4}
HELD = frozenset({"OnHold", "ParkedCall"})

DISPOSITIONS = {
    "accepted": "answered",
    "call connected": "answered",
    "voicemail": "voicemail",
    "sent to voicemail": "voicemail",
    "missed": "missed",
    "no answer": "no_answer",
    "busy": "busy",
    "rejected": "declined",
    "declined": "declined",
    "hang up": "abandoned",
    "abandoned": "abandoned",
    "answered elsewhere": "answered_elsewhere",
    "blocked": "blocked",
}


def disposition_of(result: str) -> str:
    """What the platform's verdict means; whatever is not known is a failure."""
    return DISPOSITIONS.get(result.lower(), "failed")


def strongest(statuses: list[str]) -> str:
    """The aggregated status of several legs; ``NoCall`` for none."""
    return max(statuses, key=lambda status: STRENGTH.get(status, 0), default="NoCall")


@dataclass(slots=True)
class Extension:
    """A user of the simulated account."""

    id: str
    number: str
    name: str
    direct_number: str
    user_status: str = "Available"
    dnd_status: str = "TakeAllCalls"


class Change(NamedTuple):
    """One entry of a leg's timeline."""

    at: int
    status: Status
    termination: Termination | None


@dataclass(slots=True)
class SimLeg:
    """One party's side of a call, with its timeline so far."""

    leg_id: str
    party: int
    extension_id: str
    direction: Direction
    from_number: str
    from_name: str
    to_number: str
    to_name: str
    queue_call: bool = False
    id_known_late: bool = False  # the first event of a 2015 RingOut has no id
    result: str = ""  # of this leg in the log; blank: the call's
    timeline: list[Change] = field(default_factory=list)

    @property
    def status(self) -> Status:
        return self.timeline[-1].status if self.timeline else "NoCall"

    @property
    def live(self) -> bool:
        """Whether presence still shows it: a leg after an intermediate NoCall is not over."""
        if not self.timeline:
            return False
        last = self.timeline[-1]
        return last.status != "NoCall" or last.termination == "intermediate"

    @property
    def started_at(self) -> int:
        return self.timeline[0].at


class Step(NamedTuple):
    """A planned change: leg number ``leg`` of its call goes to ``status`` at ``at``."""

    at: int
    leg: int
    status: Status
    termination: Termination | None = None


@dataclass(slots=True)
class SimCall:
    """One simulated call: its legs, the plan they follow, and the platform's final word about it."""

    session_id: str
    telephony_session_id: str
    direction: Direction
    kind: str
    result: str
    action: str
    legs: list[SimLeg]
    plan: list[Step] = field(default_factory=list)
    part_of: str | None = None  # the other session of a RingOut pair
    internal: bool = False
    listed_after_ms: int = 5_000  # until active-calls shows it, counted from the answer
    unlisted_after_ms: int = 120_000  # until active-calls forgets it, counted from the end
    logged_after_ms: int = 30_000  # until the call log has it, counted from the end

    @property
    def over(self) -> bool:
        return bool(self.changes()) and not any(leg.live for leg in self.legs)

    def changes(self) -> list[tuple[Change, SimLeg]]:
        """Every change of every leg, oldest first."""
        pairs = [(change, leg) for leg in self.legs for change in leg.timeline]
        return sorted(pairs, key=lambda pair: pair[0].at)


class CallTruth(NamedTuple):
    """What is true of one call; ``ended_at`` is ``None`` while it goes on. ms throughout."""

    session_id: str
    telephony_session_id: str
    direction: Direction
    kind: str
    internal: bool
    queue_call: bool
    part_of: str | None
    extension_id: str
    extensions: tuple[str, ...]
    legs: int
    from_number: str
    to_number: str
    started_at: int
    answered_at: int | None
    ended_at: int | None
    ring_ms: int
    talk_ms: int
    hold_ms: int
    result: str
    disposition: str


class Spans(NamedTuple):
    """First ring, first answer, end, and time on hold as the legs' timelines show them."""

    started_at: int
    answered_at: int | None
    ended_at: int | None
    held_ms: int


def spans_of(call: SimCall) -> Spans:
    """Walk the call's changes once and add up its aggregated status."""
    statuses: dict[int, str] = {}
    answered: int | None = None
    held, held_since = 0, 0
    changes = call.changes()
    status = "NoCall"
    for change, leg in changes:
        if status in HELD:
            held += change.at - held_since
        statuses[id(leg)] = change.status
        status = strongest(list(statuses.values()))
        held_since = change.at
        if status == "CallConnected" and answered is None:
            answered = change.at
    ended = changes[-1][0].at if call.over else None
    return Spans(changes[0][0].at, answered, ended, held)


def truth_of(call: SimCall) -> CallTruth:
    """The truth about a call that has begun. A call the log calls unanswered has no answer, whatever presence said."""
    spans = spans_of(call)
    disposition = disposition_of(call.result)
    answered = spans.answered_at if disposition == "answered" else None
    end = spans.ended_at if spans.ended_at is not None else call.changes()[-1][0].at
    primary = _primary(call)
    held = spans.held_ms if answered is not None else 0
    return CallTruth(
        session_id=call.session_id,
        telephony_session_id=call.telephony_session_id,
        direction=call.direction,
        kind=call.kind,
        internal=call.internal,
        queue_call=any(leg.queue_call for leg in call.legs),
        part_of=call.part_of,
        extension_id=primary.extension_id,
        extensions=tuple(sorted({leg.extension_id for leg in call.legs})),
        legs=sum(1 for leg in call.legs if leg.timeline),
        from_number=primary.from_number,
        to_number=primary.to_number,
        started_at=spans.started_at,
        answered_at=answered,
        ended_at=spans.ended_at,
        ring_ms=(end if answered is None else answered) - spans.started_at,
        talk_ms=0 if answered is None else end - answered - held,
        hold_ms=held,
        result=call.result,
        disposition=disposition,
    )


def _primary(call: SimCall) -> SimLeg:
    """The caller's leg of an internal call, else the leg that answered first, else the one that rang first."""
    if call.internal:
        return next(leg for leg in call.legs if leg.direction == "Outbound")
    changes = call.changes()
    answering = (leg for change, leg in changes if change.status == "CallConnected")
    return next(answering, changes[0][1])
