"""The call tracker: every fact goes in here, every consequence comes out as :class:`Changes`.

The tracker owns the calls that are open or settling, the extensions, and the timers. It is synchronous and pure: no
I/O, no clock; a whole observation is applied or (if it raises) a bug has been found. Calls that are over are handed to
the ledger and released; when something more is heard of them they are restored first (``unknown_calls``,
``restore``), so the ledger is the memory and this object its working set.

What must stay true: a stale item changes no status and no end; any order and any repetition of one call's events
gives the same start, answer, end and status (semantics 2.7). Status and end follow from the newest event of each
extension, start and answer are minima over all events; neither depends on an order.
"""

from typing import Final

from ringledger.domain.books import Books
from ringledger.domain.call import CallSession, EndSource, Leg, Mark, Phase, newest_mark
from ringledger.domain.changes import Changes, Extension, Happening, IgnoredReason
from ringledger.domain.guard import Order, count_sequence, judge, remember, remember_uuid
from ringledger.domain.hindsight import look_back, only_books_told, statuses_told, tells_end
from ringledger.domain.legs import anonymous, apply_item, begin_call, end_live_legs, note_outdated, replace_missing
from ringledger.domain.observation import PRESENCE_SOURCES, CallItem, CallKey, PresenceObservation, Source
from ringledger.domain.pairs import pair_ringout
from ringledger.domain.record import figures
from ringledger.domain.status import TelephonyStatus, aggregate
from ringledger.domain.timers import Timers
from ringledger.domain.verdicts import COARSE_MS, end_source_of
from ringledger.domain.working_set import WorkingSet

DEFAULT_SETTLE_SECONDS: Final = 10.0
DEFAULT_STALE_AFTER_SECONDS: Final = 14_400.0


class CallTracker(WorkingSet):
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
        super().__init__(Timers(settle_seconds, stale_after_seconds), Books())
        #: When the platform was last asked for all its calls; ``None`` when nobody ever asks (a replay).
        self.asked_at: float | None = None

    # -- what has come of it ---------------------------------------------------------------------------------------

    def take_changes(self) -> Changes:
        """What follows from everything observed since the last time; a new collection begins."""
        return self.books.close()

    @property
    def pending(self) -> int:
        """Observations whose consequences have not been taken yet."""
        return len(self.books.changes.observations)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.books.changes)

    # -- time --------------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """Monotonic time at which ``advance`` has something to do; ``None`` when nothing is waiting."""
        return self.timers.next_deadline

    def advance(self, now: float) -> None:
        """Finish calls that have settled, expire calls nobody has spoken of for too long (semantics 5.3, 5.6)."""
        for key, settled in self.timers.due(now):
            call = self.calls[key]
            if settled:
                self.finish_settled(call)
            elif self.asked_at is not None and self.asked_at < now - self.timers.stale_after_seconds:
                self.timers.saw(key, now)  # nobody could be asked meanwhile: silence proves nothing
            else:
                self.finish(call, call.last_seen_at, EndSource.EXPIRED, estimated=True)

    def finish_settled(self, call: CallSession) -> None:
        """Presence has shown the end of every side it showed; the books may have told of a later one meanwhile."""
        ended_at = newest_mark(call)
        last = max(call.verdicts.values(), key=lambda verdict: verdict.ended_at, default=None)
        if last is not None and last.ended_at > ended_at + COARSE_MS:
            self.finish(call, last.ended_at, end_source_of(last.source), by=last.source)
        else:
            self.finish(call, ended_at, EndSource.PRESENCE)

    # -- observing ---------------------------------------------------------------------------------------------

    def observe(self, observation: PresenceObservation, now: float) -> None:
        """Apply one pushed snapshot of an extension's calls. Calls it names must have been restored."""
        self.books.changes.observations.append(observation)
        extension = self.extension(observation.account_id, observation.extension_id)
        sequence = observation.sequence if observation.sequence is not None else extension.last_sequence
        epoch, restarted = count_sequence(extension, sequence, observation.at)
        if restarted:
            self.books.announce(Happening.RESTARTED, observation, None)
        event = Mark(epoch, sequence, observation.at)
        listed = self.sort_items(observation)
        for key, items in listed.items():
            self._observe_call(key, items, observation, event, now)
        newest = epoch == extension.epoch and sequence >= extension.last_sequence
        if newest:
            self.observe_extension(extension, observation, listed)
        self.refresh_extension(extension, observation.at, newest=newest)

    def _observe_call(
        self, key: CallKey, items: list[CallItem], observation: PresenceObservation, event: Mark, now: float
    ) -> None:
        readable = self._readable(items, observation)
        if not readable:
            return
        call = self.calls.get(key) or self._begin(key, observation)
        if observation.uuid is not None and call.knows(observation.uuid):
            for item in readable:
                self.ignore(observation, item, IgnoredReason.DUPLICATE)
            self._count_again(call, observation)
            return
        order = judge(call, observation.extension_id, event, readable)
        whole = len(readable) == len(items) and not observation.truncated
        if order is Order.NEWER:
            self.accept(call, readable, observation, now, whole=whole)
        elif order is Order.HINDSIGHT:
            known = figures(call)
            self._look_back(call, readable, observation, whole=whole)
        else:
            self._take_outdated(call, readable, observation, order)
        if order is Order.STALE:
            remember_uuid(call, observation.uuid)
            return
        remember(call, observation.extension_id, event, observation.uuid)
        call.events_accepted += 1
        if order is Order.NEWER and call.phase is Phase.FINISHED:
            self._move_end(call, observation)
        elif order is Order.HINDSIGHT:
            self.books.record(call, observation.at, observation.source, amended=figures(call) != known)
        else:
            self._count_again(call, observation)

    def _count_again(self, call: CallSession, observation: PresenceObservation) -> None:
        """The row of a call that is over tells how many events there were: those that changed nothing, too."""
        if call.phase is Phase.FINISHED:
            self.books.record(call, observation.at, observation.source, amended=False)

    def _readable(self, items: list[CallItem], observation: PresenceObservation) -> list[CallItem]:
        """Items whose status we know; the others are counted."""
        readable = [item for item in items if item.status is not None]
        if len(readable) < len(items):
            for item in items:
                if item.status is None:
                    self.ignore(observation, item, IgnoredReason.UNKNOWN_STATUS)
        return readable

    def _begin(self, key: CallKey, observation: PresenceObservation) -> CallSession:
        call = self.calls[key] = begin_call(key, observation)
        return call

    def accept(
        self, call: CallSession, items: list[CallItem], observation: PresenceObservation, now: float, *, whole: bool
    ) -> None:
        """Apply the newest snapshot of one extension to one call; ``whole``: it names every leg there is."""
        books, before = self.books, call.status
        opened, finished = not call.legs, call.phase is Phase.FINISHED
        spoken_of: list[Leg] = []
        ordered = sorted(items, key=anonymous) if len(items) > 1 else items
        for item in ordered:
            leg, is_new = apply_item(call, item, observation, spoken_of)
            if is_new or leg.source not in PRESENCE_SOURCES:  # a leg of the books may have learnt its extension
                self.index(call.key, leg.extension_id)
                leg.source = observation.source
            spoken_of.append(leg)
            books.leg(call, leg)
            books.journal(observation, item, None)
        if whole and len(call.legs) > 1:
            for leg in replace_missing(call, spoken_of, observation.extension_id, observation.at):
                books.leg(call, leg)
        call.last_seen_at = max(call.last_seen_at, observation.at)
        live = call.live_statuses()  # once: most events are repeats, and this is the hottest path
        # an intermediate NoCall of a leg never seen alive: only the platform can tell
        call.suspect = TelephonyStatus.NO_CALL in live
        if call.suspect:
            books.suspect(call)
        if opened:
            books.announce(Happening.OPENED, observation, call.session_id, to_status=aggregate(live))
        if finished and not live:
            if call.hindsight is not None:
                told = list(statuses_told(zip(spoken_of, ordered, strict=True)))
                self._looked_back(call, told, spoken_of, observation, whole=whole)
            return
        if finished:
            self.reopen(call, observation.at, observation.source)
        if opened:
            self.pair(call)
        self._settle_status(call, None if opened else before, live, observation, now)

    def _look_back(
        self, call: CallSession, items: list[CallItem], observation: PresenceObservation, *, whole: bool
    ) -> None:
        """The feed tells of a call that the books have closed: everything but its status and its end."""
        spoken_of: list[Leg] = []
        ordered = sorted(items, key=anonymous)
        for item in ordered:
            leg, _ = note_outdated(call, item, observation, spoken_of)
            spoken_of.append(leg)
            self.index(call.key, leg.extension_id)
            leg.source = observation.source
            self.books.leg(call, leg)
            self.books.journal(observation, item, None)
        told = list(statuses_told(zip(spoken_of, ordered, strict=True)))
        self._looked_back(call, told, spoken_of, observation, whole=whole)

    def _looked_back(
        self,
        call: CallSession,
        told: list[tuple[Leg, TelephonyStatus]],
        spoken_of: list[Leg],
        observation: PresenceObservation,
        *,
        whole: bool,
    ) -> None:
        numbers = {leg.number for leg in spoken_of}
        gone = [leg for leg in call.legs_of(observation.extension_id) if whole and leg.number not in numbers]
        before, after = look_back(call, told, gone, observation.at)
        for leg in gone:
            self.books.leg(call, leg)
        if before is not after:
            books, at = self.books, observation.at
            books.transition(call, before, at, observation.source, observation.sequence, after=after)
        self.books.call(call)

    def _take_outdated(
        self, call: CallSession, items: list[CallItem], observation: PresenceObservation, order: Order
    ) -> None:
        """An outdated event: facts only (semantics 2.7); a late repeat not even those (2.8)."""
        if order is Order.LATE:
            for item in items:
                self.books.journal(observation, item, None)
            if only_books_told(call):  # it may be the first news of a feed that was away
                call.hindsight = call.hindsight or {}
            self.books.call(call)
            return
        learned = False
        spoken_of: list[Leg] = []
        for item in sorted(items, key=anonymous):
            leg, new_fact = note_outdated(call, item, observation, spoken_of)
            spoken_of.append(leg)
            self.index(call.key, leg.extension_id)
            if leg.source not in PRESENCE_SOURCES:
                leg.source = observation.source
            self.books.leg(call, leg)
            learned = learned or new_fact
            if order is Order.STALE:
                self.ignore(observation, item, IgnoredReason.STALE_SEQUENCE)
            else:
                self.books.journal(observation, item, None)
        self.books.call(call)
        if call.phase is Phase.FINISHED:
            self.books.record(call, observation.at, observation.source, amended=learned)

    def observe_extension(
        self, extension: Extension, observation: PresenceObservation, listed: dict[CallKey, list[CallItem]]
    ) -> None:
        """The newest event of an extension also tells which calls it no longer has, and its other statuses."""
        extension.take_statuses(observation)
        if observation.truncated:
            self.books.changes.cut[extension.account_id, extension.extension_id] = None
        else:
            self._suspect_vanished(observation, listed)

    def _suspect_vanished(self, observation: PresenceObservation, listed: dict[CallKey, list[CallItem]]) -> None:
        """Calls an extension's newest whole snapshot no longer lists: no end, but doubtful (semantics 5.5)."""
        extension_id = observation.extension_id
        for key in self.calls_of.get((observation.account_id, extension_id), ()):
            if key in listed:
                continue
            call = self.calls[key]
            if call.suspect or not any(leg.live for leg in call.legs_of(extension_id)):
                continue
            call.suspect = True
            self.books.suspect(call)
            self.books.announce(Happening.SUSPECT, observation, key.session_id)

    def suspect(self, call: CallSession) -> None:
        """Only the platform can tell whether a call goes on: it is asked at once."""
        call.suspect = True
        self.books.suspect(call)

    # -- status, end, reopening ----------------------------------------------------------------------------------

    def _settle_status(
        self,
        call: CallSession,
        before: TelephonyStatus | None,
        live: list[TelephonyStatus],
        observation: PresenceObservation,
        now: float,
    ) -> None:
        """Aggregate over the statuses of live legs, note a change, start or stop settling."""
        key, books = call.key, self.books
        books.call(call)
        self.timers.saw(key, now)
        status = aggregate(live)
        if status is not before:
            call.enter(status, observation.at)
            books.transition(call, before, observation.at, observation.source, observation.sequence)
            if before is not None:
                told = Happening.STATUS_CHANGED
                books.announce(told, observation, call.session_id, from_status=before, to_status=status)
        if live:
            call.phase = Phase.OPEN
            self.timers.stop_settling(key)
        elif call.phase is Phase.OPEN:
            call.phase = Phase.SETTLING
            self.timers.start_settling(key, now)

    def reopen(self, call: CallSession, at: int, source: Source) -> None:
        """A finished call gives a sign of life: it is live again, its row will be amended (semantics 5.4)."""
        call.live_again(at)
        self.books.happened(Happening.REOPENED, call, at, source, "sign_of_life")

    def _move_end(self, call: CallSession, observation: PresenceObservation) -> None:
        """A newer ``NoCall`` of a finished call: its end was later than we thought (semantics 5.3)."""
        ended_at = newest_mark(call)
        moved = (ended_at, False) != (call.ended_at, call.end_estimated) and tells_end(call, ended_at)
        if moved:
            call.ended_at, call.end_estimated, call.end_source = ended_at, False, EndSource.PRESENCE
        self.books.record(call, observation.at, observation.source, amended=moved)

    def pair(self, call: CallSession) -> None:
        """Find the other half of a RingOut; a half that is over already is written again (semantics 7)."""
        inner = pair_ringout(call, self.neighbours(call))
        if inner is None or inner is call:
            return
        self.books.call(inner)
        if inner.phase is Phase.FINISHED:
            self.books.record(inner, inner.ended_at or inner.last_seen_at, inner.opened_by, amended=True)

    def finish(
        self, call: CallSession, at: int, source: EndSource, *, by: Source = Source.PRESENCE, estimated: bool = False
    ) -> None:
        """The call is over, ``by`` says so: its row will be written with this commit (semantics 5.3)."""
        self.timers.forget(call.key)
        for leg in end_live_legs(call, at):
            self.books.leg(call, leg)
        before = call.status
        if before is not TelephonyStatus.NO_CALL:
            call.enter(TelephonyStatus.NO_CALL, at)
            self.books.transition(call, before, at, by)
        call.phase, call.suspect = Phase.FINISHED, False
        call.ended_at, call.end_source, call.end_estimated = at, source, estimated
        self.pair(call)
        self.books.record(call, at, by, amended=True)
        if before is not TelephonyStatus.NO_CALL:
            self.refresh_extensions(call, at)

    def refresh_extensions(self, call: CallSession, at: int) -> None:
        """The statuses of all extensions of a call; a leg of the books may not name one."""
        for extension_id in {leg.extension_id for leg in call.legs} - {""}:
            self.refresh_extension(self.extension(call.account_id, extension_id), at)

    def refresh_extension(self, extension: Extension, at: int, *, newest: bool = False) -> None:
        """An extension's status is the strongest over its legs in all its calls (semantics 3)."""
        extension_id = extension.extension_id
        status = aggregate(
            [
                leg.status
                for key in self.calls_of.get((extension.account_id, extension_id), ())
                for leg in self.calls[key].legs
                if leg.live and leg.extension_id == extension_id
            ]
        )
        if status is not extension.telephony_status or not extension.since:
            extension.telephony_status, extension.since = status, at
        if newest:  # the guard measures restarts from here: what was outdated must not move it
            extension.updated_at = max(extension.updated_at, at)
        self.books.changes.extensions[extension.account_id, extension_id] = extension
