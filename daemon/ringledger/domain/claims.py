"""What a record of active-calls or the call log says of a call, and which call it speaks of (semantics 6, 7).

The platform's books have the last word on result, start and duration. Several records may speak of one session; each
is kept, the answered one counts, else the one that ended last. Plain functions on a :class:`CallSession`.
"""

from collections.abc import Collection, Iterable
from typing import Final

from ringledger.domain.call import CallSession, EndSource, Phase, Verdict
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.observation import CallKey, Direction, RecordClaim, Source
from ringledger.domain.record import COARSE_MS
from ringledger.domain.sides import digits

#: How far apart the starts may be when a call that never connected is matched by numbers (semantics 7).
MATCH_WINDOW_MS: Final = 60_000


def take_verdict(call: CallSession, claim: RecordClaim) -> bool:
    """Keep what a finished record says; True when the call's verdict is another now than before.

    The call log overrules what active-calls said of the same record, never the other way round.
    """
    known = call.verdicts.get(claim.record_id)
    if known is not None and known.source is Source.CALL_LOG and claim.source is not Source.CALL_LOG:
        return False
    if claim.result is None:
        return False
    before = set(call.verdicts.values())
    confirmed_at = known.confirmed_at if known else claim.read_at
    call.verdicts[claim.record_id] = Verdict(
        claim.source,
        claim.record_id,
        claim.result,
        claim.started_at,
        claim.duration_ms,
        claim.coarse,
        confirmed_at,
    )
    call.verdict = max(call.verdicts.values(), key=_weight)
    return before != set(call.verdicts.values())


def _weight(verdict: Verdict) -> tuple[bool, int, str]:
    return disposition_of(verdict.result) is Disposition.ANSWERED, verdict.ended_at, verdict.record_id


def opened_by_claim(key: CallKey, claim: RecordClaim) -> CallSession:
    """A running call that only the platform's books have shown us."""
    return CallSession(
        key.account_id, key.session_id, claim.telephony_session_id, opened_by=claim.source,
        discovered_at=claim.read_at, last_seen_at=claim.read_at, started_at=claim.started_at,
        answered_hint=claim.started_at, answered_by=claim.read_at,
    )  # fmt: skip


def written_by_claim(key: CallKey, claim: RecordClaim) -> CallSession:
    """A call nobody saw, from the platform's books: finished and confirmed in one go."""
    return CallSession(
        key.account_id, key.session_id, claim.telephony_session_id, phase=Phase.FINISHED, opened_by=claim.source,
        discovered_at=claim.read_at, last_seen_at=claim.ended_at, started_at=claim.started_at,
        ended_at=claim.ended_at, end_source=end_source_of(claim.source),
    )  # fmt: skip


def end_source_of(source: Source) -> EndSource:
    """Who told us of the end, when a record did."""
    return EndSource.CALL_LOG if source is Source.CALL_LOG else EndSource.RECONCILED


class Matcher:
    """Finds the call a record speaks of when its session is another than presence said (semantics 7).

    Sessions of missed and voicemail calls differ now and then between presence and log. Order: session, telephony
    session, a record that spoke of the call before, then direction, numbers and start of a call that never connected,
    that no record has confirmed and that none of the records at hand names (``named``): that one is another call.
    """

    def __init__(self, calls: Iterable[CallSession], named: Collection[CallKey] = ()) -> None:
        self._by_telephony: dict[tuple[str, str], CallSession] = {}
        self._by_record: dict[tuple[str, str], CallSession] = {}
        self._unanswered: dict[tuple[str, Direction, str | None, str | None], list[CallSession]] = {}
        for call in calls:
            if call.telephony_session_id:
                self._by_telephony[call.account_id, call.telephony_session_id] = call
            for record_id in call.verdicts:
                self._by_record[call.account_id, record_id] = call
            if call.verdict is None and call.answered_at is None and call.key not in named:
                for leg in call.legs:
                    ends = (call.account_id, leg.direction, digits(leg.from_party), digits(leg.to_party))
                    self._unanswered.setdefault(ends, []).append(call)

    def find(self, claim: RecordClaim) -> CallSession | None:
        """The call, or None when there is no such call."""
        if claim.telephony_session_id:
            call = self._by_telephony.get((claim.account_id, claim.telephony_session_id))
            if call is not None:
                return call
        return self._by_record.get((claim.account_id, claim.record_id)) or self._by_numbers(claim)

    def _by_numbers(self, claim: RecordClaim) -> CallSession | None:
        """Only what never connected is told apart by so little: a record of a talk is a call of its own."""
        if claim.running or claim.result is None or disposition_of(claim.result) is Disposition.ANSWERED:
            return None
        ends = (claim.account_id, claim.direction, digits(claim.from_party), digits(claim.to_party))
        near = [call for call in self._unanswered.get(ends, ()) if _may_be(call, claim)]
        return min(near, key=lambda call: abs(call.started_at - claim.started_at), default=None)


def _may_be(call: CallSession, claim: RecordClaim) -> bool:
    """Whether a call is near enough to a record, and was not heard of after the record's end."""
    lives_on = call.phase is Phase.OPEN and call.last_seen_at > claim.ended_at + COARSE_MS
    return call.verdict is None and not lives_on and abs(call.started_at - claim.started_at) <= MATCH_WINDOW_MS
