"""Rate limits: what is announced, what is refused, and how a penalty starts anew."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringledger.simulator import Options, SimClock, Simulator
from ringledger.simulator.rest.limits import group_of
from tests.simulator.conftest import Client

HEAVY = "/restapi/v1.0/account/~/active-calls"
LIGHT = "/restapi/v1.0/account/~/extension/~/presence"


@pytest.fixture
async def limited(http: Any) -> AsyncIterator[Client]:
    async with Simulator(clock=SimClock(speed=0), options=Options(rate_limits="default")) as sim:
        client = Client(sim, http)
        await client.login()
        yield client


async def get(client: Client, path: str) -> tuple[int, dict[str, str]]:
    headers = {"Authorization": f"Bearer {client.token}"}
    async with client.http.get(client.sim.url + path, headers=headers) as answer:
        await answer.read()
        return answer.status, {k: v for k, v in answer.headers.items() if k.startswith(("X-Rate", "Retry"))}


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [
        ("POST", "/restapi/oauth/token", "auth"), ("POST", "/restapi/oauth/wstoken", "auth"),
        ("GET", "/restapi/v1.0/account/~/active-calls", "heavy"),
        ("GET", "/restapi/v1.0/account/1/extension/2/active-calls", "heavy"),
        ("GET", "/restapi/v1.0/account/~/call-log", "heavy"), ("GET", "/restapi/v1.0/account/~/call-log/R1", "heavy"),
        ("GET", "/restapi/v1.0/account/~/call-log-sync", "heavy"), ("GET", "/restapi/v1.0/account/~/presence", "heavy"),
        ("GET", "/restapi/v1.0/account/~/extension/~/presence", "light"),
        ("GET", "/restapi/v1.0/account/~/extension", "medium"), ("GET", "/restapi/v1.0/account/~/extension/~", "light"),
        ("GET", "/restapi/v1.0/account/~", "light"), ("POST", "/restapi/v1.0/subscription", "medium"),
        ("PUT", "/restapi/v1.0/subscription/1", "medium"), ("DELETE", "/restapi/v1.0/subscription/1", "medium"),
        ("GET", "/restapi/v1.0/subscription/1", "light"), ("POST", "/restapi/v1.0/subscription/1/renew", "light"),
        ("POST", "/restapi/v1.0/account/~/extension/~/ring-out", "heavy"),
        ("DELETE", "/restapi/v1.0/account/~/extension/~/ringout/1", "heavy"),
        ("GET", "/restapi/v1.0/account/~/extension/~/ring-out/1", "light"),
        ("POST", "/restapi/v1.0/account/~/extension/~/sms", "medium"),
        ("POST", "/restapi/v1.0/account/~/extension/~/company-pager", "medium"),
        ("GET", "/restapi", None), ("GET", "/v2/subscribe/key/channel/0", None),
    ],
)  # fmt: skip
def test_groups(method: str, path: str, group: str | None):
    assert group_of(method, path) == group


async def test_every_answer_says_what_is_left(limited: Client):
    status, headers = await get(limited, LIGHT)
    assert (status, headers) == (200, {
        "X-Rate-Limit-Group": "light", "X-Rate-Limit-Limit": "50", "X-Rate-Limit-Remaining": "49",
        "X-Rate-Limit-Window": "60",
    })  # fmt: skip
    status, headers = await get(limited, LIGHT.replace("~/presence", "999/presence"))
    assert (status, headers["X-Rate-Limit-Remaining"]) == (404, "48")


async def test_a_group_is_refused_until_its_penalty_is_over(limited: Client):
    for _ in range(10):
        assert (await get(limited, HEAVY))[0] == 200
    status, headers = await get(limited, HEAVY)
    assert (status, headers["Retry-After"], headers["X-Rate-Limit-Remaining"]) == (429, "60", "0")
    assert limited.sim.limits.violations == 0
    assert (await get(limited, LIGHT))[0] == 200
    limited.sim.clock.advance(60)
    assert (await get(limited, HEAVY))[0] == 200
    assert limited.sim.limits.usage() == {"auth": 1, "heavy": 10, "light": 1}


async def test_asking_within_the_penalty_begins_it_again(limited: Client):
    for _ in range(11):
        await get(limited, HEAVY)
    limited.sim.clock.advance(59)
    assert (await get(limited, HEAVY))[0] == 429
    assert limited.sim.limits.violations == 1
    limited.sim.clock.advance(59)
    assert (await get(limited, HEAVY))[0] == 429
    limited.sim.clock.advance(60)
    assert (await get(limited, HEAVY))[0] == 200
    assert [entry.group for entry in limited.sim.limits.log] == ["heavy", "heavy"]


async def test_the_window_slides(limited: Client):
    for _ in range(10):
        await get(limited, HEAVY)
        limited.sim.clock.advance(6)
    assert [(await get(limited, HEAVY))[0] for _ in range(2)] == [200, 429]


async def test_without_limits_nothing_is_refused_but_all_is_counted(client: Client):
    for _ in range(20):
        status, headers = await get(client, HEAVY)
        assert status == 200
    assert headers["X-Rate-Limit-Limit"] == "100000"
    assert client.sim.limits.usage()["heavy"] == 20


async def test_own_limits_and_a_real_window(http: Any):
    options = Options(rate_limits={"heavy": 1}, rate_window_seconds=3600, rate_real_time=True)
    async with Simulator(clock=SimClock(speed=0), options=options) as sim:
        client = Client(sim, http)
        await client.login()
        assert (await get(client, HEAVY))[0] == 200
        sim.clock.advance(3600)
        assert (await get(client, HEAVY))[0] == 429
