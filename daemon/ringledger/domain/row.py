"""From a call to the row people read: whose side it is told from, disposition, times and durations (rules 4, 5, 7).

Plain functions of a :class:`~ringledger.domain.call.Call`, so a row can be derived again at any time, and a corrected
call differs from its first row only where its facts differ.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ringledger.domain.call import Call, records_of
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.facts import EndSource, StatusChange, Summary
from ringledger.domain.fold import LegState, filled
from ringledger.domain.observation import (
    INBOUND,
    OUTBOUND,
    PRESENCE,
    PRESENCE_SOURCES,
    UNKNOWN_PARTY,
    CallKey,
    Direction,
    Party,
    Source,
)
from ringledger.domain.record_rules import COARSE_MS, end_of, uncovered_legs
from ringledger.domain.status import HOLD_STATUSES

#: How much later than the caller's answer the callee's first sign may be, in an internal call whose ringing was missed.
INTERNAL_SLACK_MS: Final = 2_000
#: No more characters than an extension's number has.
SHORT: Final = 7


class CallRecord(NamedTuple):
    """A row of ``calls``. Times ms since the epoch; durations ms (seconds in the view).

    ``answer_estimated``: ``answered_at`` is the earliest sign that it was answered. ``ring_ms``, ``hold_ms``: ``None``
    when nobody saw it. ``leg_count``: the legs presence showed; of a call it never showed, those the records tell of.
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
    answered_at, estimated = _answered(call, disposition, started_at, ended_at)
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
    """The first party, its blanks filled from those after it. Withheld is a fact, no blank: nothing fills it, nor does
    another leg's number of the opposite end (rule 10.4); who calls himself has one number at both ends.
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
    """Whether one of our extensions called another (or itself): an outbound leg, and an inbound one that came with it
    and was there before the outbound one was answered. A later inbound leg is a transfer, a later outbound one somebody
    else reached or fetched (rule 1.4). The records may say so too, of a call one side of which nobody saw.
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


def _answered(call: Call, disposition: Disposition, started_at: int, ended_at: int) -> tuple[int | None, bool]:
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
    """Ring, talk and hold. What nobody saw is ``None``: a ring without its first sign, its answer or its end, a hold of
    a talk that presence did not cover (rules 4.3, 4.4, 4.5).
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
