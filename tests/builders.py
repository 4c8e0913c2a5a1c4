"""Small builders for tests: observations of the domain and envelopes of the wire.

They read the tutorial's payloads with a reader of their own, so the domain's tests need no other room. Times are ms,
numbers are already normalised (``+`` and digits), as the domain expects them.
"""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ringledger.domain.call import CallRecord, said
from ringledger.domain.changes import Changes
from ringledger.domain.observation import (
    UNKNOWN_PARTY,
    CallItem,
    CallKey,
    Direction,
    Party,
    PresenceObservation,
    RecordClaim,
    Source,
)
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.domain.tracked import TrackedCall
from ringledger.domain.tracker import CallTracker, Listing, Records

ACCOUNT: Final = "400100"
EXTENSION: Final = "101"
SESSION: Final = "67029198021"
#: 2026-03-02T09:00:00Z: a Monday morning from which examples count.
T0: Final = 1_772_442_000_000

CALLER: Final = "13027430863"
CALLEE: Final = "18885434778"

_FLOWS: Final = Path(__file__).parent / "data" / "event-flows.json"


def ms(text: str) -> int:
    """An ISO 8601 time as ms."""
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def party(raw: str | None, name: str | None = None) -> Party:
    """One end of a call; blank text is nobody."""
    if not raw and not name:
        return UNKNOWN_PARTY
    number = f"+{raw.removeprefix('+')}" if raw and raw.removeprefix("+").isdigit() else None
    return Party(number, name, raw or None)


def item(
    status: str | None = "Ringing",
    leg: str | None = "leg-1",
    *,
    session: str | None = SESSION,
    telephony: str | None = None,
    direction: str | None = "Inbound",
    termination: str | None = None,
    sender: str | None = CALLER,
    to: str | None = CALLEE,
    sender_name: str | None = None,
    to_name: str | None = None,
    started: int | None = None,
    queue: bool = False,
    on_behalf_of: str | None = None,
    monitored: bool = False,
) -> CallItem:
    """One entry of an extension's active calls. A ``status`` the domain has no word for becomes unknown."""
    known = {member.value: member for member in TelephonyStatus}
    return CallItem(
        session_id=session,
        telephony_session_id=telephony,
        leg_id=leg,
        direction=Direction(direction) if direction else None,
        status=known.get(status or ""),
        status_text=status or "",
        termination=TerminationType(termination) if termination else None,
        from_party=party(sender, sender_name),
        to_party=party(to, to_name),
        started_at=started,
        queue_call=queue,
        on_behalf_of=on_behalf_of,
        monitored=monitored,
    )


def presence(
    extension: str | int,
    sequence: int | None,
    at: int,
    *items: CallItem,
    uuid: str | None = "",
    truncated: bool = False,
    source: Source = Source.PRESENCE,
    account: str = ACCOUNT,
    received_at: int | None = None,
) -> PresenceObservation:
    """One snapshot of an extension. Equal content gives an equal uuid unless another is told."""
    named = f"{extension}/{sequence}/{at}/{hash(items) & 0xFFFFFFFF:x}" if uuid == "" else uuid
    return PresenceObservation(
        account_id=account,
        extension_id=str(extension),
        at=at,
        received_at=at + 80 if received_at is None else received_at,
        sequence=sequence,
        uuid=None if source is Source.PRESENCE_READ else named,
        items=items,
        truncated=truncated,
        source=source,
    )


def presence_read(extension: str | int, at: int, *items: CallItem, truncated: bool = False) -> PresenceObservation:
    """An answer of GET presence that was asked for at ``at``."""
    return presence(extension, None, at, *items, truncated=truncated, source=Source.PRESENCE_READ)


def claim(
    result: str | None = None,
    *,
    started: int = T0,
    duration: int = 0,
    record: str = "record-1",
    session: str | None = SESSION,
    telephony: str | None = None,
    extension: str | None = EXTENSION,
    direction: str = "Inbound",
    sender: str | None = CALLER,
    to: str | None = CALLEE,
    source: Source = Source.ACTIVE_CALLS,
    read_at: int | None = None,
    coarse: bool = False,
) -> RecordClaim:
    """One record of the platform's books; without a ``result`` it is in progress. Durations ms."""
    return RecordClaim(
        account_id=ACCOUNT,
        session_id=session,
        telephony_session_id=telephony,
        record_id=record,
        source=source,
        direction=Direction(direction),
        from_party=party(sender),
        to_party=party(to),
        extension_id=extension,
        started_at=started,
        duration_ms=duration,
        result=result,
        action=None,
        running=result is None,
        read_at=started + duration if read_at is None else read_at,
        coarse=coarse,
    )


def answered_call(
    extension: str = "101", sequence: int = 10, at: int = T0, **about: object
) -> list[PresenceObservation]:
    """Rings for 5 s, talks for 20 s."""
    words = [("Ringing", 0), ("CallConnected", 5), ("NoCall", 25)]
    return [
        presence(extension, sequence + turn, at + seconds * 1_000, item(status, **about))
        for turn, (status, seconds) in enumerate(words)
    ]


# -- the tutorial's flows ------------------------------------------------------------------------------------------


def envelopes(flow: str) -> list[dict[str, Any]]:
    """The notifications of a flow (``missed``, ``answered``, ``ringout``) as the platform sent them; a fresh copy."""
    events: list[dict[str, Any]] = json.loads(_FLOWS.read_text())[flow]
    return events


def payloads(flow: str) -> list[bytes]:
    """The notifications of a flow as bytes on the wire."""
    return [json.dumps(event).encode() for event in envelopes(flow)]


def observations(flow: str, *, account: str = ACCOUNT) -> list[PresenceObservation]:
    """The notifications of a flow as observations."""
    return [observed(event, account=account) for event in envelopes(flow)]


def observed(event: dict[str, Any], *, account: str = ACCOUNT) -> PresenceObservation:
    """One notification as an observation: only the fields the tutorial's payloads have."""
    body = event["body"]
    calls = tuple(
        item(
            call["telephonyStatus"],
            call.get("id"),
            session=call.get("sessionId"),
            direction=call.get("direction"),
            sender=call.get("from"),
            to=call.get("to"),
            started=ms(call["startTime"]) if "startTime" in call else None,
        )
        for call in body["activeCalls"]
    )
    return presence(
        body["extensionId"], body["sequence"], ms(event["timestamp"]), *calls, uuid=event["uuid"], account=account
    )


def envelope(
    extension: str | int, sequence: int, timestamp: str, *calls: dict[str, Any], uuid: str = "event-1", **body: Any
) -> dict[str, Any]:
    """A notification in the shape of the tutorial's; ``calls`` are its ``activeCalls`` as sent."""
    return {
        "uuid": uuid,
        "event": f"/restapi/v1.0/account/~/extension/{extension}/presence?detailedTelephonyState=true",
        "timestamp": timestamp,
        "body": {"extensionId": extension, "sequence": sequence, "activeCalls": list(calls), **body},
    }


# -- playing -------------------------------------------------------------------------------------------------------


class Desk:
    """A tracker, a monotonic clock, and everything that came of it, for tests that tell a story."""

    def __init__(self, tracker: CallTracker | None = None) -> None:
        self.tracker = CallTracker() if tracker is None else tracker
        self.now = 1_000.0
        self.changes = Changes()

    def see(self, *seen: PresenceObservation, after: float = 0.0) -> "Desk":
        """Feed observations, ``after`` seconds before each."""
        for observation in seen:
            self.wait(after)
            self.tracker.take(observation, self.now)
        return self._collect()

    def batch(self, *told: PresenceObservation | RecordClaim) -> "Desk":
        """Feed observations and records in one go: what follows is taken once, at the end, as in one commit."""
        for one in told:
            self.tracker.take(Records((one,)) if isinstance(one, RecordClaim) else one, self.now)
        return self._collect()

    def rows(self) -> dict[str, CallRecord]:
        """What a ledger has by now, by session, without what depends on the order of arrival (rule 2.7)."""
        return {
            key.session_id: said(record)._replace(confirmed_at=None) for key, record in self.changes.records.items()
        }

    def wait(self, seconds: float) -> "Desk":
        """Let monotonic time pass, stopping at each deadline on the way as the daemon does."""
        until = self.now + seconds
        while (deadline := self.tracker.next_deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.tracker.advance(self.now)
        self.now = until
        return self._collect()

    def read(self, answer: PresenceObservation) -> "Desk":
        """Take an answer of GET presence."""
        self.tracker.take(answer, self.now)
        return self._collect()

    def books(self, *claims: RecordClaim, not_found: Collection[CallKey] = ()) -> "Desk":
        """Take records of active-calls or the call log."""
        self.tracker.take(Records(claims, frozenset(not_found)), self.now)
        return self._collect()

    def listing(self, *listed: CallKey, read_at: int) -> "Desk":
        """Take a complete listing of active calls."""
        self.tracker.take(Listing(frozenset(listed), read_at), self.now)
        return self._collect()

    def settle(self) -> "Desk":
        """Long enough for calls without live legs to finish, too short for anything to expire."""
        return self.wait(11.0)

    def _collect(self) -> "Desk":
        self.changes.absorb(self.tracker.drain())
        return self

    def call(self, session: str = SESSION) -> TrackedCall:
        """The call in memory."""
        return self.tracker.calls[CallKey(ACCOUNT, session)]

    def record(self, session: str = SESSION) -> CallRecord:
        """The row last written of a call."""
        return self.changes.records[CallKey(ACCOUNT, session)]

    def announced(self) -> list[str]:
        """What was announced, by name."""
        return [announcement.kind.value for announcement in self.changes.announcements]

    def reasons(self) -> list[str]:
        """Why items were ignored, in order."""
        return [str(entry.reason) for entry in self.changes.journal if entry.reason is not None]

    def status_of(self, extension: str | int) -> TelephonyStatus:
        """The status of an extension."""
        return self.tracker.extensions[ACCOUNT, str(extension)].telephony_status


def play(seen: Iterable[PresenceObservation], *, after: float = 0.0) -> Desk:
    """A new desk that has seen it all and has let calls settle."""
    return Desk().see(*seen, after=after).settle()
