"""What follows from observations: rows to save, lines to announce, questions to ask.

One ``Changes`` collects the consequences of any number of observations; later states of a call replace earlier ones,
so a commit writes each call once. Nothing in here may be announced before its commit (rule 9.3).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from ringledger.domain.call import CallRecord, Leg
from ringledger.domain.coverage import CoverageSpan
from ringledger.domain.facts import RESTART_AFTER_MS, Fact, StatusChange
from ringledger.domain.observation import (
    CallItem,
    CallKey,
    FeedPosition,
    PresenceObservation,
    RecordClaim,
    Source,
    Unreadable,
)
from ringledger.domain.status import TelephonyStatus, none_living
from ringledger.domain.tracked import TrackedCall


class IgnoredReason(StrEnum):
    """Why an item changed no status (rule 2.6)."""

    STALE_SEQUENCE = "stale_sequence"
    DUPLICATE = "duplicate"
    UNTRACKABLE = "untrackable"
    UNREADABLE = "unreadable"
    UNKNOWN_STATUS = "unknown_status"
    MONITORED = "monitored"


class JournalEntry(NamedTuple):
    """One item of a notification that changed no status: a row of ``call_events``. What did is a fact."""

    account_id: str
    session_id: str | None
    at: int
    received_at: int
    extension_id: str
    leg_id: str | None
    status: str
    sequence: int | None
    source: Source
    reason: IgnoredReason


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


class QuarantineKind(StrEnum):
    """What the body of something put aside is."""

    PAYLOAD = "payload"
    """A notification as it came, or what it was taken for."""
    RECORD = "record"
    """A record of the platform's books as it came: a JSON object."""
    FACT = "fact"
    """What we had read, and the database refused: JSON of our own."""


class Quarantined(NamedTuple):
    """Something that could not be read or stored, put aside with its text: a row of ``quarantine``.

    ``reason``: a short stable word; ``source``: what brought it; ``received_at``: by our clock, ms.
    """

    account_id: str
    received_at: int
    source: Source
    reason: str
    kind: QuarantineKind
    body: str


class AnnouncementKind(StrEnum):
    """What an announcement is of; the value is the log event's name (contract 6)."""

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

    kind: AnnouncementKind
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
    """One extension: its status over all its calls, and the state of its sequence counter (rules 2.3, 3.1)."""

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
    #: How many calls give it each status, by strength.
    tally: list[int] = field(default_factory=none_living, compare=False)

    def count_sequence(self, sequence: int, at: int) -> tuple[bool, bool]:
        """Move the counters. Returns whether the event is the newest of its extension, and whether the counter has
        started again: a smaller sequence, sent more than a minute after the newest event (rule 2.3).
        """
        if sequence < self.last_sequence and at > self.updated_at + RESTART_AFTER_MS:
            self.epoch += 1
            self.epoch_started_at, self.last_sequence = at, sequence
            return True, True
        if at < self.epoch_started_at:
            return False, False
        if sequence < self.last_sequence:
            return False, False
        self.last_sequence = sequence
        return True, False

    def take_statuses(self, observation: PresenceObservation) -> None:
        """What an extension says of itself besides its calls; a blank never overwrites."""
        self.presence_status = observation.presence_status or self.presence_status
        self.user_status = observation.user_status or self.user_status
        self.dnd_status = observation.dnd_status or self.dnd_status

    def take_newest(self, observation: PresenceObservation) -> None:
        """A notification newer than all before it: restarts are measured from it, which no outdated one may move."""
        self.take_statuses(observation)
        if observation.at > self.updated_at:
            self.updated_at = observation.at

    def forget_statuses(self) -> None:
        """What it says of itself was nothing that can be kept: wait for its next word."""
        self.presence_status = self.user_status = self.dnd_status = None


@dataclass(slots=True)
class Changes:
    """Everything that has to be committed together.

    ``facts``: what was reported of each call, in order of arrival; ``sessions``: calls of which more is new than when
    they were last heard of, so that their state must be saved;
    ``records``: finished calls to write or amend; ``legs``, ``transitions``: the complete legs and history of each
    call whose legs or history have changed; ``observations``: what was reported, for the journal's replay;
    ``suspects``: calls to check at once; ``cut``: (account, extension) whose snapshot did not hold all its calls, to be
    read whole; ``positions``: how far each feed has been read, all of the above included; ``coverage``: spans of
    coverage that have changed; ``quarantined``: what could not be read or stored; ``united``: keys under which nothing
    is stored any longer, each with the key of the call it is part of; ``untrackable``: calls known by their facts
    alone, of which no row can be made; ``begun``: calls of which no leg and no history can be stored yet.
    """

    facts: list[tuple[CallKey, Fact]] = field(default_factory=list)
    sessions: dict[CallKey, TrackedCall] = field(default_factory=dict)
    legs: dict[CallKey, tuple[Leg, ...]] = field(default_factory=dict)
    records: dict[CallKey, CallRecord] = field(default_factory=dict)
    transitions: dict[CallKey, tuple[StatusChange, ...]] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    observations: list[PresenceObservation | RecordClaim] = field(default_factory=list)
    extensions: dict[tuple[str, str], Extension] = field(default_factory=dict)
    claims: dict[tuple[CallKey, Source, str], SourceClaim] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)
    suspects: dict[CallKey, None] = field(default_factory=dict)
    cut: dict[tuple[str, str], None] = field(default_factory=dict)
    positions: dict[str, FeedPosition] = field(default_factory=dict)
    coverage: list[CoverageSpan] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    united: dict[CallKey, CallKey] = field(default_factory=dict)
    untrackable: dict[CallKey, None] = field(default_factory=dict)
    begun: dict[CallKey, None] = field(default_factory=dict)
    #: When they were committed: the rows' ``updated_at``, ms; 0 before.
    committed_at: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return bool(
            self.sessions or self.journal or self.extensions or self.records or self.claims or self.positions
            or self.coverage or self.announcements or self.facts or self.quarantined or self.united
        )  # fmt: skip

    def absorb(self, later: "Changes") -> None:
        """Add what came later (after a commit that failed): newer states replace older ones, lists go on."""
        for key, other in later.united.items():
            self.unite(key, other)
        self.facts += later.facts
        self.sessions.update(later.sessions)
        self.legs.update(later.legs)
        self.records.update(later.records)
        self.extensions.update(later.extensions)
        self.claims.update(later.claims)
        self.suspects.update(later.suspects)
        self.cut.update(later.cut)
        self.untrackable.update(later.untrackable)
        self.begun.update(later.begun)
        self.positions.update(later.positions)
        self.coverage += later.coverage
        self.transitions.update(later.transitions)
        self.journal += later.journal
        self.observations += later.observations
        self.announcements += later.announcements
        self.quarantined += later.quarantined

    def unite(self, key: CallKey, other: CallKey, facts: Iterable[Fact] = ()) -> None:
        """The call ``key`` has become ``other``. Its ``facts`` are collected again under that key; the caller derives
        legs, history and row again.
        """
        self.facts = [(one, fact) for one, fact in self.facts if one != key]
        self.facts += [(other, fact) for fact in facts]
        for by_call in (self.sessions, self.legs, self.records, self.transitions, self.suspects, self.untrackable):
            by_call.pop(key, None)
        for claimed in [one for one in self.claims if one[0] == key]:
            del self.claims[claimed]
        name = other.session_id
        self.journal = [
            entry._replace(session_id=name) if (entry.account_id, entry.session_id) == key else entry
            for entry in self.journal
        ]
        self.announcements = [
            told._replace(session_id=name) if (told.account_id, told.session_id) == key else told
            for told in self.announcements
            if told.record is None or (told.account_id, told.session_id) != key
        ]
        self.united = {one: other if now == key else now for one, now in self.united.items() if one != other}
        self.united[key] = other
        for one in (key, other):
            self.begun.pop(one, None)

    # -- collecting ------------------------------------------------------------------------------------------------

    def ignored(
        self, observation: PresenceObservation, item: CallItem, session_id: str | None, reason: IgnoredReason
    ) -> None:
        """One item that changed no status: counted by reason, logged with its session (rule 2.6)."""
        self.journal.append(
            JournalEntry(
                observation.account_id, session_id, observation.at, observation.received_at, observation.extension_id,
                item.leg_id, item.status_text, observation.sequence, observation.source, reason,
            )
        )  # fmt: skip
        self.announcements.append(
            Announcement(
                AnnouncementKind.IGNORED, observation.account_id, session_id, observation.extension_id, observation.at,
                observation.sequence, observation.source, reason,
            )
        )  # fmt: skip

    def unreadable(self, account_id: str, payload: Unreadable) -> None:
        """A payload that could not be read."""
        self.journal.append(
            JournalEntry(
                account_id, None, payload.received_at, payload.received_at, "", None, payload.reason, None,
                payload.source, IgnoredReason.UNREADABLE,
            )
        )  # fmt: skip
        self.announcements.append(
            Announcement(
                AnnouncementKind.UNREADABLE, account_id, None, None, payload.received_at, None, payload.source,
                payload.reason, detail=payload.detail,
            )
        )  # fmt: skip

    def claim(self, key: CallKey, claim: RecordClaim) -> None:
        """What a record says of a call, kept beside what the others say."""
        self.claims[key, claim.source, claim.record_id] = SourceClaim(
            key.account_id, key.session_id, claim.source, claim.record_id, claim.direction, claim.started_at,
            None if claim.running else claim.ended_at, claim.duration_ms, claim.result, claim.read_at,
        )  # fmt: skip

    def announce(
        self, kind: AnnouncementKind, key: CallKey, at: int, source: Source, reason: str | None = None,
        *, record: CallRecord | None = None, extension_id: str | None = None, sequence: int | None = None,
        from_status: TelephonyStatus | None = None, to_status: TelephonyStatus | None = None,
    ) -> None:  # fmt: skip
        """Add an announcement about a call, to be logged, counted and sent to receivers once it is committed."""
        self.announcements.append(
            Announcement(
                kind, key.account_id, key.session_id, extension_id, at, sequence, source, reason, from_status,
                to_status, record,
            )
        )  # fmt: skip
