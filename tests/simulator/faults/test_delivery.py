"""Faults of notifications, seen by a subscriber."""

import asyncio
from typing import Any

import pytest

from ringledger.simulator import Office, Options, Simulator
from ringledger.simulator.exchange.model import SimCall, SimLeg, Step
from ringledger.simulator.push.pubnub import PubNub
from tests.simulator.conftest import Client, opened


class Line:
    """One subscriber, and a call whose events it waits for."""

    def __init__(self, client: Client, subscription: Any, tt: str) -> None:
        self.client, self.subscription, self.tt = client, subscription, tt
        self.call = one_call()

    def happens(self, *statuses: Any) -> None:
        for status in statuses:
            ending = "final" if status == "NoCall" else None
            self.client.sim.pbx.apply(self.call, Step(self.client.sim.clock.now_ms(), 0, status, ending))

    async def passes(self, seconds: float) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.client.sim.clock.advance(seconds)
        for _ in range(5):
            await asyncio.sleep(0)

    async def heard(self) -> list[str]:
        """Statuses of what has come since the last time."""
        self.client.sim.pubnub.hold_seconds = 0.01
        batch = await self.client.poll(self.subscription, self.tt)
        self.tt = batch["t"]["t"]
        return [e["body"]["activeCalls"][0]["telephonyStatus"] for e in opened(self.subscription, batch)]


def one_call() -> SimCall:
    leg = SimLeg("leg", 1, "2001", "Inbound", "+14155550100", "", "+16505551001", "")
    return SimCall("700", "s-700", "Inbound", "answered", "Accepted", "Phone Call", [leg])


@pytest.fixture
async def line(client: Client) -> Line:
    subscription = await client.subscribe()
    return Line(client, subscription, (await client.poll(subscription))["t"]["t"])


ALL = ("Ringing", "CallConnected", "OnHold", "NoCall")


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("drop=2x", ["OnHold", "NoCall"]), ("drop=0", [*ALL]), ("drop=1", []),
        ("duplicate=1x", ["Ringing", *ALL]), ("reorder=1x", ["CallConnected", "Ringing", "OnHold", "NoCall"]),
        ("no-nocall=1", ["Ringing", "CallConnected", "OnHold"]),
        ("no-ringing=1", ["CallConnected", "OnHold", "NoCall"]), ("silent", []),
    ],
)  # fmt: skip
async def test_faults_that_need_no_time(line: Line, fault: str, heard: list[str]):
    line.client.sim.faults.add(fault)
    line.happens(*ALL)
    assert await line.heard() == heard


async def test_a_silent_subscription_looks_active(line: Line):
    line.client.sim.faults.add("silent")
    line.happens("Ringing")
    status, body = await line.client.call("GET", f"/restapi/v1.0/subscription/{line.subscription['id']}")
    assert (status, body["status"]) == (200, "Active")
    another = await line.client.subscribe()
    tt = (await line.client.poll(another))["t"]["t"]
    line.happens("CallConnected")
    assert len((await line.client.poll(another, tt))["m"]) == 1
    assert await line.heard() == []


async def test_delay(line: Line):
    line.client.sim.faults.add("delay:5=1x")
    line.happens("Ringing", "CallConnected")
    assert await line.heard() == ["CallConnected"]
    await line.passes(5)
    assert await line.heard() == ["Ringing"]


async def test_the_last_of_all_is_not_swapped_for_ever(line: Line):
    line.client.sim.faults.add("reorder=1")
    line.happens("Ringing")
    assert await line.heard() == []
    await line.passes(5)
    assert await line.heard() == ["Ringing"]


async def test_hold_back(line: Line):
    line.client.sim.faults.add("hold-back:30=1x")
    line.happens("Ringing", "CallConnected")
    await line.passes(29)
    assert await line.heard() == []
    await line.passes(1)
    assert await line.heard() == ["Ringing", "CallConnected"]
    line.happens("NoCall")
    assert await line.heard() == ["NoCall"]


async def test_overflow_keeps_the_newest(line: Line):
    line.client.sim.faults.add("overflow:60=1x")
    line.happens("Ringing", *["CallConnected", "OnHold"] * 4, "NoCall")
    await line.passes(60)
    assert await line.heard() == ["CallConnected", "OnHold", "CallConnected", "OnHold", "NoCall"]


async def test_sequences_restart(line: Line):
    line.client.sim.faults.add("sequence-restart=1x")
    line.happens("Ringing", "CallConnected")
    batch = await line.client.poll(line.subscription, line.tt)
    first, second = [e["body"]["sequence"] for e in opened(line.subscription, batch)]
    assert second <= 150 < first


async def test_garbage_comes_with_the_real_one(line: Line):
    line.client.sim.faults.add("garbage=1x")
    line.happens("Ringing")
    batch = await line.client.poll(line.subscription, line.tt)
    assert len(batch["m"]) == 9
    assert opened(line.subscription, {"m": batch["m"][-1:]})[0]["body"]["activeCalls"][0]["sessionId"] == "700"


async def test_disconnect_loses_nothing(line: Line):
    sim = line.client.sim
    sim.faults.add("disconnect=1x")
    before = sim.polls
    poll = asyncio.create_task(line.client.poll(line.subscription, line.tt))
    await sim.wait_polling()
    line.happens("Ringing")
    assert len((await poll)["m"]) == 1
    assert sim.polls == before + 2  # aiohttp asks again by itself when a connection breaks
    assert not sim.pubnub.faults


async def test_poll_faults_have_the_same_door(line: Line):
    line.client.sim.faults.add("status-500=2x")
    assert list(line.client.sim.pubnub.faults) == ["status-500", "status-500"]
    line.client.sim.faults.clear()
    assert not line.client.sim.pubnub.faults


async def test_the_same_seed_brings_the_same_faults():
    def happened(seed: int) -> dict[str, int]:
        options = Options(faults=("drop=0.2", "duplicate=0.2"), fault_seed=seed)
        sim = Simulator(options=options)
        sim.subscriptions.open("2001", {
            "eventFilters": ["/restapi/v1.0/account/~/presence?detailedTelephonyState=true"],
            "deliveryMode": {"transportType": "PubNub"},
        })  # fmt: skip
        assert isinstance(sim.pubnub, PubNub)
        for call in Office([*sim.pbx.extensions.values()], 300, 1).day(sim.clock.now_ms(), 1):
            for step in sorted(call.plan):
                sim.pbx.apply(call, step)
        return sim.faults.happened

    assert happened(1) == happened(1) != happened(2)


async def test_faults_end_when_they_are_removed(line: Line):
    line.client.sim.faults.add("drop=1")
    line.happens("Ringing")
    line.client.sim.faults.remove("drop")
    line.happens("CallConnected")
    assert await line.heard() == ["CallConnected"]
    assert line.client.sim.faults.happened == {"drop": 1}
