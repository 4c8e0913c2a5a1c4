"""What must hold for every call, whatever arrives in whatever order (rules 2.7, 4, 9)."""

import copy
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringledger.domain.call import Phase, presence_of
from ringledger.domain.observation import PresenceObservation
from ringledger.domain.tracked import TrackedCall
from ringledger.domain.tracker import CallTracker
from tests.builders import SESSION, T0, Desk, item, play, presence
from tests.domain.stories import LIVE, absurd, calls, shuffled

pytestmark = pytest.mark.timeout(600)

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))  # `make properties` asks for more
thorough = settings(
    max_examples=EXAMPLES,
    derandomize=False,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def facts(call: TrackedCall) -> dict[str, Any]:
    """What no order and no repetition may change."""
    record = call.row()
    return {
        "status": call.status,
        "over": call.phase is Phase.FINISHED,
        "extensions": {
            extension: max((leg.live, leg.status) for leg in call.legs if leg.extension_id == extension)
            for extension in {leg.extension_id for leg in call.legs}
        },
        "started": record.started_at,
        "rung": call.call.rung_at,
        "answered": record.answered_at,
        "ended": record.ended_at if call.phase is Phase.FINISHED else None,
        "disposition": record.disposition,
        "legs": record.leg_count,
        "direction": record.direction,
        "internal": record.internal,
        "from": (record.from_number, record.from_name, record.from_raw),
        "to": (record.to_number, record.to_name, record.to_raw),
    }


@st.composite
def told_twice(draw: st.DrawFn) -> tuple[list[PresenceObservation], list[PresenceObservation]]:
    events = draw(calls())
    return events, draw(shuffled(events))


@thorough
@given(told_twice())
def test_any_order_and_any_repetition_tell_the_same_call(
    told: tuple[list[PresenceObservation], list[PresenceObservation]],
) -> None:
    in_order, anyhow = told
    assert facts(play(anyhow).call()) == facts(play(in_order).call())


@thorough
@given(calls(vague=True), st.data())
def test_any_order_tells_the_same_call_even_of_items_that_do_not_say_which_leg_they_mean(
    events: list[PresenceObservation], data: st.DataObject
) -> None:
    in_order, anyhow = facts(play(events).call()), facts(play(data.draw(shuffled(events))).call())
    certain = ("status", "over", "started", "rung", "answered", "ended")
    assert [anyhow[name] for name in certain] == [in_order[name] for name in certain]


@thorough
@given(calls(promised=True, vague=True), st.data())
def test_any_order_tells_the_same_start_and_answer_even_of_ends_that_are_only_promised(
    events: list[PresenceObservation], data: st.DataObject
) -> None:
    in_order, anyhow = play(events).call(), play(data.draw(shuffled(events))).call()
    assert (anyhow.started_at, anyhow.call.rung_at, anyhow.answered_at) == (
        in_order.started_at,
        in_order.call.rung_at,
        in_order.answered_at,
    )


@thorough
@given(calls(promised=True, vague=True), st.data())
def test_one_step_and_the_long_way_give_the_same_accumulator(
    events: list[PresenceObservation], data: st.DataObject
) -> None:
    desk = Desk()
    for event in data.draw(st.sampled_from([events, data.draw(shuffled(events))])):
        desk.see(event)
        for call in desk.tracker.calls.values():
            assert call.fold() == presence_of(call.facts)


@thorough
@given(calls(ends=True))
def test_a_call_that_ends_everywhere_is_one_row_with_the_last_end(events: list[PresenceObservation]) -> None:
    desk = play(events)
    ends = [leg.ended_at for leg in desk.call().legs if leg.ended_at is not None]
    assert desk.record().ended_at == max(desk.record().started_at, *ends)
    assert max(ends) <= max(event.at for event in events)
    assert desk.record().revision == 1
    assert len(desk.changes.records) == 1


def assert_durations_hold(desk: Desk) -> None:
    record = desk.record()
    spans = [record.talk_ms, *(one for one in (record.ring_ms, record.hold_ms) if one is not None)]
    assert min(*spans, record.duration_ms) >= 0
    assert sum(spans) <= record.ended_at - record.started_at
    if record.answered_at is not None:
        assert record.started_at <= record.answered_at <= record.ended_at


@thorough
@given(told_twice())
def test_durations_fit_into_the_call(told: tuple[list[PresenceObservation], list[PresenceObservation]]) -> None:
    for events in told:
        assert_durations_hold(play(events).wait(14_401))


@thorough
@given(absurd())
def test_durations_fit_into_the_call_even_at_absurd_times(events: list[PresenceObservation]) -> None:
    assert_durations_hold(play(events).wait(14_401))


@st.composite
def stale_stories(draw: st.DrawFn) -> tuple[list[PresenceObservation], PresenceObservation, bool]:
    """Events, then one that is older by sequence than the newest of its extension, in any words."""
    events = draw(calls())
    victim = draw(st.sampled_from(events))
    newest = max(event.sequence or 0 for event in events if event.extension_id == victim.extension_id)
    latest = max(event.at for event in events if event.extension_id == victim.extension_id)
    items = [
        item(
            draw(st.sampled_from(["NoCall", *LIVE])),
            draw(st.sampled_from([None, "stranger", "101-0", "102-1"])),
            direction=draw(st.sampled_from(["Inbound", "Outbound"])),
            termination=draw(st.sampled_from([None, "final", "intermediate"])),
            sender=draw(st.sampled_from(["", "19998887777", "anonymous"])),
            to=draw(st.sampled_from(["", "19998887777", "anonymous"])),
            sender_name=draw(st.sampled_from([None, "Mallory"])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    at = draw(st.integers(T0 - 100_000, latest + 60_000))
    late = presence(victim.extension_id, draw(st.integers(-5, newest - 1)), at, *items, uuid="late")
    return events, late, draw(st.booleans())


def known_values(call: TrackedCall) -> dict[int, tuple[object, ...]]:
    return {leg.number: (leg.live, leg.status) for leg in call.legs}


@thorough
@given(stale_stories())
def test_a_stale_item_changes_no_current_status(
    story: tuple[list[PresenceObservation], PresenceObservation, bool],
) -> None:
    events, late, settled = story
    desk = Desk().see(*events)
    if settled:
        desk.settle()
    call = desk.call()
    status, phase, marks, legs = call.status, call.phase, call.watermarks, known_values(call)
    first = (call.started_at, call.call.rung_at, call.fold().answered_at)
    extensions = {key: extension.telephony_status for key, extension in desk.tracker.extensions.items()}
    desk.see(late)
    assert set(desk.reasons()[-len(late.items) :]) == {"stale_sequence"}
    assert (call.status, call.phase) == (status, phase)
    assert {extension: mark.sequence for extension, mark in marks.items()} == {
        extension: mark.sequence for extension, mark in call.watermarks.items()
    }
    assert extensions.items() <= {k: e.telephony_status for k, e in desk.tracker.extensions.items()}.items()
    after = known_values(call)
    assert sum(bool(live) for live, _ in after.values()) == sum(bool(live) for live, _ in legs.values())
    for earlier, known in zip((call.started_at, call.call.rung_at, call.fold().answered_at), first, strict=True):
        assert known is None or (earlier is not None and earlier <= known)


@thorough
@given(told_twice(), st.data())
def test_a_restart_after_any_event_changes_nothing(
    told: tuple[list[PresenceObservation], list[PresenceObservation]], data: st.DataObject
) -> None:
    _, events = told
    stop = data.draw(st.integers(0, len(events)), label="stop after")
    desk = Desk().see(*events[:stop])
    calls_, extensions = (
        [call.saved() for call in desk.tracker.calls.values()],
        copy.deepcopy(list(desk.tracker.extensions.values())),
    )
    again = Desk(CallTracker())
    again.tracker.restore(calls_, extensions, now=again.now)
    again.see(*events[stop:]).settle().wait(14_401)
    undisturbed = play(events).wait(14_401)
    assert again.record() == undisturbed.record()
    assert again.call().legs == undisturbed.call().legs
    assert again.call().call.changes == undisturbed.call().call.changes


@thorough
@given(calls(ends=True))
def test_the_wall_clock_is_not_asked(events: list[PresenceObservation]) -> None:
    """Our own clock may say anything when an event is received: no time and no duration follows it."""
    elsewhere = [event._replace(received_at=event.received_at - 10**12) for event in events]
    assert play(elsewhere).record(SESSION) == play(events).record(SESSION)
