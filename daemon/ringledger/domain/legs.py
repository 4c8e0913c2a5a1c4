"""What one item does to the legs of its call: statuses through the table, facts through minima (semantics 1, 3, 5.1).

Plain functions on a :class:`CallSession`; whether an item may change a status has been decided before.
"""

from collections.abc import Sequence

from ringledger.domain.call import NOT_STARTED, CallSession, Leg, Phase
from ringledger.domain.moments import better
from ringledger.domain.observation import CallItem, CallKey, PresenceObservation, Source
from ringledger.domain.status import (
    ANSWERED_STATUSES,
    LEG_TRANSITIONS,
    LegChange,
    TelephonyStatus,
    TerminationType,
)


def begin_call(key: CallKey, observation: PresenceObservation) -> CallSession:
    """A call of which nothing has been noted yet."""
    return CallSession(
        key.account_id,
        key.session_id,
        opened_by=observation.source,
        discovered_at=observation.at,
        started_at=NOT_STARTED,
        _key=key,
    )


def anonymous(item: CallItem) -> bool:
    """Items that name their leg go first, so that one without id means another."""
    return item.leg_id is None


def leg_of(
    call: CallSession, item: CallItem, observation: PresenceObservation, spoken_of: Sequence[Leg] = ()
) -> tuple[Leg, bool]:
    """The leg an item speaks of, and whether it is new. An unknown id adopts an anonymous leg before it adds one."""
    direction = item.direction
    assert direction is not None  # noqa: S101 - items without direction were counted as untrackable
    leg = call.find_leg(observation.extension_id, direction, item.leg_id, spoken_of)
    if leg is not None:
        return leg, False
    leg = Leg(
        number=len(call.legs) + 1,
        leg_id=item.leg_id,
        extension_id=observation.extension_id,
        direction=direction,
        status=TelephonyStatus.NO_CALL,
        live=False,
        source=observation.source,
        started_at=observation.at if item.started_at is None else item.started_at,
        start_estimated=item.started_at is None and observation.source is Source.PRESENCE_READ,
    )
    call.legs.append(leg)
    return leg, True


def apply_item(
    call: CallSession, item: CallItem, observation: PresenceObservation, spoken_of: Sequence[Leg] = ()
) -> tuple[Leg, bool]:
    """Move one leg as the newest event says. An intermediate NoCall has not ended anything (semantics 5.1)."""
    leg, is_new = leg_of(call, item, observation, spoken_of)
    note_facts(call, leg, item, observation)
    status = item.status
    assert status is not None  # noqa: S101 - unknown statuses were counted before
    if status is TelephonyStatus.NO_CALL and item.termination is TerminationType.INTERMEDIATE:
        leg.live = leg.live or (is_new and call.phase is not Phase.FINISHED)  # it is no sign of life (semantics 5.4)
    else:
        _move(leg, LEG_TRANSITIONS[None if is_new else leg.status, status], status, item, observation.at)
    return leg, is_new


def _move(leg: Leg, change: LegChange, status: TelephonyStatus, item: CallItem, at: int) -> None:
    leg.status = status
    if status is TelephonyStatus.NO_CALL:
        leg.live, leg.ended_at, leg.termination = False, at, item.termination
    elif change is not LegChange.REPEATED:
        leg.live, leg.ended_at, leg.termination = True, None, None


def note_facts(call: CallSession, leg: Leg, item: CallItem, observation: PresenceObservation) -> bool:
    """Facts hold whenever they arrive: earlier times, blanks filled (semantics 2.7). True when any was new.

    What a read of presence dates is an estimate, but for the start the platform itself names.
    """
    before = (call.started_at, call.first_rung_at, call.answered_at)
    learned = leg.fill(item.from_party, item.to_party, queue_call=item.queue_call, on_behalf_of=item.on_behalf_of)
    at, started_at, status = observation.at, item.started_at, item.status
    estimated = observation.source is Source.PRESENCE_READ
    began, guessed = (at, estimated) if started_at is None else (started_at, False)
    leg.started_at, leg.start_estimated = better(leg.started_at, leg.start_estimated, began, guessed)
    call.started_at, call.start_estimated = better(call.started_at, call.start_estimated, began, guessed)
    if status is TelephonyStatus.RINGING:
        call.first_rung_at, call.rung_estimated = better(call.first_rung_at, call.rung_estimated, began, guessed)
    elif status in ANSWERED_STATUSES:
        leg.answered_at, leg.answer_estimated = better(leg.answered_at, leg.answer_estimated, at, estimated)
        call.note_answer(at, estimated=estimated)
        if started_at is not None:  # its ringing may have been missed; the platform says when it began
            rung, guessed = call.first_rung_at, call.rung_estimated
            call.first_rung_at, call.rung_estimated = better(rung, guessed, started_at, False)
    if item.telephony_session_id and call.telephony_session_id is None:
        call.telephony_session_id, learned = item.telephony_session_id, True
    return learned or before != (call.started_at, call.first_rung_at, call.answered_at)


def note_outdated(
    call: CallSession, item: CallItem, observation: PresenceObservation, spoken_of: Sequence[Leg] = ()
) -> tuple[Leg, bool]:
    """Take from an outdated item what is true whenever it arrives. A leg nobody had heard of is added as over.

    Returns the leg and whether anything was learned.
    """
    leg, is_new = leg_of(call, item, observation, spoken_of)
    learned = note_facts(call, leg, item, observation)
    if is_new and item.status is TelephonyStatus.NO_CALL:
        leg.ended_at = observation.at
    return leg, learned or is_new


def replace_missing(call: CallSession, spoken_of: list[Leg], extension_id: str, at: int) -> list[Leg]:
    """Legs missing from the newest whole snapshot that does list their call have been replaced by the legs listed:
    the call rings on elsewhere, as in the tutorial's own samples. (A *call* that is missing is another matter.).
    """
    replaced = [leg for leg in call.legs_of(extension_id) if leg.live and not any(leg is other for other in spoken_of)]
    for leg in replaced:
        leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, at
    return replaced


def end_live_legs(call: CallSession, at: int) -> list[Leg]:
    """End every leg that is still live."""
    ended = list(call.live_legs())
    for leg in ended:
        leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, at
    return ended
