"""A random office: the same day for the same seed, and a truth its own events bear out."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest

from ringledger.simulator import Office, Pbx, SimClock, Simulator, default_extensions
from ringledger.simulator.exchange.model import CallTruth

START = 1_767_607_200_000  # 2026-01-05T10:00:00Z


def office(seed: int = 7, calls_per_hour: float = 400) -> Office:
    return Office(default_extensions(12), calls_per_hour, seed)


def test_the_same_seed_is_the_same_day():
    assert office(7).day(START, 2) == office(7).day(START, 2)
    assert office(7).day(START, 2) != office(8).day(START, 2)


def test_a_day_has_about_the_asked_number_of_calls_of_every_kind():
    calls = office(7).day(START, 8)
    assert 8 * 400 * 0.8 < len(calls) < 8 * 400 * 1.3
    assert {call.kind for call in calls} == {
        "answered", "missed", "outbound", "internal", "ringout", "queue", "transfer", "hold", "voicemail", "busy",
        "declined",
    }  # fmt: skip
    assert len({call.session_id for call in calls}) == len(calls)


def test_plans_ring_first_and_end_every_leg():
    for call in office().day(START, 2):
        steps = sorted(call.plan)
        assert steps[0].status == "Ringing"
        for number in range(len(call.legs)):
            own = [step for step in steps if step.leg == number]
            assert (own[0].status, own[-1].status, own[-1].termination) == ("Ringing", "NoCall", "final")


def test_a_ringout_is_two_sessions_with_crossed_numbers():
    calls = {call.session_id: call for call in office().day(START, 2)}
    pairs = [(call, calls[call.part_of]) for call in calls.values() if call.part_of]
    assert pairs
    for inner, outer in pairs:
        assert int(inner.session_id) - int(outer.session_id) == 1000
        assert inner.legs[0].from_number == outer.legs[0].to_number
        assert inner.legs[0].to_number == outer.legs[0].from_number


async def played(seed: int) -> tuple[list[CallTruth], list[dict[str, Any]]]:
    """One hour of an office through a running simulator, stepped as fast as it goes."""
    sim = Simulator(clock=SimClock(speed=0), pbx=Pbx(default_extensions(12)))
    events: list[dict[str, Any]] = []
    sim.pbx.listeners.append(events.append)
    sim.clock.sleep_until = leap(sim.clock)  # type: ignore[method-assign]
    await sim.run_office(office(seed), until=sim.clock.now_ms() + 3_600_000)
    return sim.pbx.truth(), events


def leap(clock: SimClock) -> Any:
    async def sleep_until(ms: int) -> None:
        clock.advance_to(ms)

    return sleep_until


async def test_the_truth_is_what_the_events_show():
    truths, events = await played(7)
    assert len(truths) > 300
    seen: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in events:
        for item in event["body"]["activeCalls"]:
            if item["telephonyStatus"] != "NoCall":
                seen[item["sessionId"]].append((event["timestamp"], item["telephonyStatus"]))
    for truth in truths:
        assert truth.ended_at is not None
        assert truth.ring_ms + truth.talk_ms + truth.hold_ms == truth.ended_at - truth.started_at
        assert min(truth.ring_ms, truth.talk_ms, truth.hold_ms) >= 0
        connected = any(status == "CallConnected" for _, status in seen[truth.session_id])
        assert connected or truth.disposition != "answered"
        assert seen[truth.session_id][0][1] == "Ringing"


async def test_events_are_in_order_and_none_is_left_over():
    _, events = await played(3)
    times = [event["timestamp"] for event in events]
    assert times == sorted(times)
    last = {event["body"]["extensionId"]: event["body"] for event in events}
    assert all(body["telephonyStatus"] == "NoCall" for body in last.values())


async def test_an_office_through_a_subscription(client: Any):
    from tests.simulator.conftest import opened

    made = await client.subscribe("/restapi/v1.0/account/~/presence?detailedTelephonyState=true")
    tt = (await client.poll(made))["t"]["t"]
    sim: Simulator = client.sim
    sim.pubnub.hold_seconds, sim.clock.sleep_until = 0.01, leap(sim.clock)  # type: ignore[method-assign]
    begin = sim.clock.now_ms()
    await sim.run_office(Office(list(sim.pbx.extensions.values()), 100, 1), until=begin + 360_000)
    got = opened(made, await client.poll(made, tt))
    assert {item["sessionId"] for e in got for item in e["body"]["activeCalls"]} == set(sim.pbx.calls)


async def test_whoever_asks_is_answered_while_an_office_is_late(client: Any):
    """Its calls come faster than they can be told of: the platform works on what is due for all the time there is."""
    busy = Office([*client.sim.pbx.extensions.values()], calls_per_hour=3_600, seed=2)
    until = client.sim.clock.now_ms() + 600_000
    playing = asyncio.create_task(client.sim.run_office(busy, until=until, drain=False))
    await asyncio.sleep(0)
    client.sim.clock.advance(600)
    assert (await client.call("GET", "/restapi"))[0] == 200
    assert len(client.sim.pbx.calls) > 0
    assert not playing.done()
    playing.cancel()
    await asyncio.wait({playing})


def test_an_office_needs_people_and_calls():
    with pytest.raises(ValueError, match="two extensions"):
        Office(default_extensions(1))
    with pytest.raises(ValueError, match="positive"):
        Office(default_extensions(2), 0)
