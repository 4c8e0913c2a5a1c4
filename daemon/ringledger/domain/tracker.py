"""The call tracker: every fact goes in here, every consequence comes out as :class:`Changes`.

The tracker owns the calls that are open or settling, the extensions, and the timers. It is synchronous and pure: no
I/O, no clock; a whole observation is applied or (if it raises) a bug has been found. Calls that are over are handed to
the ledger and released; when something more is heard of them they are restored first (``unknown_calls``,
``restore``), so the ledger is the memory and this object its working set.

What must stay true: a stale item changes no status and no end; any order and any repetition of one call's events
gives the same start, answer, end and status (semantics 2.7). Status and end follow from the newest event of each
extension, start and answer are minima over all events; neither depends on an order.
"""

import heapq
from collections.abc import Collection, Iterable
from typing import Final

from ringledger.domain.call import CallSession, EndSource, Leg, Mark, Phase
from ringledger.domain.changes import (
    Announcement,
    Changes,
    Extension,
    Happening,
    IgnoredReason,
    JournalEntry,
    Transition,
)
from ringledger.domain.guard import Order, count_sequence, judge, remember
from ringledger.domain.observation import CallItem, CallKey, PresenceObservation, Source
from ringledger.domain.record import derive_record
from ringledger.domain.status import (
    ANSWERED_STATUSES,
    LEG_TRANSITIONS,
    LegChange,
    TelephonyStatus,
    TerminationType,
    aggregate,
)

DEFAULT_SETTLE_SECONDS: Final = 10.0
DEFAULT_STALE_AFTER_SECONDS: Final = 14_400.0


class CallTracker:
    """The state machine of all calls of one or more accounts (semantics 1 to 5).

    ``settle_seconds``: how long a call without live legs waits for a sign of life (semantics 5.2).
    ``stale_after_seconds``: after how long without any sign a call is closed as expired (semantics 5.6).
    """

    def __init__(
        self,
        *,
        settle_seconds: float = DEFAULT_SETTLE_SECONDS,
        stale_after_seconds: float = DEFAULT_STALE_AFTER_SECONDS,
    ) -> None:
        self.settle_seconds = settle_seconds
        self.stale_after_seconds = stale_after_seconds
        self.calls: dict[CallKey, CallSession] = {}
        self.extensions: dict[tuple[str, str], Extension] = {}
        self._calls_of: dict[tuple[str, str], set[CallKey]] = {}
        self._seen: dict[CallKey, float] = {}
        self._settles: dict[CallKey, float] = {}
        self._timers: list[tuple[float, CallKey]] = []
        self._changes = Changes()

    # -- memory ------------------------------------------------------------------------------------------------

    def unknown_calls(self, observations: Iterable[PresenceObservation]) -> set[CallKey]:
        """Calls spoken of that are not in memory: ask the ledger for them and ``restore`` before observing."""
        calls = self.calls
        return {
            key
            for observation in observations
            for item in observation.items
            if (session_id := item.call_session_id) is not None
            and (key := CallKey(observation.account_id, session_id)) not in calls
        }

    def restore(self, calls: Iterable[CallSession], extensions: Iterable[Extension] = (), *, now: float) -> None:
        """Take calls and extensions back from the ledger. Settling calls settle anew, in full."""
        for extension in extensions:
            self.extensions.setdefault((extension.account_id, extension.extension_id), extension)
        for call in calls:
            if call.key in self.calls:
                continue
            self.calls[call.key] = call
            self._index(call)
            if call.phase is not Phase.FINISHED:
                self._saw(call, now)
            if call.phase is Phase.SETTLING:
                self._start_settling(call, now)

    def release(self, keys: Collection[CallKey]) -> None:
        """Forget finished calls whose commit is done, unless they have changed again since."""
        for key in keys:
            call = self.calls.get(key)
            if call is None or call.phase is not Phase.FINISHED or key in self._changes.sessions:
                continue
            del self.calls[key]
            self._seen.pop(key, None)
            self._settles.pop(key, None)
            for extension_id in {leg.extension_id for leg in call.legs}:
                self._calls_of.get((key.account_id, extension_id), set()).discard(key)

    def take_changes(self) -> Changes:
        """Everything that follows from what was observed since the last time; the tracker starts a new collection."""
        changes, self._changes = self._changes, Changes()
        return changes

    @property
    def pending(self) -> int:
        """Observations whose consequences have not been taken yet."""
        return len(self._changes.observations)

    # -- time --------------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """Monotonic time at which ``advance`` has something to do; ``None`` when nothing is waiting."""
        return self._timers[0][0] if self._timers else None

    def advance(self, now: float) -> None:
        """Finish calls that have settled, expire calls nobody has spoken of for too long (semantics 5.3, 5.6)."""
        while self._timers and self._timers[0][0] <= now:
            _, key = heapq.heappop(self._timers)
            call = self.calls.get(key)
            if call is None or call.phase is Phase.FINISHED:
                continue
            if (settled_at := self._settles.get(key)) is not None:
                if settled_at <= now:
                    self._finish(call, max(mark.at for mark in call.marks.values()), EndSource.PRESENCE)
            elif (expires_at := self._seen[key] + self.stale_after_seconds) > now:
                heapq.heappush(self._timers, (expires_at, key))
            else:
                self._finish(call, call.last_seen_at, EndSource.EXPIRED, estimated=True)

    def _saw(self, call: CallSession, now: float) -> None:
        if call.key not in self._seen:
            heapq.heappush(self._timers, (now + self.stale_after_seconds, call.key))
        self._seen[call.key] = now

    def _start_settling(self, call: CallSession, now: float) -> None:
        deadline = now + self.settle_seconds
        self._settles[call.key] = deadline
        heapq.heappush(self._timers, (deadline, call.key))

    # -- observing ---------------------------------------------------------------------------------------------

    def observe(self, observation: PresenceObservation, now: float) -> None:
        """Apply one pushed snapshot of an extension's calls. Calls it names must have been restored."""
        changes = self._changes
        changes.observations.append(observation)
        extension = self.extension(observation.account_id, observation.extension_id)
        sequence = observation.sequence if observation.sequence is not None else extension.last_sequence
        epoch, restarted = count_sequence(extension, sequence, observation.at)
        if restarted:
            self._announce(Happening.RESTARTED, observation, None)
        event = Mark(epoch, sequence, observation.at)
        listed = self._sort_items(observation)
        for key, items in listed.items():
            self._observe_call(key, items, observation, event, now)
        newest = epoch == extension.epoch and sequence >= extension.last_sequence
        if newest:
            if not observation.truncated:
                self._suspect_vanished(observation, listed)
            extension.presence_status = observation.presence_status or extension.presence_status
            extension.user_status = observation.user_status or extension.user_status
            extension.dnd_status = observation.dnd_status or extension.dnd_status
        self._refresh_extension(extension, observation.at)

    def extension(self, account_id: str, extension_id: str) -> Extension:
        """The extension, known from now on."""
        key = (account_id, extension_id)
        extension = self.extensions.get(key)
        if extension is None:
            extension = self.extensions[key] = Extension(account_id, extension_id)
        return extension

    def _sort_items(self, observation: PresenceObservation) -> dict[CallKey, list[CallItem]]:
        """Items by call. What cannot be tracked is counted and left out; an item with an unknown status stays, since
        its call has not vanished."""
        listed: dict[CallKey, list[CallItem]] = {}
        for item in observation.items:
            session_id = item.call_session_id
            if item.monitored:
                self._ignore(observation, item, IgnoredReason.MONITORED)
            elif session_id is None or item.direction is None:
                self._ignore(observation, item, IgnoredReason.UNTRACKABLE)
            else:
                listed.setdefault(CallKey(observation.account_id, session_id), []).append(item)
        return listed

    def _observe_call(
        self, key: CallKey, items: list[CallItem], observation: PresenceObservation, event: Mark, now: float
    ) -> None:
        readable = []
        for item in items:
            if item.status is None:
                self._ignore(observation, item, IgnoredReason.UNKNOWN_STATUS)
            else:
                readable.append(item)
        if not readable:
            return
        call = self.calls.get(key)
        if call is not None and observation.uuid is not None and call.knows(observation.uuid):
            for item in readable:
                self._ignore(observation, item, IgnoredReason.DUPLICATE)
            return
        if call is None:
            call = self._open(key, observation)
        order = judge(call, observation.extension_id, event, [item.status for item in readable if item.status])
        if order is Order.NEWER:
            self._accept(call, items, readable, observation, event, now)
        else:
            self._fill_facts(call, readable, observation, order)
        if order is not Order.STALE:
            remember(call, observation.extension_id, event, observation.uuid)
            call.events_accepted += 1

    def _open(self, key: CallKey, observation: PresenceObservation) -> CallSession:
        call = self.calls[key] = CallSession(
            account_id=key.account_id,
            session_id=key.session_id,
            opened_by=observation.source,
            discovered_at=observation.at,
        )
        return call

    def _accept(
        self,
        call: CallSession,
        items: list[CallItem],
        readable: list[CallItem],
        observation: PresenceObservation,
        event: Mark,
        now: float,
    ) -> None:
        """Apply the newest snapshot of one extension to one call."""
        opened, reopened = not call.legs, call.phase is Phase.FINISHED
        before = call.status
        spoken_of = [self._apply(call, item, observation) for item in readable]
        if not observation.truncated and len(readable) == len(items):
            self._replace_missing_legs(call, spoken_of, observation)
        call.last_seen_at = max(call.last_seen_at, observation.at)
        call.suspect = any(leg.live and leg.status is TelephonyStatus.NO_CALL for leg in call.legs)
        if call.suspect:  # an intermediate NoCall of a leg never seen alive: only the platform can tell
            self._changes.suspects[call.key] = None
        if opened:
            self._announce(Happening.OPENED, observation, call.session_id, to_status=call.aggregated_status())
        if reopened:
            self._reopen(call, observation)
        self._settle_status(call, None if opened else before, observation, now)

    def _apply(self, call: CallSession, item: CallItem, observation: PresenceObservation) -> Leg:
        """Move one leg. An intermediate NoCall has not ended anything (semantics 5.1)."""
        leg, is_new = self._leg(call, item, observation)
        self._note_facts(call, leg, item, observation.at)
        status = item.status
        assert status is not None and item.direction is not None  # noqa: S101 - sorted out before
        if status is TelephonyStatus.NO_CALL and item.termination is TerminationType.INTERMEDIATE:
            leg.live = leg.live or is_new
        else:
            self._move(leg, LEG_TRANSITIONS[None if is_new else leg.status, status], status, item, observation.at)
        self._changes.legs[call.key, leg.number] = leg
        self._journal(observation, item, None)
        return leg

    @staticmethod
    def _move(leg: Leg, change: LegChange, status: TelephonyStatus, item: CallItem, at: int) -> None:
        leg.status = status
        if change is LegChange.ENDED or (change is LegChange.REPEATED and not leg.live):
            leg.live, leg.ended_at, leg.termination = False, at, item.termination
        elif not leg.live:
            leg.live, leg.ended_at, leg.termination = True, None, None

    def _leg(self, call: CallSession, item: CallItem, observation: PresenceObservation) -> tuple[Leg, bool]:
        assert item.direction is not None  # noqa: S101 - sorted out before
        leg = call.find_leg(observation.extension_id, item.direction, item.leg_id)
        if leg is not None:
            return leg, False
        leg = Leg(
            number=len(call.legs) + 1,
            leg_id=item.leg_id,
            extension_id=observation.extension_id,
            direction=item.direction,
            status=TelephonyStatus.NO_CALL,
            live=False,
            source=observation.source,
            started_at=observation.at if item.started_at is None else item.started_at,
        )
        call.legs.append(leg)
        self._calls_of.setdefault((call.account_id, leg.extension_id), set()).add(call.key)
        return leg, True

    @staticmethod
    def _note_facts(call: CallSession, leg: Leg, item: CallItem, at: int) -> bool:
        """Facts hold whenever they arrive: earlier times and blanks filled (semantics 2.7). True when any is new."""
        before = (call.started_at, call.first_rung_at, call.first_answered_at)
        filled = leg.fill(
            item.from_party, item.to_party, queue_call=item.queue_call, on_behalf_of=item.on_behalf_of
        )
        began = at if item.started_at is None else item.started_at
        leg.started_at = min(leg.started_at, began)
        call.started_at = min(call.started_at or began, began)
        if item.status is TelephonyStatus.RINGING:
            call.first_rung_at = earliest(call.first_rung_at, began)
        elif item.status in ANSWERED_STATUSES:
            leg.answered_at = earliest(leg.answered_at, at)
            call.first_answered_at = earliest(call.first_answered_at, at)
            if item.started_at is not None:  # its ringing may have been missed; the platform says when it began
                call.first_rung_at = earliest(call.first_rung_at, item.started_at)
        if item.telephony_session_id and call.telephony_session_id is None:
            call.telephony_session_id, filled = item.telephony_session_id, True
        return filled or before != (call.started_at, call.first_rung_at, call.first_answered_at)

    def _replace_missing_legs(
        self, call: CallSession, spoken_of: list[Leg], observation: PresenceObservation
    ) -> None:
        """A leg missing from the newest whole snapshot that does list its call has been replaced by the legs listed:
        the call rings on elsewhere, as in the tutorial's own samples. (A *call* that is missing is another matter.)"""
        for leg in call.legs_of(observation.extension_id):
            if leg.live and leg not in spoken_of:
                leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, observation.at
                self._changes.legs[call.key, leg.number] = leg

    def _fill_facts(
        self, call: CallSession, items: list[CallItem], observation: PresenceObservation, order: Order
    ) -> None:
        """Take from an outdated event what is true whenever it arrives. A leg nobody had heard of is added as over."""
        learned = False
        for item in items:
            leg, is_new = self._leg(call, item, observation)
            learned = self._note_facts(call, leg, item, observation.at) or is_new or learned
            if is_new and item.status is TelephonyStatus.NO_CALL:
                leg.ended_at = observation.at
            self._changes.legs[call.key, leg.number] = leg
            if order is Order.STALE:
                self._ignore(observation, item, IgnoredReason.STALE_SEQUENCE)
            else:
                self._journal(observation, item, None)
        self._changes.sessions[call.key] = call
        if call.phase is Phase.FINISHED:
            self._write_record(call, observation.at, observation.source, amended=learned)

    # -- status, end, reopening ----------------------------------------------------------------------------------

    def _settle_status(
        self, call: CallSession, before: TelephonyStatus | None, observation: PresenceObservation, now: float
    ) -> None:
        """Aggregate over live legs, note a change, start or stop settling."""
        self._changes.sessions[call.key] = call
        self._saw(call, now)
        status = call.aggregated_status()
        if status is not before:
            call.enter(status, observation.at)
            self._changes.transitions.append(
                Transition(
                    call.account_id, call.session_id, observation.at, before, status, observation.sequence,
                    observation.source,
                )
            )  # fmt: skip
            if before is not None:
                self._announce(
                    Happening.STATUS_CHANGED, observation, call.session_id, from_status=before, to_status=status
                )
        if call.has_live_leg:
            call.phase = Phase.OPEN
            self._settles.pop(call.key, None)
        elif call.phase is Phase.OPEN:
            call.phase = Phase.SETTLING
            self._start_settling(call, now)

    def _reopen(self, call: CallSession, observation: PresenceObservation) -> None:
        """A finished call gives a sign of life: it is live again, its row will be amended (semantics 5.4)."""
        call.phase, call.verdict = Phase.OPEN, None
        call.end_estimated, call.end_source = False, EndSource.PRESENCE
        self._seen.pop(call.key, None)
        self._announce(Happening.REOPENED, observation, call.session_id)

    def _finish(self, call: CallSession, ended_at: int, source: EndSource, *, estimated: bool = False) -> None:
        """The call is over: its row is derived and will be written with this commit (semantics 5.3)."""
        self._settles.pop(call.key, None)
        self._seen.pop(call.key, None)
        for leg in call.live_legs():
            leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, ended_at
            self._changes.legs[call.key, leg.number] = leg
        if call.status is not TelephonyStatus.NO_CALL:
            self._changes.transitions.append(
                Transition(
                    call.account_id, call.session_id, ended_at, call.status, TelephonyStatus.NO_CALL, None,
                    Source.PRESENCE,
                )
            )  # fmt: skip
            call.enter(TelephonyStatus.NO_CALL, ended_at)
        call.phase, call.suspect = Phase.FINISHED, False
        call.ended_at, call.end_source, call.end_estimated = ended_at, source, estimated
        self._write_record(call, ended_at, call.opened_by, amended=True)
        for extension_id in {leg.extension_id for leg in call.legs}:
            self._refresh_extension(self.extension(call.account_id, extension_id), ended_at)

    def _write_record(self, call: CallSession, at: int, source: Source, *, amended: bool) -> None:
        first = call.revision == 0
        call.revision += amended
        record = derive_record(call)
        self._changes.sessions[call.key] = call
        self._changes.records[call.key] = record
        if amended:
            happening = Happening.FINISHED if first else Happening.AMENDED
            self._changes.announcements.append(
                Announcement(
                    happening, call.account_id, call.session_id, record.extension_id, at, None, source, record=record
                )
            )

    def _suspect_vanished(
        self, observation: PresenceObservation, listed: dict[CallKey, list[CallItem]]
    ) -> None:
        """Calls of this extension that its newest whole snapshot no longer lists: no end, but doubtful (semantics 5.5)."""
        extension_id = observation.extension_id
        for key in self._calls_of.get((observation.account_id, extension_id), ()):
            call = self.calls[key]
            if key in listed or call.suspect or not any(leg.live for leg in call.legs_of(extension_id)):
                continue
            call.suspect = True
            self._changes.sessions[key] = call
            self._changes.suspects[key] = None
            self._announce(Happening.SUSPECT, observation, key.session_id)

    def _refresh_extension(self, extension: Extension, at: int) -> None:
        """An extension's status is the strongest over its legs in all its calls (semantics 3)."""
        extension_id = extension.extension_id
        status = aggregate(
            leg.status
            for key in self._calls_of.get((extension.account_id, extension_id), ())
            for leg in self.calls[key].legs
            if leg.live and leg.extension_id == extension_id
        )
        if status is not extension.telephony_status or not extension.since:
            extension.telephony_status, extension.since = status, at
        extension.updated_at = max(extension.updated_at, at)
        self._changes.extensions[extension.account_id, extension_id] = extension

    # -- books -------------------------------------------------------------------------------------------------

    def _index(self, call: CallSession) -> None:
        for leg in call.legs:
            self._calls_of.setdefault((call.account_id, leg.extension_id), set()).add(call.key)

    def _ignore(self, observation: PresenceObservation, item: CallItem, reason: IgnoredReason) -> None:
        """Count an item that changed no status, by reason (semantics 2.6)."""
        session_id = item.call_session_id
        self._journal(observation, item, reason)
        self._announce(Happening.IGNORED, observation, session_id, reason=reason)
        call = self.calls.get(CallKey(observation.account_id, session_id)) if session_id else None
        if call is not None and call.legs:
            call.events_ignored += 1
            self._changes.sessions[call.key] = call

    def _journal(self, observation: PresenceObservation, item: CallItem, reason: IgnoredReason | None) -> None:
        self._changes.journal.append(
            JournalEntry(
                observation.account_id, item.call_session_id, observation.at, observation.received_at,
                observation.extension_id, item.leg_id, item.status_text, observation.sequence,
                observation.source, reason,
            )
        )  # fmt: skip

    def _announce(
        self,
        happening: Happening,
        observation: PresenceObservation,
        session_id: str | None,
        *,
        reason: str | None = None,
        from_status: TelephonyStatus | None = None,
        to_status: TelephonyStatus | None = None,
    ) -> None:
        self._changes.announcements.append(
            Announcement(
                happening, observation.account_id, session_id, observation.extension_id, observation.at,
                observation.sequence, observation.source, reason, from_status, to_status,
            )
        )  # fmt: skip


def earliest(known: int | None, told: int) -> int:
    """The earlier of two times, the first of which may be unknown."""
    return told if known is None else min(known, told)
