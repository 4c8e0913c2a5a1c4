"""Looking a single unconfirmed call up: when it is due, and what the call log is asked (rules 7.1, 7.2).

What must stay true: two attempts at one call are never closer than the schedule's step, however late the first one
was; what is not known by its session is asked for by its telephony session next, and a call that never connected by
its time and numbers after that, for presence and log may name such calls differently.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import Final, Self

from ringledger.domain.call import CallRecord
from ringledger.domain.matching import MATCH_WINDOW_MS
from ringledger.domain.observation import CallKey, RecordClaim
from ringledger.domain.record_rules import bare, digits
from ringledger.ledger.read.restart import UnconfirmedCall
from ringledger.ringcentral.api.query import CallLogQuery

#: Seconds after the end of a call at which it is looked up by itself; afterwards hourly until a day is over.
LOOKUPS: Final = (30.0, 60.0, 120.0, 300.0)
LOOKUP_EVERY: Final = 3_600.0


class Way(Enum):
    """What the log is asked for."""

    SESSION = auto()
    TELEPHONY = auto()
    WINDOW = auto()
    """All calls that began within the matching window of this one."""


@dataclass(slots=True)
class Waiting:
    """An unconfirmed call: when it ended on our monotonic clock, and what has been tried.

    ``ends``: the bare numbers of both ends. ``syncs``: synchronisations that have not brought it. ``due_at``: when it
    may be looked up next, on our clock.
    """

    ended: float
    started_at: int
    telephony_session_id: str | None
    ends: tuple[str | None, str | None] = (None, None)
    answered: bool = True
    syncs: int = 0
    lookups: int = 0
    due_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.due_at = self.ended + LOOKUPS[0]

    @classmethod
    def of(cls, call: CallRecord | UnconfirmedCall, ended: float) -> Self:
        """A call that has just ended, at ``ended`` on our clock."""
        ends = bare(call.from_number), bare(call.to_number)
        return cls(ended, call.started_at, call.telephony_session_id, ends, call.answered_at is not None)

    @classmethod
    def resumed(cls, call: UnconfirmedCall, age: float, now: float) -> Self:
        """A call that ended ``age`` seconds ago, before we started: what was due by then has been tried."""
        one = cls.of(call, now - age)
        one.lookups = _passed(age)
        one.due_at = one.ended + _next(age)[0]
        return one

    def way(self, key: CallKey) -> Way:
        """What the next attempt asks for: one after the other, as far as this call has them."""
        known = key.session_id != self.telephony_session_id
        ways = [Way.SESSION] * known + [Way.TELEPHONY] * bool(self.telephony_session_id)
        ways += [Way.WINDOW] * (not self.answered)
        return ways[self.lookups % len(ways)]

    def query(self, key: CallKey, way: Way, extension_id: str | None) -> CallLogQuery:
        """The question of that way."""
        if way is Way.WINDOW:
            since, until = self.started_at - MATCH_WINDOW_MS, self.started_at + MATCH_WINDOW_MS
            return CallLogQuery(extension_id=extension_id, since_ms=since, until_ms=until)
        if way is Way.TELEPHONY:
            return CallLogQuery(extension_id=extension_id, telephony_session_id=self.telephony_session_id)
        return CallLogQuery(extension_id=extension_id, session_id=key.session_id)

    def between_its_ends(self, claims: Iterable[RecordClaim]) -> Sequence[RecordClaim]:
        """Return those of a window's records that may be this call's: those with its two numbers."""
        return [one for one in claims if (digits(one.from_party), digits(one.to_party)) == self.ends]

    def tried(self, now: float) -> None:
        """An attempt is made."""
        self.lookups += 1
        at, step = _next(now - self.ended)
        self.due_at = max(self.ended + at, now + step)


def may_mean(waiting: Mapping[CallKey, Waiting], claims: Collection[RecordClaim]) -> list[CallKey]:
    """Return the calls that never connected, began about when one of these records did, and share a number with it.
    With them in memory, :func:`~ringledger.domain.matching.matched` has every call that a record might be matched to.
    """
    starts = [claim.started_at for claim in claims if claim.started_at is not None]
    if not starts:
        return []
    first, last = min(starts) - MATCH_WINDOW_MS, max(starts) + MATCH_WINDOW_MS
    numbers = {digits(party) for claim in claims for party in (claim.from_party, claim.to_party)} - {None}
    return [
        key for key, one in waiting.items()
        if not one.answered and first <= one.started_at <= last and not numbers.isdisjoint(one.ends)
    ]  # fmt: skip


def _next(age: float) -> tuple[float, float]:
    """The first moment of the schedule after ``age`` (seconds after the end), and its step from the one before."""
    for before, at in pairwise((0.0, *LOOKUPS)):
        if age < at:
            return at, at - before
    return LOOKUP_EVERY * (age // LOOKUP_EVERY + 1), LOOKUP_EVERY


def _passed(age: float) -> int:
    """How many moments of the schedule are over at ``age``."""
    return sum(at <= age for at in LOOKUPS) + int(age // LOOKUP_EVERY)
