import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from ringledger.simulator import Simulator
from tests.simulator.conftest import DETAILED, SUBSCRIPTION, Client

EVENT = "/restapi/v1.0/account/1001/extension/2001/presence?detailedTelephonyState=true"


@dataclass
class Line:
    """One connection, frame by frame."""

    ws: aiohttp.ClientWebSocketResponse
    number: "itertools.count[int]" = field(default_factory=itertools.count)

    async def read(self) -> tuple[Any, Any]:
        frame = json.loads(await self.ws.receive_str(timeout=10))
        return frame[0], frame[1] if len(frame) > 1 else None

    async def ask(self, method: str, path: str, body: Any = None, **meta: Any) -> tuple[Any, Any]:
        name = f"q-{next(self.number)}"
        told = {"type": "ClientRequest", "messageId": name, "method": method, "path": path, **meta}
        await self.ws.send_str(json.dumps([told] if body is None else [told, body]))
        meta, answer = await self.read()
        assert (meta["type"], meta["messageId"]) == ("ClientRequest", name)
        return meta, answer

    async def subscribe(self, path: str = SUBSCRIPTION) -> Any:
        body = {"eventFilters": [DETAILED], "deliveryMode": {"transportType": "WebSocket"}}
        meta, answer = await self.ask("POST", path, body)
        assert meta["status"] == 200, answer
        return meta, answer

    async def ended(self) -> bool:
        return (await self.ws.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def ticket(client: Client) -> Any:
    status, body = await client.call("POST", "/restapi/oauth/wstoken")
    assert status == 200
    return body


@asynccontextmanager
async def line(client: Client, wsc: str | None = None) -> AsyncIterator[Line]:
    got = await ticket(client)
    params = {"access_token": got["ws_access_token"], **({"wsc": wsc} if wsc else {})}
    async with client.http.ws_connect(got["uri"], params=params) as ws:
        yield Line(ws)


def publish(sim: Simulator, *names: str) -> None:
    body = {"extensionId": "2001", "sequence": 1, "telephonyStatus": "NoCall", "activeCalls": []}
    for name in names:
        assert sim.publish_envelope({"uuid": name, "event": EVENT, "body": body}, forced=True) == 1


async def test_the_first_frame_is_connection_details(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        meta, details = await one.read()
        assert (meta["type"], meta["status"], meta["wsc"]["sequence"]) == ("ConnectionDetails", 200, 1)
        assert "recoveryState" not in details
        assert (details["recoveryBufferSize"], details["recoveryTimeout"]) == (100, 180)
        assert sim.websocket.connections == 1


async def test_a_token_works_once(sim: Simulator, client: Client) -> None:
    got = await ticket(client)
    params = {"access_token": got["ws_access_token"]}
    async with client.http.ws_connect(got["uri"], params=params):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.http.ws_connect(got["uri"], params=params)
    assert refused.value.status == 401


async def test_a_token_expires(sim: Simulator, client: Client) -> None:
    sim.websocket.token_seconds = -1
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with line(client):
            pass


async def test_a_token_needs_an_access_token(sim: Simulator, http: aiohttp.ClientSession) -> None:
    assert (await Client(sim, http).call("POST", "/restapi/oauth/wstoken"))[0] == 401


@pytest.mark.parametrize("path", [SUBSCRIPTION, SUBSCRIPTION + "/"])
async def test_events_of_a_subscription(sim: Simulator, client: Client, path: str) -> None:
    async with line(client) as one:
        await one.read()
        answered, subscription = await one.subscribe(path)
        assert subscription["deliveryMode"] == {"transportType": "WebSocket", "encryption": False}
        assert (subscription["status"], subscription["expiresIn"]) == ("Active", 86399)
        publish(sim, "a", "b")
        (first, body), (second, _) = await one.read(), await one.read()
        await sim.websocket.wait_sent()
    assert (first["type"], first["messageId"], second["messageId"]) == ("ServerNotification", "a", "b")
    assert (body["uuid"], body["subscriptionId"]) == ("a", subscription["id"])
    assert answered["wsc"]["sequence"] < first["wsc"]["sequence"] < second["wsc"]["sequence"]


async def test_the_resource_over_the_socket(sim: Simulator, client: Client) -> None:
    other = "/restapi/v1.0/account/~/extension/2002/presence?detailedTelephonyState=true"
    async with line(client) as one:
        await one.read()
        _, made = await one.subscribe()
        mine = f"{SUBSCRIPTION}/{made['id']}"
        _, changed = await one.ask("PUT", mine, {"eventFilters": [other]})
        assert changed["eventFilters"] == [other.replace("~", "1001", 1)]
        assert (await one.ask("GET", mine + "/"))[1] == changed
        assert (await one.ask("GET", SUBSCRIPTION + "/none"))[0]["status"] == 404
        meta, body = await one.ask("DELETE", mine)
        assert (meta["status"], body) == (204, None)
        assert sim.subscriptions.alive() == []


async def test_a_second_subscription_replaces_the_first(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        await one.subscribe()
        _, second = await one.subscribe()
        assert [s.id for s in sim.subscriptions.alive()] == [second["id"]]


async def test_it_cannot_be_made_over_http_nor_for_pubnub(sim: Simulator, client: Client) -> None:
    body = {"eventFilters": [DETAILED], "deliveryMode": {"transportType": "WebSocket"}}
    assert (await client.call("POST", SUBSCRIPTION, body))[0] == 400
    async with line(client) as one:
        await one.read()
        meta, answer = await one.ask("POST", SUBSCRIPTION, {**body, "deliveryMode": {"transportType": "PubNub"}})
    assert (meta["status"], answer["errorCode"]) == (400, "CMN-101")


async def test_plain_reads(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        assert (await one.ask("GET", "/restapi/v1.0/account/~/extension/~"))[1]["id"] == 2001
        path = "/restapi/v1.0/account/~/extension/2002/presence"
        assert "activeCalls" in (await one.ask("GET", path, query={"detailedTelephonyState": "true"}))[1]
        assert (await one.ask("GET", "/restapi/oauth/token"))[0]["status"] == 404


async def test_a_heartbeat_comes_back(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        await one.ws.send_str('[{"type":"Heartbeat","messageId":"h-1"}]')
        assert await one.read() == ({"type": "Heartbeat", "messageId": "h-1"}, None)


async def test_what_is_no_frame_is_an_error(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        await one.ws.send_str("nonsense")
        assert (await one.read())[0]["type"] == "Error"


async def test_too_many_requests_at_once(sim: Simulator, client: Client) -> None:
    sim.websocket.max_requests = 0
    async with line(client) as one:
        await one.read()
        assert (await one.ask("GET", "/restapi/v1.0/account/~"))[0]["status"] == 429


async def lost(sim: Simulator, client: Client, *names: str) -> str:
    """A subscribed connection that received ``names`` and was cut; its newest wsc."""
    async with line(client) as one:
        await one.read()
        meta, _ = await one.subscribe()
        publish(sim, *names)
        for _ in names:
            meta, _ = await one.read()
        await sim.websocket.cut()
    return str(meta["wsc"]["token"])


async def test_a_recovery_replays_what_was_missed(sim: Simulator, client: Client) -> None:
    wsc = await lost(sim, client, "a")
    publish(sim, "b", "c")
    async with line(client, wsc) as one:
        meta, details = await one.read()
        assert details["recoveryState"] == "Successful"
        assert meta["wsc"]["sequence"] == 1
        first, second = (await one.read())[0], (await one.read())[0]
        assert [first["messageId"], second["messageId"]] == ["b", "c"]
        assert 1 < first["wsc"]["sequence"] < second["wsc"]["sequence"]
        publish(sim, "d")
        assert (await one.read())[0]["messageId"] == "d"


async def test_the_newest_hundred_are_replayed(sim: Simulator, client: Client) -> None:
    wsc = await lost(sim, client)
    publish(sim, *(str(n) for n in range(130)))
    async with line(client, wsc) as one:
        await one.read()
        assert [(await one.read())[0]["messageId"] for _ in range(100)] == [str(n) for n in range(30, 130)]


async def test_after_the_window_recovery_fails(sim: Simulator, client: Client) -> None:
    sim.websocket.sessions.recovery_seconds = -1
    wsc = await lost(sim, client)
    async with line(client, wsc) as one:
        assert (await one.read())[1]["recoveryState"] == "Failed"
        await one.subscribe()


async def test_without_a_subscription_there_is_nothing_to_recover(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        meta, _ = await one.read()
    async with line(client, meta["wsc"]["token"]) as one:
        details = (await one.read())[1]
    assert (details["recoveryState"], details["recoveryErrorCode"]) == ("Failed", "WSG-1005")


async def test_another_authorisation_recovers_nothing(sim: Simulator, client: Client) -> None:
    wsc = await lost(sim, client)
    await client.login()
    async with line(client, wsc) as one:
        details = (await one.read())[1]
    assert (details["recoveryState"], details["recoveryErrorCode"]) == ("Failed", "WSG-1003")
    assert sim.subscriptions.alive() == []


async def test_a_refreshed_authorisation_recovers(sim: Simulator, client: Client) -> None:
    login = await client.login()
    wsc = await lost(sim, client)
    _, refreshed = await client.oauth(grant_type="refresh_token", refresh_token=login["refresh_token"])
    client.token = refreshed["access_token"]
    async with line(client, wsc) as one:
        assert (await one.read())[1]["recoveryState"] == "Successful"


@pytest.mark.parametrize("wsc", ["x", "a.b", "a.1.0", "²", "a.²", "ü.1.2"])
async def test_a_forged_context(sim: Simulator, client: Client, wsc: str) -> None:
    async with line(client, wsc) as one:
        meta, body = await one.read()
        assert (meta["type"], body["errorCode"]) == ("Error", "WSG-400")
        assert await one.ended()


@pytest.mark.parametrize(("limit", "code"), [("idle_seconds", "WSG-902"), ("absolute_seconds", "WSG-903")])
async def test_every_connection_ends_some_day(sim: Simulator, client: Client, limit: str, code: str) -> None:
    setattr(sim.websocket, limit, 0.05)
    async with line(client) as one:
        await one.read()
        assert (await one.read())[1]["errorCode"] == code
        assert await one.ended()


async def test_a_cut_refuses_for_a_while(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        await sim.websocket.cut(60)
        assert sim.websocket.connections == 0
        assert (await one.ws.receive()).type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
        with pytest.raises(aiohttp.ClientError):
            async with line(client):
                pass


async def test_a_silent_subscription_loses_without_a_word(sim: Simulator, client: Client) -> None:
    async with line(client) as one:
        await one.read()
        await one.subscribe()
        sim.websocket.silent = True
        publish(sim, "lost")
        sim.websocket.silent = False
        publish(sim, "a")
        assert (await one.read())[0]["messageId"] == "a"


async def test_the_server_pings(sim: Simulator, client: Client) -> None:
    sim.websocket.ping_seconds = 0.05
    got = await ticket(client)
    params = {"access_token": got["ws_access_token"]}
    async with client.http.ws_connect(got["uri"], params=params, autoping=False) as ws:
        await ws.receive_str()
        assert (await ws.receive(timeout=10)).type is aiohttp.WSMsgType.PING


async def test_stopping_with_open_connections(client: Client) -> None:
    async with Simulator() as sim:
        other = Client(sim, client.http)
        await other.login()
        got = await ticket(other)
        ws = await client.http.ws_connect(got["uri"], params={"access_token": got["ws_access_token"]})
        await ws.receive_str()
        closing = asyncio.create_task(ws.receive())
    assert (await closing).type is aiohttp.WSMsgType.CLOSE
