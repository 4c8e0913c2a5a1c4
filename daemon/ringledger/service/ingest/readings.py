"""Which readings of records are new, and in what portions an answer of the call log is taken.

Active-calls lists a finished call for minutes; a synchronisation and a back-fill return the same hour of the log. A
record of a finished call costs as much as ten events, since its call is fetched from the ledger and derived anew;
read a second time it changes nothing once the call is confirmed. What must stay true: only readings that are committed
count as known; what a call in memory, or one that is not confirmed, may need is never left out; memory of what was read
is bounded.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from ringledger.domain.call import CallRecord
from ringledger.domain.observation import CallKey, RecordClaim

#: Which calls some records may mean although their session is another (rule 7.2).
Candidates = Callable[[Collection[RecordClaim]], Collection[CallKey]]

#: So many readings are remembered: the newest, 100 bytes each.
MOST_REMEMBERED: Final = 50_000
#: Records that are taken in one go, a few more where they are of one call: a tenth of a second that the feed waits.
PORTION: Final = 100


def nobody(claims: Collection[RecordClaim]) -> Collection[CallKey]:  # noqa: ARG001 - one of ``Candidates``
    """No call waits for a record."""
    return ()


class RememberedReadings:
    """The readings of finished records that are committed, bounded by :data:`MOST_REMEMBERED`."""

    def __init__(self) -> None:
        self._said: dict[int, None] = {}
        #: Sessions and telephony sessions of calls that are not confirmed: a record may have either in common with its
        #: call.
        self._unconfirmed: dict[CallKey, None] = {}

    def fresh(self, claims: Iterable[RecordClaim], concerns: Callable[[RecordClaim], bool]) -> list[RecordClaim]:
        """The claims without those that repeat what is committed. ``concerns``: whether a call in memory may be meant,
        for which a reading counts every time. It does for a call that is not confirmed, too: its record may have been
        read too early (rule 7.4).
        """
        return [
            one for one in claims
            if _content(one) not in self._said or one.running or self._waits(one) or concerns(one)
        ]  # fmt: skip

    def _waits(self, claim: RecordClaim) -> bool:
        """Whether a record may be that of a call that is not confirmed."""
        names = _names(claim.account_id, claim.call_session_id, claim.telephony_session_id)
        return any(key in self._unconfirmed for key in names)

    def written(self, records: Iterable[CallRecord]) -> None:
        """Remember which of these rows the books have not confirmed, and forget those that they have."""
        for one in records:
            for key in _names(one.account_id, one.session_id, one.telephony_session_id):
                self._unconfirmed.pop(key, None)
                if one.confirmed_at is None:
                    self._unconfirmed[key] = None
        while len(self._unconfirmed) > MOST_REMEMBERED:
            del self._unconfirmed[next(iter(self._unconfirmed))]

    def committed(self, claims: Iterable[RecordClaim]) -> None:
        """Remember these readings, but for those without a session: they are matched anew each time they are read."""
        for one in claims:
            if not one.running and one.call_session_id is not None:
                content = _content(one)
                self._said.pop(content, None)
                self._said[content] = None
        while len(self._said) > MOST_REMEMBERED:
            del self._said[next(iter(self._said))]


def portions(claims: Sequence[RecordClaim]) -> Iterator[list[RecordClaim]]:
    """The claims in portions, those of one session together; one that is empty when there are none."""
    sessions: dict[str, list[RecordClaim]] = {}
    for one in claims:
        sessions.setdefault(one.call_session_id or f"record:{one.record_id}", []).append(one)
    portion: list[RecordClaim] = []
    for together in sessions.values():
        if portion and len(portion) + len(together) > PORTION:
            yield portion
            portion = []
        portion += together
    yield portion


def _names(account_id: str, session_id: str | None, telephony: str | None) -> list[CallKey]:
    return [CallKey(account_id, name) for name in (session_id, telephony) if name]


def _content(claim: RecordClaim) -> int:
    """What a record says, whenever it was read, as a number that no two of them share."""
    return hash(claim._replace(read_at=0, asked_at=None, received_at=None))
