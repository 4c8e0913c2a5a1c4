"""Open calls against what the platform says when asked, so that missed events do not matter (semantics 6, 7).

Answers are older than they look: whatever was heard of a call after the question was asked outranks the answer, so
every method takes ``asked``, the monotonic time at which the request went out. What must stay true: absence from a
partial listing is never proof; ringing calls are never listed, so their absence is never proof either.
"""

from collections.abc import Collection, Iterable
from typing import Final

from ringledger.domain.call import CallSession, EndSource, Phase
from ringledger.domain.changes import Announcement, Happening, IgnoredReason
from ringledger.domain.claims import (
    Matcher,
    opened_by_claim,
    written_by_claim,
)
from ringledger.domain.legs import begin_call, end_live_legs
from ringledger.domain.observation import (
    PRESENCE_SOURCES,
    CallItem,
    CallKey,
    Direction,
    PresenceObservation,
    RecordClaim,
    Source,
)
from ringledger.domain.record import CallRecord, derive_record
from ringledger.domain.sides import goes_on_unseen, take_finished, take_running
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracker import CallTracker
from ringledger.domain.verdicts import COARSE_MS, end_source_of, standing, take_verdict, untold_legs

#: A connected call that is not listed is doubted after this silence (semantics 6).
SILENT_AFTER_MS: Final = 30_000
#: How old an answer may be when it comes (semantics 6).
BEHIND_MS: Final = 10_000
#: Actions of records that tell of somebody's other telephone ringing, not of the call (platform page 5.6).
FORWARDED: Final = frozenset({"findme", "followme"})
#: A ringing call heard of more recently than this is not worth a question.
FRESH_MS: Final = 5_000


class Reconciler:
    """Feeds a tracker with answers of the platform: listings, records of its books, reads of presence."""

    def __init__(self, tracker: CallTracker) -> None:
        self._tracker = tracker
        #: Calls without an extension that the last complete listing did not have.
        self._unlisted: set[CallKey] = set()

    @staticmethod
    def unknown_calls(claims: Iterable[RecordClaim], tracker: CallTracker) -> set[CallKey]:
        """Calls named by records that are not in memory: restore them from the ledger before ``take_claims``."""
        return {
            key
            for claim in claims
            if (session_id := claim.call_session_id) is not None
            and (key := CallKey(claim.account_id, session_id)) not in tracker.calls
        }

    # -- records of active-calls and the call log ------------------------------------------------------------------

    def take_claims(
        self, claims: Iterable[RecordClaim], *, asked: float, now: float, in_vain: Collection[CallKey] = ()
    ) -> set[CallKey]:
        """Apply records, call by call. Returns the calls they speak of (for ``doubtful``).

        ``in_vain``: calls whose own records have been asked for and do not exist.
        """
        calls = self._tracker.calls
        matcher: Matcher | None = None
        spoken_of: dict[CallKey, list[RecordClaim]] = {}
        claims = list(claims)
        for claim in claims:
            session_id = claim.call_session_id
            if session_id is None:
                self._untrackable(claim)
                continue
            key = CallKey(claim.account_id, session_id)
            if key not in calls and key not in spoken_of:
                matcher = matcher or Matcher(calls.values(), _named(claims), in_vain)
                if (call := matcher.find(claim)) is not None:
                    key = call.key
            spoken_of.setdefault(key, []).append(claim)
        for key, group in spoken_of.items():
            self._take_group(key, group, asked, now)
        return set(spoken_of)

    def _untrackable(self, claim: RecordClaim) -> None:
        self._tracker.books.changes.announcements.append(
            Announcement(
                Happening.IGNORED, claim.account_id, None, claim.extension_id, claim.read_at, None, claim.source,
                IgnoredReason.UNTRACKABLE,
            )
        )  # fmt: skip

    def _take_group(self, key: CallKey, group: list[RecordClaim], asked: float, now: float) -> None:
        """All records of one session at once: if any runs, the call runs."""
        self._tracker.books.changes.observations.extend(group)
        call = self._tracker.calls.get(key)
        own = [claim for claim in group if not _forwarded(claim)]
        if not own and (
            call is None or (call.verdicts.keys() <= {claim.record_id for claim in group} and not _seen(call))
        ):
            own = group  # nothing else tells of the call
        running = [claim for claim in own if claim.running]
        finished = [claim for claim in own if not claim.running and claim.result]
        if running:
            call = self._go_on(key, call, running, asked, now)
            if call.phase is not Phase.FINISHED and finished:
                self._take_books(call, finished)
        elif finished:
            call = self._write(key, finished) if call is None else self._ended(call, finished, asked)
        if call is not None:
            for claim in group:
                self._tracker.books.claim(call, claim)

    def _go_on(
        self, key: CallKey, call: CallSession | None, running: list[RecordClaim], asked: float, now: float
    ) -> CallSession:
        """Records of one session that run: those of sides we know first, the newest before the others."""
        known = set() if call is None else {leg.extension_id for leg in call.legs}
        for claim in sorted(running, key=lambda one: (one.extension_id not in known, -one.ended_at)):
            if call is not None and call.phase is Phase.OPEN and self._of_a_queue(claim, call):
                continue  # told of already, by the record of whoever talks
            call = self._open(key, claim, now) if call is None else self._runs(call, claim, asked, now)
        assert call is not None  # noqa: S101 - there is at least one record
        return call

    def _of_a_queue(self, claim: RecordClaim, call: CallSession) -> bool:
        """Whether a record runs in the name of an extension nobody knows, while one we do know talks: a queue has no
        presence, so nothing would end a leg of its own.
        """
        known = (claim.account_id, claim.extension_id or "") in self._tracker.extensions
        return not known and any(leg.records and leg.source in PRESENCE_SOURCES for leg in call.live_legs())

    def _open(self, key: CallKey, claim: RecordClaim, now: float) -> CallSession:
        call = self._tracker.calls[key] = opened_by_claim(key, claim)
        self._tracker.books.happened(Happening.OPENED, call, claim.started_at, claim.source, "running")
        self._run(call, claim, now, None)
        self._tracker.pair(call)
        self._corrected(call, claim, "opened")
        return call

    def _run(self, call: CallSession, claim: RecordClaim, now: float, before: TelephonyStatus | None) -> None:
        """Make the call connected because its record runs."""
        books = self._tracker.books
        leg = take_running(call, claim)
        if not leg.live and leg.source in PRESENCE_SOURCES:
            leg = goes_on_unseen(call, claim)
        if not leg.live:
            leg.live, leg.status, leg.ended_at = True, TelephonyStatus.CALL_CONNECTED, None
        self._tracker.index(call.key, leg.extension_id)
        books.leg(call, leg)
        call.last_seen_at = max(call.last_seen_at, claim.ended_at)
        self._aggregate(call, before, claim.read_at, claim.source)
        books.call(call)
        self._tracker.timers.saw(call.key, now)
        self._tracker.refresh_extensions(call, claim.read_at)

    def _aggregate(self, call: CallSession, before: TelephonyStatus | None, at: int, source: Source) -> None:
        """The call's status after one of its legs has moved without an event."""
        status = call.aggregated_status()
        if status is not before:
            call.enter(status, at)
            self._tracker.books.transition(call, before, at, source)

    def _runs(self, call: CallSession, claim: RecordClaim, asked: float, now: float) -> CallSession:
        """A call we know is listed as running: seen; a finished one lives again only if the record is newer."""
        if call.phase is Phase.FINISHED:
            if call.ended_at is not None and claim.ended_at > call.ended_at + COARSE_MS:
                self._tracker.reopen(call, claim.read_at, claim.source)
                self._run(call, claim, now, TelephonyStatus.NO_CALL)
                self._corrected(call, claim, "reopened")
            return call
        if call.phase is Phase.OPEN:
            leg = take_running(call, claim)  # a side whose events were missed is watched from now on
            self._tracker.index(call.key, leg.extension_id)
            self._tracker.books.leg(call, leg)
            self._aggregate(call, call.status, claim.read_at, claim.source)
            self._tracker.refresh_extensions(call, claim.read_at)
            call.suspect = call.suspect and self._tracker.timers.seen_at(call.key) > asked
            call.last_seen_at = max(call.last_seen_at, claim.ended_at)
            self._tracker.timers.saw(call.key, now)
            self._tracker.books.call(call)
        return call

    def _write(self, key: CallKey, finished: list[RecordClaim]) -> CallSession:
        """A call nobody saw: finished and confirmed in one go."""
        call = self._tracker.calls[key] = written_by_claim(key, max(finished, key=lambda claim: claim.ended_at))
        call.started_at = min(claim.started_at for claim in finished)
        self._take_books(call, finished)
        self._tracker.pair(call)
        self._tracker.books.record(call, finished[0].read_at, finished[0].source, amended=True)
        self._corrected(call, finished[0], "written")
        return call

    def _ended(self, call: CallSession, finished: list[RecordClaim], asked: float) -> CallSession:
        """The books say a call we know is over: end it if it is open, confirm it if it has ended."""
        last = max(finished, key=lambda claim: claim.ended_at)
        if call.phase is Phase.FINISHED:
            self._confirm(call, finished)
            return call
        self._take_books(call, finished)
        heard_since = self._tracker.timers.seen_at(call.key) > asked
        lived_on = call.last_seen_at > last.ended_at + COARSE_MS and not _told_by(call, finished)
        if call.phase is Phase.SETTLING or heard_since or lived_on:
            return call  # there has been life after that record: it is of another leg, or too old
        if any(leg.live for leg in untold_legs(call)):
            self._end_told(call, last)
        else:
            self._tracker.finish(call, last.ended_at, end_source_of(last.source), by=last.source)
            self._corrected(call, last, "ended")
        return call

    def _end_told(self, call: CallSession, last: RecordClaim) -> None:
        """The books tell of some extensions only: those have ended, of the others only their presence can tell."""
        before, untold = call.status, untold_legs(call)
        for leg in [leg for leg in call.live_legs() if leg not in untold]:
            leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, last.ended_at
            self._tracker.books.leg(call, leg)
        self._aggregate(call, before, last.ended_at, last.source)
        self._tracker.refresh_extensions(call, last.ended_at)
        self._tracker.suspect(call)

    def _take_books(self, call: CallSession, finished: list[RecordClaim]) -> bool:
        changed = False
        for claim in finished:
            changed = take_verdict(call, claim) or changed
            call.internal = call.internal or claim.internal
        for leg in take_finished(call, finished):
            self._tracker.index(call.key, leg.extension_id)
            self._tracker.books.leg(call, leg)
        self._tracker.books.call(call)
        return changed

    def _confirm(self, call: CallSession, finished: list[RecordClaim]) -> None:
        """The platform's verdict on a finished call; the row is amended where it says otherwise (semantics 7)."""
        before, was_confirmed = derive_record(call), standing(call) is not None
        if not self._take_books(call, finished):
            return
        books, claim = self._tracker.books, finished[-1]
        confirms = not was_confirmed and standing(call) is not None
        happening = Happening.CONFIRMED if confirms else Happening.AMENDED
        books.record(call, claim.read_at, claim.source, amended=derive_record(call) != before, as_=happening)
        after = books.changes.records[call.key]
        if confirms and _corrects(before, after):
            books.changes.announcements.append(
                Announcement(
                    Happening.AMENDED, call.account_id, call.session_id, after.extension_id, claim.read_at, None,
                    claim.source, record=after,
                )
            )  # fmt: skip

    def _corrected(self, call: CallSession, claim: RecordClaim, what: str) -> None:
        self._tracker.books.happened(Happening.CORRECTED, call, claim.read_at, claim.source, what)

    # -- doubts ----------------------------------------------------------------------------------------------------

    def doubtful(self, listed: Collection[CallKey], *, read_at: int) -> set[tuple[str, str]]:
        """After a *complete* listing: (account, extension) pairs whose presence has to be read to settle doubts.

        ``listed``: what ``take_claims`` returned. ``read_at``: the platform's time of the listing, ms.
        """
        ask: set[tuple[str, str]] = set()
        for call in self._tracker.calls.values():
            if call.phase is not Phase.OPEN:
                continue
            silent = read_at - call.last_seen_at
            ringing = call.status is TelephonyStatus.RINGING
            missing = call.key not in listed and silent > SILENT_AFTER_MS
            if call.suspect or missing or (ringing and silent > FRESH_MS):
                ask.update(self.extensions_of(call))
        return ask

    @staticmethod
    def extensions_of(call: CallSession) -> set[tuple[str, str]]:
        """The extensions at which a call is live, as far as they are known."""
        return {(call.account_id, leg.extension_id) for leg in call.live_legs() if leg.extension_id}

    def end_unaskable(self, listed: Collection[CallKey], *, asked: float, read_at: int) -> None:
        """Calls that two complete listings in a row no longer have, and whose extension nobody ever named: there is no
        presence to ask, they have ended. One listing is not enough: an empty answer may be a fault.
        """
        before, self._unlisted = self._unlisted, set()
        for call in list(self._tracker.calls.values()):
            if call.phase is not Phase.OPEN or call.key in listed or self.extensions_of(call):
                continue
            silent = read_at - call.last_seen_at > SILENT_AFTER_MS
            if silent and self._tracker.timers.seen_at(call.key) <= asked:
                self._unlisted.add(call.key)
                if call.key in before:
                    self._end_estimated(call, Source.ACTIVE_CALLS)

    # -- presence, read over REST ------------------------------------------------------------------------------------

    def take_presence(self, observation: PresenceObservation, *, asked: float, now: float) -> None:
        """Apply one extension's presence as read: what it lists lives, what it no longer lists has ended."""
        tracker = self._tracker
        tracker.books.changes.observations.append(observation)
        extension = tracker.extension(observation.account_id, observation.extension_id)
        listed = tracker.sort_items(observation)
        for key, items in listed.items():
            self._take_items(key, items, observation, asked, now)
        for key in list(tracker.calls_of.get((observation.account_id, observation.extension_id), ())):
            alive = [item for item in listed.get(key, ()) if item.status is not TelephonyStatus.NO_CALL]
            if not alive and not observation.truncated and tracker.timers.seen_at(key) <= asked:
                self._gone(tracker.calls[key], observation)
        extension.take_statuses(observation)
        tracker.refresh_extension(extension, observation.at)

    def _take_items(
        self, key: CallKey, items: list[CallItem], observation: PresenceObservation, asked: float, now: float
    ) -> None:
        tracker = self._tracker
        alive = [item for item in items if item.status not in {None, TelephonyStatus.NO_CALL}]
        call = tracker.calls.get(key)
        if not alive or tracker.timers.seen_at(key) > asked:
            return
        if call is None:
            call = tracker.calls[key] = begin_call(key, observation)
        elif self._outdated(call, observation):
            return
        tracker.accept(call, alive, observation, now, whole=len(alive) == len(items) and not observation.truncated)

    @staticmethod
    def _outdated(call: CallSession, observation: PresenceObservation) -> bool:
        """Whether an answer shows alive what an event has just told the end of: answers are older than they look."""
        until = observation.at - BEHIND_MS
        if call.phase is Phase.FINISHED:
            return call.ended_at is not None and call.ended_at >= until
        mark = call.marks.get(observation.extension_id)
        ended = not any(leg.live for leg in call.legs_of(observation.extension_id))
        return ended and mark is not None and mark.at >= until

    def _gone(self, call: CallSession, observation: PresenceObservation) -> None:
        """The extension no longer has the call: its legs there have ended, when nobody can say (semantics 6)."""
        if call.phase is not Phase.OPEN:
            return
        for leg in call.legs_of(observation.extension_id):
            if leg.live:
                leg.live, leg.status, leg.ended_at = False, TelephonyStatus.NO_CALL, call.last_seen_at
                self._tracker.books.leg(call, leg)
        self._tracker.books.call(call)
        if call.has_live_leg:
            call.suspect = False  # this side has been asked about; what is left goes on elsewhere
            self._aggregate(call, call.status, call.last_seen_at, observation.source)
        else:
            self._end_estimated(call, observation.source)

    def _end_estimated(self, call: CallSession, by: Source) -> None:
        end_live_legs(call, call.last_seen_at)
        self._tracker.finish(call, call.last_seen_at, EndSource.RECONCILED, by=by, estimated=True)
        self._tracker.books.happened(Happening.CORRECTED, call, call.last_seen_at, by, "ended_unseen")


def _named(claims: Iterable[RecordClaim]) -> set[CallKey]:
    """The calls that records name by their session."""
    return {CallKey(one.account_id, session_id) for one in claims if (session_id := one.call_session_id) is not None}


def _told_by(call: CallSession, records: Iterable[RecordClaim]) -> bool:
    """Whether all that lives was told of by these records alone, when they ran."""
    told = {claim.record_id for claim in records}
    return all(leg.source not in PRESENCE_SOURCES and not told.isdisjoint(leg.records) for leg in call.live_legs())


def _seen(call: CallSession) -> bool:
    return any(leg.source in PRESENCE_SOURCES for leg in call.legs)


def _forwarded(claim: RecordClaim) -> bool:
    return claim.direction is Direction.OUTBOUND and (claim.action or "").casefold() in FORWARDED


def _corrects(before: CallRecord, after: CallRecord) -> bool:
    """Whether the verdict tells another story than presence did."""
    return (before.disposition, before.started_at // 1000, before.ended_at // 1000) != (
        after.disposition,
        after.started_at // 1000,
        after.ended_at // 1000,
    )
