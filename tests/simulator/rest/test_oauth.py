"""The token endpoint: grants, single use, expiry, revocation, and the bodies of refusals."""

import aiohttp
import pytest

from ringledger.simulator import Credentials, Options, SimClock, Simulator
from ringledger.simulator.rest.oauth import JWT_GRANT
from tests.simulator.conftest import Client

ACCOUNT = "/restapi/v1.0/account/~"
PASSWORD = {"grant_type": "password", "username": "15550100000", "extension": "", "password": "sim-password"}


async def test_a_jwt_login_opens_the_resources(client: Client):
    body = await client.login()
    assert {"access_token", "expires_in", "scope", "token_type", "session_id", "refresh_token"} <= body.keys()
    status, account = await client.call("GET", ACCOUNT)
    assert (status, account["id"]) == (200, 1001)


async def test_a_wrong_jwt_is_an_invalid_grant(client: Client):
    status, body = await client.oauth(grant_type=JWT_GRANT, assertion="other")
    assert status == 400
    assert body == {
        "error": "invalid_grant",
        "error_description": "Token not found",
        "errors": [{"errorCode": "OAU-213", "message": "Token not found"}],
    }


async def test_wrong_client_credentials_are_401(client: Client):
    client.credentials = Credentials(client_secret="guessed")
    status, body = await client.oauth(grant_type=JWT_GRANT, assertion="sim-jwt")
    assert (status, body["errors"][0]["errorCode"]) == (401, "OAU-146")


async def test_an_unknown_grant_is_refused(client: Client):
    status, body = await client.oauth(grant_type="telepathy")
    assert (status, body["errors"][0]["errorCode"]) == (400, "OAU-250")


async def test_password_is_refused_today(client: Client):
    status, body = await client.oauth(**PASSWORD)
    assert (status, body["error"], body["errors"][0]["errorCode"]) == (400, "unauthorized_client", "OAU-251")


async def test_password_is_granted_in_2015(http: aiohttp.ClientSession):
    async with Simulator(options=Options(legacy_2015=True)) as sim:
        client = Client(sim, http)
        assert (await client.oauth(**PASSWORD))[0] == 200
        status, body = await client.oauth(**PASSWORD | {"password": "guessed"})
        assert (status, body["errors"][0]["errorCode"]) == (401, "OAU-140")


async def test_a_refresh_kills_the_old_access_token(client: Client):
    old = await client.login()
    status, new = await client.oauth(grant_type="refresh_token", refresh_token=old["refresh_token"])
    assert status == 200
    assert (await client.call("GET", ACCOUNT))[0] == 401
    client.token = new["access_token"]
    assert (await client.call("GET", ACCOUNT))[0] == 200
    assert new["session_id"] == old["session_id"]


async def test_a_used_refresh_token_may_be_sent_again_for_ten_seconds(client: Client):
    old = await client.login()
    form = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"]}
    _, first = await client.oauth(**form)
    client.token = first["access_token"]
    await client.call("GET", ACCOUNT)
    client.sim.clock.advance(10)
    assert await client.oauth(**form) == (200, first)
    client.sim.clock.advance(0.001)
    status, body = await client.oauth(**form)
    assert (status, body["errors"][0]["errorCode"]) == (400, "OAU-213")


async def test_a_lost_answer_can_be_asked_for_again_later(client: Client):
    old = await client.login()
    form = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"]}
    _, first = await client.oauth(**form)
    client.sim.clock.advance(600)
    assert await client.oauth(**form) == (200, first)


async def test_an_access_token_expires_in_simulated_time(client: Client):
    client.sim.clock.advance(3600)
    status, body = await client.call("GET", ACCOUNT)
    assert (status, body["errors"][0]["errorCode"]) == (401, "OAU-128")


@pytest.mark.parametrize(("token", "code"), [("", "OAU-134"), ("unknown", "OAU-213")])
async def test_no_or_an_unknown_token_is_401(client: Client, token: str, code: str):
    client.token = token
    status, body = await client.call("GET", ACCOUNT)
    assert (status, body["errors"][0]["errorCode"]) == (401, code)


async def test_revoking_ends_the_whole_session(client: Client):
    tokens = await client.login()
    assert (await client.oauth("revoke", token=tokens["access_token"]))[0] == 200
    assert (await client.call("GET", ACCOUNT))[0] == 401
    assert (await client.oauth(grant_type="refresh_token", refresh_token=tokens["refresh_token"]))[0] == 400


async def test_a_sixth_session_revokes_the_oldest(client: Client):
    first = client.token
    for _ in range(5):
        await client.login()
    client.token = first
    assert (await client.call("GET", ACCOUNT))[0] == 401


async def test_refresh_tokens_can_be_switched_off(http: aiohttp.ClientSession):
    async with Simulator(clock=SimClock(speed=0), options=Options(issue_refresh=False)) as sim:
        assert "refresh_token" not in await Client(sim, http).login()
