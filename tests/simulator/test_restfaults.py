"""Faults of REST answers, seen by a client."""

import json
from typing import Any

import aiohttp
import pytest

from .conftest import Client

ONE, LIST = "/restapi/v1.0/account/~", "/restapi/v1.0/account/~/extension"


async def test_server_errors(client: Client):
    client.sim.faults.add("status-5xx=30x")
    answers = [await client.call("GET", ONE) for _ in range(31)]
    assert {status for status, _ in answers} == {500, 502, 503, 200}
    assert answers[-1][0] == 200
    assert {body.get("errorCode") for _, body in answers} == {"CMN-201", None}


async def test_throttling_closes_the_group_for_real(client: Client):
    client.sim.faults.add("429=1x")
    assert [(await client.call("GET", ONE))[0] for _ in range(2)] == [429, 429]
    assert client.sim.limits.violations == 1
    client.sim.clock.advance(60)
    assert (await client.call("GET", ONE))[0] == 200


async def test_an_html_page(client: Client):
    client.sim.faults.add("html=1x")
    with pytest.raises(json.JSONDecodeError):
        await client.call("GET", ONE)


async def test_half_an_answer(client: Client):
    client.sim.faults.add("cut-body=1x")
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.call("GET", LIST)
    assert (await client.call("GET", LIST))[0] == 200


async def test_slowness_is_only_slow(client: Client):
    client.sim.faults.add("slow:0.01=1x")
    assert (await client.call("GET", ONE))[0] == 200
    assert client.sim.faults.happened == {"slow": 1}


async def test_a_later_page_fails(client: Client):
    client.sim.faults.add("page-fails=1x")
    paths: list[Any] = [ONE + "?page=2", LIST, LIST + "?perPage=2&page=2", LIST + "?perPage=2&page=2"]
    assert [(await client.call("GET", path))[0] for path in paths] == [200, 200, 503, 200]


async def test_an_empty_listing(client: Client):
    client.sim.faults.add("empty-listing=1")
    _, body = await client.call("GET", LIST + "?perPage=2")
    assert body["records"] == []
    assert "nextPage" not in body["navigation"]
    assert (await client.call("GET", LIST + "/999"))[0] == 404


async def test_a_fault_of_one_path_only(client: Client):
    client.sim.faults.add("status-5xx=1", path="/call-log")
    assert (await client.call("GET", ONE))[0] == 200
    assert (await client.call("GET", ONE + "/call-log"))[0] >= 500
