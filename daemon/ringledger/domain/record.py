"""From what is known of a call to the row people read: disposition, times and durations (semantics 4, 5, 7).

``derive_record`` is a pure function of the session, so a row can be derived again at any time and an amended call
differs from the first writing only where its facts differ.
"""

from typing import NamedTuple

from ringledger.domain.call import CallSession, EndSource, Leg, Verdict, first_known
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.observation import PRESENCE_SOURCES, Direction, Source
from ringledger.domain.verdicts import COARSE_MS, standing, untold_legs

#: How much later than the caller's answer the callee's first sign may be, in an internal call whose ringing was missed.
INTERNAL_SLACK_MS = 2_000
#: No more characters than an extension's number has.
SHORT = 7


class CallRecord(NamedTuple):
    """A row of ``calls`` (contract 5). Times ms since the epoch; durations ms (seconds in the view).

    ``leg_count``: the sides presence showed; of a call it never showed, those the platform's books tell of.
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
    ring_ms: int
    talk_ms: int
    hold_ms: int
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


def derive_record(call: CallSession) -> CallRecord:
    """The row of a call that is over. ring + talk + hold never exceed ended - started; none is negative."""
    primary = primary_leg(call)
    internal = is_internal(call)
    direction = Direction.OUTBOUND if internal else primary.direction
    verdict = standing(call)
    started_at, ended_at = _span(call, verdict)
    disposition = _disposition(call, direction, verdict)
    answered_at = _answered(call, disposition, started_at, ended_at)
    ring, talk, hold = _durations(call, started_at, answered_at, ended_at)
    legs = _primary_first(call, primary)
    from_party = first_known([leg.from_party for leg in legs])
    to_party = first_known([leg.to_party for leg in legs])
    duration = max(0, verdict.duration_ms) if verdict else (ended_at - answered_at if answered_at is not None else 0)
    return CallRecord(
        account_id=call.account_id,
        session_id=call.session_id,
        telephony_session_id=call.telephony_session_id,
        direction=direction,
        internal=internal,
        queue_call=any(leg.queue_call for leg in call.legs),
        extension_id=primary.extension_id or None,
        from_number=from_party.number,
        from_name=from_party.name,
        from_raw=from_party.raw,
        to_number=to_party.number,
        to_name=to_party.name,
        to_raw=to_party.raw,
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        end_estimated=call.end_estimated and verdict is None,
        ring_ms=ring,
        talk_ms=talk,
        hold_ms=hold,
        duration_ms=duration,
        disposition=disposition,
        result=verdict.result if verdict else None,
        result_source=verdict.source if verdict else Source.PRESENCE,
        end_source=call.end_source,
        leg_count=sum(1 for leg in call.legs if leg.source in PRESENCE_SOURCES) or len(call.legs),
        events_accepted=call.events_accepted,
        events_ignored=call.events_ignored,
        part_of=call.part_of,
        confirmed_at=verdict.confirmed_at if verdict else None,
        revision=call.revision,
    )


def figures(call: CallSession) -> CallRecord:
    """The row without its counters of events: what a correction would change."""
    return derive_record(call)._replace(events_accepted=0, events_ignored=0)


def primary_leg(call: CallSession) -> Leg:
    """Whose side the row is told from: the caller's of an internal call, else, of the legs in the direction in which
    the call began, the one that answered first, else the one that was there first. A function of the legs alone, so no
    order of events changes it.
    """
    legs = [leg for leg in call.legs if leg.extension_id] or call.legs
    if len(legs) == 1:
        return legs[0]
    if is_internal(call):
        legs = [leg for leg in legs if leg.direction is Direction.OUTBOUND] or legs
    elif len({leg.direction for leg in legs}) > 1:
        began = min(legs, key=lambda leg: (leg.started_at, *_precedence(leg))).direction
        legs = [leg for leg in legs if leg.direction is began]
    return min(legs, key=_precedence)


def _precedence(leg: Leg) -> tuple[bool, int, int, str, str]:
    answered = leg.answered_at
    return (answered is None, answered or 0, leg.started_at, leg.extension_id, leg.leg_id or "")


def _primary_first(call: CallSession, primary: Leg) -> list[Leg]:
    others = sorted((leg for leg in call.legs if leg is not primary), key=_precedence)
    if len(call.legs) == 1:
        return call.legs
    return [primary, *sorted(others, key=lambda leg: leg.direction is not primary.direction)]


def is_internal(call: CallSession) -> bool:
    """Whether one of our extensions called another (or itself): an outbound leg, and an inbound one that came with it
    and was there before the outbound one was answered. A later inbound leg is a transfer, a later outbound one somebody
    else reached or fetched (semantics 1). The platform's books may say so too, of a call one side of which nobody saw.
    """
    if call.internal:
        return True
    if len(call.legs) == 1:
        return False
    outbound = [leg for leg in call.legs if leg.direction is Direction.OUTBOUND]
    if not outbound or len(outbound) == len(call.legs):
        return False
    answers = [leg.answered_at for leg in outbound if leg.answered_at is not None]
    if not answers and call.answered_by is not None:
        answers = [call.answered_by]  # the platform has said so by then
    first_inbound = min(leg.started_at for leg in call.legs if leg.direction is Direction.INBOUND)
    if min(leg.started_at for leg in outbound) > first_inbound + INTERNAL_SLACK_MS and not _one_of_us_calls(call):
        return False
    return not answers or first_inbound <= min(answers) + INTERNAL_SLACK_MS


def _one_of_us_calls(call: CallSession) -> bool:
    """Whether an outbound leg that seems to have come late (its ringing was missed) has the caller of an inbound one,
    or that caller has an extension's short number.
    """
    callers = {leg.from_party.number for leg in call.legs if leg.direction is Direction.INBOUND} - {None}
    ours = [
        leg.from_party.number
        for leg in call.legs
        if leg.direction is Direction.OUTBOUND and leg.source in PRESENCE_SOURCES
    ]
    return bool(ours) and any(number in ours or len(number) <= SHORT for number in callers if number)


def _span(call: CallSession, verdict: Verdict | None) -> tuple[int, int]:
    """Start and end: the platform's books win over what presence showed (semantics 7).

    Several records of one session (a queue, a transfer) span from the first start to the last end. A side none of them
    tells of that was there before has begun the call.
    """
    started_at = call.started_at
    ended_at = call.ended_at if call.ended_at is not None else call.last_seen_at
    if verdict is not None and (books := list(call.verdicts.values())):
        began = min([one.started_at for one in books])
        before = [leg.started_at for leg in untold_legs(call) if not leg.start_estimated]
        started_at = min([began, *(at for at in before if at < began - COARSE_MS)])
        last = max(books, key=lambda one: one.ended_at)
        precise_enough = last.coarse and not call.end_estimated and abs(last.ended_at - ended_at) <= COARSE_MS
        ended_at = ended_at if precise_enough else last.ended_at
    return started_at, max(started_at, ended_at)


def _disposition(call: CallSession, direction: Direction, verdict: Verdict | None) -> Disposition:
    if verdict is not None:
        return disposition_of(verdict.result)
    if call.answered_at is not None:
        return Disposition.ANSWERED
    if call.first_rung_at is None:
        return Disposition.UNKNOWN  # only its end was seen (semantics 2.8)
    return Disposition.MISSED if direction is Direction.INBOUND else Disposition.NO_ANSWER


def _answered(call: CallSession, disposition: Disposition, started_at: int, ended_at: int) -> int | None:
    """When it was answered; the books decide whether it was. Answered without a witness counts from the start."""
    if disposition is not Disposition.ANSWERED:
        return None
    seen = call.answered_at
    return started_at if seen is None else min(max(seen, started_at), ended_at)


def _durations(call: CallSession, started_at: int, answered_at: int | None, ended_at: int) -> tuple[int, int, int]:
    rung_at = call.first_rung_at
    if answered_at is None:
        return (0 if rung_at is None else ended_at - min(max(rung_at, started_at), ended_at)), 0, 0
    ring = 0 if rung_at is None else max(0, answered_at - max(rung_at, started_at))
    connected = ended_at - answered_at
    held = call.hold_ms + (0 if call.hold_since is None else max(0, ended_at - call.hold_since))
    hold = min(held, connected)
    return ring, connected - hold, hold
