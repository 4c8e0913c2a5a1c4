"""Every answer and every event of the simulator has the shape the platform's own description gives it."""

import copy
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator

from ringledger.simulator import Office, SimClock, Simulator
from tests.conformance.refresh import differences
from tests.simulator.conftest import Client
from tests.simulator.exchange.test_office import leap

SHAPES = json.loads((Path(__file__).parent / "platform_shapes.json").read_text(encoding="utf-8"))
ACCOUNT = "/restapi/v1.0/account/~"
OWN = ACCOUNT + "/extension/~"
FILTER = "/restapi/v1.0/account/~/presence?detailedTelephonyState=true"


def problems(kind: str, answer: Any) -> list[str]:
    """What is wrong with an answer, as texts that say where."""
    schema = {"$ref": "#/$defs/" + SHAPES["answers"][kind], "$defs": SHAPES["$defs"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(answer)]


@pytest.fixture
async def busy(http: Any) -> Any:
    """An account in the middle of its day: calls of every kind are over, some go on."""
    async with Simulator(clock=SimClock(speed=0)) as sim:
        events: list[Any] = []
        sim.pbx.listeners.append(events.append)
        office = Office([*sim.pbx.extensions.values()], 600, 3)
        sim.clock.sleep_until = leap(sim.clock)  # type: ignore[method-assign]
        await sim.run_office(office, until=sim.clock.now_ms() + 1_800_000, drain=False)
        client = Client(sim, http)
        await client.login()
        yield client, events


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("account", ACCOUNT), ("extension", OWN), ("extensions", ACCOUNT + "/extension?perPage=2"),
        ("presence", OWN + "/presence"), ("presence", OWN + "/presence?detailedTelephonyState=true"),
        ("presence", OWN + "/presence?detailedTelephonyState=true&sipData=true"),
        ("presence", OWN + "/presence?sipData=true"),
        ("listing", ACCOUNT + "/active-calls"), ("listing", OWN + "/active-calls?view=Detailed"),
        ("listing", ACCOUNT + "/call-log?perPage=1000&view=Detailed"), ("listing", OWN + "/call-log?page=2&perPage=5"),
        ("sync", ACCOUNT + "/call-log-sync?recordCount=250&view=Detailed"),
        ("sync", OWN + "/call-log-sync?recordCount=5"),
    ],
)  # fmt: skip
async def test_answers(busy: Any, kind: str, path: str):
    status, body = await busy[0].call("GET", path)
    assert status == 200, body
    assert body.get("records") != []
    assert problems(kind, body) == []


@pytest.mark.parametrize("path", [ACCOUNT, OWN])
async def test_what_is_new_since_a_synchronisation(busy: Any, path: str):
    client, _ = busy
    _, first = await client.call("GET", path + "/call-log-sync?recordCount=250")
    client.sim.clock.advance(600)  # calls that had just ended are in the log now
    token = quote(first["syncInfo"]["syncToken"])
    for more in ("", "&recordCount=5"):
        status, body = await client.call("GET", f"{path}/call-log-sync?syncType=ISync&syncToken={token}{more}")
        assert (status, body["syncInfo"]["syncType"]) == (200, "ISync")
        assert body["records"] != []
        assert problems("sync", body) == []


async def test_presence_of_those_who_talk(busy: Any):
    """The whole account's calls that go on, as a read of each extension shows them."""
    client, _ = busy
    seen = 0
    for extension in client.sim.pbx.extensions:
        path = f"{ACCOUNT}/extension/{extension}/presence?detailedTelephonyState=true&sipData=true"
        status, body = await client.call("GET", path)
        assert status == 200
        assert problems("presence", body) == []
        seen += len(body["activeCalls"])
    assert seen > 0


async def test_one_record(busy: Any):
    client, _ = busy
    _, page = await client.call("GET", ACCOUNT + "/call-log")
    for record in page["records"][:30]:
        _, body = await client.call("GET", f"{ACCOUNT}/call-log/{record['id']}?view=Detailed")
        assert problems("record", body) == []


async def test_events(busy: Any):
    subscribed = {"subscriptionId": "a subscription"}
    found = {problem for event in busy[1] for problem in problems("event", event | subscribed)}
    assert len(busy[1]) > 500
    assert found == set()


async def test_tokens(client: Client):
    assert problems("token", await client.login()) == []
    status, body = await client.call("POST", "/restapi/oauth/wstoken")
    assert status == 200
    assert problems("wstoken", body) == []


async def test_subscriptions(client: Client):
    answer = await client.subscribe(FILTER)
    mode = answer.pop("deliveryMode")
    assert mode["transportType"] == "PubNub"  # which today's description has forgotten
    left_out = {"deliveryMode": {"transportType": "WebSocket"}}
    assert problems("subscription", answer | left_out) == []
    path = "/restapi/v1.0/subscription/" + answer["id"]
    for method, what in (("POST", path + "/renew"), ("GET", path), ("PUT", path)):
        status, found = await client.call(method, what, {"eventFilters": [FILTER]} if method == "PUT" else None)
        assert status == 200, found
        assert problems("subscription", found | left_out) == []
    _, listed = await client.call("GET", "/restapi/v1.0/subscription")
    records = [record | left_out for record in listed["records"]]
    assert problems("subscriptions", listed | {"records": records}) == []


async def test_what_is_asked_of_the_platform(client: Client):
    party = {"phoneNumber": "+16505551001"}
    other = {"phoneNumber": "+14155550100"}
    _, ring_out = await client.call("POST", OWN + "/ring-out", {"from": party, "to": other})
    _, sms = await client.call("POST", OWN + "/sms", {"from": party, "to": [other], "text": "Hello"})
    _, page = await client.call("POST", OWN + "/company-pager", {"to": [{"extensionNumber": "102"}], "text": "Hi"})
    assert [problems("ring-out", ring_out), problems("sms", sms), problems("pager", page)] == [[], [], []]
    status, body = await client.call("GET", f"{OWN}/ring-out/{ring_out['id']}")
    assert (status, body["id"]) == (200, ring_out["id"])
    assert problems("ring-out", body) == []


def test_the_shapes_notice_a_difference():
    good = {"access_token": "a", "expires_in": 1, "scope": "", "token_type": "bearer", "session_id": "s"}
    assert problems("token", good) == []
    for change in ({"expires_in": "1"}, {"token_type": "Bearer"}, {"acces_token": ""}):
        assert len(problems("token", good | change)) == 1
    del good["session_id"]
    assert problems("token", good) == ["$: 'session_id' is a required property"]


def test_a_description_that_has_changed_is_noticed():
    """What `make conformance` says of one: the shapes by name."""
    changed = copy.deepcopy(SHAPES)
    assert differences(SHAPES, changed) == []
    changed["$defs"]["ActiveCallInfo"]["properties"]["telephonyStatus"]["enum"].append("Humming")
    changed["$defs"]["NewInfo"] = changed["$defs"].pop("CallLogRecord")
    assert differences(SHAPES, changed) == [
        "$defs/ActiveCallInfo: different",
        "$defs/CallLogRecord: only here",
        "$defs/NewInfo: only in the description",
    ]


def test_the_shapes_carry_no_texts():
    def words(node: Any) -> set[str]:
        if isinstance(node, dict):
            return set(node) | {word for value in node.values() for word in words(value)}
        return {word for value in node for word in words(value)} if isinstance(node, list) else set()

    assert not {"description", "example", "title"} & {
        key for shape in SHAPES["$defs"].values() for key in words(shape) if key not in shape.get("properties", {})
    }
