"""What happens: calls, their legs, and what follows from them by the rules alone.

Times are ms since the epoch; a leg's changes are in the order of time, and no two changes of a story share a moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

ACCOUNT = "400100"
#: From the strongest to the weakest: the status of a call is the strongest of its live legs.
STRENGTH = ("CallConnected", "OnHold", "ParkedCall", "Ringing")
HELD = ("OnHold", "ParkedCall")


class Change(NamedTuple):
    """A leg enters a status."""

    at: int
    status: str
    termination: str | None = None


class Party(NamedTuple):
    number: str
    name: str = ""


@dataclass
class Leg:
    """One party's side of a call. ``id_from``: the change with which the platform begins to give its id."""

    extension: str
    id: str
    direction: str
    sender: Party
    to: Party
    changes: list[Change] = field(default_factory=list)
    queue: bool = False
    id_from: int = 0
    result: str = ""

    @property
    def begun(self) -> int:
        return self.changes[0].at

    @property
    def ended(self) -> int | None:
        last = self.changes[-1]
        return last.at if last.status == "NoCall" and last.termination != "intermediate" else None

    def status(self, at: int) -> str | None:
        """The status at a moment; an end that is only promised changes none. ``None`` before it begins."""
        told = [one for one in self.changes if one.at <= at and one.termination != "intermediate"]
        return told[-1].status if told else None

    def live(self, at: int) -> bool:
        return self.status(at) not in (None, "NoCall")


@dataclass
class Call:
    """Everything that shares one session. ``result``: the platform's word for how it ended."""

    session: str
    telephony: str
    kind: str
    result: str
    legs: list[Leg] = field(default_factory=list)
    action: str = "Phone Call"
    internal: bool = False
    part_of: str | None = None
    #: How much later than presence the platform's records say it ended (voicemail goes on unseen), ms.
    unseen: int = 0
    #: The session by which the platform's records know it; empty: the same.
    logged_as: str = ""

    @property
    def begun(self) -> int:
        return min(leg.begun for leg in self.legs)

    @property
    def over(self) -> int:
        """When the last leg ended, as presence shows it."""
        return max(leg.ended for leg in self.legs if leg.ended is not None)

    @property
    def direction(self) -> str:
        return "Outbound" if self.internal else min(self.legs, key=lambda leg: leg.begun).direction

    def status(self, at: int) -> str:
        alive = {leg.status(at) for leg in self.legs}
        return next((status for status in STRENGTH if status in alive), "NoCall")

    def history(self) -> list[tuple[int, str]]:
        """Each change of the call's status."""
        moments = sorted({change.at for leg in self.legs for change in leg.changes})
        told: list[tuple[int, str]] = []
        for at in moments:
            status = self.status(at)
            if not told or told[-1][1] != status:
                told.append((at, status))
        return told

    @property
    def answered(self) -> int | None:
        return next((at for at, status in self.history() if status == "CallConnected"), None)

    @property
    def answerer(self) -> Leg | None:
        """The leg that answered first."""
        answers = [(change.at, leg) for leg in self.legs for change in leg.changes if change.status == "CallConnected"]
        return min(answers, key=lambda pair: pair[0])[1] if answers else None

    @property
    def hold(self) -> int:
        """How long its status was a held one, ms."""
        history = [*self.history(), (self.over, "")]
        return sum(end - at for (at, status), (end, _) in pairwise(history) if status in HELD)


#: How a platform's word for the end of a call reads in ours.
DISPOSITIONS = {
    "Accepted": "answered", "Call connected": "answered", "Voicemail": "voicemail", "Missed": "missed",
    "No Answer": "no_answer", "Busy": "busy",
}  # fmt: skip

Truth = dict[str, Any]


def truth_of(call: Call) -> Truth:
    """The row of a call of which every event came and no record: what presence shows (rules 3 to 5)."""
    answered, over = call.answered, call.over
    rung = next((at for at, status in call.history() if status == "Ringing"), None)
    hold = call.hold
    first = min(call.legs, key=lambda leg: leg.begun)
    kept: Truth = {
        "direction": call.direction,
        "internal": call.internal,
        "queue_call": any(leg.queue for leg in call.legs),
        "from_number": first.sender.number,
        "to_number": first.to.number,
        "started_at": call.begun,
        "answered_at": answered,
        "ended_at": over,
        "end_estimated": False,
        "hold_ms": hold if answered is not None else 0,
        "talk_ms": over - answered - hold if answered is not None else 0,
        "leg_count": len(call.legs),
        "part_of": call.part_of,
        "end_source": "presence",
        "answer_estimated": False,
    }
    if rung is not None:
        kept["ring_ms"] = (over if answered is None else answered) - rung
    kept["duration_ms"] = 0 if answered is None else over - answered
    unanswered = "missed" if call.direction == "Inbound" else "no_answer"
    kept["disposition"] = unanswered if answered is None else "answered"
    return kept


def moments(legs: Iterable[Leg]) -> list[int]:
    """When any of them changes."""
    return sorted({change.at for leg in legs for change in leg.changes})
