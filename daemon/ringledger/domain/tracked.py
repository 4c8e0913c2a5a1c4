"""One call in memory: its facts, the accumulator they made, and how much of what follows has been reported.

The facts are the memory; accumulator and derived call are caches that can be thrown away at any time. ``SavedCall`` is
what a restart needs.
"""

import copyreg
import pickle
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple

from ringledger.domain.call import Call, CallRecord, Leg, Phase, derive, presence_of, row
from ringledger.domain.facts import (
    RESTART_AFTER_MS,
    Absence,
    GivenUp,
    PresenceEvent,
    Read,
    Record,
    StatusChange,
    Summary,
    Watermark,
)
from ringledger.domain.fold import NEVER, State, apply, next_place
from ringledger.domain.matching import (
    RECORDED_SESSION,
    SESSION,
    TELEPHONY,
    Names,
    Unconfirmed,
    distance,
    names_of_item,
    names_of_record,
)
from ringledger.domain.observation import (
    PRESENCE,
    PRESENCE_SOURCES,
    CallItem,
    CallKey,
    Direction,
    Party,
    RecordClaim,
    Source,
)
from ringledger.domain.reads import CLOCKS_APART_MS
from ringledger.domain.record_rules import Facts, Verdict, last_alive_at
from ringledger.domain.status import HOLD_STATUSES, TelephonyStatus, TerminationType, aggregate

#: Of reads that show the same, so many are kept of one call.
MOST_READS = 64
#: A call with more events than this is not folded anew each time it is asked.
FEW_EVENTS: Final = 16
#: The statuses of a call that lives at no extension.
NOWHERE_LIVE: Final[Mapping[str, TelephonyStatus]] = {}
_parts: Final = attrgetter(*(one.name for one in fields(Facts)))
#: What facts are made of is named by a number in them, out of those for private use: the names would take as much room
#: as the facts of a short call.
for _number, _kind in enumerate((PresenceEvent, CallItem, Party, Direction, TelephonyStatus, TerminationType), 240):
    copyreg.add_extension(_kind.__module__, _kind.__qualname__, _number)


class SavedCall(NamedTuple):
    """A call as it is stored while it is in memory: its facts, its row, and how often it was published. ``ignored``:
    items counted that changed no status when they came (rule 2.6).
    """

    account_id: str
    session_id: str
    opened_by: Source = PRESENCE
    events: tuple[PresenceEvent, ...] = ()
    reads: tuple[Read, ...] = ()
    records: tuple[Record, ...] = ()
    absences: tuple[Absence, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    summary: Summary | None = None
    ignored: int = 0
    published: CallRecord | None = None
    reopened: bool = False


@dataclass(slots=True)
class Arrival:
    """The watermark of one extension in order of arrival, for the stamp ``stale`` alone (rule 2.1)."""

    top: int
    newest_at: int
    epoch_at: int = 0

    def note_arrival(self, sequence: int, at: int) -> bool:
        """An event has arrived; returns whether it is stale: a larger sequence of its epoch had arrived before."""
        if sequence < self.top and at > self.newest_at + RESTART_AFTER_MS:
            self.top, self.newest_at, self.epoch_at = sequence, at, at
            return False
        if at < self.epoch_at:
            return True
        self.newest_at = max(self.newest_at, at)
        stale = sequence < self.top
        if not stale:
            self.top = sequence
        return stale


class Resting(NamedTuple):
    """A live call of which nothing new is heard: what is asked of it now and then, and its facts as bytes, which take
    half the room. They never leave the process.
    """

    status: TelephonyStatus
    seen_at: int
    facts: bytes


@dataclass(slots=True)
class TrackedCall:
    """A call in memory. ``not_found``: its own records were asked for and do not exist. ``uuids``: of the notifications
    that have told of it, and ``arrivals``: the newest of each extension, both once they are asked for. ``opened``: it
    has been announced; ``stored``: the ledger gave it back; ``renamed``: what is stored of it stands under another
    key. ``shown``: the status it was last counted with, by extension; ``halves``: published calls that are part of
    this one; ``over``: the last facts themselves tell the end, so it need not settle. ``at``, ``by``,
    ``extension_id``, ``sequence``: of the last fact that arrived. ``told_…``: what has been reported. ``resting``: what
    is kept in the place of the facts (``held``), and of what follows from them, until any of it is wanted.
    """

    key: CallKey
    opened_by: Source = PRESENCE
    held: Facts | None = field(default_factory=Facts)
    state: State | None = field(default_factory=State)
    derived: Call | None = None
    accepted: int = 0
    ignored: int = 0
    not_found: bool = False
    renamed: bool = False
    stored: bool = False
    opened: bool = False
    uuids: set[str] | None = None
    arrivals: dict[str, Arrival] | None = None
    published: CallRecord | None = None
    reopened: bool = False
    suspected: bool = False
    over: bool = False
    derived_version: int = -1
    derived_seen_at: int = NEVER
    told_version: int = -1
    told_live: bool = False
    told_changes: tuple[StatusChange, ...] = ()
    told_legs: tuple[Leg, ...] = ()
    told_plain: bool = True
    shown: Mapping[str, TelephonyStatus] = field(default_factory=lambda: NOWHERE_LIVE)
    halves: frozenset[CallKey] = frozenset()
    found_by: tuple[object, ...] = ()
    at: int = 0
    by: Source = PRESENCE
    extension_id: str | None = None
    sequence: int | None = None
    resting: Resting | None = None

    @property
    def facts(self) -> Facts:
        """What has been told of it."""
        facts = self.held
        return self._wake() if facts is None else facts

    @property
    def names(self) -> Names:
        """What its own facts call it."""
        return self.facts.names

    @property
    def matched(self) -> dict[str, None]:
        """The names of records that were found by numbers and start."""
        return self.facts.matched

    # -- adding facts ----------------------------------------------------------------------------------------------

    def add_event(self, event: PresenceEvent) -> None:
        """One event more. If it is the newest in order, the accumulator moves on by it; if not, it is made
        anew later.
        """
        if not event.items:
            self.add_doubt(event)
            return
        facts, state = self.facts, self.state
        facts.events.append(event)
        if facts.undirected or event.items[0].direction is None or (len(event.items) > 1 and _is_undirected((event,))):
            facts.undirected = True
            self.state = self.derived = state = None
        if facts.doubts:
            self.derived = None
            facts.doubts = _newest_doubts(facts.doubts, event)
            if state is not None:
                state.version += 1
        if state is None:
            return
        place = next_place(state.sides.get(event.extension_id), event)
        if place is None or place <= state.place or (facts.reads and not _is_after(facts.reads, event)):
            self.state = self.derived = None
            return
        apply(state, place, event)
        if not facts.plain:
            self.derived = None

    def add_doubt(self, doubt: PresenceEvent) -> None:
        """A newer whole snapshot of an extension does not list the call. Of an extension's doubts the newest is enough;
        an event that is newer still answers it.
        """
        known = [event for event in self.facts.events if event.extension_id == doubt.extension_id]
        newest = max([(event.at, event.sequence) for event in known], default=None)
        if newest is None or (doubt.at, doubt.sequence) > newest:
            self.facts.doubts = (*_newest_doubts(self.facts.doubts, doubt), doubt)
        self.derived = None
        if self.state is not None:
            self.state.version += 1

    def add_read(self, read: Read) -> None:
        """One read more."""
        if read in self.facts.reads:
            return
        self.facts.reads = _thin_reads((*self.facts.reads, read))
        self.facts.undirected |= _is_undirected((read,))
        self.facts.plain = False
        self.state = self.derived = None

    def add_record(self, record: Record) -> None:
        """One reading of a record more. Of readings that say the same the first and the last are kept."""
        self.facts.records = _thinned((*self.facts.records, record), record.claim)
        if self.facts.undirected:
            self.state = None
        self.facts.plain = False
        self.derived = None

    def add_absence(self, absence: Absence) -> None:
        """A complete listing did not have the call; the two newest are enough."""
        self.facts.absences = tuple(sorted({*self.facts.absences, absence})[-2:])
        self.facts.plain = False
        self.derived = None

    def add_given_up(self, given_up: GivenUp) -> None:
        """No source speaks of the call any longer."""
        self.facts.given_up = (given_up,)
        self.facts.plain = False
        self.derived = None

    def note_arrival(self, extension_id: str, sequence: int, at: int) -> bool:
        """An event of that extension has arrived; returns whether it is stale: a larger sequence had arrived before."""
        arrivals = self.arrived()
        known = arrivals.get(extension_id)
        if known is None:
            arrivals[extension_id] = Arrival(sequence, at)
            return False
        if sequence >= known.top and at >= known.newest_at:  # nearly always
            known.top, known.newest_at = sequence, at
            return False
        return known.note_arrival(sequence, at)

    def arrived(self) -> dict[str, Arrival]:
        """The newest event of each extension that has told of it, in order of arrival."""
        arrivals = self.arrivals
        if arrivals is None:
            arrivals = self.arrivals = {}
            if self.facts.summary is not None:
                for mark in self.facts.summary.watermarks:
                    arrivals[mark.extension_id] = Arrival(mark.sequence, mark.at)
            for event in self.facts.events:
                self.note_arrival(event.extension_id, event.sequence, event.at)
        return arrivals

    def has_heard(self, uuid: str) -> bool:
        """Whether a notification with that id has told of the call before (rule 2.4). It becomes a fact,
        if not.
        """
        uuids = self.uuids
        if uuids is None:
            uuids = self.uuids = {event.uuid for event in self.facts.events if event.uuid is not None}
        if uuid in uuids:
            return True
        uuids.add(uuid)
        return False

    def absorb(self, other: "TrackedCall") -> None:
        """The facts of another call are of this one: it was known by another name."""
        mine, theirs, arrivals = self.facts, other.facts, self.arrived()
        known_events = set(mine.events)
        mine.events += [event for event in dict.fromkeys(theirs.events) if event not in known_events]
        for read in theirs.reads:
            self.add_read(read)
        for record in theirs.records:
            if record not in mine.records:
                self.add_record(record)
        for doubt in theirs.doubts:
            self.add_doubt(doubt)
        for absence in theirs.absences:
            self.add_absence(absence)
        mine.given_up += theirs.given_up
        mine.summary = mine.summary or theirs.summary
        mine.plain = mine.plain and theirs.plain
        mine.undirected = mine.undirected or theirs.undirected
        self.accepted += other.accepted
        self.ignored += other.ignored
        self.uuids = None
        self.halves |= other.halves
        for extension, arrival in other.arrived().items():
            known = arrivals.get(extension)
            if known is None or arrival.newest_at > known.newest_at:
                arrivals[extension] = arrival
        if self.published is None and other.published is not None:
            self.published, self.reopened = other.published, other.reopened
        elif self.published is not None and other.published is not None:
            revision = max(self.published.revision, other.published.revision)
            self.published = self.published._replace(revision=revision)
        self.opened = self.opened or other.opened
        self.stored = self.stored or other.stored
        self.state = self.derived = None

    def drop_records(self, name: str) -> list[Record]:
        """The records of that name are another call's. Returns them."""
        self.matched.pop(name, None)
        gone = [one for one in self.facts.records if group_of(one.claim) == name]
        self.facts.records = tuple(one for one in self.facts.records if group_of(one.claim) != name)
        self.derived = None
        return gone

    @property
    def has_record(self) -> bool:
        """Whether a record of its own says how it ended, or that it was connected."""
        return any((one.claim.result or one.claim.running) and group_of(one.claim) not in self.matched
                   for one in self.facts.records) or (
            self.facts.summary is not None and bool(self.facts.summary.records))  # fmt: skip

    @property
    def is_matched_in_vain(self) -> bool:
        """Whether the record that confirms it is of another time, so that its own must have been asked for in vain."""
        if not self.matched or self.published is None or self.published.confirmed_at is None or self.reopened:
            return False
        one = Unconfirmed(self.key, self.fold(), last_alive_at(self.facts))
        return all(distance(told.claim, one) is None for told in self.facts.records)

    # -- what follows ----------------------------------------------------------------------------------------------

    def fold(self) -> State:
        """The accumulator of presence, made anew if a fact came late."""
        if self.held is None:
            self._wake()  # it gets its accumulator with its facts
        state = self.state
        if state is None:
            state = self.state = presence_of(self.facts)
            state.version += self.told_version + 1  # never again one that has been reported
        return state

    def note_told(self) -> None:
        """What follows from the facts so far has been reported before."""
        state, call = self.fold(), self.call
        state.touched.clear()
        self.told_version, self.told_live, self.suspected = state.version, call.live, call.suspect
        self.told_changes, self.told_legs = tuple(call.changes), tuple(self.legs)
        self.told_plain = state.legs is call.legs

    def rest(self) -> None:
        """Keep the facts alone of a live call, and those as bytes, if all that follows from them has been reported and
        can soon be told from them again.
        """
        facts, state = self.held, self.state
        if facts is None or state is None or not self.told_live or len(facts.events) > FEW_EVENTS:
            return
        if self.told_changes != tuple(self.call.changes) or self.told_legs != tuple(self.legs):
            return
        self.resting = Resting(self.status, self.last_seen_at, pickle.dumps(_parts(facts), pickle.HIGHEST_PROTOCOL))
        self.held = self.state = self.derived = self.uuids = self.arrivals = None
        self.told_changes, self.told_legs, self.found_by, self.derived_seen_at = (), (), (), NEVER

    def _wake(self) -> Facts:
        assert self.resting is not None  # noqa: S101 - else it has its facts
        facts = self.held = Facts(*pickle.loads(self.resting.facts))  # noqa: S301 - written by this object
        self.resting = None
        self.note_told()
        self.found_by = self.signature
        return facts

    @property
    def signature(self) -> tuple[object, ...]:
        """By what it is found. Once it differs from ``found_by``, others may have to do with it."""
        call = self.call
        first = call.legs[0]
        return len(call.legs), call.started_at, first.from_party, first.to_party, len(call.told.read)

    @property
    def call(self) -> Call:
        """The call as its facts tell it now."""
        state = self.state
        if state is None:
            state = self.fold()
        derived = self.derived
        if derived is not None and self.derived_version == state.version:
            if self.facts.plain:
                derived.seen_at = state.seen_at  # of what only repeats what is known nothing else is new
                return derived
            if self.derived_seen_at == state.seen_at:
                return derived
        derived = self.derived = derive(self.facts, state)
        self.derived_version, self.derived_seen_at = state.version, state.seen_at
        return derived

    def saved(self) -> SavedCall:
        """What a restart needs."""
        facts = self.facts
        return SavedCall(
            *self.key, self.opened_by, (*facts.events, *facts.doubts), facts.reads, facts.records, facts.absences,
            facts.given_up, facts.summary, self.ignored, self.published, self.reopened,
        )  # fmt: skip

    def row(self, part_of: str | None = None, *, revision: int | None = None) -> CallRecord:
        """The row that follows from the facts so far."""
        return row(
            self.key, self.call, accepted=self.accepted, ignored=self.ignored, part_of=part_of,
            revision=self.revision if revision is None else revision,
        )  # fmt: skip

    @property
    def phase(self) -> Phase:
        """Where the call stands (rules 5.2, 5.3)."""
        if self.resting is not None or self.call.live:
            return Phase.OPEN
        return Phase.FINISHED if self.published is not None and not self.reopened else Phase.SETTLING

    @property
    def is_finished(self) -> bool:
        """Whether its row tells its end, and nothing lives. What it costs of a call that goes on is one look."""
        return self.published is not None and self.phase is Phase.FINISHED

    @property
    def extension_ids(self) -> set[str]:
        """Where presence or a record has shown it."""
        told = {record.claim.extension_id or "" for record in self.facts.records}
        return told | self.fold().sides.keys()

    @property
    def account_id(self) -> str:
        """Whose call."""
        return self.key.account_id

    @property
    def session_id(self) -> str:
        """What it is called."""
        return self.key.session_id

    @property
    def legs(self) -> list[Leg]:
        """Its legs as others see them."""
        call = self.call
        return [call.leg(index) for index in range(len(call.legs))]

    @property
    def status(self) -> TelephonyStatus:
        """The strongest status over live legs (rule 3.1)."""
        return self.call.status if self.resting is None else self.resting.status

    @property
    def suspect(self) -> bool:
        """Whether only the platform can tell if it goes on (rule 5.5)."""
        return self.call.suspect if self.resting is None else self.suspected

    @property
    def telephony_session_id(self) -> str | None:
        """Its other name."""
        return self.call.telephony_session_id

    @property
    def started_at(self) -> int:
        """When it began, ms."""
        return self.call.started_at

    @property
    def answered_at(self) -> int | None:
        """When it was answered, or the earliest sign of it, ms."""
        return self.call.answered_at

    @property
    def ended_at(self) -> int | None:
        """When the leg that ended last ended, ms; ``None`` while any lives."""
        return self.call.ended_at

    @property
    def last_seen_at(self) -> int:
        """The last sign of life, ms."""
        if self.resting is not None:
            return self.resting.seen_at
        return max(self.call.seen_at, self.fold().seen_at)

    @property
    def hold_since(self) -> int | None:
        """Since when it has been on hold, ms."""
        since = None
        for change in self.call.changes:
            since = (since or change.at) if change.status in HOLD_STATUSES else None
        return since

    @property
    def verdict(self) -> Verdict | None:
        """The authoritative record."""
        return self.call.verdict

    @property
    def revision(self) -> int:
        """How many different rows were published."""
        return 0 if self.published is None else self.published.revision

    @property
    def part_of(self) -> str | None:
        """The session it belongs to, as last published."""
        return None if self.published is None else self.published.part_of

    @property
    def events_accepted(self) -> int:
        """Events that were in order when they arrived."""
        return self.accepted

    @property
    def events_ignored(self) -> int:
        """Items that changed no status when they arrived."""
        return self.ignored

    @property
    def watermarks(self) -> dict[str, Watermark]:
        """The sequence watermark of each extension."""
        return {
            extension: Watermark(extension, side.epoch, side.top, side.newest_at)
            for extension, side in self.fold().sides.items()
            if side.events or side.floor is not None
        }

    def statuses(self) -> Mapping[str, TelephonyStatus]:
        """The status it gives each extension it lives at."""
        if self.resting is not None:
            return self.shown
        call = self.call
        if not call.live:
            return NOWHERE_LIVE
        found = {
            extension: aggregate([leg.status for leg in side.legs if leg.live])
            for extension, side in call.state.sides.items() if extension and side.living
        }  # fmt: skip
        return _alone(*found.popitem()) if len(found) == 1 else found


@lru_cache(maxsize=4096)
def _alone(extension_id: str, status: TelephonyStatus) -> Mapping[str, TelephonyStatus]:
    """The statuses of a call that lives at one extension, as nearly all do: one mapping for all of them."""
    return {extension_id: status}


def _is_after(reads: Sequence[Read], event: PresenceEvent) -> bool:
    """Whether an event comes after all reads, so that it can neither explain one nor make it void."""
    return all(
        read.at + CLOCKS_APART_MS < event.at and (read.items or read.extension_id != event.extension_id)
        for read in reads
    )


def _is_undirected(told: Iterable[PresenceEvent | Read]) -> bool:
    return any(item.direction is None for fact in told for item in fact.items)


def _newest_doubts(doubts: tuple[PresenceEvent, ...], event: PresenceEvent) -> tuple[PresenceEvent, ...]:
    """Without those that a newer event of their extension answers."""
    return tuple(
        doubt for doubt in doubts
        if doubt.extension_id != event.extension_id or (doubt.at, doubt.sequence) > (event.at, event.sequence)
    )  # fmt: skip


def _thinned(records: tuple[Record, ...], told: RecordClaim) -> tuple[Record, ...]:
    same = [
        one for one in records
        if (one.claim.record_id, one.claim.source) == (told.record_id, told.source)
        and one.claim.running is told.running and _content(one.claim) == _content(told)
    ]  # fmt: skip
    if len(same) < 3:
        return records
    same.sort(key=lambda one: (one.claim.read_at, one.claim.ended_at or 0))
    drop = {id(one) for one in same[1:-1]}
    return tuple(one for one in records if id(one) not in drop)


def _content(claim: RecordClaim) -> tuple[object, ...]:
    """What a reading says; how long a call in progress has lasted is new each time."""
    duration_ms = None if claim.running else claim.duration_ms
    return claim.result, claim.started_at, duration_ms, claim.from_party, claim.to_party


def _thin_reads(told: Collection[Read]) -> tuple[Read, ...]:
    """Leave out the reads that say nothing. An answer that has the call was noted as one without it as well if the call
    was not known yet by the name that the answer gives it (rule 1.1). Of three reads in a row that show the same, the
    one between says nothing as long as no event came between them; it is kept for one, as long as there are few.
    """
    having = {(read.extension_id, read.at) for read in told if read.items}
    if having:
        told = [read for read in told if read.items or (read.extension_id, read.at) not in having]
    if len(told) <= MOST_READS:
        return tuple(told)
    reads = sorted(told, key=lambda read: (read.extension_id, read.at))
    return tuple(
        read for number, read in enumerate(reads)
        if number in {0, len(reads) - 1}
        or (reads[number - 1].extension_id, reads[number - 1].items) != (read.extension_id, read.items)
        or (reads[number + 1].extension_id, reads[number + 1].items) != (read.extension_id, read.items)
    )  # fmt: skip


def group_of(claim: RecordClaim) -> str:
    """The name by which a record is matched: records of one session are of one call."""
    return claim.call_session_id or f"record:{claim.record_id}"


def _named(saved: SavedCall) -> tuple[Names, list[Record], dict[str, None]]:
    """What the facts of a stored call name it, its records, and which of them were matched by numbers and start. Those
    count only as long as no record of its own does.
    """
    names: Names = {}
    summary = saved.summary
    for items in [*(event.items for event in saved.events), *(read.items for read in saved.reads)]:
        for item in items:
            names |= names_of_item(item)
    own: list[Record] = []
    left = list(saved.records)
    if summary is not None:
        if summary.telephony_session_id:
            names.setdefault(summary.telephony_session_id, TELEPHONY)
        seen = any(leg.source in PRESENCE_SOURCES for leg in summary.legs)
        names.setdefault(saved.session_id, SESSION if seen else RECORDED_SESSION)
    elif not names:
        own, left = left, []
        for record in own:
            names = names_of_record(record.claim) | names
    names.setdefault(saved.session_id, RECORDED_SESSION)
    while found := [one for one in left if names.keys() & names_of_record(one.claim).keys()]:
        for one in found:
            names = names_of_record(one.claim) | names
        own += found
        left = [one for one in left if one not in found]
    if any(one.claim.result and not one.claim.running for one in own):
        return names, own, {}
    return names, own + left, {group_of(one.claim): None for one in left}


def restored(saved: SavedCall) -> TrackedCall:
    """A call in memory again. What it has published is taken as reported."""
    names, records, matched = _named(saved)
    facts = Facts(
        [event for event in saved.events if event.items], _thin_reads(saved.reads), tuple(records),
        tuple(sorted(saved.absences)[-2:]), saved.given_up, saved.summary,
        plain=not (saved.reads or records or saved.absences or saved.given_up or saved.summary),
        undirected=_is_undirected((*saved.events, *saved.reads)), names=names, matched=matched,
    )  # fmt: skip
    call = TrackedCall(CallKey(saved.account_id, saved.session_id), saved.opened_by, facts, stored=True)
    for event in saved.events:
        if not event.items:
            call.add_doubt(event)
    call.published, call.reopened, call.ignored = saved.published, saved.reopened, saved.ignored
    call.accepted = sum(1 for event in saved.events if event.items and not event.stale)
    if saved.summary is not None:
        call.accepted += saved.summary.events_accepted
    call.state = None
    call.note_told()
    call.opened = bool(call.call.legs)
    call.not_found = call.is_matched_in_vain
    return call
