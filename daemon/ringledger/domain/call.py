"""A call session and its legs: what is known about one call, and nothing about how it came to be known.

``CallSession`` is the whole memory of a call; it is saved with every change, so a restart goes on where the last
commit left off (semantics 9). Facts (first rung, first answered, names, numbers) only ever get earlier or fuller;
statuses and ends change only through :mod:`~ringledger.domain.tracker`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from ringledger.domain.moments import ESTIMATE_SLACK_MS, RINGS_AT_MOST_MS
from ringledger.domain.observation import PRESENCE_SOURCES, UNKNOWN_PARTY, CallKey, Direction, Party, Source
from ringledger.domain.status import HOLD_STATUSES, TelephonyStatus, TerminationType, aggregate

#: Later than any call: the start of a call of which nothing has been noted yet, ms.
NOT_STARTED: Final = 253_402_300_799_999


class Phase(StrEnum):
    """Where a call stands (semantics 5)."""

    OPEN = "open"
    SETTLING = "settling"
    FINISHED = "finished"


class EndSource(StrEnum):
    """Who told us that the call is over."""

    PRESENCE = "presence"
    RECONCILED = "reconciled"
    CALL_LOG = "call-log"
    EXPIRED = "expired"


class Mark(NamedTuple):
    """The newest accepted event of one extension about one call: the sequence guard (semantics 2).

    ``epoch`` counts the restarts of that extension's counter; marks of different epochs are ordered by epoch.
    """

    epoch: int
    sequence: int
    at: int


class Verdict(NamedTuple):
    """What the platform's own books say of a finished call (semantics 7). Times ms; durations ms."""

    source: Source
    record_id: str
    result: str
    started_at: int
    duration_ms: int
    coarse: bool
    confirmed_at: int
    #: On whose behalf the record was kept; ``None``: it names nobody.
    extension_id: str | None = None
    #: It was read while the call was open: what is heard afterwards outranks it.
    early: bool = False

    @property
    def ended_at(self) -> int:
        """Start plus duration, ms."""
        return self.started_at + self.duration_ms


@dataclass(slots=True)
class Leg:
    """One party's side of a call. ``leg_id`` is ``None`` while the leg is anonymous (semantics 1).

    ``start_estimated``, ``answer_estimated``: a read of presence showed it at that time; an event may say better.
    ``records``: ids of the records of the platform's books that tell of this leg.
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
    records: list[str] = field(default_factory=list)

    def fill(self, from_party: Party, to_party: Party, *, queue_call: bool, on_behalf_of: str | None) -> bool:
        """Fill what is blank; a blank never overwrites a known value (semantics 3). True when anything changed."""
        told = (from_party, to_party, queue_call, on_behalf_of)
        if told == (self.from_party, self.to_party, self.queue_call, self.on_behalf_of):
            return False  # most items repeat what is known
        from_party, to_party = filled(self.from_party, from_party), filled(self.to_party, to_party)
        changed = from_party != self.from_party or to_party != self.to_party
        self.from_party, self.to_party = from_party, to_party
        if queue_call and not self.queue_call:
            self.queue_call = changed = True
        if on_behalf_of and self.on_behalf_of is None:
            self.on_behalf_of, changed = on_behalf_of, True
        return changed


def filled(known: Party, told: Party) -> Party:
    """``known`` with its blanks taken from ``told``. Number and raw text go together, a name goes with its number."""
    if known == told:
        return known
    if known.number is None:
        return Party(told.number, known.name or told.name, told.raw if told.number else known.raw or told.raw)
    name = told.name if told.number in {None, known.number} else None
    return Party(known.number, known.name or name, known.raw)


@dataclass(slots=True)
class CallSession:
    """Everything that shares one session (semantics, "call").

    ``first_rung_at`` and ``first_answered_at`` are the earliest *seen* server times. ``start_estimated`` and
    ``rung_estimated``: it was a read that showed it (:mod:`~ringledger.domain.moments`). ``answered_hint`` is the start
    of a call that only active-calls showed us, or when a read of presence showed it answered; ``answered_by``: when the
    platform was first asked and said so. ``ended_at`` is the time of the last accepted ``NoCall``. ``revision`` is 0
    until the row has been written. ``verdicts`` holds what each record of the platform's books says, by record;
    ``verdict`` is the weightiest of them; whether it stands is decided when the call is over
    (:mod:`~ringledger.domain.verdicts`).
    """

    account_id: str
    session_id: str
    telephony_session_id: str | None = None
    phase: Phase = Phase.OPEN
    status: TelephonyStatus = TelephonyStatus.NO_CALL
    legs: list[Leg] = field(default_factory=list)
    marks: dict[str, Mark] = field(default_factory=dict)
    uuids: list[str] = field(default_factory=list)
    opened_by: Source = Source.PRESENCE
    discovered_at: int = 0
    last_seen_at: int = 0
    started_at: int = 0
    first_rung_at: int | None = None
    first_answered_at: int | None = None
    answered_hint: int | None = None
    ended_at: int | None = None
    end_source: EndSource = EndSource.PRESENCE
    end_estimated: bool = False
    hold_since: int | None = None
    hold_ms: int = 0
    last_hold: tuple[int, int] | None = None
    suspect: bool = False
    events_accepted: int = 0
    events_ignored: int = 0
    revision: int = 0
    verdict: Verdict | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    part_of: str | None = None
    #: A record of the platform's books names an extension at both ends.
    internal: bool = False
    start_estimated: bool = False
    rung_estimated: bool = False
    answered_by: int | None = None
    #: Statuses of the legs, by number, as the feed tells them afterwards (:mod:`~ringledger.domain.hindsight`).
    hindsight: dict[str, TelephonyStatus] | None = None
    _key: CallKey | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> CallKey:
        """Identity of the call."""
        if self._key is None:
            self._key = CallKey(self.account_id, self.session_id)
        return self._key

    @property
    def answered_at(self) -> int | None:
        """When the call was first answered, as an event of the feed says; else as the platform's answers suggest. An
        event that shows it talk only after such an answer (it was answered by then) does not tell of the answer.

        How far clocks may differ matters only while a call was so young that the answer may have been just then.
        """
        seen, hint = self.first_answered_at, self.answered_hint
        if seen is None or hint is None:
            return hint if seen is None else seen
        by = self.discovered_at if self.answered_by is None else self.answered_by
        slack = ESTIMATE_SLACK_MS if by - hint <= RINGS_AT_MOST_MS else 0
        return seen if seen <= by + slack else hint

    def note_answer(self, at: int, *, estimated: bool) -> None:
        """The call was seen answered: by an event of the feed, or (``estimated``) by a read answered at ``at``."""
        if not estimated:
            known = self.first_answered_at
            self.first_answered_at = at if known is None or at < known else known
            return
        if self.answered_by is None and self.answered_hint is not None:
            self.answered_by = self.discovered_at
        self.answered_hint = at if self.answered_hint is None else min(self.answered_hint, at)
        self.answered_by = at if self.answered_by is None else min(self.answered_by, at)

    def live_again(self, at: int) -> None:
        """A finished call is open again since ``at``. What the books said is kept: it was true of a part of it."""
        self.phase, self.hindsight = Phase.OPEN, None
        self.end_estimated, self.end_source = False, EndSource.PRESENCE
        self.take_back_hold(at)

    def live_legs(self) -> Iterator[Leg]:
        """Legs that have not ended."""
        return (leg for leg in self.legs if leg.live)

    def legs_of(self, extension_id: str) -> Iterator[Leg]:
        """Legs of one extension, oldest first."""
        return (leg for leg in self.legs if leg.extension_id == extension_id)

    @property
    def has_live_leg(self) -> bool:
        """Whether any leg has not ended."""
        return any(leg.live for leg in self.legs)

    def live_statuses(self) -> list[TelephonyStatus]:
        """The statuses of legs that have not ended."""
        return [leg.status for leg in self.legs if leg.live]

    def aggregated_status(self) -> TelephonyStatus:
        """The strongest status over live legs (semantics 3)."""
        return aggregate(self.live_statuses())

    def knows(self, uuid: str) -> bool:
        """Whether an event of that uuid has been taken already (semantics 2.4)."""
        return uuid in self.uuids

    def enter(self, status: TelephonyStatus, at: int) -> None:
        """The call's status becomes ``status`` at ``at``."""
        self.note_hold(status, at)
        self.status = status

    def note_hold(self, status: TelephonyStatus, at: int) -> None:
        """Close and open spans of hold time (semantics 4)."""
        if self.hold_since is not None and status not in HOLD_STATUSES:
            self.hold_ms += max(0, at - self.hold_since)
            self.last_hold = (self.hold_since, at)
            self.hold_since = None
        elif self.hold_since is None and status in HOLD_STATUSES:
            self.hold_since = at

    def take_back_hold(self, at: int) -> None:
        """The call's end was told before its last events: it was on hold until ``at`` at least, not to that end."""
        if self.last_hold is not None and self.hold_since is None and at < self.last_hold[1]:
            since, until = self.last_hold
            self.hold_ms -= max(0, until - since)
            self.hold_since = since

    def find_leg(
        self, extension_id: str, direction: Direction, leg_id: str | None, spoken_of: Sequence[Leg] = ()
    ) -> Leg | None:
        """The leg an item speaks of; adopts an anonymous leg when the id is new (semantics 1).

        ``spoken_of``: legs other items of the same event have named; an item without id means another one.
        """
        candidates = [
            leg
            for leg in self.legs
            if (leg.extension_id == extension_id or not leg.extension_id) and leg.direction is direction
        ]
        if leg_id is None:
            free = [leg for leg in candidates if not any(leg is other for other in spoken_of)]
            found = free[-1] if free else None
            if found is not None:
                found.extension_id = extension_id  # the books may not have named it
                if found.source not in PRESENCE_SOURCES:  # and call it by its record's id
                    found.leg_id = None
            return found
        for leg in candidates:
            if leg.leg_id == leg_id:
                leg.extension_id = extension_id
                return leg
        for leg in candidates:
            if leg.leg_id is None or leg.source not in PRESENCE_SOURCES:  # the books call a leg by its record's id
                leg.leg_id, leg.extension_id = leg_id, extension_id
                return leg
        return None

    def side(self, extension_id: str | None, direction: Direction) -> list[Leg]:
        """The legs a record may speak of: that side of that extension, if the record names one."""
        return [
            leg
            for leg in self.legs
            if leg.direction is direction and (not extension_id or leg.extension_id in {extension_id, ""})
        ]


def first_known(parties: Iterable[Party]) -> Party:
    """The first party, with its blanks filled from the ones after it."""
    result = UNKNOWN_PARTY
    for party in parties:
        result = filled(result, party)
    return result


def newest_mark(call: CallSession) -> int:
    """The time of the last ``NoCall``: when no leg is live, that is what each extension's newest event was."""
    return max([mark.at for mark in call.marks.values()], default=call.last_seen_at)
