"""Faults of REST answers, seen by a client."""

import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from ringledger.simulator.faults.poison import BOMB_BYTES, DATES, RATES
from tests.simulator.conftest import Client

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


def _ask(client: Client, http: aiohttp.ClientSession, path: str = ONE) -> Any:
    headers = {"Authorization": f"Bearer {client.token}"}
    return http.get(client.sim.url + path, headers=headers, allow_redirects=False)


async def test_poisoned_records_stand_among_true_ones(client: Client, http: aiohttp.ClientSession):
    client.sim.faults.add("poison-record=1x")
    async with _ask(client, http, LIST) as answer:
        text = await answer.text()
    assert "9999-12-31" in text
    with pytest.raises((json.JSONDecodeError, RecursionError)):
        json.loads(text)


async def test_a_listing_that_never_ends(client: Client):
    client.sim.faults.add("same-page")
    first, second = [(await client.call("GET", f"{LIST}?perPage=2&page={page}"))[1] for page in (1, 2)]
    assert first == second
    assert "nextPage" in first["navigation"]


async def test_odd_headers(client: Client, http: aiohttp.ClientSession):
    client.sim.faults.add("odd-date=1x")
    client.sim.faults.add("odd-rate=1x")
    async with _ask(client, http) as answer:
        assert answer.headers["Date"] in DATES
        assert answer.headers["X-Rate-Limit-Window"] in {one["X-Rate-Limit-Window"] for one in RATES}


async def test_a_redirect(client: Client, http: aiohttp.ClientSession):
    client.sim.faults.add("redirect=1x")
    async with _ask(client, http) as answer:
        assert (answer.status, urlsplit(answer.headers["Location"]).path) == (302, "/elsewhere")


@pytest.mark.slow
async def test_a_bomb_is_small_on_the_wire(client: Client):
    client.sim.faults.add("bomb=1x")
    async with aiohttp.ClientSession(auto_decompress=False) as http, _ask(client, http) as answer:
        assert len(await answer.read()) < BOMB_BYTES / 100


async def test_an_answer_without_end(client: Client, http: aiohttp.ClientSession):
    client.sim.faults.add("endless=1x")
    async with _ask(client, http) as answer:
        assert len(await answer.content.readexactly(1_000_000)) == 1_000_000


async def test_a_scrambled_answer_is_json_and_another_each_time(client: Client):
    _, whole = await client.call("GET", LIST)
    client.sim.faults.add("scramble=1")
    answers = [(await client.call("GET", LIST))[1] for _ in range(10)]
    assert sum(answer != whole for answer in answers) > 5
