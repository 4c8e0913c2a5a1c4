"""RingOut: what its resource, presence and the log say, each in its own way."""

import asyncio
from typing import Any

import pytest

from ringledger.simulator import Pbx, SimClock, Simulator
from tests.simulator.conftest import Client

OWN = "/restapi/v1.0/account/~/extension/~"
BODY = {"from": {"phoneNumber": "+16505551001"}, "to": {"phoneNumber": "+14155550100"}, "playPrompt": True}


async def place(client: Client, to: str = "+14155550100", path: str = "/ring-out") -> str:
    status, body = await client.call("POST", OWN + path, BODY | {"to": {"phoneNumber": to}})
    assert status == 200, body
    assert set(body["status"].values()) == {"InProgress"}
    return f"{OWN}{path}/{body['id']}"


async def after(client: Client, seconds: int) -> None:
    """Let so many simulated seconds pass, one by one, and whatever waits for them happen."""
    for _ in range(seconds):
        client.sim.clock.advance(1)
        for _ in range(5):  # the sleeper's future, its task, and what that does then
            await asyncio.sleep(0)


async def statuses(client: Client, path: str) -> tuple[str, ...]:
    status, body = await client.call("GET", path)
    return tuple(body["status"].values()) if status == 200 else (str(status), body["errorCode"])


def presence(client: Client) -> list[str]:
    return [item["telephonyStatus"] for item in client.sim.pbx.items("2001")]


async def logged(client: Client) -> list[Any]:
    client.sim.clock.advance(60)
    _, body = await client.call("GET", "/restapi/v1.0/account/~/call-log")
    return [(r["direction"], r["action"], r["result"]) for r in body["records"]]


@pytest.mark.parametrize("path", ["/ring-out", "/ringout"])
async def test_an_answered_ringout(client: Client, path: str):
    ring_out = await place(client, path=path)
    assert presence(client) == ["Ringing"]
    await after(client, 4)
    assert presence(client) == ["CallConnected"]
    assert await statuses(client, ring_out) == ("InProgress", "Success", "InProgress")
    await after(client, 6)
    assert await statuses(client, ring_out) == ("Success", "Success", "Success")
    await after(client, 30)
    assert await statuses(client, ring_out) == ("Finished", "Finished", "Finished")
    assert presence(client) == []
    await after(client, 5)
    assert await statuses(client, ring_out) == ("404", "CMN-102")
    assert await logged(client) == [("Outbound", "RingOut Web", "Call connected")]


@pytest.mark.parametrize(
    ("number", "final", "result", "connected"),
    [
        ("+14155550191", ("NoAnswer", "Success", "NoAnswer"), "No Answer", True),
        ("+14155550192", ("Busy", "Success", "Busy"), "Busy", True),
        ("+14155550193", ("NoAnswer", "NoAnswer", "InProgress"), "No Answer", False),
    ],
)
async def test_presence_and_log_disagree(
    client: Client, number: str, final: tuple[str, ...], result: str, connected: bool
):
    events: list[Any] = []
    client.sim.pbx.listeners.append(events.append)
    ring_out = await place(client, number)
    while presence(client):
        await after(client, 1)
    assert await statuses(client, ring_out) == final
    told = [event["body"]["telephonyStatus"] for event in events]
    assert told == (["Ringing", "CallConnected", "NoCall"] if connected else ["Ringing", "NoCall"])
    assert await logged(client) == [("Outbound", "RingOut Web", result)]


async def test_outcomes_can_be_given_by_number(client: Client):
    client.sim.ring_outs.options.outcomes = {"14155550100": "busy"}
    ring_out = await place(client)
    await after(client, 10)
    assert await statuses(client, ring_out) == ("Busy", "Success", "Busy")


async def test_a_cancellation_before_the_first_answer(client: Client):
    ring_out = await place(client)
    assert (await client.call("DELETE", ring_out))[0] == 204
    assert presence(client) == []
    assert await statuses(client, ring_out) == ("404", "CMN-102")
    assert await logged(client) == [("Outbound", "RingOut Web", "Hang Up")]


async def test_a_cancellation_after_it_has_no_effect(client: Client):
    ring_out = await place(client)
    await after(client, 4)
    assert (await client.call("DELETE", ring_out))[0] == 204
    assert presence(client) == ["CallConnected"]
    await after(client, 6)
    assert await statuses(client, ring_out) == ("Success", "Success", "Success")


async def test_newer_payloads_show_two_sessions(client: Client):
    client.sim.ring_outs.options.pair = True
    await place(client)
    outer, inner = client.sim.pbx.items("2001")
    assert int(inner["sessionId"]) - int(outer["sessionId"]) == 1000
    assert (inner["direction"], inner["from"], inner["to"]) == ("Inbound", outer["to"], outer["from"])


async def test_the_first_item_of_2015_has_no_id(http: Any):
    async with Simulator(clock=SimClock(speed=0), pbx=Pbx(style="2015")) as sim:
        client = Client(sim, http)
        await client.login()
        await place(client, path="/ringout")
        assert "id" not in sim.pbx.items("2001")[0]
        await after(client, 4)
        assert "id" in sim.pbx.items("2001")[0]


@pytest.mark.parametrize(
    "change", [{"from": None}, {"to": {}}, {"to": {"phoneNumber": "nobody"}}, {"from": {"phoneNumber": 5}}]
)
async def test_numbers_are_needed(client: Client, change: Any):
    status, body = await client.call("POST", OWN + "/ring-out", BODY | change)
    assert (status, body["errorCode"]) == (400, "CMN-101")


async def test_a_forwarding_number_is_ones_own(client: Client):
    await client.call("POST", OWN + "/ring-out", BODY | {"from": {"forwardingNumberId": "1"}})
    assert client.sim.pbx.items("2001")[0]["from"] == "+16505551001"


async def test_the_permission(client: Client):
    client.sim.permissions.missing.add("RingOut")
    status, body = await client.call("POST", OWN + "/ring-out", BODY)
    assert (status, body["errors"][0]["permissionName"]) == (403, "RingOut")
