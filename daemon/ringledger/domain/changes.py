"""What follows from observations: rows to save, lines to announce, questions to ask.

One ``Changes`` collects the consequences of any number of observations; later states of a call replace earlier ones,
so a commit writes each call once. Nothing in here may be announced before its commit (semantics 9).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ringledger.domain.call import CallSession, Leg
from ringledger.domain.coverage import CoverageSpan
from ringledger.domain.observation import CallKey, FeedPosition, PresenceObservation, RecordClaim, Source
from ringledger.domain.record import CallRecord
from ringledger.domain.status import TelephonyStatus


class IgnoredReason(StrEnum):
    """Why an item changed no status (semantics 2.6)."""

    STALE_SEQUENCE = "stale_sequence"
    DUPLICATE = "duplicate"
    UNTRACKABLE = "untrackable"
    UNREADABLE = "unreadable"
    UNKNOWN_STATUS = "unknown_status"
    MONITORED = "monitored"


class JournalEntry(NamedTuple):
    """One item of one observation and what became of it: a row of ``call_events``."""

    account_id: str
    session_id: str | None
    at: int
    received_at: int
    extension_id: str
    leg_id: str | None
    status: str
    sequence: int | None
    source: Source
    reason: IgnoredReason | None
    """``None``: accepted."""


class Transition(NamedTuple):
    """One accepted change of a call's status: a row of ``call_transitions``."""

    account_id: str
    session_id: str
    at: int
    from_status: TelephonyStatus | None
    to_status: TelephonyStatus
    sequence: int | None
    source: Source


class SourceClaim(NamedTuple):
    """What one source says of one call: a row of ``call_sources``. Times and durations ms."""

    account_id: str
    session_id: str
    source: Source
    record_id: str
    direction: str | None
    started_at: int | None
    ended_at: int | None
    duration_ms: int | None
    result: str | None
    seen_at: int


class Happening(StrEnum):
    """What is announced after the commit; the value is the log event's name (contract 6)."""

    OPENED = "call.opened"
    STATUS_CHANGED = "call.status_changed"
    FINISHED = "call.finished"
    REOPENED = "call.reopened"
    AMENDED = "call.amended"
    CONFIRMED = "call.confirmed"
    SUSPECT = "call.suspect"
    IGNORED = "event.ignored"
    UNREADABLE = "event.unreadable"
    RESTARTED = "sequence.restarted"
    CORRECTED = "poll.corrected"


class Announcement(NamedTuple):
    """A line for the log, for metrics and for hooks.

    ``record`` accompanies finished, amended and confirmed calls; ``detail`` says what was wrong with a payload.
    """

    happening: Happening
    account_id: str
    session_id: str | None
    extension_id: str | None
    at: int
    sequence: int | None
    source: Source
    reason: str | None = None
    from_status: TelephonyStatus | None = None
    to_status: TelephonyStatus | None = None
    record: CallRecord | None = None
    detail: str | None = None


@dataclass(slots=True)
class Extension:
    """One extension: its status over all its calls, and the state of its sequence counter (semantics 2.3, 3)."""

    account_id: str
    extension_id: str
    telephony_status: TelephonyStatus = TelephonyStatus.NO_CALL
    presence_status: str | None = None
    user_status: str | None = None
    dnd_status: str | None = None
    since: int = 0
    updated_at: int = 0
    last_sequence: int = -1
    epoch: int = 0
    epoch_started_at: int = 0
    extension_number: str | None = None
    name: str | None = None

    def take_statuses(self, observation: PresenceObservation) -> None:
        """What an extension says of itself besides its calls; a blank never overwrites."""
        self.presence_status = observation.presence_status or self.presence_status
        self.user_status = observation.user_status or self.user_status
        self.dnd_status = observation.dnd_status or self.dnd_status


@dataclass(slots=True)
class Changes:
    """Everything that has to be committed together.

    ``sessions``: calls whose state must be saved; ``records``: finished calls to write or amend; ``legs``: by call
    and leg number; ``observations``: what was seen, for the journal's replay; ``suspects``: calls to check at once,
    ``cut``: (account, extension) whose snapshot did not hold all its calls, to be read whole;
    ``positions``: how far each feed has been read with all this; ``coverage``: spans of sight that have moved.
    """

    sessions: dict[CallKey, CallSession] = field(default_factory=dict)
    legs: dict[tuple[CallKey, int], Leg] = field(default_factory=dict)
    records: dict[CallKey, CallRecord] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    observations: list[PresenceObservation | RecordClaim] = field(default_factory=list)
    extensions: dict[tuple[str, str], Extension] = field(default_factory=dict)
    claims: dict[tuple[CallKey, Source, str], SourceClaim] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)
    suspects: dict[CallKey, None] = field(default_factory=dict)
    cut: dict[tuple[str, str], None] = field(default_factory=dict)
    positions: dict[str, FeedPosition] = field(default_factory=dict)
    coverage: list[CoverageSpan] = field(default_factory=list)
    #: When they were committed: the rows' ``updated_at``, ms; 0 before.
    committed_at: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return bool(
            self.sessions or self.journal or self.extensions or self.records or self.claims or self.positions
            or self.coverage or self.announcements
        )  # fmt: skip

    def absorb(self, later: "Changes") -> None:
        """Add what came later (after a commit that failed): newer states replace older ones, lists go on."""
        self.sessions.update(later.sessions)
        self.legs.update(later.legs)
        self.records.update(later.records)
        self.extensions.update(later.extensions)
        self.claims.update(later.claims)
        self.suspects.update(later.suspects)
        self.cut.update(later.cut)
        self.positions.update(later.positions)
        self.coverage += later.coverage
        self.transitions += later.transitions
        self.journal += later.journal
        self.observations += later.observations
        self.announcements += later.announcements
