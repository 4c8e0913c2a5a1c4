"""A subscription's life: filters, limits, expiry, renewal."""

import re

import pytest

from tests.simulator.conftest import DETAILED, SUBSCRIPTION, Client, opened

MODE = {"transportType": "PubNub", "encryption": True}


async def test_the_answer_names_real_ids_and_delivery(client: Client):
    made = await client.subscribe()
    assert made["eventFilters"] == ["/restapi/v1.0/account/1001/extension/2001/presence?detailedTelephonyState=true"]
    assert made["expiresIn"] == 899
    assert made["status"] == "Active"
    mode = made["deliveryMode"]
    assert re.fullmatch(r"\d{14}_[0-9a-f]{8}", mode["address"])
    assert mode["subscriberKey"].startswith("sub-c-")
    assert mode["encryptionAlgorithm"] == "AES"
    assert "disabledFilters" not in made


async def test_read_list_delete(client: Client):
    made = await client.subscribe()
    path = f"{SUBSCRIPTION}/{made['id']}"
    assert (await client.call("GET", path))[1]["id"] == made["id"]
    assert [s["id"] for s in (await client.call("GET", SUBSCRIPTION))[1]["records"]] == [made["id"]]
    assert await client.call("DELETE", path) == (204, None)
    status, body = await client.call("GET", path)
    assert (status, body["errorCode"]) == (404, "CMN-102")
    assert (await client.call("GET", SUBSCRIPTION))[1]["records"] == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_renewing_in_time_extends_and_too_late_is_404(client: Client, method: str):
    made = await client.subscribe()
    path = f"{SUBSCRIPTION}/{made['id']}" + ("/renew" if method == "POST" else "")
    body = None if method == "POST" else {"eventFilters": [DETAILED]}
    client.sim.clock.advance(899)
    status, renewed = await client.call(method, path, body)
    assert (status, renewed["expiresIn"]) == (200, 899)
    assert renewed["deliveryMode"] == made["deliveryMode"]
    client.sim.clock.advance(900)
    assert (await client.call(method, path, body))[0] == 404


async def test_a_renewal_may_bring_new_parameters(client: Client):
    made = await client.subscribe()
    client.sim.subscriptions.rotate_on_renew = True
    _, renewed = await client.call("POST", f"{SUBSCRIPTION}/{made['id']}/renew")
    for name in ("address", "encryptionKey"):
        assert renewed["deliveryMode"][name] != made["deliveryMode"][name]


async def test_expired_means_silent(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    client.sim.clock.advance(900)
    assert client.sim.publish_envelope({"body": {"extensionId": "2001"}}) == 0
    client.sim.pubnub.hold_seconds = 0.01
    assert (await client.poll(made, tt))["m"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"eventFilters": [], "deliveryMode": MODE}, 400, "CMN-101"),
        ({"eventFilters": [DETAILED], "deliveryMode": MODE, "expiresIn": 0}, 400, "CMN-101"),
        ({"eventFilters": [DETAILED], "deliveryMode": {"transportType": "Pigeon"}}, 400, "CMN-101"),
        ({"eventFilters": [DETAILED], "deliveryMode": {"transportType": "WebSocket"}}, 400, "CMN-101"),
        ({"eventFilters": [DETAILED]}, 400, "CMN-101"),
        ({"eventFilters": ["/nonsense"], "deliveryMode": MODE}, 400, "SUB-508"),
    ],
)
async def test_refused_requests(client: Client, body: object, status: int, code: str):
    got, answer = await client.call("POST", SUBSCRIPTION, body)
    assert (got, answer["errorCode"]) == (status, code)


async def test_some_filters_may_be_refused(client: Client):
    stranger = "/restapi/v1.0/account/~/extension/999/presence"
    made = await client.subscribe(DETAILED, stranger)
    assert len(made["eventFilters"]) == 1
    assert made["disabledFilters"] == [{"filter": stranger, "reason": "SUB-408", "message": "User is not found"}]


async def test_the_account_wide_filter_can_be_switched_off(client: Client):
    wide = "/restapi/v1.0/account/~/presence?detailedTelephonyState=true"
    assert "disabledFilters" not in await client.subscribe(wide)
    client.sim.subscriptions.account_wide_detailed = False
    assert (await client.subscribe(DETAILED, wide))["disabledFilters"][0]["filter"] == wide


async def test_the_thirty_first_is_refused(client: Client):
    for _ in range(30):
        await client.subscribe()
    status, body = await client.call("POST", SUBSCRIPTION, {"eventFilters": [DETAILED], "deliveryMode": MODE})
    assert (status, body["errorCode"]) == (403, "SUB-505")
    client.sim.clock.advance(900)
    await client.subscribe()


async def test_without_details_there_are_no_calls(client: Client):
    made = await client.subscribe("/restapi/v1.0/account/~/extension/2002/presence")
    tt = (await client.poll(made))["t"]["t"]
    body = {"extensionId": "2002", "telephonyStatus": "Ringing", "activeCalls": [{}], "totalActiveCalls": 1}
    event = "/restapi/v1.0/account/1001/extension/2002/presence?detailedTelephonyState=true"
    assert client.sim.publish_envelope({"event": event, "body": body}) == 1
    assert client.sim.publish_envelope({"event": event, "body": body | {"extensionId": "2003"}}) == 0
    (got,) = opened(made, await client.poll(made, tt))
    assert got["body"] == {
        "extensionId": "2002",
        "telephonyStatus": "Ringing",
        "aggregatedTelephonyStatus": "Ringing",
    }
    assert got["event"].endswith("/extension/2002/presence")
    assert (got["subscriptionId"], got["ownerId"]) == (made["id"], "2001")
