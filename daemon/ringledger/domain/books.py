"""The books of the tracker: what has to be written and announced, collected until the next commit.

Nothing here decides; it only knows the shapes of journal entries, transitions, announcements and rows.
"""

from ringledger.domain.call import CallSession, Leg, newest_mark
from ringledger.domain.changes import (
    Announcement,
    Changes,
    Happening,
    IgnoredReason,
    JournalEntry,
    SourceClaim,
    Transition,
)
from ringledger.domain.observation import (
    PRESENCE_SOURCES,
    CallItem,
    PresenceObservation,
    RecordClaim,
    Source,
    Unreadable,
)
from ringledger.domain.record import derive_record, primary_leg
from ringledger.domain.status import TelephonyStatus


class Books:
    """One collection of :class:`Changes` in the making."""

    def __init__(self) -> None:
        self.changes = Changes()

    def close(self) -> Changes:
        """Everything collected so far; a new collection begins."""
        changes, self.changes = self.changes, Changes()
        return changes

    def journal(self, observation: PresenceObservation, item: CallItem, reason: IgnoredReason | None) -> None:
        """One item and what became of it."""
        self.changes.journal.append(
            JournalEntry(
                observation.account_id, item.call_session_id, observation.at, observation.received_at,
                observation.extension_id, item.leg_id, item.status_text, observation.sequence,
                observation.source, reason,
            )
        )  # fmt: skip

    def ignored(self, observation: PresenceObservation, item: CallItem, reason: IgnoredReason) -> None:
        """One item that changed no status: counted by reason, logged with its session (semantics 2.6)."""
        self.journal(observation, item, reason)
        self.announce(Happening.IGNORED, observation, item.call_session_id, reason=reason)

    def announce(
        self,
        happening: Happening,
        observation: PresenceObservation,
        session_id: str | None,
        *,
        reason: str | None = None,
        from_status: TelephonyStatus | None = None,
        to_status: TelephonyStatus | None = None,
    ) -> None:
        """Something people may want to hear of once it is committed."""
        self.changes.announcements.append(
            Announcement(
                happening, observation.account_id, session_id, observation.extension_id, observation.at,
                observation.sequence, observation.source, reason, from_status, to_status,
            )
        )  # fmt: skip

    def unreadable(self, account_id: str, payload: Unreadable) -> None:
        """A payload nobody could read."""
        text = IgnoredReason.UNREADABLE
        self.changes.journal.append(
            JournalEntry(
                account_id, None, payload.received_at, payload.received_at, "", None, payload.reason, None,
                Source.PRESENCE, text,
            )
        )  # fmt: skip
        self.changes.announcements.append(
            Announcement(
                Happening.UNREADABLE, account_id, None, None, payload.received_at, None, Source.PRESENCE,
                payload.reason, detail=payload.detail,
            )
        )  # fmt: skip

    def claim(self, call: CallSession, claim: RecordClaim) -> None:
        """What a record of the platform's books says of a call, kept beside what the others say."""
        self.changes.claims[call.key, claim.source, claim.record_id] = SourceClaim(
            call.account_id, call.session_id, claim.source, claim.record_id, claim.direction, claim.started_at,
            None if claim.running else claim.ended_at, claim.duration_ms, claim.result, claim.read_at,
        )  # fmt: skip

    def happened(self, happening: Happening, call: CallSession, at: int, source: Source, reason: str) -> None:
        """Something that no notification brought."""
        self.changes.announcements.append(
            Announcement(happening, call.account_id, call.session_id, None, at, None, source, reason)
        )

    def transition(
        self,
        call: CallSession,
        before: TelephonyStatus | None,
        at: int,
        source: Source,
        sequence: int | None = None,
        *,
        after: TelephonyStatus | None = None,
    ) -> None:
        """The call's status has become what it now is, or was ``after`` at that time."""
        self.changes.transitions.append(
            Transition(call.account_id, call.session_id, at, before, after or call.status, sequence, source)
        )

    def leg(self, call: CallSession, leg: Leg) -> None:
        """A leg has changed."""
        self.changes.legs[call.key, leg.number] = leg

    def call(self, call: CallSession) -> None:
        """A call's state has changed."""
        self.changes.sessions[call.key] = call

    def suspect(self, call: CallSession) -> None:
        """A call only the platform can tell about."""
        self.changes.suspects[call.key] = None
        self.call(call)

    def _seen(self, call: CallSession) -> None:
        """What presence itself showed of a call, as one claim among others: from its first sign to its last."""
        begun = [leg.started_at for leg in call.legs if leg.source in PRESENCE_SOURCES]
        if not begun or not call.marks:
            return
        ended_at = newest_mark(call)
        answered_at = min([leg.answered_at for leg in call.legs if leg.answered_at is not None], default=ended_at)
        talked = max(0, ended_at - answered_at)
        self.changes.claims[call.key, Source.PRESENCE, ""] = SourceClaim(
            call.account_id, call.session_id, Source.PRESENCE, "", primary_leg(call).direction, min(begun),
            ended_at, talked, None, call.last_seen_at,
        )  # fmt: skip

    def record(
        self, call: CallSession, at: int, source: Source, *, amended: bool, as_: Happening | None = None
    ) -> None:
        """Write the row of a finished call. ``amended``: it says something new, so its revision grows."""
        first = call.revision == 0
        call.revision += amended
        record = derive_record(call)
        self.call(call)
        self.changes.records[call.key] = record
        if amended:
            self._seen(call)
            happening = Happening.FINISHED if first else (as_ or Happening.AMENDED)
            self.changes.announcements.append(
                Announcement(
                    happening,
                    call.account_id,
                    call.session_id,
                    record.extension_id,
                    at,
                    None,
                    source,
                    record=record,
                )
            )
