"""What the records of the platform's books together say of a call, and whether they speak of all of it (semantics 7).

A record is a fact about the part of the call it tells of, whenever it was read: it is kept while the call goes on, and
judged when the call is over. What must stay true: a record read before the call was over, or that tells of one
extension while another talked on, confirms nothing and cuts nothing; where the books speak of the whole call, they win.
"""

from typing import Final

from ringledger.domain.call import CallSession, EndSource, Leg, Phase, Verdict
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.observation import PRESENCE_SOURCES, RecordClaim, Source

#: The feed may tell of an end so much later than the books date it, and mean the same end.
LATE_MS: Final = 5_000
#: How much longer a side no record tells of must have gone on to be a part of the call that is missing from the books:
#: a notification may be late by more than a little, and the last record of a transfer comes on its own.
OUTLIVED_MS: Final = 30_000
#: A duration in whole seconds places the end this exactly; our own figure is kept when it agrees.
COARSE_MS: Final = 1_000


def take_verdict(call: CallSession, claim: RecordClaim) -> bool:
    """Keep what a finished record says; True when the books say something else of the call now than before.

    The call log overrules what active-calls said of the same record, never the other way round. A record read again
    is a newer one where the older reading did not speak of the whole call.
    """
    known = call.verdicts.get(claim.record_id)
    if known is not None and known.source is Source.CALL_LOG and claim.source is not Source.CALL_LOG:
        return False
    if claim.result is None:
        return False
    before = _told(call)
    call.verdicts[claim.record_id] = Verdict(
        claim.source,
        claim.record_id,
        claim.result,
        claim.started_at,
        claim.duration_ms,
        claim.coarse,
        known.confirmed_at if known is not None and before[0] else claim.read_at,
        claim.extension_id,
        call.phase is Phase.OPEN,
    )
    call.verdict = max(call.verdicts.values(), key=_weight)
    return before != _told(call)


def _told(call: CallSession) -> tuple[bool, set[Verdict]]:
    return standing(call) is not None, {one._replace(confirmed_at=0, early=False) for one in call.verdicts.values()}


def _weight(verdict: Verdict) -> tuple[bool, int, str]:
    return _answered(verdict), verdict.ended_at, verdict.record_id


def _answered(verdict: Verdict) -> bool:
    return disposition_of(verdict.result) is Disposition.ANSWERED


def standing(call: CallSession) -> Verdict | None:
    """The verdict that counts; ``None`` while no record, or no record of the whole call, has been read."""
    if call.verdict is None or not call.verdicts or call.ended_at is None:
        return call.verdict
    untold = untold_legs(call)
    if not _answered(call.verdict) and any(leg.answered_at is not None and not leg.answer_estimated for leg in untold):
        return None  # the record of the side that answered is still to come
    last = max(call.verdicts.values(), key=lambda verdict: verdict.ended_at)
    if call.ended_at <= last.ended_at + LATE_MS:
        return call.verdict
    if last.early or last.confirmed_at < call.ended_at:
        return None  # it was read while the call went on
    talked = [leg for leg in untold if leg.answered_at is not None]
    outlived = any((leg.ended_at or call.ended_at) > last.ended_at + OUTLIVED_MS for leg in talked)
    return None if outlived else call.verdict


def untold_legs(call: CallSession) -> list[Leg]:
    """Sides that presence showed at extensions of which no record tells. A record that names no extension tells of the
    whole call; so does one that names none of those presence named (a queue's), unless it is that of somebody else who
    did not answer.
    """
    named = {verdict.extension_id for verdict in call.verdicts.values()}
    seen = [leg for leg in call.legs if leg.source in PRESENCE_SOURCES]
    if None in named:
        return []
    if named.isdisjoint(leg.extension_id for leg in seen):
        talked = any(leg.answered_at is not None for leg in seen)
        return seen if talked and not any(map(_answered, call.verdicts.values())) else []
    return [leg for leg in seen if leg.extension_id not in named]


def end_source_of(source: Source) -> EndSource:
    """Who told us of the end, when a record did."""
    return EndSource.CALL_LOG if source is Source.CALL_LOG else EndSource.RECONCILED
