"""Directory and presence over REST, and what is on every answer."""

import re

import pytest

from tests.simulator.conftest import Client

EXTENSIONS = "/restapi/v1.0/account/~/extension"


async def test_version_needs_no_token(client: Client):
    client.token = ""
    status, body = await client.call("GET", "/restapi")
    assert (status, body["apiVersions"][0]["uriString"]) == (200, "v1.0")


async def test_tilde_is_the_owner(client: Client):
    _, body = await client.call("GET", EXTENSIONS + "/~")
    assert (body["id"], body["extensionNumber"], body["name"]) == (2001, "101", "Ann Archer")


async def test_the_list_is_paged(client: Client):
    _, first = await client.call("GET", EXTENSIONS + "?perPage=2")
    assert first["paging"] == {
        "page": 1, "perPage": 2, "pageStart": 0, "pageEnd": 1, "totalPages": 3, "totalElements": 5,
    }  # fmt: skip
    ids, path = [r["id"] for r in first["records"]], first["navigation"].get("nextPage")
    while path:
        _, page = await client.call("GET", path["uri"].removeprefix(client.sim.url))
        ids += [r["id"] for r in page["records"]]
        path = page["navigation"].get("nextPage")
    assert ids == [2001, 2002, 2003, 2004, 2005]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (EXTENSIONS + "/999", 404, "CMN-102"),
        ("/restapi/v1.0/account/7/extension", 404, "CMN-102"),
        (EXTENSIONS + "?page=0", 400, "CMN-101"),
        ("/restapi/v1.0/nothing", 404, "CMN-120"),
    ],
)
async def test_errors(client: Client, path: str, status: int, code: str):
    got, body = await client.call("GET", path)
    assert (got, body["errorCode"]) == (status, code)


@pytest.mark.parametrize("path", ["/restapi/v1.0/account/~", "/restapi/v1.0/nothing"])
async def test_every_answer_has_an_id_and_the_simulated_date(client: Client, path: str):
    client.sim.clock.advance(3600)
    async with client.http.get(client.sim.url + path) as answer:
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["RCRequestId"])
        minute = client.sim.clock.now_iso()[11:19]
        assert minute in answer.headers["Date"]
