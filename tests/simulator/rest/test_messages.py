"""Text messages and pages: what is accepted and what is refused."""

from typing import Any

import pytest

from tests.simulator.conftest import Client

OWN = "/restapi/v1.0/account/~/extension/~"
SMS = {"from": {"phoneNumber": "+16505551001"}, "to": [{"phoneNumber": "+14155550100"}], "text": "Hello"}
PAGE = {"to": [{"extensionNumber": "102"}], "text": "Hello"}


async def test_a_text_message(client: Client):
    status, body = await client.call("POST", OWN + "/sms", SMS)
    assert (status, body["type"], body["subject"], body["messageStatus"]) == (200, "SMS", "Hello", "Queued")
    assert body["conversationId"] > 2**53
    assert client.sim.messages.sent == [body]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"text": "x" * 1001}, 400, "CMN-101"), ({"text": "😀" * 501}, 400, "CMN-101"), ({"text": ""}, 400, "CMN-101"),
        ({"to": []}, 400, "CMN-101"), ({"to": [{"phoneNumber": "me"}]}, 400, "CMN-101"),
        ({"from": {"phoneNumber": "+16505551002"}}, 403, "MSG-304"),
    ],
)  # fmt: skip
async def test_refused_text_messages(client: Client, change: Any, status: int, code: str):
    got, body = await client.call("POST", OWN + "/sms", SMS | change)
    assert (got, body["errorCode"]) == (status, code)


async def test_length_is_counted_in_units(client: Client):
    for text in ("x" * 1000, "😀" * 500):
        assert (await client.call("POST", OWN + "/sms", SMS | {"text": text}))[0] == 200


async def test_a_sender_needs_the_feature(client: Client):
    client.sim.messages.senders = {"+16505559999"}
    assert (await client.call("POST", OWN + "/sms", SMS))[1]["errorCode"] == "MSG-304"
    status, _ = await client.call("POST", OWN + "/sms", SMS | {"from": {"phoneNumber": "16505559999"}})
    assert status == 200


async def test_a_page_and_its_answer(client: Client):
    status, body = await client.call("POST", OWN + "/company-pager", PAGE | {"from": {"extensionId": "2001"}})
    assert (status, body["type"], body["to"][0]["extensionId"]) == (200, "Pager", "2002")
    status, reply = await client.call("POST", OWN + "/company-pager", {"replyOn": body["id"], "text": "Yes"})
    assert status == 200
    assert [party["extensionNumber"] for party in reply["to"]] == ["101", "102"]


@pytest.mark.parametrize(
    ("change", "code", "parameter"),
    [
        ({"to": [{"extensionNumber": "999"}]}, "CMN-102", "to"), ({"replyOn": 1}, "CMN-102", "replyOn"),
        ({"text": "x" * 1025}, "CMN-101", None), ({"to": []}, "CMN-101", None), ({"to": ["102"]}, "CMN-101", None),
        ({"from": {"extensionId": "2002"}}, "MSG-331", None), ({"to": [{"extensionId": "2003"}]}, "MSG-324", None),
    ],
)  # fmt: skip
async def test_refused_pages(client: Client, change: Any, code: str, parameter: str | None):
    client.sim.messages.disabled = {"2003"}
    status, body = await client.call("POST", OWN + "/company-pager", PAGE | change)
    assert (status, body["errorCode"], body["errors"][0].get("parameterName")) == (400, code, parameter)


@pytest.mark.parametrize(
    ("path", "body", "missing", "code"),
    [
        ("/sms", SMS, "SMS", "CMN-401"), ("/sms", SMS, "OutboundSMS", "CMN-408"),
        ("/company-pager", PAGE, "InternalMessages", "CMN-401"), ("/company-pager", PAGE, "InternalSMS", "CMN-408"),
    ],
)  # fmt: skip
async def test_permissions(client: Client, path: str, body: Any, missing: str, code: str):
    client.sim.permissions.missing = {missing}
    status, answer = await client.call("POST", OWN + path, body)
    assert (status, answer["permissionName"], answer["errors"][0]["errorCode"]) == (403, missing, code)
