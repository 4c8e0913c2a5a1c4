"""What a record of active-calls or the call log says of a call, and which call it speaks of (semantics 6, 7).

Plain functions on a :class:`CallSession`; what the records together say is the matter of
:mod:`~ringledger.domain.verdicts`.
"""

from collections.abc import Collection, Iterable
from typing import Final

from ringledger.domain.call import CallSession, Phase
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.observation import CallKey, Direction, RecordClaim
from ringledger.domain.sides import digits
from ringledger.domain.verdicts import COARSE_MS, end_source_of

#: How far apart the starts may be when a call that never connected is matched by numbers (semantics 7).
MATCH_WINDOW_MS: Final = 60_000


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


class Matcher:
    """Finds the call a record speaks of when its session is another than presence said (semantics 7).

    Sessions of missed and voicemail calls differ now and then between presence and log. Order: session, telephony
    session, a record that spoke of the call before, then direction, numbers and start of a call that never connected,
    that no record has confirmed and that none of the records at hand names (``named``): that one is another call. Two
    sessions of one answer are two calls. Who gave up and dialled again a little later has made two calls as well: only
    the record of a time in which the call went on is taken for its own, unless its own has been asked for in vain
    (``in_vain``).
    """

    def __init__(
        self, calls: Iterable[CallSession], named: Collection[CallKey] = (), in_vain: Collection[CallKey] = ()
    ) -> None:
        self._in_vain = in_vain
        self._by_telephony: dict[tuple[str, str], CallSession] = {}
        self._by_record: dict[tuple[str, str], CallSession] = {}
        self._taken: dict[CallKey, str | None] = {}
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
        session_id = claim.call_session_id
        near = [
            call
            for call in self._unanswered.get(ends, ())
            if _may_be(call, claim)
            and (call.key in self._in_vain or _together(call, claim))
            and self._taken.get(call.key, session_id) == session_id
        ]
        nearest = min(near, key=lambda call: abs(call.started_at - claim.started_at), default=None)
        if nearest is not None:
            self._taken[nearest.key] = session_id
        return nearest


def _may_be(call: CallSession, claim: RecordClaim) -> bool:
    """Whether a call is near enough to a record, and was not heard of after the record's end."""
    lives_on = call.phase is Phase.OPEN and call.last_seen_at > claim.ended_at + COARSE_MS
    return call.verdict is None and not lives_on and abs(call.started_at - claim.started_at) <= MATCH_WINDOW_MS


def _together(call: CallSession, claim: RecordClaim) -> bool:
    """Whether both went on at the same time."""
    ended_at = call.last_seen_at if call.ended_at is None else call.ended_at
    return claim.started_at <= ended_at + COARSE_MS and call.started_at <= claim.ended_at + COARSE_MS
