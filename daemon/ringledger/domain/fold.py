"""The fold: a private accumulator that the facts of one call are applied to, one after the other, in their order.

``apply`` is the only way in which the accumulator moves. It serves the newest fact (one step) and all facts of a call
(when one came late, the accumulator is thrown away and made anew), so both ways cannot differ. What must stay true: the
accumulator after a set of facts depends on that set alone; no code outside the domain sees it
(:mod:`~ringledger.domain.call` derives what they see); its cost does not grow with the legs of the call.

A point of the timeline is an event, a read that no event explains (:mod:`~ringledger.domain.reads`), or what a record
adds: an end, or a side that presence has not shown (:mod:`~ringledger.domain.record_rules`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ringledger.domain.facts import RESTART_AFTER_MS, EndSource, Order, PresenceEvent, Read, StatusChange, Summary
from ringledger.domain.observation import (
    PRESENCE,
    PRESENCE_READ,
    UNKNOWN_PARTY,
    CallItem,
    Direction,
    Party,
    Source,
)
from ringledger.domain.status import (
    ANSWERED_STATUSES,
    LEG_TRANSITIONS,
    NO_CALL,
    RINGING,
    STRENGTH,
    LegChange,
    TelephonyStatus,
    TerminationType,
    none_living,
    strongest,
)

#: Earlier than anything, ms.
NEVER: Final = -(2**62)
#: A start that is later than the event which names it by more than this is not believed (rule 4.1), ms.
AHEAD_MS: Final = 5_000
#: A new leg whose start is no longer ago than this when it is first shown answered, was answered then (rule 4.3), ms.
ANSWERED_AT_ONCE_MS: Final = 1_000

#: When a point counts: time, then extension, then its order there (rule 2.7).
Place = tuple[int, str, Order]
NOWHERE: Final[Place] = (NEVER, "", (0, 0, 0, ""))

_NO_ORDER: Final = (-1, 0)
#: An extension with more legs than this in one call finds them by their id in a table.
FEW_LEGS: Final = 16


@dataclass(slots=True)
class LegState:
    """One party's side of a call, as far as the points applied so far show it.

    ``shown``: the number of the extension's event that last listed it. ``alive``: it was shown with a status other than
    ``NoCall``. ``end_order``: epoch and sequence of the event that ended it. ``told``: the last item about it.
    ``index``: its place among the legs of the call.
    """

    extension_id: str
    direction: Direction
    leg_id: str | None
    source: Source
    started_at: int
    start_estimated: bool
    status: TelephonyStatus = NO_CALL
    live: bool = False
    alive: bool = False
    answered_at: int | None = None
    answer_estimated: bool = False
    ended_at: int | None = None
    end_source: EndSource = EndSource.PRESENCE
    end_estimated: bool = False
    termination: TerminationType | None = None
    from_party: Party = UNKNOWN_PARTY
    to_party: Party = UNKNOWN_PARTY
    queue_call: bool = False
    on_behalf_of: str | None = None
    seen_at: int = NEVER
    shown: int = 0
    end_order: tuple[int, int] = _NO_ORDER
    records: tuple[str, ...] = ()
    told: CallItem | None = None
    index: int = -1


@dataclass(slots=True)
class Side:
    """One extension in the call: its sequence watermark, never compared with another's (rule 2.2), and its legs.

    ``top``: the largest sequence of the epoch; ``newest_at``: when its newest event was sent; ``time``: the running
    maximum of their times in order. ``events``: how many were applied. ``floor``: the summary's watermark. ``living``,
    ``anonymous``: how many of its legs live, and have no id yet. ``named``: those that have one, once there are many
    (:data:`FEW_LEGS`). ``told``: the event applied last.
    """

    epoch: int = 0
    top: int = -(2**63)
    newest_at: int = 0
    time: int = NEVER
    uuid: str = ""
    events: int = 0
    live_since: int = 0
    floor: tuple[int, int, int] | None = None
    legs: list[LegState] = field(default_factory=list)
    living: int = 0
    anonymous: int = 0
    named: dict[tuple[str, Direction], LegState] | None = field(default=None, compare=False)
    told: PresenceEvent | None = field(default=None, compare=False)


class RecordEnd(NamedTuple):
    """Records, or their absence, tell the end of the live legs of an extension (``None``: of all)."""

    extension_id: str | None
    at: int
    end_source: EndSource
    source: Source
    estimated: bool = False


class RecordLeg(NamedTuple):
    """A record in progress tells of a leg that presence has not shown."""

    extension_id: str
    direction: Direction
    source: Source
    started_at: int
    from_party: Party
    to_party: Party
    queue_call: bool
    seen_at: int
    record_id: str
    at: int


Point = PresenceEvent | Read | RecordEnd | RecordLeg
Points = list[tuple[Place, Point]]


@dataclass(slots=True)
class State:
    """The accumulator. ``version`` grows with each change that can be seen; ``touched``: the places of legs that
    changed since it was last emptied, some more than once. ``clock``: the newest point's time; ``seen_at``: the last
    sign of anything.
    """

    legs: list[LegState] = field(default_factory=list)
    sides: dict[str, Side] = field(default_factory=dict)
    #: How many legs live, by the strength of their status.
    living: list[int] = field(default_factory=none_living)
    changes: list[StatusChange] = field(default_factory=list)
    status: TelephonyStatus | None = None
    place: Place = NOWHERE
    clock: int = NEVER
    seen_at: int = NEVER
    started_at: int | None = None
    start_estimated: bool = False
    rung_at: int | None = None
    rang: bool = False
    answered_at: int | None = None
    answer_estimated: bool = False
    #: When a read first showed it answered.
    answered_by: int | None = None
    telephony_session_id: str | None = None
    #: How many legs have never been shown alive.
    hollow: int = 0
    queue_call: bool = False
    base: Summary | None = None
    version: int = field(default=0, compare=False)
    touched: list[int] = field(default_factory=list, compare=False)

    @property
    def live(self) -> bool:
        """Whether any leg has not ended."""
        return any(self.living)


def apply(state: State, place: Place, point: Point) -> None:
    """Apply one point, the newest in order."""
    state.place = place
    if type(point) is PresenceEvent:
        side = _side_of(state, point.extension_id)
        epoch, sequence, at, side.uuid = place[2]
        again = sequence == side.top and at == side.newest_at and epoch == side.epoch and _is_same(side.told, point)
        side.told = point
        if epoch > side.epoch or sequence >= side.top:
            side.epoch, side.top = epoch, sequence
        if at > side.newest_at:
            side.newest_at = at
        side.time = state.clock = place[0]
        if again:
            pass  # delivered once more under another uuid: items without id would mean other legs now (rule 2.7)
        elif side.floor is not None and place[2][:3] <= side.floor:
            _fill_old(state, side, point)
        else:
            side.events += 1
            _show(state, side, point, PRESENCE, place)
            side.live_since = point.live_since
    elif type(point) is Read:
        state.clock = place[0]
        if point.items:
            _show(state, _side_of(state, point.extension_id), point, PRESENCE_READ, place)
        else:
            estimate = RecordEnd(point.extension_id, state.seen_at, EndSource.RECONCILED, PRESENCE_READ, True)
            _end(state, estimate)
    elif type(point) is RecordEnd:
        state.clock = place[0]
        _end(state, point)
    else:
        assert type(point) is RecordLeg  # noqa: S101 - there is no fifth
        state.clock = place[0]
        _open(state, point)


def fold(points: Iterable[tuple[Place, Point]], start: Summary | None = None) -> State:
    """All points in order. ``start``: what the facts before them said."""
    state = State() if start is None else resumed(start)
    for place, point in points:
        apply(state, place, point)
    return state


def _is_same(last: PresenceEvent | None, event: PresenceEvent) -> bool:
    return last is not None and last.whole == event.whole and last.items == event.items


# -- places --------------------------------------------------------------------------------------------------------


def next_place(side: Side | None, event: PresenceEvent) -> Place | None:
    """The place of an event that is the newest of its extension by time and by sequence; ``None`` when it is not."""
    sequence, at, uuid = event.sequence, event.at, event.uuid or ""
    if side is None:
        return at, event.extension_id, (0, sequence, at, uuid)
    epoch = side.epoch
    if at < side.newest_at:
        return None
    if sequence < side.top:
        if at <= side.newest_at + RESTART_AFTER_MS:
            return None
        epoch += 1
    elif sequence == side.top and at == side.newest_at and uuid < side.uuid:
        return None
    return at if at > side.time else side.time, event.extension_id, (epoch, sequence, at, uuid)


# -- what an event or a read shows ---------------------------------------------------------------------------------


def _side_of(state: State, extension_id: str) -> Side:
    side = state.sides.get(extension_id)
    if side is None:
        side = state.sides[extension_id] = Side()
    return side


def _show(state: State, side: Side, told: PresenceEvent | Read, source: Source, place: Place) -> None:
    """Move the legs of one extension as its snapshot shows them (rules 3.2, 5.1)."""
    items, at, before = told.items, told.at, state.version
    if at > state.seen_at:
        state.seen_at = at
    if len(items) == 1:
        leg = _show_item(state, side, items[0], told, source, place, ())
        if told.whole and side.living > leg.live:
            _end_others(state, side, (leg.index,), at, place)
    else:
        spoken: dict[int, None] = {}
        for item in sorted(items, key=_by_leg):
            spoken[_show_item(state, side, item, told, source, place, spoken).index] = None
        if told.whole:
            _end_others(state, side, spoken, at, place)
    if state.clock > at:  # sent before what came before it: the newest event of an extension tells its end (rule 2.7)
        _end_earlier(state, side, at)
        state.version += 1
    if state.version != before:
        _note_status(state, at, source, place[2][1] if source is PRESENCE else None, told.extension_id)


def _by_leg(item: CallItem) -> tuple[bool, str]:
    """Items that name their leg go first, so that one without id means another; the array's order says nothing."""
    return item.leg_id is None, item.leg_id or ""


def _show_item(
    state: State, side: Side, item: CallItem, told: PresenceEvent | Read, source: Source, place: Place,
    spoken: Collection[int],
) -> LegState:  # fmt: skip
    at, status, named = told.at, item.status, item.started_at
    if named is not None and named > at + AHEAD_MS:
        named = None  # a start still to come is not believed
    assert status is not None  # noqa: S101 - items with an unknown status are no facts
    way = item.direction
    assert way is not None  # noqa: S101 - the timeline has items with a direction alone
    leg = _find(state, side, way, item.leg_id, spoken)
    if (
        leg is not None and leg.live and status is not NO_CALL and (item is leg.told or item == leg.told)
        and (leg.answered_at is None or leg.answered_at <= at) and (named is not None or leg.started_at <= at)
    ):  # fmt: skip
        leg.shown = side.events
        if at > leg.seen_at:
            leg.seen_at = at
        return leg  # most items repeat what is known
    estimated = source is PRESENCE_READ
    began, guessed = (at, estimated) if named is None else (named, False)
    known = leg is not None
    if leg is None:
        leg = _add(state, side, told.extension_id, way, item.leg_id, source, began, guessed)
    state.version += 1
    state.touched.append(leg.index)
    _note_start(state, leg, began, guessed, status, named, estimated)
    if status in ANSWERED_STATUSES:
        _note_answer(state, side, leg, told, at, named, status, side.events - 1)
    _fill(state, leg, item)
    leg.shown, leg.told = side.events, item
    _move(state, side, leg, item, at, place[2], known)
    return leg


def _note_start(
    state: State, leg: LegState, began: int, guessed: bool, status: TelephonyStatus, named: int | None, estimated: bool
) -> None:
    """Starts and the first sign of ringing are minima (rules 4.1, 4.3). A read that names no start tells of no
    ringing's begin, nor does an event after it.
    """
    if began < leg.started_at or (began == leg.started_at and not guessed):
        leg.started_at, leg.start_estimated = began, guessed
    if state.started_at is None or began < state.started_at or (began == state.started_at and not guessed):
        state.started_at, state.start_estimated = began, guessed
    rings_already = estimated or (state.rang and state.rung_at is None)
    sign = began if status is RINGING and not rings_already else named
    if status is RINGING:
        state.rang = True
    if sign is not None and status is not NO_CALL and (state.rung_at is None or sign < state.rung_at):
        state.rung_at = sign


def _note_answer(
    state: State, side: Side, leg: LegState, told: PresenceEvent | Read, at: int, named: int | None,
    status: TelephonyStatus, before: int,
) -> None:  # fmt: skip
    """Whether this event brings the answer, or the leg is only found answered (rule 4.3): one that rang and is shown
    on hold next has been answered in between.
    """
    if type(told) is Read and (state.answered_by is None or at < state.answered_by):
        state.answered_by = at
    if leg.answered_at is not None and leg.answered_at <= at:
        return
    brought = False
    if type(told) is PresenceEvent:
        if leg.alive:
            in_sight = before > 0 and leg.shown == before and side.live_since >= told.live_since
            brought = in_sight and leg.live and leg.status is RINGING and status is TelephonyStatus.CALL_CONNECTED
        else:
            brought = named is not None and at - named <= ANSWERED_AT_ONCE_MS
    if leg.answered_at is not None:
        brought = brought and leg.answer_estimated
    leg.answered_at, leg.answer_estimated = at, not brought
    known_at = state.answered_at
    if known_at is None or at < known_at or (at == known_at and brought):
        state.answered_at, state.answer_estimated = at, not brought


def _fill(state: State, leg: LegState, item: CallItem) -> None:
    """Blanks are filled in the order of the facts (rules 2.7, 3.3)."""
    if item.from_party is not leg.from_party:
        leg.from_party = filled(leg.from_party, item.from_party)
    if item.to_party is not leg.to_party:
        leg.to_party = filled(leg.to_party, item.to_party)
    if item.queue_call:
        leg.queue_call = state.queue_call = True
    leg.on_behalf_of = leg.on_behalf_of or item.on_behalf_of
    state.telephony_session_id = state.telephony_session_id or item.telephony_session_id


def _move(state: State, side: Side, leg: LegState, item: CallItem, at: int, order: Order, known: bool) -> None:
    """Statuses go through the table of transitions. A leg ends with the first ``NoCall`` after its last sign of life,
    an intermediate one aside; an event of the same sequence does not wake it (rules 5.1, 5.3, 5.4).
    """
    status = item.status
    assert status is not None  # noqa: S101
    if status is NO_CALL:
        if item.termination is not TerminationType.INTERMEDIATE:
            if leg.live or not known or leg.end_estimated:
                _set(state, side, leg, NO_CALL, live=False)
                leg.ended_at, leg.end_source, leg.end_estimated = at, EndSource.PRESENCE, False
                leg.termination, leg.end_order = item.termination, order[:2]
        elif not known and (len(state.legs) == 1 or state.live):
            _set(state, side, leg, NO_CALL, live=True)  # only the platform can tell what it was
        return
    if known and not leg.live and order[:2] == leg.end_order:
        return
    if LEG_TRANSITIONS[leg.status if known else None, status] is not LegChange.REPEATED or not leg.live:
        _set(state, side, leg, status, live=True)
        leg.ended_at, leg.termination, leg.end_estimated = None, None, False
        leg.end_source, leg.end_order = EndSource.PRESENCE, _NO_ORDER
    _enliven(state, leg)
    leg.seen_at = max(leg.seen_at, at)


def _enliven(state: State, leg: LegState) -> None:
    if not leg.alive:
        leg.alive = True
        state.hollow -= 1


def _set(state: State, side: Side, leg: LegState, status: TelephonyStatus, *, live: bool) -> None:
    if leg.live:
        state.living[STRENGTH[leg.status]] -= 1
        side.living -= 1
    leg.status, leg.live = status, live
    if live:
        state.living[STRENGTH[status]] += 1
        side.living += 1


def _end_others(state: State, side: Side, spoken: Collection[int], at: int, place: Place) -> None:
    """A whole snapshot has replaced the legs that it does not list, as in the tutorial's own samples."""
    if not side.living:
        return
    for leg in side.legs:
        if leg.live and leg.index not in spoken:
            _set(state, side, leg, NO_CALL, live=False)
            leg.ended_at, leg.end_source, leg.end_estimated = at, EndSource.PRESENCE, False
            leg.end_order = place[2][:2]
            state.version += 1
            state.touched.append(leg.index)


def _end_earlier(state: State, side: Side, at: int) -> None:
    for leg in side.legs:
        if leg.ended_at is not None and leg.ended_at > at:
            leg.ended_at = at
            state.version += 1
            state.touched.append(leg.index)


def _fill_old(state: State, side: Side, event: PresenceEvent) -> None:
    """An event that the summary includes already, or is older: it may move times back and fill blanks."""
    for item in event.items:
        leg = None if item.direction is None else _find(state, side, item.direction, item.leg_id, ())
        if leg is None or item.status is None:
            continue
        began = event.at if item.started_at is None else item.started_at
        _note_start(state, leg, began, False, item.status, item.started_at, False)
        _fill(state, leg, item)
        state.version += 1
        state.touched.append(leg.index)


# -- what records add ----------------------------------------------------------------------------------------------


def _end(state: State, end: RecordEnd) -> None:
    sides = state.sides if end.extension_id is None else {end.extension_id: _side_of(state, end.extension_id)}
    for side in sides.values():
        for leg in side.legs if side.living else ():
            if leg.live:
                _set(state, side, leg, NO_CALL, live=False)
                leg.ended_at, leg.end_source, leg.end_estimated = end.at, end.end_source, end.estimated
                state.touched.append(leg.index)
    state.version += 1
    _note_status(state, end.at, end.source, None, end.extension_id)


def _open(state: State, told: RecordLeg) -> None:
    side = _side_of(state, told.extension_id)
    leg = _add(state, side, told.extension_id, told.direction, None, told.source, told.started_at, False)
    leg.from_party, leg.to_party, leg.queue_call = told.from_party, told.to_party, told.queue_call
    leg.seen_at, leg.records = told.seen_at, (told.record_id,)
    _enliven(state, leg)
    _set(state, side, leg, TelephonyStatus.CALL_CONNECTED, live=True)
    state.seen_at = max(state.seen_at, told.seen_at)
    state.version += 1
    state.touched.append(leg.index)
    _note_status(state, told.at, told.source, None, told.extension_id or None)


# -- legs ----------------------------------------------------------------------------------------------------------


def _find(state: State, side: Side, way: Direction, leg_id: str | None, spoken: Collection[int]) -> LegState | None:
    """The leg an item speaks of; an unknown id adopts an anonymous leg before it adds one (rules 1.2, 1.3)."""
    legs = side.legs
    if leg_id is None:
        for leg in reversed(legs):
            if leg.direction is way and leg.index not in spoken:
                return leg
        return None
    if side.named is None:
        for leg in legs:
            if leg.leg_id == leg_id and leg.direction is way:
                return leg
    elif (found := side.named.get((leg_id, way))) is not None:
        return found
    if side.anonymous:
        for leg in legs:
            if leg.leg_id is None and leg.direction is way:
                _name(side, leg, leg_id)
                state.version += 1
                state.touched.append(leg.index)
                return leg
    return None


def _name(side: Side, leg: LegState, leg_id: str) -> None:
    side.anonymous -= 1
    leg.leg_id = leg_id
    if side.named is not None:
        side.named[leg_id, leg.direction] = leg


def _add(
    state: State, side: Side, extension_id: str, way: Direction, leg_id: str | None, source: Source, began: int,
    guessed: bool,
) -> LegState:  # fmt: skip
    leg = LegState(extension_id, way, None, source, began, guessed)
    leg.index = len(state.legs)
    state.hollow += 1
    state.legs.append(leg)
    side.legs.append(leg)
    side.anonymous += 1
    if leg_id is not None:
        _name(side, leg, leg_id)
    if side.named is None and len(side.legs) > FEW_LEGS:
        side.named = {(one.leg_id, one.direction): one for one in side.legs if one.leg_id is not None}
    return leg


def _note_status(state: State, at: int, source: Source, sequence: int | None, extension_id: str | None) -> None:
    """The call's status is the strongest over its live legs (rule 3.1). The history is in the order of server time:
    what comes later in order but was sent earlier tells how things stood by then (rule 2.8). Two events of one instant
    are one change, so that their order does not matter.
    """
    status, changes = strongest(state.living), state.changes
    if status is state.status and (not changes or changes[-1].at <= at):
        return
    state.status = status
    state.version += 1
    while changes and (
        changes[-1].at > at or (changes[-1].at == at and changes[-1].source is PRESENCE and source is PRESENCE)
    ):
        changes.pop()
    if changes and changes[-1].status is status:
        return
    changes.append(StatusChange(at, status, source, sequence, extension_id))


# -- values --------------------------------------------------------------------------------------------------------


def filled(known: Party, told: Party) -> Party:
    """``known`` with its blanks taken from ``told``. Number and raw text go together, a name goes with its number. Of
    one leg a number may follow a text that withholds it; the first number stays.
    """
    if told is UNKNOWN_PARTY or known == told:
        return known
    if known is UNKNOWN_PARTY:
        return told
    if known.number is None:
        return Party(told.number, known.name or told.name, told.raw if told.number else known.raw or told.raw)
    name = told.name if told.number in {None, known.number} else None
    return Party(known.number, known.name or name, known.raw)


# -- summaries -----------------------------------------------------------------------------------------------------


def resumed(summary: Summary) -> State:
    """The accumulator that a summary stands for."""
    state = State(base=summary)
    # A leg of which only an end was told is left out beside one that lived, so here all have lived or none.
    lived = any(
        told.status is not NO_CALL or told.answered_at is not None or told.ended_at != told.started_at
        for told in summary.legs
    )
    for told in summary.legs:
        side = _side_of(state, told.extension_id)
        leg = _add(
            state, side, told.extension_id, told.direction, told.leg_id, told.source, told.started_at,
            told.start_estimated,
        )  # fmt: skip
        leg.answered_at, leg.answer_estimated = told.answered_at, told.answer_estimated
        leg.ended_at, leg.end_source, leg.end_estimated = told.ended_at, told.end_source, told.end_estimated
        leg.termination, leg.from_party, leg.to_party = told.termination, told.from_party, told.to_party
        leg.queue_call, leg.on_behalf_of, leg.seen_at = told.queue_call, told.on_behalf_of, told.seen_at
        if lived:
            _enliven(state, leg)
        _set(state, side, leg, told.status, live=told.live)
        state.queue_call = state.queue_call or told.queue_call
    for mark in summary.watermarks:
        side = _side_of(state, mark.extension_id)
        side.epoch, side.top = mark.epoch, mark.sequence
        side.newest_at = side.time = mark.at
        side.floor, side.events = (mark.epoch, mark.sequence, mark.at), 1
    for leg in state.legs:
        leg.shown = state.sides[leg.extension_id].events
    state.changes = list(summary.changes)
    state.status = summary.status
    state.clock = state.seen_at = summary.seen_at
    state.started_at, state.start_estimated = summary.started_at, summary.start_estimated
    state.rung_at, state.rang = summary.rung_at, summary.rung_at is not None
    state.answered_at, state.answer_estimated = summary.answered_at, summary.answer_estimated
    state.telephony_session_id = summary.telephony_session_id
    return state
