"""RingOut, texts and pages: what is asked, and what the answers say."""

import pytest

from ringledger.ringcentral.api.actions import Actions, RingOut, SentMessage
from ringledger.ringcentral.auth.authorisation import TOKEN_PATH
from ringledger.ringcentral.errors import Malformed, NotFound
from tests.platform.fake import reply, serving
from tests.platform.support import client_for

OWN = "/restapi/v1.0/account/~/extension/~"
STATUS = {"callStatus": "InProgress", "callerStatus": "Success", "calleeStatus": "InProgress"}


async def test_a_two_legged_call() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply({"access_token": "AT", "expires_in": 3600}))
        fake.script(f"{OWN}/ring-out", reply({"id": 1412, "status": STATUS}))
        fake.script(
            f"{OWN}/ring-out/1412",
            reply({"id": "1412", "status": STATUS}),
            reply(status=204),
            reply({"errorCode": "CMN-102"}, 404),
        )
        actions = Actions(client)
        placed = await actions.ring_out("+15550100001", "+15550100002", caller_id="+15550100003", prompt=False)
        assert placed == RingOut("1412", "InProgress", "Success", "InProgress")
        assert await actions.ring_out_status("1412") == placed
        await actions.cancel_ring_out("1412")
        with pytest.raises(NotFound):
            await actions.ring_out_status("1412")
        assert [method for method, path, _ in fake.requests if path != TOKEN_PATH] == [
            "POST",
            "GET",
            "DELETE",
            "GET",
        ]


async def test_messages() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply({"access_token": "AT", "expires_in": 3600}))
        fake.script(f"{OWN}/sms", reply({"id": 5578972751633835268, "messageStatus": "Sent"}))
        fake.script(f"{OWN}/company-pager", reply({"id": 7, "messageStatus": "Sent"}), reply({}))
        actions = Actions(client)
        assert await actions.send_sms("+1", ["+2"], "hello") == SentMessage("5578972751633835268", "Sent")
        assert await actions.send_page(["101"], "hello") == SentMessage("7", "Sent")
        with pytest.raises(Malformed):
            await actions.send_page(["101"], "hello")
