"""From domain objects to tuples for the driver: plain str, int and None, in the order of the table's columns.

Everything here runs before the first await of a commit, so the caller may change its sessions right afterwards.
Enumerations are written by value: the driver is slow with subclasses of str.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.json import Encoder

from ringledger.domain.call import CallSession, Leg, Phase, first_known
from ringledger.domain.changes import Changes, Extension, JournalEntry, SourceClaim, Transition
from ringledger.domain.coverage import CoverageSpan
from ringledger.domain.observation import CallKey, Direction, FeedPosition, Party, PresenceObservation, RecordClaim
from ringledger.domain.record import CallRecord, is_internal, primary_leg
from ringledger.domain.verdicts import standing
from ringledger.ledger.statements import Statements
from ringledger.ledger.times import to_text, to_text_or_none

Row = tuple[Any, ...]
Batch = list[tuple[str, list[Row]]]

HOUR_MS = 3_600_000
#: How long a finished call's state is kept: the sequence guard's hour, or as long as a confirmation is waited for.
REMEMBER_CONFIRMED_MS = HOUR_MS
REMEMBER_UNCONFIRMED_MS = 25 * HOUR_MS

_encode = Encoder().encode


def batch_of(
    statements: Statements,
    changes: Changes,
    position: FeedPosition | None,
    coverage: Iterable[CoverageSpan],
    *,
    now_ms: int,
    journal: bool,
) -> Batch:
    """The statements of one commit, each with its rows; those without rows are left out."""
    now = to_text(now_ms)
    batch: Batch = [
        (statements.call_state, [state_row(session, now_ms) for session in changes.sessions.values()]),
        (statements.call, [call_row(record, now) for record in changes.records.values()]),
        (statements.call_leg, [leg_row(key, leg) for (key, _), leg in changes.legs.items()]),
        (statements.call_transition, [transition_row(transition) for transition in changes.transitions]),
        (statements.call_source, [source_row(claim) for claim in changes.claims.values()]),
        (statements.extension, [extension_row(extension) for extension in changes.extensions.values()]),
        (statements.coverage_span, [coverage_row(span) for span in (*changes.coverage, *coverage)]),
    ]
    if journal:
        batch.append((statements.call_event, [event_row(entry) for entry in changes.journal]))
        batch.append((statements.observation, [observation_row(seen) for seen in changes.observations]))
    positions = [*changes.positions.values(), *([position] if position is not None else [])]
    batch.append((statements.feed_position, [position_row(one) for one in positions]))
    return [(sql, rows) for sql, rows in batch if rows]


def call_row(record: CallRecord, updated_at: str) -> Row:
    """A row of ``call``."""
    return (
        record.account_id,
        record.session_id,
        record.telephony_session_id,
        record.direction._value_,
        1 if record.internal else 0,
        1 if record.queue_call else 0,
        record.extension_id,
        record.from_number,
        record.from_name,
        record.from_raw,
        record.to_number,
        record.to_name,
        record.to_raw,
        to_text(record.started_at),
        to_text_or_none(record.answered_at),
        to_text(record.ended_at),
        1 if record.end_estimated else 0,
        record.ring_ms,
        record.talk_ms,
        record.hold_ms,
        record.duration_ms,
        record.disposition._value_,
        record.result,
        record.result_source._value_ if record.result_source else None,
        record.end_source._value_,
        record.leg_count,
        record.events_accepted,
        record.events_ignored,
        record.part_of,
        to_text_or_none(record.confirmed_at),
        record.revision,
        updated_at,
    )


def state_row(session: CallSession, now_ms: int) -> Row:
    """A row of ``call_state``: the columns ``active_calls`` shows, and the whole session as JSON."""
    direction, extension_id, from_party, to_party = front(session)
    return (
        session.account_id,
        session.session_id,
        session.phase._value_,
        session.status._value_,
        direction,
        extension_id,
        from_party.number,
        from_party.name,
        to_party.number,
        to_party.name,
        to_text(session.started_at),
        to_text_or_none(session.answered_at),
        1 if session.suspect else 0,
        to_text(session.last_seen_at),
        _remembered_until(session, now_ms),
        _encode(session).decode(),
    )


def _remembered_until(session: CallSession, now_ms: int) -> str | None:
    if session.phase is not Phase.FINISHED:
        return None
    kept = REMEMBER_UNCONFIRMED_MS if standing(session) is None else REMEMBER_CONFIRMED_MS
    return to_text(now_ms + kept)


def front(session: CallSession) -> tuple[str | None, str | None, Party, Party]:
    """Direction, extension and parties as the finished row will tell them."""
    legs = session.legs
    if not legs:
        return None, None, Party(), Party()
    if len(legs) == 1:
        leg = legs[0]
        return leg.direction._value_, leg.extension_id or None, leg.from_party, leg.to_party
    primary = primary_leg(session)
    ordered = [primary, *(leg for leg in legs if leg is not primary)]
    direction = Direction.OUTBOUND if is_internal(session) else primary.direction
    from_party = first_known(leg.from_party for leg in ordered)
    return direction._value_, primary.extension_id or None, from_party, first_known(leg.to_party for leg in ordered)


def leg_row(key: CallKey, leg: Leg) -> Row:
    """A row of ``call_leg``."""
    return (
        key.account_id,
        key.session_id,
        leg.number,
        leg.leg_id,
        leg.extension_id or None,
        leg.direction._value_,
        leg.from_party.number,
        leg.from_party.name,
        leg.from_party.raw,
        leg.to_party.number,
        leg.to_party.name,
        leg.to_party.raw,
        to_text(leg.started_at),
        to_text_or_none(leg.answered_at),
        to_text_or_none(leg.ended_at),
        leg.status._value_,
        leg.termination._value_ if leg.termination else None,
        leg.source._value_,
        1 if leg.queue_call else 0,
        leg.on_behalf_of,
    )


def transition_row(transition: Transition) -> Row:
    """A row of ``call_transition``."""
    account_id, session_id, at, before, after, sequence, source = transition
    was = before._value_ if before is not None else None
    return account_id, session_id, to_text(at), was, after._value_, sequence, source._value_


def event_row(entry: JournalEntry) -> Row:
    """A row of ``call_event``."""
    account_id, session_id, at, received_at, extension_id, leg_id, status, sequence, source, reason = entry
    return (
        account_id,
        session_id,
        to_text(at),
        to_text(received_at),
        extension_id,
        leg_id,
        str.__str__(status),  # may be a TelephonyStatus
        sequence,
        source._value_,
        reason._value_ if reason is not None else None,
    )


def observation_row(seen: PresenceObservation | RecordClaim) -> Row:
    """A row of ``observation``: the body is the JSON array of the tuple's fields."""
    if isinstance(seen, PresenceObservation):
        return seen.account_id, to_text(seen.received_at), "presence", _encode(seen).decode()
    return seen.account_id, to_text(seen.read_at), "record", _encode(seen).decode()


def source_row(claim: SourceClaim) -> Row:
    """A row of ``call_source``."""
    return (
        claim.account_id,
        claim.session_id,
        claim.source._value_,
        claim.record_id,
        None if claim.direction is None else str.__str__(claim.direction),
        to_text_or_none(claim.started_at),
        to_text_or_none(claim.ended_at),
        claim.duration_ms,
        claim.result,
        to_text(claim.seen_at),
    )


def extension_row(extension: Extension) -> Row:
    """A row of ``extension``."""
    return (
        extension.account_id,
        extension.extension_id,
        extension.telephony_status._value_,
        extension.presence_status,
        extension.user_status,
        extension.dnd_status,
        to_text(extension.since),
        to_text(extension.updated_at),
        extension.last_sequence,
        extension.epoch,
        to_text(extension.epoch_started_at),
        extension.extension_number,
        extension.name,
    )


def position_row(position: FeedPosition) -> Row:
    """A row of ``feed_position``."""
    return position.feed, position.key, position.token, to_text(position.at)


def coverage_row(span: CoverageSpan) -> Row:
    """A row of ``coverage_span``."""
    state = span.state._value_
    return span.account_id, to_text(span.from_at), to_text(span.until_at), state, span.cause, span.recovered_calls
