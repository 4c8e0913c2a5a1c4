"""One call as its facts tell it: ``derive`` makes it from the accumulator and the facts, and keeps nothing.

What must stay true: the same facts give the same call; nothing here is decided by when a fact arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from ringledger.domain.facts import EndSource, Read, StatusChange
from ringledger.domain.fold import AHEAD_MS, NEVER, LegState, Points, RecordEnd, State, fold
from ringledger.domain.observation import (
    PRESENCE_SOURCES,
    UNKNOWN_PARTY,
    Direction,
    Party,
    RecordClaim,
    Source,
)
from ringledger.domain.reads import CLOCKS_APART_MS, directed, place_of, points_of, rejoined
from ringledger.domain.record_rules import (
    COARSE_MS,
    NONE_READ,
    Facts,
    Readings,
    Verdict,
    added_points,
    attach_records,
    end_of,
    end_source_of,
    readings_of,
    verdict_of,
)
from ringledger.domain.status import ANSWERED_STATUSES, NO_CALL, TelephonyStatus, TerminationType

#: A call that was listed as running longer after its start than this had been answered before, ms.
RINGS_AT_MOST_MS = 60_000


class Phase(StrEnum):
    """Where a call stands (rules 5.2, 5.3)."""

    OPEN = "open"
    SETTLING = "settling"
    FINISHED = "finished"


class Leg(NamedTuple):
    """One party's side of a call. ``leg_id`` is ``None`` while the leg is anonymous (rule 1.3). ``records``: ids of the
    records that tell of it. ``answer_estimated``: it was only found answered (rule 4.3).
    """

    number: int
    leg_id: str | None
    extension_id: str
    direction: Direction
    status: TelephonyStatus
    live: bool
    source: Source
    started_at: int
    answered_at: int | None = None
    ended_at: int | None = None
    termination: TerminationType | None = None
    from_party: Party = UNKNOWN_PARTY
    to_party: Party = UNKNOWN_PARTY
    queue_call: bool = False
    on_behalf_of: str | None = None
    start_estimated: bool = False
    answer_estimated: bool = False
    records: tuple[str, ...] = ()


@dataclass(slots=True)
class Call:
    """What follows from the facts of one call. Times ms. ``ended_at`` is ``None`` while any leg lives. ``legs`` belong
    to the accumulator: nobody changes them. ``answered_by``: when the platform was first asked and said that it runs.
    """

    state: State
    legs: list[LegState]
    changes: list[StatusChange]
    told: Readings
    status: TelephonyStatus
    live: bool
    suspect: bool
    started_at: int
    rung_at: int | None
    rang: bool
    answered_at: int | None
    answer_estimated: bool
    answered_by: int | None
    ended_at: int | None
    end_source: EndSource
    end_estimated: bool
    seen_at: int
    telephony_session_id: str | None
    internal: bool
    verdict: Verdict | None
    #: Presence showed the call answered.
    covered: bool

    def leg(self, index: int) -> Leg:
        """One leg as others see it."""
        one = self.legs[index]
        return Leg(
            index + 1, one.leg_id, one.extension_id, one.direction, one.status, one.live, one.source, one.started_at,
            one.answered_at, one.ended_at, one.termination, one.from_party, one.to_party, one.queue_call,
            one.on_behalf_of, one.start_estimated, one.answer_estimated, one.records,
        )  # fmt: skip


def presence_of(facts: Facts) -> State:
    """The accumulator of presence alone, from all facts: the long way, which ``apply`` spares for the newest one."""
    return fold(_timeline(facts, facts.reads), facts.summary)


def _timeline(facts: Facts, reads: Sequence[Read]) -> Points:
    events = rejoined(facts.events)
    if facts.undirected:
        events, reads = directed(events, reads, facts.records, facts.summary)
    return points_of(events, reads, facts.summary)


def derive(facts: Facts, state: State) -> Call:
    """The call. ``state``: what presence shows of it (``presence_of``)."""
    if facts.plain:
        return _plain(state, facts)
    told = readings_of(facts, state)
    seen = state
    added = added_points(state, told, facts)
    if added:  # an end that a record tells is no estimate of a read's (rule 2.8)
        ended = {point.extension_id for _, point in added if type(point) is RecordEnd}
        reads = [read for read in facts.reads if read.items or read.extension_id not in ended]
        points = [*_timeline(facts, reads), *added]
        points.sort(key=place_of)
        seen = fold(points, facts.summary)
    legs = seen.legs
    if told is not NONE_READ:
        legs = [replace(leg) for leg in legs]
        attach_records(legs, told)
    legs = _shown(legs, seen, told)
    live = seen.live
    ended_at, end_source, estimated = (None, EndSource.PRESENCE, False) if live else _end(legs, facts)
    verdict = None
    if not live and told.finished:
        verdict = verdict_of(legs, ended_at, told)
        last = max(told.finished, key=lambda claim: (end_of(claim), claim.record_id))
        end = last.ended_at
        if end is not None and (ended_at is None or (verdict is not None and end > ended_at + COARSE_MS)):
            ended_at, end_source, estimated = end, end_source_of(last.source), False
    started_at, rung_at = _started(seen, facts, told)
    answered_at, answer_estimated = _answered(seen, told)
    claims = told.claims
    seen_at = max([seen.seen_at, *(end_of(one.claim) for one in told.running)])
    if seen_at == NEVER:  # only records that are over tell of it
        seen_at = started_at if ended_at is None else ended_at
    return Call(
        seen, legs, seen.changes, told, seen.status or NO_CALL, live,
        live and (_is_doubted(seen, facts, told) or (bool(told.finished) and not told.running)),
        started_at, rung_at, seen.rang, answered_at, answer_estimated, _least(seen.answered_by, told.runs_by),
        ended_at, end_source, estimated, seen_at,
        seen.telephony_session_id or next((c.telephony_session_id for c in claims if c.telephony_session_id), None),
        any(claim.internal for claim in claims) or (facts.summary is not None and facts.summary.internal),
        verdict, _is_covered(legs, facts),
    )  # fmt: skip


def _plain(state: State, facts: Facts) -> Call:
    """Presence events alone tell of it."""
    legs = _shown(state.legs, state, NONE_READ)
    live = state.live
    ended_at, end_source, estimated = (None, EndSource.PRESENCE, False) if live else _last_end(legs)
    return Call(
        state, legs, state.changes, NONE_READ, state.status or NO_CALL, live,
        live and (state.living[0] > 0 or bool(facts.doubts)) and _is_doubted(state, facts, NONE_READ),
        state.started_at or 0, state.rung_at, state.rang, state.answered_at, state.answer_estimated, None,
        ended_at, end_source, estimated, state.seen_at, state.telephony_session_id, False, None,
        state.answered_at is not None,
    )  # fmt: skip


def _shown(legs: list[LegState], state: State, told: Readings) -> list[LegState]:
    """Without the legs of which nothing but an end was ever told, if the call has others (rule 2.9). A leg that a
    record tells of as well has been somebody's.
    """
    if not state.hollow or not any(leg.alive for leg in legs):
        return legs
    named = {(claim.extension_id, claim.direction) for claim in told.read}
    return [leg for leg in legs if leg.alive or leg.live or (leg.extension_id, leg.direction) in named]


def _end(legs: list[LegState], facts: Facts) -> tuple[int | None, EndSource, bool]:
    summary = facts.summary
    ended_at, source, estimated = _last_end(legs)
    if summary is not None and summary.ended_at is not None and (ended_at is None or ended_at <= summary.ended_at):
        return summary.ended_at, summary.end_source, summary.end_estimated
    return ended_at, source, estimated


def _last_end(legs: list[LegState]) -> tuple[int | None, EndSource, bool]:
    """When a call without live legs has ended, who says so, and whether it is an estimate."""
    last = max([leg for leg in legs if leg.ended_at is not None], key=_by_end, default=None)
    return (None, EndSource.PRESENCE, False) if last is None else (last.ended_at, last.end_source, last.end_estimated)


def _by_end(leg: LegState) -> tuple[int, bool, bool]:
    return leg.ended_at or 0, not leg.end_estimated, leg.end_source is EndSource.PRESENCE


def _is_doubted(state: State, facts: Facts, told: Readings) -> bool:
    """Only the platform can tell: a leg of which only an end was promised, or one that its extension no longer lists
    and that nobody who was asked since has shown (rule 5.5).
    """
    if state.living[0]:
        return True
    asked = max([one.claim.read_at for one in told.running], default=NEVER)
    return any(
        (side := state.sides.get(doubt.extension_id)) is not None
        and side.living
        and (doubt.at, doubt.sequence) > (side.newest_at, side.top)
        and asked < max(doubt.at, state.clock)
        and not any(
            read.items and read.extension_id == doubt.extension_id and read.at >= doubt.at for read in facts.reads
        )
        for doubt in facts.doubts
    )


def _started(seen: State, facts: Facts, told: Readings) -> tuple[int, int | None]:
    """Start and first sign of ringing. The platform's own word counts, whoever brings it; that of a record only where
    it is clearly earlier than what presence showed.
    """
    started_at, estimated, rung_at = seen.started_at, seen.start_estimated, seen.rung_at
    named = [
        item.started_at for read in facts.reads for item in read.items
        if item.started_at is not None and item.started_at <= read.at + AHEAD_MS
    ]  # fmt: skip
    if named:
        began = min(named)
        estimated = estimated and started_at is not None and started_at < began
        started_at, rung_at = _least(started_at, began), _least(rung_at, began)
    claims = told.claims
    record = min([claim.started_at for claim in claims if claim.started_at is not None], default=None)
    if started_at is None:
        if record is None:
            record = min([claim.read_at for claim in claims], default=0)
        return record, rung_at
    if record is not None and (record < started_at - COARSE_MS or (estimated and record < started_at)):
        started_at = record
    return started_at, rung_at


def _answered(seen: State, told: Readings) -> tuple[int | None, bool]:
    """When it was answered, and whether it was only found answered: as presence says, else since the call runs."""
    if told.runs_by is None or told.runs_since is None:
        return seen.answered_at, seen.answer_estimated
    slack = CLOCKS_APART_MS if told.runs_by - told.runs_since <= RINGS_AT_MOST_MS else 0
    if seen.answered_at is not None and seen.answered_at <= told.runs_by + slack:
        return seen.answered_at, seen.answer_estimated
    if seen.rung_at is None or not seen.rang:
        return told.runs_since, True
    first = told.runs_by if seen.answered_at is None else min(told.runs_by, seen.answered_at)
    return max(told.runs_since, first), True  # it rang first


def _is_covered(legs: list[LegState], facts: Facts) -> bool:
    """Whether presence has shown a talk, so that it could show a hold (rule 4.4)."""
    if any(leg.answered_at is not None and leg.source in PRESENCE_SOURCES for leg in legs):
        return facts.summary is None or facts.summary.held_ms is not None or bool(facts.events)
    return any(item.status in ANSWERED_STATUSES for read in facts.reads for item in read.items)


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def records_of(call: Call) -> list[RecordClaim]:
    """The records that count, finished ones first."""
    return call.told.claims
