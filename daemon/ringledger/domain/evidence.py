"""Where each figure of a call's row comes from, and what the facts that came late have changed.

Nothing here has an opinion of its own: facts go one after the other through
:class:`~ringledger.domain.tracked.TrackedCall`, and the rows that follow before and after each are compared. The fact
with which a figure became what it is, is where it comes from. What must stay true: the last row is that of all facts,
whatever the order.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ringledger.domain.disposition import Disposition
from ringledger.domain.facts import Absence, Fact, GivenUp, PresenceEvent, Read, Record, Summary
from ringledger.domain.fold import NEVER, Place
from ringledger.domain.observation import CallKey
from ringledger.domain.reads import READ_EPOCH, points_of
from ringledger.domain.tracked import TrackedCall

#: The figures of a row that are traced, as its fields are called.
FIGURES: Final = (
    "direction", "extension_id", "from_number", "to_number", "started_at", "ring_ms", "answered_at", "hold_ms",
    "ended_at", "talk_ms", "duration_ms", "disposition", "result",
)  # fmt: skip
#: What is not known before a call has ended.
_AT_THE_END: Final = frozenset({"ended_at", "talk_ms", "duration_ms"})

Figures = dict[str, object]


class Late(NamedTuple):
    """A fact that came after one which is later in the history, or a record or read that changed a call which was over.
    ``fact``: its number in the order of arrival; ``behind_ms``: how much later the newest fact before it is.
    ``changed``: name, value before and value after of each figure it changed.
    """

    fact: int
    behind_ms: int
    changed: tuple[tuple[str, object, object], ...]


class Evidence(NamedTuple):
    """``figures``: by name, the number of the fact (in the order of arrival) each comes from; a figure that no fact has
    brought is not there. ``late``: in the order of arrival.
    """

    figures: dict[str, int]
    late: list[Late]


def evidence(key: CallKey, facts: Sequence[Fact]) -> Evidence:
    """Trace the figures of a call. ``facts``: all of them in the order of arrival, its summary first. The time it takes
    grows with their number, with its square where many came late.
    """
    places = _places(facts)
    numbers = sorted(places, key=places.__getitem__)
    history = _rows_after(key, facts, numbers)
    found: dict[str, int] = {}
    before: Figures = {}
    for number, (after, _) in zip(numbers, history, strict=True):
        for name, value in after.items():
            if value is None:
                found.pop(name, None)
            elif value != before.get(name):
                found[name] = number
        before = after
    return Evidence(found, _late(key, facts, places))


def _late(key: CallKey, facts: Sequence[Fact], places: dict[int, Place]) -> list[Late]:
    """What came out of order, or when the call was over."""
    found: list[Late] = []
    before: Figures = {}
    newest, over = (NEVER, "", (0, 0, 0, "")), False
    for number, (after, live) in zip(places, _rows_after(key, facts, places), strict=True):
        changed = tuple([(name, value, after[name]) for name, value in before.items() if value != after[name]])
        place = places[number]
        passed = place < newest and (place[0] < newest[0] or place[1] == newest[1])
        if passed or (changed and (place < newest or (over and type(facts[number]) is not PresenceEvent))):
            found.append(Late(number, max(0, newest[0] - place[0]), changed))
        newest, over, before = max(newest, place), over or not live, after
    return found


def _places(facts: Sequence[Fact]) -> dict[int, Place]:
    """The place of each fact in the history, by its number; what is kept for the journal alone has none."""
    summary = next((fact for fact in facts if type(fact) is Summary), None)
    events = [fact for fact in facts if type(fact) is PresenceEvent]
    placed = {id(event): place for place, event in points_of(events, (), summary)}
    found: dict[int, Place] = {}
    for number, fact in enumerate(facts):
        if type(fact) is PresenceEvent:
            found[number] = placed[id(fact)]
        elif type(fact) is Read:
            found[number] = fact.at, fact.extension_id, (READ_EPOCH, 0, fact.at, "")
        elif type(fact) is Record:
            found[number] = fact.claim.read_at, "", (READ_EPOCH, 1, number, "")
        elif type(fact) is Absence:
            found[number] = fact.at, "", (READ_EPOCH, 2, number, "")
        elif type(fact) is GivenUp:
            found[number] = fact.last_seen_at, "", (READ_EPOCH, 3, number, "")
        elif type(fact) is Summary:
            found[number] = NEVER, "", (0, 0, 0, "")
    return found


def _rows_after(key: CallKey, facts: Sequence[Fact], numbers: Iterable[int]) -> list[tuple[Figures, bool]]:
    """The figures after each fact, and whether the call goes on."""
    call = TrackedCall(key)
    found: list[tuple[Figures, bool]] = []
    for number in numbers:
        _add(call, facts[number])
        found.append((_figures(call), call.call.live))
    return found


def _add(call: TrackedCall, fact: Fact) -> None:
    if type(fact) is PresenceEvent:
        call.add_event(fact)
    elif type(fact) is Read:
        call.add_read(fact)
    elif type(fact) is Record:
        call.add_record(fact)
    elif type(fact) is Absence:
        call.add_absence(fact)
    elif type(fact) is GivenUp:
        call.add_given_up(fact)
    elif type(fact) is Summary:
        call.facts.summary = fact
        call.state = call.derived = None


def _figures(call: TrackedCall) -> Figures:
    """Return the row's figures as far as they are known; ``None``: not known yet, or never seen."""
    if not call.call.legs:
        return dict.fromkeys(FIGURES)
    row, live = call.row(), call.call.live
    found: Figures = {name: getattr(row, name) for name in FIGURES}
    if live:
        found |= dict.fromkeys(_AT_THE_END)
        if row.answered_at is None:
            found["ring_ms"] = found["hold_ms"] = None
        if row.disposition is not Disposition.ANSWERED:
            found["disposition"] = None
    return found
