"""One call as its facts tell it, and the row that people read of it.

``derive`` makes the call from the accumulator and the facts. ``row`` says whose side of the call is told, its
disposition, its times and its durations (rules 4, 5, 7). Both keep nothing: a call and its row can be made again at any
time, and a corrected row differs from the first one only where the facts differ. What must stay true: the same facts
give the same call; nothing here is decided by when a fact arrived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.facts import EndSource, Read, StatusChange, Summary
from ringledger.domain.fold import AHEAD_MS, NEVER, LegState, Points, RecordEnd, State, filled, fold
from ringledger.domain.observation import (
    INBOUND,
    OUTBOUND,
    PRESENCE,
    PRESENCE_SOURCES,
    UNKNOWN_PARTY,
    CallKey,
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
    uncovered_legs,
    verdict_of,
)
from ringledger.domain.status import ANSWERED_STATUSES, HOLD_STATUSES, NO_CALL, TelephonyStatus, TerminationType

#: A call that was listed as running longer after its start than this had been answered before, ms.
RINGS_AT_MOST_MS = 60_000
#: How much later than the caller's answer the callee's first sign may be, in an internal call whose ringing was missed.
INTERNAL_SLACK_MS: Final = 2_000
#: No more characters than an extension's number has.
SHORT: Final = 7


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
    to the accumulator: no reader changes them. ``answered_by``: when the platform first answered that the call runs.
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


class CallRecord(NamedTuple):
    """A row of ``calls``. Times ms since the epoch; durations ms (seconds in the view).

    ``answer_estimated``: ``answered_at`` is the earliest sign that it was answered. ``ring_ms``, ``hold_ms``: ``None``
    when it was not seen. ``leg_count``: the legs presence showed; of a call it never showed, those the records tell of.
    """

    account_id: str
    session_id: str
    telephony_session_id: str | None
    direction: Direction
    internal: bool
    queue_call: bool
    extension_id: str | None
    from_number: str | None
    from_name: str | None
    from_raw: str | None
    to_number: str | None
    to_name: str | None
    to_raw: str | None
    started_at: int
    answered_at: int | None
    ended_at: int
    end_estimated: bool
    ring_ms: int | None
    talk_ms: int
    hold_ms: int | None
    duration_ms: int
    disposition: Disposition
    result: str | None
    result_source: Source | None
    end_source: EndSource
    leg_count: int
    events_accepted: int
    events_ignored: int
    part_of: str | None
    confirmed_at: int | None
    revision: int
    answer_estimated: bool = False


# -- the call -------------------------------------------------------------------------------------------------------


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
        verdict = verdict_of(legs, ended_at, told, facts)
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
    """Leave out the legs that were never shown alive, if the call has others (rule 2.9). A leg that a record tells of
    as well stays.
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
    """Return when a call without live legs has ended, which source says so, and whether the time is an estimate."""
    last = max([leg for leg in legs if leg.ended_at is not None], key=_by_end, default=None)
    return (None, EndSource.PRESENCE, False) if last is None else (last.ended_at, last.end_source, last.end_estimated)


def _by_end(leg: LegState) -> tuple[int, bool, bool]:
    return leg.ended_at or 0, not leg.end_estimated, leg.end_source is EndSource.PRESENCE


def _is_doubted(state: State, facts: Facts, told: Readings) -> bool:
    """Return whether only the platform can tell if the call goes on: the end of a leg was promised and has not come, or
    its extension lists the call no longer, and no answer since then has shown it (rule 5.5).
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
    """Return the start and the first sign of ringing. A ``startTime`` of the platform counts in an event and in a read;
    that of a record counts only where it is clearly earlier than what presence showed.
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
    """Return when the call was answered, and whether it was only found answered. Presence decides; where it shows no
    answer, a record in progress does.
    """
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
    """Return whether presence has shown a talk; only then could it show a hold (rule 4.4)."""
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


# -- its row -------------------------------------------------------------------------------------------------------


def row(
    key: CallKey, call: Call, *, accepted: int, ignored: int, part_of: str | None = None, revision: int = 0
) -> CallRecord:
    """The row of a call that is over. ring + talk + hold never exceed ended - started; none is negative."""
    primary = primary_leg(call)
    internal = is_internal(call)
    direction = OUTBOUND if internal else primary.direction
    verdict = call.verdict
    started_at, ended_at = _span(call)
    disposition = _disposition(call, direction)
    answered_at, estimated = _answer_of(call, disposition, started_at, ended_at)
    ring, talk, hold = _durations(call, started_at, answered_at, ended_at, estimated=estimated)
    from_party, to_party = _parties(call, primary)
    duration = ended_at - answered_at if answered_at is not None else 0
    if verdict is not None and verdict.claim.duration_ms is not None:
        duration = max(0, verdict.claim.duration_ms)
    return CallRecord(
        key.account_id, key.session_id, call.telephony_session_id, direction, internal,
        call.state.queue_call or any(leg.queue_call for leg in call.legs), primary.extension_id or None,
        from_party.number, from_party.name, from_party.raw, to_party.number, to_party.name, to_party.raw,
        started_at, answered_at, ended_at, call.end_estimated and verdict is None, ring, talk, hold, duration,
        disposition, verdict.claim.result if verdict else None, verdict.claim.source if verdict else PRESENCE,
        call.end_source, sum(leg.source in PRESENCE_SOURCES for leg in call.legs) or len(call.legs),
        accepted, ignored, part_of, verdict.confirmed_at if verdict else None, revision, estimated,
    )  # fmt: skip


def said(record: CallRecord) -> CallRecord:
    """The row without what depends on the order of arrival: what a correction would change."""
    return record._replace(revision=0, events_accepted=0, events_ignored=0)


def story(record: CallRecord) -> tuple[object, ...]:
    """What a verdict that tells another story than presence did changes."""
    return record.disposition, record.started_at // 1000, record.ended_at // 1000


# -- whose side ----------------------------------------------------------------------------------------------------


def front(call: Call) -> tuple[Direction | None, str | None, Party, Party]:
    """Direction, extension and parties as the finished row will tell them."""
    if not call.legs:
        return None, None, UNKNOWN_PARTY, UNKNOWN_PARTY
    primary = primary_leg(call)
    direction = OUTBOUND if is_internal(call) else primary.direction
    from_party, to_party = _parties(call, primary)
    return direction, primary.extension_id or None, from_party, to_party


def primary_leg(call: Call) -> LegState:
    """Whose side the row is told from: the caller's of an internal call, else, of the legs in the direction in which
    the call began, the one that answered first, else the one that was there first.
    """
    legs = call.legs
    if len(legs) == 1:
        return legs[0]
    legs = [leg for leg in legs if leg.extension_id] or legs
    if is_internal(call):
        legs = [leg for leg in legs if leg.direction is OUTBOUND] or legs
    elif len({leg.direction for leg in legs}) > 1:
        began = min(legs, key=lambda leg: (leg.started_at, *_precedence(leg))).direction
        legs = [leg for leg in legs if leg.direction is began]
    return min(legs, key=_precedence)


def _precedence(leg: LegState) -> tuple[bool, int, int, str, str]:
    answered = leg.answered_at
    return answered is None, answered or 0, leg.started_at, leg.extension_id, leg.leg_id or ""


def _parties(call: Call, primary: LegState) -> tuple[Party, Party]:
    """Both ends: the primary leg's, blanks filled from the other legs and then from the records."""
    if len(call.legs) == 1 and not call.told.read:
        return primary.from_party, primary.to_party
    others = sorted([leg for leg in call.legs if leg is not primary], key=_precedence)
    others.sort(key=lambda leg: leg.direction is not primary.direction)
    legs, claims = [primary, *others], records_of(call)
    return (
        _first_known([*(leg.from_party for leg in legs), *(claim.from_party for claim in claims)], primary.to_party),
        _first_known([*(leg.to_party for leg in legs), *(claim.to_party for claim in claims)], primary.from_party),
    )


def _first_known(parties: Iterable[Party], opposite: Party) -> Party:
    """Return the first party, its blanks filled from those after it. A withheld number is a fact and no blank: nothing
    fills it. A blank is not filled with the number of the opposite end either (rule 10.4); a call to oneself has one
    number at both ends.
    """
    first, *others = parties
    result = first
    for party in others:
        if is_withheld(result):
            break
        if party.number is not None and party.number == opposite.number and result.number is None:
            continue
        result = filled(result, party)
    return result


def is_withheld(party: Party) -> bool:
    """Whether the platform says that the number is withheld: a text, but no number."""
    return party.number is None and bool(party.raw)


def is_internal(call: Call) -> bool:
    """Return whether one of our extensions called another, or itself: the call has an outbound leg, and an inbound one
    that came with it, before the outbound one was answered. An inbound leg that comes later is a transfer; an outbound
    leg that comes later belongs to an extension that was called in, or that fetched the call (rule 1.4). The records
    may say so too, where presence showed one side alone.
    """
    if call.internal:
        return True
    if len(call.legs) == 1:
        return False
    outbound = [leg for leg in call.legs if leg.direction is OUTBOUND]
    if not outbound or len(outbound) == len(call.legs):
        return False
    answers = [leg.answered_at for leg in outbound if leg.answered_at is not None]
    if not answers and call.answered_by is not None:
        answers = [call.answered_by]
    first_inbound = min(leg.started_at for leg in call.legs if leg.direction is INBOUND)
    if min(leg.started_at for leg in outbound) > first_inbound + INTERNAL_SLACK_MS and not _one_of_us_calls(call):
        return False
    return not answers or first_inbound <= min(answers) + INTERNAL_SLACK_MS


def _one_of_us_calls(call: Call) -> bool:
    """Whether an outbound leg that seems to have come late (its ringing was missed) has the caller of an inbound one,
    or that caller has an extension's short number.
    """
    callers = {leg.from_party.number for leg in call.legs if leg.direction is INBOUND} - {None}
    ours = [leg.from_party.number for leg in call.legs if leg.direction is OUTBOUND and leg.source in PRESENCE_SOURCES]
    return bool(ours) and any(number in ours or len(number) <= SHORT for number in callers if number)


# -- times ---------------------------------------------------------------------------------------------------------


def _span(call: Call) -> tuple[int, int]:
    """Start and end: the records win over what presence showed (rule 7.4). Several records of one session (a queue, a
    transfer) span from the first start to the last end. An uncovered leg that was there before has begun the call, one
    that talked on afterwards has ended it.
    """
    started_at = call.started_at
    ended_at = call.ended_at if call.ended_at is not None else max(call.seen_at, started_at)
    finished = call.told.finished
    if call.verdict is None or not finished:
        return started_at, max(started_at, ended_at)
    uncovered = uncovered_legs(call.legs, finished)
    starts = [claim.started_at for claim in finished if claim.started_at is not None]
    if starts:
        began = min(starts)
        before = [leg.started_at for leg in uncovered if not leg.start_estimated]
        started_at = min([began, *(at for at in before if at < began - COARSE_MS)])
    last = max(finished, key=lambda claim: (end_of(claim), claim.record_id))
    end = last.ended_at
    if end is not None:
        if not (last.coarse and not call.end_estimated and abs(end - ended_at) <= COARSE_MS):
            ended_at = end
        talked = [leg for leg in uncovered if leg.answered_at is not None and not leg.end_estimated]
        ended_at = max([ended_at, *(at for leg in talked if (at := leg.ended_at or 0) > end + COARSE_MS)])
    return started_at, max(started_at, ended_at)


def _disposition(call: Call, direction: Direction) -> Disposition:
    """What the platform's result stands for; until it is known, what presence showed (rules 7.4, 7.8)."""
    if call.verdict is not None:
        claim = call.verdict.claim
        talked = call.answered_at is not None or bool(claim.duration_ms)
        return disposition_of(claim.result or "", talked=talked)
    if call.answered_at is not None:
        return Disposition.ANSWERED
    if not call.rang:
        return Disposition.UNKNOWN  # only its end was seen, or only a record that says no result (rules 2.9, 7.5)
    return Disposition.MISSED if direction is INBOUND else Disposition.NO_ANSWER


def _answer_of(call: Call, disposition: Disposition, started_at: int, ended_at: int) -> tuple[int | None, bool]:
    """When it was answered, and whether that is only the earliest sign of it; the records decide whether it was.
    Answered without a witness counts from the start.
    """
    if disposition is not Disposition.ANSWERED:
        return None, False
    if call.answered_at is None:
        return started_at, True
    return min(max(call.answered_at, started_at), ended_at), call.answer_estimated


def _durations(
    call: Call, started_at: int, answered_at: int | None, ended_at: int, *, estimated: bool
) -> tuple[int | None, int, int | None]:
    """Return ring, talk and hold time. A ring is ``None`` when its first sign, its answer or its end was not seen, a
    hold when presence did not cover the talk (rules 4.3, 4.4, 4.5).
    """
    rung_at = call.rung_at
    if answered_at is None:
        hold = 0 if call.rang or call.covered else None
        if rung_at is None or (call.end_estimated and call.verdict is None):
            return None, 0, hold
        return ended_at - min(max(rung_at, started_at), ended_at), 0, hold
    ring = None if rung_at is None or estimated else max(0, answered_at - max(rung_at, started_at))
    connected = ended_at - answered_at
    if not call.covered:
        return ring, connected, None
    hold = min(max(0, held(call.changes, answered_at, ended_at, call.state.base)), connected)
    return ring, connected - hold, hold


def held(changes: Iterable[StatusChange], since: int, until: int, base: Summary | None = None) -> int:
    """How long a call with this history was on hold between two times, ms."""
    total = 0 if base is None else base.held_ms or 0
    begun = None if base is None else base.hold_since
    for change in changes:
        at = min(max(change.at, since), until)
        if begun is not None:
            total += max(0, at - begun)
        begun = at if change.status in HOLD_STATUSES else None
    return total if begun is None else total + max(0, until - begun)
