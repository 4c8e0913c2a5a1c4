"""The tracker: every fact enters here, every consequence leaves as :class:`~ringledger.domain.changes.Changes`.

One door in (``take``), one way out (``drain``). What is true of a call is decided by the fold and by what is derived
from it; this module decides only *when* something is reported: settling, expiry, doubts, and what has changed since the
last report. It is synchronous and pure: no I/O, no clock; times of our own are arguments.

Calls that are over are handed to the ledger and released; when something more is heard of them they are restored first
(``unknown_calls``, ``restore``), so the ledger is the memory and this object its working set. What must stay true: the
cost of a fact does not depend on how many calls are open; a batch folds a call at most once.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, cast

from ringledger.domain.call import Call, Leg, Phase, primary_leg, said, story
from ringledger.domain.changes import (
    AnnouncementKind,
    Changes,
    Extension,
    IgnoredReason,
    SourceClaim,
)
from ringledger.domain.facts import Absence, Fact, GivenUp, Inventory, PresenceEvent, Read, Record
from ringledger.domain.fold import NEVER
from ringledger.domain.matching import (
    MATCH_WINDOW_MS,
    RECORD,
    SESSION,
    CallIndex,
    Ends,
    Names,
    Unconfirmed,
    ends_of,
    joined,
    key_name,
    matched,
    names_of_item,
    names_of_record,
    names_of_sessions,
    sharing,
)
from ringledger.domain.observation import (
    ACTIVE_CALLS,
    CALL_LOG,
    INBOUND,
    OUTBOUND,
    PRESENCE,
    PRESENCE_READ,
    PRESENCE_SOURCES,
    CallItem,
    CallKey,
    Direction,
    PresenceObservation,
    RecordClaim,
    Source,
)
from ringledger.domain.pairs import PAIR_WINDOW_MS, direction_of, may_pair, wholes
from ringledger.domain.reads import CLOCKS_APART_MS
from ringledger.domain.record_rules import SILENT_AFTER_MS, Facts, digits, end_of, is_old, last_alive_at
from ringledger.domain.status import NO_CALL, STRENGTH, TelephonyStatus, TerminationType, strongest
from ringledger.domain.timers import Timers
from ringledger.domain.tracked import MOST_READS, NOWHERE_LIVE, SavedCall, TrackedCall, group_of, restored

DEFAULT_SETTLE_SECONDS: Final = 10.0
DEFAULT_STALE_AFTER_SECONDS: Final = 14_400.0
#: A ringing call heard of more recently than this is not worth a question, ms.
FRESH_MS: Final = 5_000
#: So many live calls keep what was folded, those that were spoken of last; the others keep their facts alone.
MOST_FOLDED: Final = 500
#: How much later than a call that is gone one may begin that has to do with it, ms: the other half of a RingOut, and
#: whose record that call was. A row's start is its record's, which may be a little later than presence's.
GONE_PAIR_MS: Final = 2 * PAIR_WINDOW_MS
GONE_RECORD_MS: Final = MATCH_WINDOW_MS + PAIR_WINDOW_MS
#: Rounds of matching before what came of it is reported, for each call in memory. Who takes which record follows from
#: presence alone, the nearest pair first: the nearest of all is settled by the first round that looks at it, and each
#: other one once those nearer are. So every round settles a pair, and a call has one; it may do so twice, for it takes
#: part until a record turns out to be its own.
ROUNDS_OF_A_CALL: Final = 2
#: Reads of presence are remembered so long for calls whose events come later, ms.
REMEMBER_READS_MS: Final = 3_600_000


class Records(NamedTuple):
    """An answer of active-calls or the call log. ``not_found``: calls whose own records were asked for and do
    not exist.
    """

    claims: tuple[RecordClaim, ...]
    not_found: frozenset[CallKey] = frozenset()


class Listing(NamedTuple):
    """A complete listing of active calls, given at ``read_at``, and the calls that it has."""

    listed: frozenset[CallKey]
    read_at: int


class CallTracker:
    """All calls of one or more accounts (rules 1 to 7).

    ``settle_seconds``: how long a call without live legs waits for a sign of life (rule 5.2). ``stale_after_seconds``:
    after how long without any sign a call is closed as expired (rule 5.6). ``most_folded``: of so many live calls what
    was folded is kept, and of the others the facts alone.
    """

    def __init__(
        self,
        *,
        settle_seconds: float = DEFAULT_SETTLE_SECONDS,
        stale_after_seconds: float = DEFAULT_STALE_AFTER_SECONDS,
        most_folded: int = MOST_FOLDED,
    ) -> None:
        self.calls: dict[CallKey, TrackedCall] = {}
        self.extensions: dict[tuple[str, str], Extension] = {}
        self.timers = Timers(settle_seconds, stale_after_seconds)
        self.changes = Changes()
        #: When the platform was last asked for all its calls; ``None`` when it is never asked (a replay).
        self.asked_at: float | None = None
        #: Our time, ms, since which the feed has been seen without a blind span; stamped into events.
        self.live_since = 0
        self._now = 0.0
        #: ``calls`` again: a plain tuple finds a call as well as its key does, and is made in a fraction of the time.
        self._by_name = cast("dict[tuple[str, str], TrackedCall]", self.calls)
        self._index = CallIndex()
        #: Calls with facts whose consequences have not been reported.
        self._touched: dict[CallKey, TrackedCall] = {}
        #: Calls that a record may mean, or whose records another call may mean, since the last report.
        self._unmatched: dict[CallKey, TrackedCall] = {}
        #: How often calls that were known apart have become one.
        self._united = 0
        #: The latest start of a call that is not in memory, ms, and of one that records alone have told of.
        self.gone_until = self.gone_unseen_until = NEVER
        #: Calls beside which others may be that are not in memory, since ``astray`` was last asked.
        self._astray: dict[CallKey, None] = {}
        #: How often a call has left memory. A caller that has awaited something sees by it whether calls may be gone.
        self.departures = 0
        #: Live calls of which something was heard last, the newest last.
        self._folded: dict[CallKey, TrackedCall] = {}
        self._most_folded = most_folded
        #: By extension: the calls its newest snapshot listed alive.
        self._listed: dict[tuple[str, str], dict[CallKey, None]] = {}
        #: By extension: the calls in memory that its presence, or a record in progress, has ever shown there.
        self._present: dict[tuple[str, str], dict[CallKey, None]] = {}
        #: What the last complete listings had, which tell of calls that are not known yet as well.
        self.listings: list[Inventory] = []
        #: By call that is not over: the finished ones that are kept for it, and those whose other half is no more.
        self._kept: dict[CallKey, dict[CallKey, None]] = {}
        self._kept_in_vain: dict[CallKey, None] = {}
        #: By extension: what the last reads of its presence had, which tell of calls that are not known yet as well.
        self._reads: dict[tuple[str, str], list[Inventory]] = {}

    # -- what has come of it ---------------------------------------------------------------------------------------

    def drain(self) -> Changes:
        """What follows from everything taken since the last time; a new collection begins."""
        self._report()
        changes, self.changes = self.changes, Changes()
        return changes

    @property
    def pending(self) -> int:
        """Observations whose consequences have not been drained yet."""
        return len(self.changes.observations)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._touched) or bool(self.changes)

    # -- time --------------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """Monotonic time at which ``advance`` has something to do; ``None`` when nothing is waiting. Reports what was
        taken first, for that may set deadlines.
        """
        self._report()
        return self.timers.next_deadline

    def advance(self, now: float) -> None:
        """Publish calls that have settled; expire calls that no source has spoken of for too long (rules 5.3, 5.6)."""
        self._report()
        self._now = now
        for key, settled in self.timers.due(now):
            call = self.calls[key]
            if settled:
                self._publish(call, call.call.seen_at, PRESENCE)
            elif self.asked_at is not None and self.asked_at < now - self.timers.stale_after_seconds:
                self.timers.saw(key, now)  # the platform could not be asked meanwhile: silence proves nothing
            else:
                call.over = True
                last = call.last_seen_at
                self._add(call, GivenUp(last), last, PRESENCE)
        self._report()

    # -- the door --------------------------------------------------------------------------------------------------

    def take(self, told: PresenceObservation | Records | Listing, now: float) -> set[CallKey]:
        """Take what a source reported; calls it names must have been restored. Returns the calls that records speak of.

        ``now``: our monotonic clock, seconds.
        """
        self._now = now
        if type(told) is PresenceObservation:
            if told.source is PRESENCE:
                self._take_event(told)
            else:
                self._take_read(told)
            return set()
        self._report()
        spoken_of: set[CallKey] = set()
        if type(told) is Records:
            spoken_of = self._take_records(told)
        elif type(told) is Listing:
            self._take_listing(told)
        self._report()
        return spoken_of

    def _add(self, call: TrackedCall, fact: Fact, at: int, by: Source) -> None:
        """Add a fact that is no event to a call."""
        if type(fact) is Record:
            call.add_record(fact)
        elif type(fact) is Read:
            if fact in call.facts.reads:
                return
            call.add_read(fact)
        elif type(fact) is Absence:
            if fact in call.facts.absences:
                return
            call.add_absence(fact)
        elif type(fact) is GivenUp:
            call.add_given_up(fact)
        self._note(call, fact, at, by, None, None)

    def _note(
        self, call: TrackedCall, fact: Fact, at: int, by: Source, extension_id: str | None, sequence: int | None
    ) -> None:
        """Hand a new fact of a call on to the ledger, and have the call reported. This is the only place that does."""
        key = call.key
        self.changes.facts.append((key, fact))
        call.at, call.by, call.extension_id, call.sequence = at, by, extension_id, sequence
        self._touched[key] = call

    # -- notifications ---------------------------------------------------------------------------------------------

    def _take_event(self, seen: PresenceObservation) -> None:
        changes = self.changes
        changes.observations.append(seen)
        place = seen.account_id, seen.extension_id
        extension = self.extensions.get(place) or self.extension(*place)
        sequence = extension.last_sequence if seen.sequence is None else seen.sequence
        newest, restarted = extension.count_sequence(sequence, seen.at)
        if restarted:
            changes.announce(
                AnnouncementKind.RESTARTED, CallKey(seen.account_id, ""), seen.at, seen.source,
                extension_id=seen.extension_id, sequence=seen.sequence,
            )  # fmt: skip
        listed = self._sorted(seen)
        alive = self._listed.get(place)
        if alive is None:
            alive = self._listed[place] = {}
        shown = 0
        for key, items in listed.items():
            if self._take_items(key, items, seen, extension.extension_id, sequence):
                first = items[0].status
                if first is not NO_CALL or (len(items) > 1 and any(item.status is not NO_CALL for item in items)):
                    alive[key] = None
                else:
                    alive.pop(key, None)
            if key in alive:
                shown += 1
        if not extension.updated_at:
            self._note_watched(place)
        if newest:
            extension.take_newest(seen)
            if seen.truncated:
                changes.cut[place] = None
            elif len(alive) > shown:
                self._doubt([key for key in alive if key not in listed], seen, sequence, alive)
        if not extension.since:
            extension.since = seen.at
        changes.extensions[place] = extension

    def _take_items(
        self, key: CallKey, items: tuple[CallItem, ...], seen: PresenceObservation, extension_id: str, sequence: int
    ) -> bool:
        """What a notification tells of one call. Returns whether it tells how the call stands there now.
        ``extension_id``: that of ``seen``, but one text for all facts of an extension.
        """
        told = items
        for item in items:
            if item.status is None:
                self._ignore(seen, item, key, IgnoredReason.UNKNOWN_STATUS)
                told = tuple([one for one in items if one.status is not None])
        if not told:
            return False
        call = self.calls[key]
        uuid = seen.uuid
        if uuid is not None and call.has_heard(uuid):
            for item in told:
                self._ignore(seen, item, key, IgnoredReason.DUPLICATE)
            return False
        whole = not seen.truncated and len(told) == len(items)
        events = call.facts.events
        if events:
            told = _shared(told, events[-1].items)
        if extension_id not in call.arrived():
            self._present.setdefault((key.account_id, extension_id), {})[key] = None
        if self._reads:
            self._recall_reads(call, extension_id, seen.at)
        stale = call.note_arrival(extension_id, sequence, seen.at)
        if stale:
            for item in told:
                self._ignore(seen, item, key, IgnoredReason.STALE_SEQUENCE)
        else:
            call.accepted += 1
        at = seen.at
        event = PresenceEvent(extension_id, sequence, at, told, whole, uuid, seen.received_at, stale, self.live_since)
        call.add_event(event)
        self._note(call, event, at, seen.source, extension_id, seen.sequence)
        return not stale

    def _doubt(
        self, missing: list[CallKey], seen: PresenceObservation, sequence: int, alive: dict[CallKey, None]
    ) -> None:
        """Calls that an extension's newest whole snapshot no longer lists: no end, but a doubt (rule 5.5)."""
        for key in missing:
            del alive[key]
            call = self.calls.get(key)
            if call is None:
                continue
            doubt = PresenceEvent(
                seen.extension_id, sequence, seen.at, (), True, seen.uuid, seen.received_at, False, self.live_since
            )
            call.add_doubt(doubt)
            self._note(call, doubt, seen.at, seen.source, seen.extension_id, seen.sequence)

    def _ignore(self, seen: PresenceObservation, item: CallItem, key: CallKey | None, reason: IgnoredReason) -> None:
        """Count an item that changes no status, with its call if that is known (rule 2.6). Only a stale one becomes a
        fact (rule 2.7).
        """
        self.changes.ignored(seen, item, item.call_session_id if key is None else key.session_id, reason)
        call = None if key is None else self.calls.get(key)
        if call is not None:
            call.ignored += 1
            self._touched[call.key] = call

    # -- reads of presence -------------------------------------------------------------------------------------------

    def _take_read(self, seen: PresenceObservation) -> None:
        """Take one extension's presence as read: it is a fact about every call that it lists, or should list."""
        self._report()
        self.changes.observations.append(seen)
        place = seen.account_id, seen.extension_id
        extension = self.extension(*place)
        if not seen.truncated:
            had = _had(seen)
            self._remember_reads(place, [had])
            self.changes.facts.append((CallKey(seen.account_id, ""), had))
        listed = self._sorted(seen)
        for key, items in listed.items():
            for item in items:
                if item.status is None:
                    self._ignore(seen, item, key, IgnoredReason.UNKNOWN_STATUS)
            read = _read_of(seen, items)
            if read is None or not read.items:
                continue
            call = self.calls[key]
            self._present.setdefault(place, {})[key] = None
            self._recall_reads(call, seen.extension_id, seen.at)
            self._add(call, read, seen.at, seen.source)
            call.extension_id = seen.extension_id
        if not seen.truncated:
            for call in self._calls_at(place):
                self._take_absence(call, seen, listed.get(call.key, ()))
        extension.take_statuses(seen)
        if not extension.since:
            extension.since = seen.at
        self.changes.extensions[place] = extension
        self._report()

    def _take_absence(self, call: TrackedCall, seen: PresenceObservation, items: Sequence[CallItem]) -> None:
        """An answer without the call is a fact of the call unless presence has told its end there and no record in
        progress says that it goes on there.
        """
        if any(item.status is not NO_CALL for item in items):
            return
        side = call.fold().sides.get(seen.extension_id)
        runs = any(one.claim.running and one.claim.extension_id == seen.extension_id for one in call.facts.records)
        if (
            not runs
            and side is not None
            and (side.newest_at > seen.at or not any(leg.live or leg.end_estimated for leg in side.legs))
        ):
            return
        call.over = call.call.live
        self._add(call, _read_of(seen, []) or Read(seen.extension_id, seen.at, ()), seen.at, seen.source)

    def _remember_reads(self, place: tuple[str, str], had: Iterable[Inventory]) -> None:
        kept = self._reads.setdefault(place, [])
        kept += had
        kept.sort(key=_by_date)
        kept[:] = [one for one in kept if one.at > kept[-1].at - REMEMBER_READS_MS][-MOST_READS:]

    def _recall_reads(self, call: TrackedCall, extension_id: str, at: int) -> None:
        """Add reads of an extension that arrived before a fact of it about the call, are of a later time, and do not
        have the call.
        """
        for had in reversed(self._reads.get((call.key.account_id, extension_id), ())):
            if had.at + CLOCKS_APART_MS < at:
                return
            if call.names.keys().isdisjoint(had.names):
                read = Read(extension_id, had.at, (), True, had.asked_at, had.received_at)
                self._add(call, read, had.at, PRESENCE_READ)

    # -- records -----------------------------------------------------------------------------------------------------

    def _take_records(self, answer: Records) -> set[CallKey]:
        """Take records of active-calls or the call log, call by call."""
        for key in answer.not_found:
            if (call := self.calls.get(key)) is not None:
                call.not_found = True
                self._unmatched[key] = call
        claims = [claim for claim in answer.claims if not self._is_unfinished(claim)]
        for claim in claims:
            self._known_by(claim.account_id, names_of_record(claim), claim.source, claim=claim)
        groups: dict[CallKey, list[RecordClaim]] = {}
        for claim in claims:
            found = self._call_of_record(claim)
            if found is not None:
                groups.setdefault(found, []).append(claim)
            else:
                self.changes.announce(
                    AnnouncementKind.IGNORED, CallKey(claim.account_id, ""), claim.read_at, claim.source,
                    IgnoredReason.UNTRACKABLE, extension_id=claim.extension_id,
                )  # fmt: skip
        for key, group in groups.items():
            self._take_group(self.calls[key], group)
        self._report()
        spoken_of = [(self._named(claim.account_id, names_of_record(claim)), claim) for claim in answer.claims]
        return {key for key, claim in spoken_of if key is not None and not self._is_forgotten(key, claim)}

    def _is_unfinished(self, claim: RecordClaim) -> bool:
        """Whether a record is one of the call log in progress. It is no fact, for the log keeps such records for ever
        (rule 6.5); a call that has one of its names shows it among the sources.
        """
        if not claim.running or claim.source is not CALL_LOG:
            return False
        key = self._named(claim.account_id, names_of_record(claim))
        if key is not None and self.calls[key].call.legs:
            self.changes.claim(key, claim)
        return True

    def _is_forgotten(self, key: CallKey, claim: RecordClaim) -> bool:
        """Whether the platform has forgotten a record in progress: it tells of the call no more than its absence would
        (rule 6.5).
        """
        if not claim.running or not is_old(claim) or (call := self.calls.get(key)) is None:
            return False
        return not any(
            one.claim.record_id == claim.record_id and one.claim.read_at >= claim.read_at
            for one in call.call.told.running
        )

    def _call_of_record(self, claim: RecordClaim) -> CallKey | None:
        """The call of a record by its names. One without a session has no call of its own: it is matched by numbers
        and start each time it is read, or counted.
        """
        key = self._named(claim.account_id, names_of_record(claim))
        if key is not None or claim.call_session_id is not None:
            return key
        name = group_of(claim)
        calls = [one for key in self._near(claim) if (one := self._unconfirmed(self.calls[key])) is not None]
        key = matched(calls, {name: [claim]}).get(name)
        if key is not None:
            self._match(self.calls[key], claim)
        return key

    def _near(self, claim: RecordClaim) -> Iterator[CallKey]:
        caller, callee = digits(claim.from_party), digits(claim.to_party)
        if caller is not None and callee is not None and claim.started_at is not None:
            yield from self._index.between(claim.account_id, claim.direction, caller, callee, claim.started_at)

    def _match(self, call: TrackedCall, claim: RecordClaim) -> None:
        """Note that a record of another name is of this call."""
        call.matched[group_of(claim)] = None
        self._index.name(call.key, names_of_record(claim))

    def _take_group(self, call: TrackedCall, group: list[RecordClaim]) -> None:
        changes, key = self.changes, call.key
        if not group:
            return
        changes.observations.extend(group)
        known = bool(call.facts)
        legs = known and bool(call.call.legs)
        phase, touched = call.phase, key in self._touched
        for claim in group:
            self._add(call, Record(claim, self._is_watched(claim)), claim.read_at, claim.source)
            if claim.running and claim.extension_id:
                self._present.setdefault((call.account_id, claim.extension_id), {})[key] = None
                self._recall_reads(call, claim.extension_id, end_of(claim))
            elif claim.running:
                self._recall_listings(call, claim.read_at)
        if not known and not call.call.legs:  # refuted before it came: whether it says anything depends on the rest
            return
        if legs and not touched and all(self._is_forgotten(key, claim) for claim in group):
            del self._touched[key]  # no sign of life
            return
        last = max(group, key=lambda claim: claim.ended_at or 0)
        ran = any(claim.running for claim in group)
        call.over = (not ran and phase is not Phase.SETTLING) or not legs
        if not legs and ran and last.started_at is not None:
            call.at = last.started_at
        for claim in group:
            changes.claim(key, claim)

    def _is_watched(self, claim: RecordClaim) -> bool:
        extension = self.extensions.get((claim.account_id, claim.extension_id or ""))
        return extension is not None and extension.updated_at > 0

    def _note_watched(self, place: tuple[str, str]) -> None:
        """Note at the first notification of an extension that its records in progress are not those of a queue."""
        for call in self._calls_at(place):
            for record in call.facts.records:
                if record.claim.running and record.claim.extension_id == place[1] and not record.watched:
                    self._add(call, record._replace(watched=True), record.claim.read_at, record.claim.source)

    # -- listings ----------------------------------------------------------------------------------------------------

    def _recall_listings(self, call: TrackedCall, at: int) -> None:
        """Add complete listings of a later time that arrived before the call was known."""
        for had in self.listings:
            if had.at > at and call.names.keys().isdisjoint(had.names):
                self._add(call, Absence(had.at), had.at, ACTIVE_CALLS)

    def _take_listing(self, told: Listing) -> None:
        """Add a fact to the calls that the listing does not have, and about which no extension can be asked."""
        self.recall_listings([Inventory("", told.read_at, tuple(sorted(key.session_id for key in told.listed)))])
        for key in list(self.timers.open_calls()):
            call = self.calls[key]
            if key in told.listed or call.phase is not Phase.OPEN or self.extensions_of(call):
                continue
            if told.read_at - call.last_seen_at > SILENT_AFTER_MS:
                call.over = True
                self._add(call, Absence(told.read_at), told.read_at, ACTIVE_CALLS)

    def doubtful(self, listed: Collection[CallKey], *, read_at: int) -> set[tuple[str, str]]:
        """After a *complete* listing: (account, extension) pairs whose presence has to be read to settle doubts
        (rule 6.4).

        ``listed``: what ``take`` returned. ``read_at``: the platform's time of the listing, ms.
        """
        self._report()
        ask: set[tuple[str, str]] = set()
        for key in self.timers.open_calls():
            call = self.calls[key]
            if call.phase is not Phase.OPEN:
                continue
            silent = read_at - call.last_seen_at
            ringing = call.status is TelephonyStatus.RINGING
            missing = key not in listed and silent > SILENT_AFTER_MS
            if call.suspect or missing or (ringing and silent > FRESH_MS):
                ask.update(self.extensions_of(call))
        return ask

    @staticmethod
    def extensions_of(call: TrackedCall) -> set[tuple[str, str]]:
        """The extensions at which a call is live, as far as they are known."""
        return {(call.account_id, extension) for extension in call.statuses()}

    # -- reporting ---------------------------------------------------------------------------------------------------

    def _report(self) -> None:
        """Report what has changed of each call that got facts: the fold before against the fold after."""
        rounds = 0
        while self._touched or self._unmatched:
            found: dict[CallKey, TrackedCall] = {}
            while self._touched or self._unmatched:  # matching makes calls of records, and takes them away again
                touched, self._touched = self._touched, {}
                for call in touched.values():
                    self._find(call)
                found |= touched
                unmatched, self._unmatched = self._unmatched, {}
                rounds += 1
                most = ROUNDS_OF_A_CALL * (1 + len(self.calls))
                for call in unmatched.values():
                    if rounds <= most and self.calls.get(call.key) is call:
                        self._match_records(call)
            for key, call in found.items():
                if self.calls.get(key) is call:
                    self._folded.pop(key, None)
                    self._folded[key] = call
                    self._report_call(call)

    def _report_call(self, call: TrackedCall) -> None:
        key, changes, state = call.key, self.changes, call.state
        if state is not None and state.version == call.told_version and call.told_live and call.facts.plain:
            self.timers.saw(key, self._now)
            return  # it repeats what is known: nothing is saved but the fact
        known, was_live = call.opened, call.told_live
        over, call.over = call.over, False
        after = call.call
        if not after.legs:
            if call.facts:
                self._report_untrackable(call)
            else:
                self._drop(call)
            return
        changes.sessions[key] = call
        call.opened = True
        if not known:
            if call.opened_by is PRESENCE and not call.stored and not call.renamed:
                changes.begun[key] = None
            self._report_opened(call, after)
        self._report_legs(call, after)
        self._report_history(call, after)
        self._report_doubt(call, after, known=known)
        reopened = after.live and call.published is not None and not call.reopened
        if reopened:
            call.reopened = True
            changes.announce(AnnouncementKind.REOPENED, key, call.at, call.by, "sign_of_life")
        call.told_version, call.told_live = call.fold().version, after.live
        self._report_status(call)
        if call.by not in PRESENCE_SOURCES or call.by is PRESENCE_READ:
            self._report_corrected(call, after, known=known, was_live=was_live, reopened=reopened)
        call.renamed = False
        self._keep_time(call, after, over=over)
        if not known:
            self._pair_halves(self._wholes_around(call, after))
        if call.halves:
            self._recheck_halves(call)

    def _report_untrackable(self, call: TrackedCall) -> None:
        """Nothing can be told of a call yet: no item names a direction, or only refuted records tell of it."""
        self.changes.untrackable[call.key] = None
        if call.facts.undirected:
            self.changes.announce(
                AnnouncementKind.IGNORED, call.key, call.at, call.by, IgnoredReason.UNTRACKABLE,
                extension_id=call.extension_id, sequence=call.sequence,
            )  # fmt: skip

    def _find(self, call: TrackedCall) -> None:
        """Note by which numbers and start a call is found, and whether records have to be matched with it anew."""
        state = call.state
        if state is not None and state.version == call.told_version and call.told_live and call.facts.plain:
            if state.answered_at is None:  # it has been seen for longer, and a record may tell of that time
                self._unmatched[call.key] = call
            return
        after = call.call
        if not after.legs:
            return
        signature = call.signature
        other = signature != call.found_by or after.live is not call.told_live or bool(call.matched)
        if signature != call.found_by:
            call.found_by = signature
            claims = [one.claim for one in call.facts.records] if call.matched else ()
            self._index.note(call.key, ends_of(call.key.account_id, after, claims))
            if after.started_at <= self.gone_until + GONE_PAIR_MS:
                self._astray[call.key] = None
        if after.answered_at is None or call.matched:
            self._unmatched[call.key] = call
            if other and after.started_at <= self.gone_unseen_until + GONE_RECORD_MS:
                self._astray[call.key] = None

    def _keep_time(self, call: TrackedCall, after: Call, *, over: bool) -> None:
        """Settle, or publish at once what needs no settling (rules 5.2, 5.3)."""
        key, timers = call.key, self.timers
        if after.live:
            timers.saw(key, self._now)
            timers.stop_settling(key)
        elif over or (call.published is not None and not call.reopened):
            self._publish(call, call.at, call.by)
        elif not timers.is_settling(key):
            timers.saw(key, self._now)
            timers.start_settling(key, self._now)

    def _report_opened(self, call: TrackedCall, after: Call) -> None:
        changes, key = self.changes, call.key
        if not after.live and call.by not in PRESENCE_SOURCES:
            return
        if call.by in PRESENCE_SOURCES:
            first = after.changes[0] if after.changes else None
            changes.announce(
                AnnouncementKind.OPENED, key, call.at if first is None else first.at, call.by,
                extension_id=call.extension_id, sequence=call.sequence if first is None else first.sequence,
                to_status=after.status if first is None else first.status,
            )  # fmt: skip
        else:
            changes.announce(AnnouncementKind.OPENED, key, call.at, call.by, "running")

    def _report_corrected(self, call: TrackedCall, after: Call, *, known: bool, was_live: bool, reopened: bool) -> None:
        """Announce what a read or a record has corrected."""
        what = None
        if call.by is PRESENCE_READ or (known and call.facts.absences):
            what = "ended_unseen" if known and was_live and not after.live else None
        elif not known:
            what = "opened" if after.live else "written"
        elif was_live and not after.live:
            what = "ended"
        elif reopened:
            what = "reopened"
        if what is not None:
            at = after.seen_at if what == "ended_unseen" else call.at
            self.changes.announce(AnnouncementKind.CORRECTED, call.key, at, call.by, what)

    def _report_legs(self, call: TrackedCall, after: Call) -> None:
        """Report all legs if any has changed. Where presence alone tells of them, the changed ones are made anew."""
        state, told = after.state, call.told_legs
        touched, state.touched = state.touched, []
        now: tuple[Leg, ...]
        if after.legs is state.legs and len(told) <= len(after.legs) and call.told_plain and not call.renamed:
            if not touched:
                return
            if len(after.legs) == 1:
                now = (after.leg(0),)
            else:
                legs = list(told)
                for index in sorted(set(touched)):
                    legs[index : index + 1] = [after.leg(index)]
                now = tuple(legs)
        else:
            now = tuple([after.leg(index) for index in range(len(after.legs))])
            if now == told and not call.renamed:
                return
            call.told_plain = False
        self.changes.legs[call.key] = call.told_legs = now

    def _report_history(self, call: TrackedCall, after: Call) -> None:
        """Report the whole history if it has changed. What is new in it is announced, and nothing is taken back
        (rule 2.8).
        """
        told, now = call.told_changes, tuple(after.changes)
        if told == now and not call.renamed:
            return
        changes, key, same = self.changes, call.key, len(told)
        changes.transitions[key] = call.told_changes = now
        if now[:same] != told:
            same = next(n for n in range(same + 1) if now[: n + 1] != told[: n + 1])
        for index in range(max(same, len(told), 1), len(now)):
            change = now[index]
            if change.source in PRESENCE_SOURCES:
                changes.announce(
                    AnnouncementKind.STATUS_CHANGED, key, change.at, change.source, extension_id=change.extension_id,
                    sequence=change.sequence, from_status=now[index - 1].status, to_status=change.status,
                )  # fmt: skip

    def _report_doubt(self, call: TrackedCall, after: Call, *, known: bool) -> None:
        if after.suspect and not call.suspected:
            self.changes.suspects[call.key] = None
            if known and call.by in PRESENCE_SOURCES:
                self.changes.announce(
                    AnnouncementKind.SUSPECT, call.key, call.at, call.by, extension_id=call.extension_id,
                    sequence=call.sequence,
                )  # fmt: skip
        call.suspected = after.suspect

    def _report_status(self, call: TrackedCall) -> None:
        """Report the status of the call's extensions: the strongest over their legs in all calls (rule 3.1)."""
        known = call.shown
        now = call.statuses()
        if now == known:
            return
        account, key = call.key.account_id, call.key
        for extension_id in [*known, *(one for one in now if one not in known)]:
            extension = self.extension(account, extension_id)
            before, status = known.get(extension_id), now.get(extension_id)
            if before is status:
                continue
            place = account, extension_id
            if before is not None:
                extension.tally[STRENGTH[before]] -= 1
            if status is not None:
                extension.tally[STRENGTH[status]] += 1
                if before is None:
                    self._listed.setdefault(place, {})[key] = None
            else:
                self._listed.get(place, {}).pop(key, None)
            over_all = strongest(extension.tally)
            if over_all is not extension.telephony_status or not extension.since:
                extension.telephony_status, extension.since = over_all, call.at
            self.changes.extensions[place] = extension
        call.shown = now

    # -- publishing --------------------------------------------------------------------------------------------------

    def _publish(self, call: TrackedCall, at: int, source: Source) -> None:
        """Publish the row if it says anything new; its revision counts the different rows (rules 5.3, 5.4)."""
        key, changes, known = call.key, self.changes, call.published
        self.timers.forget(key)
        derived = call.call
        around = self._wholes_around(call, derived)
        whole = around.get(key)
        part_of = None if whole is None else whole.session_id
        record = call.row(part_of, revision=1 if known is None else known.revision)
        new = known is None or said(record) != said(known)
        call.reopened = False
        if new:
            if known is not None:
                record = record._replace(revision=known.revision + 1)
            self._claim_seen(call, derived)
        call.published = record
        changes.records[key] = record
        changes.sessions[key] = call
        if whole is not None and (outer := self.calls.get(whole)) is not None:
            outer.halves |= {key}
        if not new:
            return
        confirms = known is not None and known.confirmed_at is None and record.confirmed_at is not None
        what = (
            AnnouncementKind.FINISHED
            if known is None
            else AnnouncementKind.CONFIRMED
            if confirms
            else AnnouncementKind.AMENDED
        )
        self._say(what, call, at, source)
        if confirms and known is not None and story(known) != story(record):
            self._say(AnnouncementKind.AMENDED, call, at, source)
        self._pair_halves(around)

    def _say(self, what: AnnouncementKind, call: TrackedCall, at: int, source: Source) -> None:
        record = call.published
        assert record is not None  # noqa: S101 - it has just been made
        self.changes.announce(what, call.key, at, source, record=record, extension_id=record.extension_id)

    def _claim_seen(self, call: TrackedCall, derived: Call) -> None:
        """Note what presence itself showed of a call, from its first sign to its last, as one claim among others."""
        seen = call.fold()
        if not call.facts.events or seen.started_at is None:
            return
        ended_at = max([leg.ended_at for leg in seen.legs if leg.ended_at is not None], default=seen.seen_at)
        answered_at = ended_at if seen.answered_at is None else seen.answered_at
        self.changes.claims[call.key, PRESENCE, ""] = SourceClaim(
            *call.key, PRESENCE, "", primary_leg(derived).direction, seen.started_at, ended_at,
            max(0, ended_at - answered_at), None, seen.seen_at,
        )  # fmt: skip

    # -- RingOut pairs -----------------------------------------------------------------------------------------------

    def _whole_of(self, call: TrackedCall, derived: Call) -> str | None:
        """The session of the RingOut that a call is the inner leg of. With one half the ledger gives back the other."""
        whole = self._wholes_around(call, derived).get(call.key) if direction_of(derived) is INBOUND else None
        return None if whole is None else whole.session_id

    def _wholes_around(self, call: TrackedCall, derived: Call) -> dict[CallKey, CallKey | None]:
        """Return the calls that may be inner legs of the same RingOut as this one, each with its outer call;
        ``None``: it is the inner leg of none.
        """
        inners, outers = self._sides(call, derived)
        found = wholes(inners, outers)
        return {inner: found.get(inner) for inner in inners}

    def _rivals(self, call: TrackedCall) -> list[CallKey]:
        """Return the calls in memory that may be halves of the same RingOuts as this one, itself too, or none."""
        inners, outers = self._sides(call, call.call)
        return [*inners, *outers]

    def _sides(self, call: TrackedCall, derived: Call) -> tuple[dict[CallKey, Call], dict[CallKey, Call]]:
        """Return the inner legs and the outer calls that have to be paired together; none if it is no half."""
        way = direction_of(derived)
        if way is None or not self._crossed(call, derived, way):
            return {}, {}
        sides: dict[Direction, dict[CallKey, Call]] = {INBOUND: {}, OUTBOUND: {}}
        sides[way][call.key] = derived
        waiting = [(call, derived, way)]
        while waiting:
            one, known, way = waiting.pop()
            others = sides[OUTBOUND if way is INBOUND else INBOUND]
            for key, other in self._crossed(one, known, way):
                if key not in others and (may_pair(known, other) or may_pair(other, known)):
                    others[key] = other
                    waiting.append((self.calls[key], other, OUTBOUND if way is INBOUND else INBOUND))
        return sides[INBOUND], sides[OUTBOUND]

    def _crossed(self, call: TrackedCall, derived: Call, direction: Direction) -> list[tuple[CallKey, Call]]:
        """Return calls in memory with the numbers of this one crossed. ``direction``: this one's."""
        first = derived.legs[0]
        caller, callee = digits(first.from_party), digits(first.to_party)
        if caller is None or callee is None:
            return []
        other = OUTBOUND if direction is INBOUND else INBOUND
        found = self._index.between(call.account_id, other, callee, caller, derived.started_at)
        return [(key, self.calls[key].call) for key in found]

    def _pair_halves(self, around: dict[CallKey, CallKey | None]) -> None:
        """Publish the calls again whose row names no outer call or the wrong one."""
        for key, whole in around.items():
            half = self.calls[key]
            if half.part_of != (None if whole is None else whole.session_id):
                self._touched_row(half)

    def _recheck_halves(self, call: TrackedCall) -> None:
        for key in call.halves:
            half = self.calls.get(key)
            if half is None:
                call.halves -= {key}
            elif half.part_of != self._whole_of(half, half.call):
                call.halves -= {key}
                self._touched_row(half)

    def _touched_row(self, call: TrackedCall) -> None:
        """Publish a row again that another call's facts may have changed."""
        if call.published is not None and not call.reopened and not call.call.live:
            self._publish(call, call.at or call.call.seen_at, call.by)

    # -- identity ----------------------------------------------------------------------------------------------------

    def key_of(self, account_id: str, item: CallItem) -> CallKey | None:
        """The call an item speaks of, in memory or not; ``None``: it cannot be tracked."""
        names = names_of_item(item)
        name = key_name(names)
        return None if name is None else self._named(account_id, names) or CallKey(account_id, name)

    def _named(self, account_id: str, names: Iterable[str]) -> CallKey | None:
        """The call in memory that one of the names is of."""
        index = self._index
        return next((key for name in names if (key := index.named(account_id, name)) is not None), None)

    def _spoken_of(self, seen: PresenceObservation, item: CallItem) -> CallKey | None:
        """Return the call an item speaks of; it is known by all names of the item from now on."""
        session_id, telephony = item.session_id, item.telephony_session_id
        if session_id and session_id != "0":
            call = self._by_name.get((seen.account_id, session_id))
            if (
                call is not None
                and call.names.get(session_id) == SESSION
                and (not telephony or telephony in call.names)
            ):
                return call.key
        return self._known_by(seen.account_id, names_of_item(item), seen.source)

    def _known_by(
        self, account_id: str, names: Names, source: Source, *, claim: RecordClaim | None = None
    ) -> CallKey | None:
        """Return the call of these names; calls that were known apart by them become one (rule 1.1).
        ``claim`` is the record whose names they are: while it was matched by numbers alone its names are not the
        call's own.
        """
        while True:
            found = {key: None for name in names if (key := self._index.named(account_id, name)) is not None}
            if not found:
                return self._first_known_by(account_id, names, source)
            calls = [self.calls[key] for key in found]
            strangers = [one for one in calls if names.keys().isdisjoint(one.names)]
            if not strangers:
                break
            if claim is not None and len(found) == 1:
                self._match(strangers[0], claim)
                return strangers[0].key
            for one in strangers:  # its records have a call of their own
                self._split_named(one, names)
        call, *others = calls
        for other in others:
            call = self._unite(call, other)
        if any(call.names.get(name, kind + 1) > kind for name, kind in names.items()):
            call.names.update({name: min(kind, call.names.get(name, kind)) for name, kind in names.items()})
            self._index.name(call.key, names)
            self._own(call)
        key = CallKey(account_id, key_name(call.names) or call.key.session_id)
        if key != call.key:
            self._rename(call, key)
        return call.key

    def _first_known_by(self, account_id: str, names: Names, source: Source) -> CallKey | None:
        """Begin a call and return its key; ``None``: it cannot be tracked."""
        name = key_name(names)
        if name is None:
            return None
        key = CallKey(account_id, name)
        self.calls[key] = self._touched[key] = TrackedCall(key, source, Facts(names=dict(names)))
        self._index.name(key, names)
        return key

    def _own(self, call: TrackedCall) -> None:
        """Take records that were matched by numbers for the call's own if they turn out to share a name with it."""
        if not call.matched:
            return
        told = [record.claim for record in call.facts.records]
        for claim in sharing(told, call.names):
            call.matched.pop(group_of(claim), None)
            call.facts.names = names_of_record(claim) | call.names

    def _unite(self, call: TrackedCall, other: TrackedCall) -> TrackedCall:
        """Make one call of two, since they share a name or a matched record, and return it."""
        self._united += 1
        if key_name({**call.names, **other.names}) == other.session_id:
            call, other = other, call
        self._drop(other)
        over = other.over and call.phase is not Phase.SETTLING
        known = set(call.facts.all)  # a record that was matched with one and left it for the other is with both
        call.absorb(other)
        call.over = call.over or over
        call.at, call.by = other.at, other.by
        self.changes.unite(other.key, call.key, [fact for fact in other.facts.all if fact not in known])
        for record in other.facts.records:
            self.changes.claim(call.key, record.claim)
        call.names.update({name: min(kind, call.names.get(name, kind)) for name, kind in other.names.items()})
        self._index.name(call.key, other.names)
        for name in other.matched:
            call.matched[name] = None
        self._own(call)
        for record in call.facts.records:
            self._index.name(call.key, names_of_record(record.claim))
        self._renamed(call)
        return call

    def _rename(self, call: TrackedCall, key: CallKey) -> None:
        """Give a call another key, since a better name has become known."""
        self._united += 1
        former = call.key
        self._drop(call)
        call.key = key
        if call.published is not None:
            call.published = call.published._replace(session_id=key.session_id)
        self.calls[key] = call
        self.changes.unite(former, key, call.facts.all)
        for record in call.facts.records:
            self.changes.claim(key, record.claim)
            self._index.name(key, names_of_record(record.claim))
        self._index.name(key, call.names)
        self._renamed(call)

    def _renamed(self, call: TrackedCall) -> None:
        """Have everything of a call written anew under its key."""
        call.renamed, call.found_by, call.told_version = True, (), -1
        call.state = call.derived = None
        if call.published is not None:
            call.published = call.published._replace(session_id=call.session_id)
            self.changes.records[call.key] = call.published
        for extension_id in call.extension_ids:
            self._present.setdefault((call.account_id, extension_id), {})[call.key] = None
        self._touched[call.key] = call

    # -- records of other names --------------------------------------------------------------------------------------

    def _match_records(self, call: TrackedCall) -> None:
        """Match records with calls anew, as far as their numbers and starts are near this call's (rule 7.2)."""
        near = {call.key: None}
        for ends in self._index.ends(call.key):
            near |= dict.fromkeys(self._index.near(ends))
        if len(near) == 1 and not call.matched:
            return
        calls = [self.calls[key] for key in near]
        held: dict[str, list[RecordClaim]] = {}
        holders: dict[str, CallKey] = {}
        for one in calls:
            for record in one.facts.records:
                name = group_of(record.claim)
                if name in one.matched or not one.facts.is_shown:
                    held.setdefault(name, []).append(record.claim)
                    holders[name] = one.key
        if not held:
            return
        groups = {names[0]: names for names in joined(held)}
        records = {first: [claim for name in names for claim in held[name]] for first, names in groups.items()}
        found = matched([one for one in map(self._unconfirmed, calls) if one is not None], records)
        for first, names in groups.items():
            own = found.get(first)
            elsewhere = {key: None for name in names if (key := holders[name]) != own}
            for key in elsewhere:
                holder = self.calls.get(key)
                if holder is not None:
                    self._split(holder, [name for name in names if name in holder.matched])
            if own is not None and elsewhere:
                self._give(records[first], own)

    def _give(self, claims: Iterable[RecordClaim], own: CallKey) -> None:
        """Records of other names are this call's: that of their own is no more."""
        for claim in claims:
            key, taker = self._named(own.account_id, names_of_record(claim)), self.calls[own]
            if key is not None and key != taker.key and not self.calls[key].facts.is_shown:
                now = self.calls[key]
                taker.matched.update({group_of(record.claim): None for record in now.facts.records})
                now.facts.names = {}
                self._unite(taker, now)

    @staticmethod
    def _unconfirmed(call: TrackedCall) -> Unconfirmed | None:
        """Return the call as one that a record of another name may be matched with; ``None``: it may not."""
        presence = call.fold()
        if not presence.legs or call.has_record or presence.answered_at is not None:
            return None
        return Unconfirmed(call.key, presence, last_alive_at(call.facts), call.not_found)

    def _split_named(self, call: TrackedCall, names: Names) -> None:
        """Let go of the records that were matched by numbers and bear one of these names, and of the names."""
        told = [one.claim for one in call.facts.records if group_of(one.claim) in call.matched]
        self._split(call, dict.fromkeys(group_of(claim) for claim in sharing(told, names)))
        if self.calls.get(call.key) is call:
            self._index.unname(call.key, [name for name in names if name not in call.names])

    def _split(self, call: TrackedCall, names: Iterable[str]) -> None:
        """Take records that were matched by numbers from this call; those of a session become a call of their own."""
        for name in names:
            if name not in call.matched:
                continue
            before = call.extension_ids
            records = call.drop_records(name)
            self._gone_from(call, before - call.extension_ids - call.arrived().keys())
            self._index.unname(call.key, [one for record in records for one in names_of_record(record.claim)])
            self._touched[call.key] = call
            claims = [record.claim for record in records if record.claim.call_session_id is not None]
            key: CallKey | None = None
            for claim in claims:
                key = self._known_by(call.account_id, names_of_record(claim), claim.source)
            if key is not None:
                own = self.calls[key]
                known = {record.claim for record in own.facts.records}  # it may have come back with them
                self._take_group(own, [claim for claim in claims if claim not in known])

    def _sorted(self, seen: PresenceObservation) -> dict[CallKey, tuple[CallItem, ...]]:
        """Items by call. What cannot be tracked, or mirrors another extension's call, is counted and left out (rules
        1.1, 1.5); an item with an unknown status stays, since its call has not vanished.
        """
        united = self._united
        if len(seen.items) == 1 and not seen.items[0].monitored and _is_fact(seen, seen.items[0]):
            only = self._spoken_of(seen, seen.items[0])
            if only is not None:
                return {only: seen.items}
        listed: dict[CallKey, tuple[CallItem, ...]] = {}
        key: CallKey | None
        for item in seen.items:
            if item.monitored:
                self._ignore(seen, item, self.key_of(seen.account_id, item), IgnoredReason.MONITORED)
                continue
            key = self._spoken_of(seen, item) if _is_fact(seen, item) else self.key_of(seen.account_id, item)
            if key is None:
                self._ignore(seen, item, key, IgnoredReason.UNTRACKABLE)
            elif key in listed:
                listed[key] = (*listed[key], item)
            else:
                listed[key] = (item,)
        if self._united == united:
            return listed
        again: dict[CallKey, tuple[CallItem, ...]] = {}
        for items in listed.values():
            for item in items:
                key = self._spoken_of(seen, item) if _is_fact(seen, item) else self.key_of(seen.account_id, item)
                if key is not None:
                    again[key] = (*again.get(key, ()), item)
        return again

    def unknown_calls(self, observations: Iterable[PresenceObservation]) -> set[CallKey]:
        """Return the names of calls that are not in memory; the caller restores them before ``take``."""
        unknown = set[CallKey]()
        for account_id, session_id, telephony in _sessions_of(observations):
            call = self._by_name.get((account_id, session_id or ""))
            if call is None or (telephony or session_id) not in call.names:
                unknown.update(self._unknown(account_id, names_of_sessions(session_id, telephony)))
        return unknown

    def astray(self) -> list[Ends]:
        """Return by which numbers and starts calls are found beside which others may be that are not in memory: the
        other half of a RingOut, or a call that is known by its record alone (rules 7.2, 7.9). The caller restores those
        from the ledger and lets them ``meet``. Each is named once, until something changes.
        """
        self._report()
        astray, self._astray = self._astray, {}
        return [ends for key in astray for ends in self._index.ends(key)]

    def meet(self, ends: Iterable[Ends]) -> None:
        """Judge the calls that are found by these once more: others may be beside them by now."""
        for key in {key: None for one in ends for key in self._index.near(one)}:
            call = self.calls[key]
            self._unmatched[key] = call
            self._pair_halves(self._wholes_around(call, call.call))
        self._report()

    def has(self, key: CallKey) -> bool:
        """Whether a call is in memory, under this key or another: it may have got a better name since its commit."""
        return self._index.named(*key) is not None

    def known_among(self, account_id: str, names: Iterable[str]) -> set[str]:
        """Return those of the sessions and telephony sessions that are of calls in memory."""
        return {name for name in names if self._index.named(account_id, name) is not None}

    def concerns(self, claim: RecordClaim) -> bool:
        """Whether a call in memory has one of a record's names, or its numbers, straight or crossed, near its start."""
        if any(self._index.named(claim.account_id, name) is not None for name in names_of_record(claim)):
            return True
        caller, callee, at = digits(claim.from_party), digits(claim.to_party), claim.started_at
        if caller is None or callee is None or at is None:
            return False
        other = OUTBOUND if claim.direction is INBOUND else INBOUND
        between = self._index.between
        return bool(between(claim.account_id, claim.direction, caller, callee, at)) or bool(
            between(claim.account_id, other, callee, caller, at)
        )

    def unknown_claims(self, claims: Iterable[RecordClaim]) -> set[CallKey]:
        """Return the names of calls in these records that are not in memory; they are restored before ``take``."""
        unknown = set[CallKey]()
        for claim in claims:
            names = names_of_record(claim)
            unknown.update(self._unknown(claim.account_id, [name for name, kind in names.items() if kind != RECORD]))
        return unknown

    def _unknown(self, account_id: str, names: Iterable[str]) -> Iterator[CallKey]:
        for name in names:
            if self._index.named(account_id, name) is None:
                yield CallKey(account_id, name)

    # -- memory ------------------------------------------------------------------------------------------------------

    def extension(self, account_id: str, extension_id: str) -> Extension:
        """The extension, known from now on."""
        key = (account_id, extension_id)
        extension = self.extensions.get(key)
        if extension is None:
            extension = self.extensions[key] = Extension(account_id, extension_id)
        return extension

    def restore(self, calls: Iterable[SavedCall], extensions: Iterable[Extension] = (), *, now: float) -> None:
        """Take calls and extensions back from the ledger. Settling calls settle anew, in full."""
        self._now = now
        for extension in extensions:
            self.extensions.setdefault((extension.account_id, extension.extension_id), extension)
        given = list(calls)
        for saved in given:
            key = CallKey(saved.account_id, saved.session_id)
            if key in self.calls:
                continue
            call = self.calls[key] = restored(saved)
            alike = {self._index.named(key.account_id, name): None for name in call.names}
            self._index.name(key, call.names)
            for record in call.facts.records:
                matched = group_of(record.claim) in call.matched
                names = [one for one in names_of_record(record.claim)
                         if not matched or self._index.named(key.account_id, one) is None]  # fmt: skip
                self._index.name(key, names)
            self.live_since = max([self.live_since, *(event.live_since for event in saved.events)])
            self._take_back(call)
            for other in [self.calls[one] for one in alike if one is not None]:
                if not other.names.keys().isdisjoint(call.names):  # what was apart when it was last in memory
                    call = self._unite(call, other)
        for key in [CallKey(saved.account_id, saved.session_id) for saved in given]:
            taker = self.calls.get(key)
            if taker is not None and taker.matched:
                self._split(taker, [name for name in taker.matched if self._is_of_another(taker, name)])
        for saved in given:
            part_of = None if saved.published is None else saved.published.part_of
            whole = None if part_of is None else self.calls.get(CallKey(saved.account_id, part_of))
            if whole is not None:
                whole.halves |= {CallKey(saved.account_id, saved.session_id)}

    def recall(self, account_id: str, inventories: Iterable[Inventory]) -> None:
        """Remember reads of presence again: calls they do not have may become known later."""
        for had in inventories:
            self._remember_reads((account_id, had.extension_id), [had])

    def recall_listings(self, listings: Iterable[Inventory]) -> None:
        """Remember complete listings of active calls again. Two prove that a call is over: the last two are enough."""
        self.listings = sorted([*self.listings, *listings], key=_by_date)[-2:]

    def _is_of_another(self, call: TrackedCall, name: str) -> bool:
        """Whether a record that was matched with a call has one of its own session by now."""
        own = self.calls.get(CallKey(call.account_id, name))
        return own is not None and own is not call and name in own.names

    def _take_back(self, call: TrackedCall) -> None:
        key, derived = call.key, call.call
        if not derived.legs:
            return
        call.found_by = ()
        claims = [one.claim for one in call.facts.records] if call.matched else ()
        self._index.note(key, ends_of(key.account_id, derived, claims))
        for extension_id in call.extension_ids:
            self._present.setdefault((key.account_id, extension_id), {})[key] = None
        for extension_id, status in call.statuses().items():
            extension = self.extension(key.account_id, extension_id)
            extension.tally[STRENGTH[status]] += 1
            self._listed.setdefault((key.account_id, extension_id), {})[key] = None
        call.shown = call.statuses()
        phase = call.phase
        if phase is not Phase.FINISHED:
            self.timers.saw(key, self._now)
        if phase is Phase.SETTLING:
            self.timers.start_settling(key, self._now)

    def release(self, keys: Collection[CallKey]) -> set[CallKey]:
        """Forget published calls whose commit is done, and return those. A call stays that has changed again since, or
        that may be half of a RingOut while one of its rivals (``_rivals``) is not published: they are paired together.
        """
        self._report()
        gone: set[CallKey] = set()
        waiting, self._kept_in_vain = [*keys, *self._kept_in_vain], {}
        while waiting:
            key = waiting.pop()
            call = self.calls.get(key)
            if call is None or key in self.changes.sessions or key in self.changes.untrackable:
                continue
            if not call.is_finished and call.call.legs:
                continue
            other = next((one for one in self._rivals(call) if one != key and not self.calls[one].is_finished), None)
            if other is not None:
                self._kept.setdefault(other, {})[key] = None
                continue
            waiting += self._kept.pop(key, ())  # whatever has become of the pair they might have been
            del self.calls[key]
            gone.add(key)
            self._note_gone(call)
            self.departures += 1
            self._folded.pop(key, None)
            self._index.forget(key)
            self._absent(call)
        while len(self._folded) > self._most_folded:
            self._folded.pop(next(iter(self._folded))).rest()
        return gone

    def _note_gone(self, call: TrackedCall) -> None:
        """Remember when a call that leaves memory began, since a later one may have to do with it."""
        if call.published is not None:
            self.gone_until = max(self.gone_until, call.call.started_at)
            if not call.facts.is_shown:
                self.gone_unseen_until = max(self.gone_unseen_until, call.call.started_at)

    def _absent(self, call: TrackedCall) -> None:
        """Forget at which extensions a call was shown, since it leaves memory."""
        heard_at = call.arrived()
        self._gone_from(call, heard_at if call.facts.plain else {*heard_at, *call.extension_ids})

    def _gone_from(self, call: TrackedCall, extension_ids: Iterable[str]) -> None:
        for extension_id in extension_ids:
            present = self._present.get((call.account_id, extension_id))
            if present is not None:
                present.pop(call.key, None)

    def _calls_at(self, place: tuple[str, str]) -> list[TrackedCall]:
        """Return the calls in memory that a fact has shown at an extension."""
        return [call for key in self._present.get(place, ()) if (call := self.calls.get(key)) is not None]

    def save(self, key: CallKey) -> None:
        """Write what is stored beside the facts of a call again."""
        call = self.calls.get(key)
        if call is not None and call.call.legs:
            self.changes.sessions[key] = call
            self.changes.legs[key] = tuple(call.legs)

    def forget(self, key: CallKey) -> None:
        """Drop a call from memory as it stands; the ledger is asked when it is next spoken of."""
        call = self.calls.get(key)
        if call is not None:
            self._drop(call)

    def _drop(self, call: TrackedCall) -> None:
        key = call.key
        self.calls.pop(key, None)
        self.departures += 1
        self._kept_in_vain |= self._kept.pop(key, {})
        self._touched.pop(key, None)
        self._unmatched.pop(key, None)
        self._folded.pop(key, None)
        self.timers.forget(key)
        self._index.forget(key)
        self._absent(call)
        shown, call.shown = call.shown, NOWHERE_LIVE
        for extension_id, status in shown.items():
            extension = self.extension(key.account_id, extension_id)
            extension.tally[STRENGTH[status]] -= 1
            self._listed.get((key.account_id, extension_id), {}).pop(key, None)


def _shared(told: tuple[CallItem, ...], known: tuple[CallItem, ...]) -> tuple[CallItem, ...]:
    """The same items, sharing what they have in common with those of the event before: most repeat them, or differ in
    the status alone, and each would hold its own names and numbers otherwise.
    """
    if told == known:
        return known
    if len(told) == len(known) == 1:
        item, last = told[0], known[0]
        if item[:_STATUS] == last[:_STATUS] and item[_PARTIES:] == last[_PARTIES:]:
            like = CallItem(
                last.session_id, last.telephony_session_id, last.leg_id, last.direction, item.status, item.status_text,
                item.termination, last.from_party, last.to_party, last.started_at, last.queue_call, last.on_behalf_of,
                last.monitored,
            )  # fmt: skip
            return (like,)
    return told


def _sessions_of(
    observations: Iterable[PresenceObservation],
) -> dict[tuple[str, str | None, str | None], None]:
    """Account, session and telephony session of all items, each once: the items of a batch are of few calls."""
    return {
        (observation.account_id, item.session_id, item.telephony_session_id): None
        for observation in observations for item in observation.items
    }  # fmt: skip


def _is_fact(seen: PresenceObservation, item: CallItem) -> bool:
    """Whether an item tells of its call, so that it may name it as well (rule 2.7): not one with an unknown status,
    nor one of a read that has ended.
    """
    return item.status is not None and (item.status is not NO_CALL or seen.source is PRESENCE)


def _by_date(had: Inventory) -> int:
    return had.at


def _had(seen: PresenceObservation) -> Inventory:
    """Return which calls a read of presence had: all but those that it shows as ended."""
    names: Names = {}
    for item in seen.items:
        if not item.monitored and item.status is not NO_CALL:  # a mirrored item is no leg (rule 1.5)
            names |= names_of_item(item)
    return Inventory(seen.extension_id, seen.at, tuple(names), _asked_at(seen), seen.received_at)


def _asked_at(seen: PresenceObservation) -> int:
    return seen.received_at if seen.asked_at is None else seen.asked_at


#: Where the fields of an item's status begin, and those after them.
_STATUS: Final = CallItem._fields.index("status")
_PARTIES: Final = CallItem._fields.index("from_party")


def _read_of(seen: PresenceObservation, items: Sequence[CallItem]) -> Read | None:
    """What a read of presence tells of one call; ``None`` when it tells neither life nor end."""
    alive = tuple([item for item in items if item.status is not None and item.status is not NO_CALL])
    if not alive and any(item.status is None for item in items):
        return None
    # one that has ended is as good as not listed; one of which only an end is promised may still live
    known = all(item.status is not None and item.termination is not TerminationType.INTERMEDIATE for item in items)
    whole = known and not seen.truncated
    return Read(seen.extension_id, seen.at, alive, whole, _asked_at(seen), seen.received_at)
