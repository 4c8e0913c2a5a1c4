"""Retirement: a call's facts become one :class:`~ringledger.domain.facts.Summary`, from which a fold can start."""

from ringledger.domain.call import Call
from ringledger.domain.facts import LegSummary, Record, Summary, Watermark
from ringledger.domain.fold import LegState
from ringledger.domain.record_rules import Facts
from ringledger.domain.status import NO_CALL


def summary_of(facts: Facts, call: Call, *, accepted: int, ignored: int) -> Summary:
    """What the facts of a call said together. The readings of its records are kept as they are: they are few."""
    state = call.state
    changes = () if state.base is None else state.base.changes
    return Summary(
        at=state.clock,
        legs=tuple(_leg(leg) for leg in call.legs if not leg.records or (leg.alive and leg.leg_id not in leg.records)),
        watermarks=tuple(
            Watermark(extension, side.epoch, side.top, side.newest_at)
            for extension, side in state.sides.items()
            if side.events
        ),
        changes=tuple(state.changes) or changes,
        status=call.status,
        started_at=state.started_at,
        start_estimated=state.start_estimated,
        rung_at=call.rung_at,
        answered_at=state.answered_at,
        answer_estimated=state.answer_estimated,
        held_ms=None if not call.covered else 0 if state.base is None else state.base.held_ms,
        hold_since=None if state.base is None else state.base.hold_since,
        ended_at=call.ended_at,
        end_source=call.end_source,
        end_estimated=call.end_estimated,
        seen_at=state.seen_at,
        telephony_session_id=call.telephony_session_id,
        internal=call.internal,
        events_accepted=accepted,
        events_ignored=ignored,
        records=_records(facts),
        confirmed_at=None if call.verdict is None else call.verdict.confirmed_at,
    )


def _records(facts: Facts) -> tuple[Record, ...]:
    return (*(facts.summary.records if facts.summary is not None else ()), *facts.records)


def _leg(leg: LegState) -> LegSummary:
    return LegSummary(
        leg.extension_id, leg.direction, leg.leg_id, leg.source, leg.status if leg.live else NO_CALL, leg.live,
        leg.started_at, leg.start_estimated, leg.answered_at, leg.answer_estimated, leg.ended_at, leg.end_source,
        leg.end_estimated, leg.termination, leg.from_party, leg.to_party, leg.queue_call, leg.on_behalf_of, leg.seen_at,
    )  # fmt: skip
