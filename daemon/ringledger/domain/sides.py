"""Which leg a record of the platform's books speaks of (semantics 7: all records of a session are kept as legs).

Records and presence have no leg id in common. What must stay true: a record is one leg, whether presence told of it or
not, and stays that leg however often and in however many listings it is read; two records of one answer are never the
same leg, unless one is the whole of which the other is a part.
"""

from collections.abc import Callable, Collection, Iterable

from ringledger.domain.call import CallSession, Leg
from ringledger.domain.observation import PRESENCE_SOURCES, Party, RecordClaim
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.verdicts import COARSE_MS


def take_running(call: CallSession, claim: RecordClaim) -> Leg:
    """The leg of a record in progress: one that lives on that side, else one no record tells of, else one that lives
    elsewhere and no record tells of (the record may name a queue, or whoever had the call before), else a new one.
    """
    side = call.side(claim.extension_id, claim.direction)
    elsewhere = [leg for leg in call.legs if leg.live and leg.direction is claim.direction and not leg.records]
    choices: tuple[tuple[Iterable[Leg], Callable[[Leg], bool]], ...] = (
        (side, lambda leg: leg.live and _is_of(leg, claim)),
        (side, lambda leg: leg.live),
        (side, lambda leg: _is_of(leg, claim)),
        (side, lambda leg: not leg.records),
        (elsewhere, lambda leg: leg.source in PRESENCE_SOURCES),
    )
    found = (_nearest(filter(fits, legs), claim) for legs, fits in choices)
    leg = next((one for one in found if one is not None), None)
    return _told(call, leg or _added(call, claim, live=True), claim)


def goes_on_unseen(call: CallSession, claim: RecordClaim) -> Leg:
    """A new leg of nobody we know: the record runs although every side presence showed has ended (voicemail, a mobile
    telephone). Only the books can end it.
    """
    return _told(call, _added(call, claim._replace(extension_id=None), live=True), claim)


def take_finished(call: CallSession, answer: Collection[RecordClaim]) -> list[Leg]:
    """The legs of all records of one answer of the platform, in no order."""
    named, wholes = {claim.record_id for claim in answer}, {claim.leg_of for claim in answer}
    parts = [claim for claim in answer if claim.record_id not in wholes]
    legs = _known_and_free(call, parts)
    for claim in sorted(parts, key=lambda one: (one.started_at, one.record_id)):
        if claim.record_id not in legs:
            legs[claim.record_id] = _twin(call, claim, named) or _added(call, claim, live=False)
        _told(call, legs[claim.record_id], claim)
    for claim in answer:
        if claim.record_id in wholes:
            legs[claim.record_id] = _told(call, _of_whole(call, claim, list(legs.values())), claim)
    return list(legs.values())


def _known_and_free(call: CallSession, claims: Collection[RecordClaim]) -> dict[str, Leg]:
    """By record: the leg it has told of before, else the nearest of those no record tells of yet (or only the whole of
    which this record is a part); who is nearest of all chooses first.
    """
    legs: dict[str, Leg] = {}
    for claim in claims:
        known = next((leg for leg in call.side(claim.extension_id, claim.direction) if _is_of(leg, claim)), None)
        if known is not None:
            legs[claim.record_id] = known
    if len(legs) == len(claims):
        return legs
    pairs = [
        (_distance(leg, claim), claim.record_id, leg)
        for claim in claims
        for leg in call.side(claim.extension_id, claim.direction)
        if not set(leg.records) - {claim.leg_of}
    ]
    for _, record_id, leg in sorted(pairs, key=lambda pair: pair[:2]):
        if record_id not in legs and leg not in legs.values():
            legs[record_id] = leg
    return legs


def _of_whole(call: CallSession, claim: RecordClaim, parts: list[Leg]) -> Leg:
    """The leg a record stands for that has brought its parts: one of theirs, if it is on their side."""
    side = call.side(claim.extension_id, claim.direction)
    return (
        _nearest((leg for leg in side if _is_of(leg, claim)), claim)
        or _nearest((leg for leg in side if leg in parts), claim)
        or _nearest((leg for leg in side if not leg.records), claim)
        or _added(call, claim, live=False)
    )


def _twin(call: CallSession, claim: RecordClaim, named: set[str]) -> Leg | None:
    """The leg of which a record of another listing has told the same: the same ends, begun or over together."""

    def same(leg: Leg) -> bool:
        begun = abs(leg.started_at - claim.started_at) <= COARSE_MS
        over = leg.ended_at is not None and abs(leg.ended_at - claim.ended_at) <= COARSE_MS
        return named.isdisjoint(leg.records) and (begun or over) and _agree(leg, claim)

    return _nearest(filter(same, call.side(claim.extension_id, claim.direction)), claim)


def _is_of(leg: Leg, claim: RecordClaim) -> bool:
    """Whether the record has told of that leg before."""
    return claim.record_id in leg.records or (leg.leg_id == claim.record_id and leg.source not in PRESENCE_SOURCES)


def _nearest(legs: Iterable[Leg], claim: RecordClaim) -> Leg | None:
    """The leg with the record's ends, of several the one whose start is nearest."""
    return min(legs, key=lambda leg: _distance(leg, claim), default=None)


def _distance(leg: Leg, claim: RecordClaim) -> tuple[bool, int]:
    return not _agree(leg, claim), abs(leg.started_at - claim.started_at)


def _agree(leg: Leg, claim: RecordClaim) -> bool:
    """Whether both speak of the same two ends, as far as they name them."""
    pairs = ((leg.from_party, claim.from_party), (leg.to_party, claim.to_party))
    return all(None in told or told[0] == told[1] for told in [(digits(one), digits(other)) for one, other in pairs])


def _told(call: CallSession, leg: Leg, claim: RecordClaim) -> Leg:
    """The leg with its blanks filled from the record."""
    if claim.record_id not in leg.records:
        leg.records.append(claim.record_id)
    leg.fill(claim.from_party, claim.to_party, queue_call=claim.queue_call, on_behalf_of=None)
    if claim.telephony_session_id and call.telephony_session_id is None:
        call.telephony_session_id = claim.telephony_session_id
    return leg


def _added(call: CallSession, claim: RecordClaim, *, live: bool) -> Leg:
    """A side nobody has seen."""
    leg = Leg(
        number=len(call.legs) + 1,
        leg_id=None if live else claim.record_id,
        extension_id=claim.extension_id or "",
        direction=claim.direction,
        status=TelephonyStatus.CALL_CONNECTED if live else TelephonyStatus.NO_CALL,
        live=live,
        source=claim.source,
        started_at=claim.started_at,
        ended_at=None if live else claim.ended_at,
    )
    call.legs.append(leg)
    return leg


def digits(party: Party) -> str | None:
    """A number for comparison: with and without ``+`` is the same (semantics 10)."""
    return party.number.removeprefix("+") if party.number else None
