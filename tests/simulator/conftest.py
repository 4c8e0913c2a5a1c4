"""Clients of the simulator, on real sockets."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from ringledger.simulator import Credentials, Options, SimClock, Simulator
from ringledger.simulator.push.encryption import decrypt
from ringledger.simulator.rest.oauth import JWT_GRANT, basic

DETAILED = "/restapi/v1.0/account/~/extension/~/presence?detailedTelephonyState=true"
SUBSCRIPTION = "/restapi/v1.0/subscription"


@dataclass
class Client:
    """What a subscriber does, in the smallest words."""

    sim: Simulator
    http: aiohttp.ClientSession
    token: str = ""
    credentials: Credentials = field(default_factory=Credentials)

    async def oauth(self, what: str = "token", **form: str) -> tuple[int, Any]:
        headers = {"Authorization": basic(self.credentials)}
        async with self.http.post(f"{self.sim.url}/restapi/oauth/{what}", data=form, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def login(self) -> Any:
        status, body = await self.oauth(grant_type=JWT_GRANT, assertion="sim-jwt")
        assert status == 200
        self.token = body["access_token"]
        return body

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(method, self.sim.url + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def subscribe(self, *filters: str, **more: Any) -> Any:
        mode = {"transportType": "PubNub", "encryption": True}
        body = {"eventFilters": list(filters or (DETAILED,)), "deliveryMode": mode, **more}
        status, answer = await self.call("POST", SUBSCRIPTION, body)
        assert status == 200, answer
        return answer

    async def poll(self, subscription: Any, tt: str = "0") -> Any:
        async with self.http.get(self.poll_url(subscription, tt)) as answer:
            assert answer.status == 200
            return json.loads(await answer.read())

    def poll_url(self, subscription: Any, tt: str = "0") -> str:
        mode = subscription["deliveryMode"]
        return f"{self.sim.url}/v2/subscribe/{mode['subscriberKey']}/{mode['address']}/0?tt={tt}&uuid=test"


def opened(subscription: Any, batch: Any) -> list[Any]:
    """The envelopes of a batch."""
    key = subscription["deliveryMode"]["encryptionKey"]
    return [json.loads(decrypt(message["d"], key)) for message in batch["m"]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A simulator whose time stands still until it is moved."""
    async with Simulator(clock=SimClock(speed=0), options=Options(hold_seconds=20)) as running:
        yield running


@pytest.fixture
async def client(sim: Simulator, http: aiohttp.ClientSession) -> Client:
    made = Client(sim, http)
    await made.login()
    return made
