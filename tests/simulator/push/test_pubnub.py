"""The long poll, and each way of spoiling one."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from ringledger.simulator.faults import pubnub
from tests.simulator.conftest import Client, opened

ENVELOPE = {
    "uuid": "1",
    "event": "/restapi/v1.0/account/1001/extension/2001/presence",
    "body": {"extensionId": "2001"},
}


async def numbered(client: Client, subscription: Any, first: int, last: int) -> None:
    for number in range(first, last):
        client.sim.publish_raw(subscription["deliveryMode"]["address"], str(number))


async def test_a_handshake_answers_at_once_with_a_cursor(client: Client):
    answer = await client.poll(await client.subscribe())
    assert answer["m"] == []
    assert len(answer["t"]["t"]) == 17
    assert isinstance(answer["t"]["r"], int)


async def test_a_poll_is_held_until_something_is_published(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    poll = asyncio.create_task(client.poll(made, tt))
    await client.sim.wait_polling()
    assert not poll.done()
    assert client.sim.publish_envelope(ENVELOPE) == 1
    batch = await poll
    (message,) = batch["m"]
    assert {"f", "k", "c", "d", "p"} <= message.keys()
    assert message["p"]["t"] == batch["t"]["t"] > tt
    assert opened(made, batch)[0]["subscriptionId"] == made["id"]


async def test_an_idle_poll_ends_empty_with_a_newer_cursor(client: Client):
    made = await client.subscribe()
    client.sim.pubnub.hold_seconds = 0.01
    tt = (await client.poll(made))["t"]["t"]
    answer = await client.poll(made, tt)
    assert answer["m"] == []
    assert answer["t"]["t"] > tt


async def test_the_same_cursor_brings_the_same_messages(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await numbered(client, made, 0, 3)
    first = await client.poll(made, tt)
    assert [m["d"] for m in first["m"]] == ["0", "1", "2"]
    assert await client.poll(made, tt) == first
    middle = first["m"][0]["p"]["t"]
    assert [m["d"] for m in (await client.poll(made, middle))["m"]] == ["1", "2"]


async def test_a_channel_remembers_the_last_hundred(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await numbered(client, made, 0, 103)
    assert [m["d"] for m in (await client.poll(made, tt))["m"]] == [str(n) for n in range(3, 103)]


async def test_an_answer_has_a_hundred_however_many_are_remembered(client: Client):
    client.sim.pubnub.queue_limit = 150
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await numbered(client, made, 0, 260)
    first = await client.poll(made, tt)
    assert [m["d"] for m in first["m"]] == [str(n) for n in range(110, 210)]
    rest = await client.poll(made, first["t"]["t"])
    assert [m["d"] for m in rest["m"]] == [str(n) for n in range(210, 260)]


async def test_two_channels_in_one_poll_are_in_order(client: Client):
    one, two = await client.subscribe(), await client.subscribe()
    tt = (await client.poll(one))["t"]["t"]
    await numbered(client, one, 0, 1)
    await numbered(client, two, 1, 2)
    await numbered(client, one, 2, 3)
    both = f"{one['deliveryMode']['address']},{two['deliveryMode']['address']}"
    one["deliveryMode"]["address"] = both
    assert [m["d"] for m in (await client.poll(one, tt))["m"]] == ["0", "1", "2"]


async def test_a_wrong_key_and_a_dead_channel(client: Client, http: aiohttp.ClientSession):
    made = await client.subscribe()
    async with http.get(client.poll_url(made).replace("sub-c-", "sub-x-")) as answer:
        assert answer.status == 400
        assert (await answer.json())["message"] == "Invalid Subscribe Key"
    client.sim.pubnub.forbid_dead_channels = True
    client.sim.subscriptions.expire_all()
    async with http.get(client.poll_url(made)) as answer:
        assert answer.status == 403
        assert (await answer.json())["payload"]["channels"] == [made["deliveryMode"]["address"]]


async def test_leave_heartbeat_and_time(client: Client, http: aiohttp.ClientSession):
    base = f"{client.sim.url}/v2/presence/sub-key/k/channel/c"
    async with http.get(base + "/leave") as answer:
        assert (await answer.json())["action"] == "leave"
    async with http.get(base + "/heartbeat?heartbeat=300") as answer:
        assert (await answer.json())["message"] == "OK"
    async with http.get(client.sim.url + "/time/0") as answer:
        (token,) = await answer.json()
        assert len(str(token)) == 17


async def test_waiting_until_everything_is_consumed(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await numbered(client, made, 0, 1)
    with pytest.raises(TimeoutError):
        await client.sim.wait_consumed(timeout=0.02)
    batch = await client.poll(made, tt)
    poll = asyncio.create_task(client.poll(made, batch["t"]["t"]))
    await client.sim.wait_consumed()
    assert client.sim.polls == 3
    client.sim.publish_envelope(ENVELOPE)
    await poll


async def test_raw_data_of_any_kind(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    for data in ("no base64!", b"\x00\xff", {"uuid": "plain"}, None, "x" * 40_000):
        assert client.sim.publish_raw("2001", data) == 1
    assert [m["d"] for m in (await client.poll(made, tt))["m"]] == [
        "no base64!", "\x00\xff", {"uuid": "plain"}, None, "x" * 40_000,
    ]  # fmt: skip
    assert client.sim.publish_raw("2002", "nobody listens") == 0


ANSWERED = {
    "status-403": 403, "status-429": 429, "status-500": 500, "html-502": 502, "status-503": 503, "status-204": 204,
    "empty": 200, "object": 200, "array": 200, "null": 200, "number": 200, "truncated": 200, "invalid-utf8": 200,
    "no-m": 200, "no-t": 200, "no-tt": 200, "no-r": 200, "redirect-307": 307, "deep": 200, "far-cursor": 200,
    "endless-cursor": 200,
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERED)
async def test_a_fault_spoils_one_held_poll_and_loses_nothing(client: Client, http: aiohttp.ClientSession, name: str):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    poll = asyncio.create_task(http.get(client.poll_url(made, tt), allow_redirects=False))
    await client.sim.wait_polling()
    client.sim.pubnub.faults.append(name)
    async with await poll as answer:
        assert answer.status == ANSWERED[name]
        assert not _sound(await answer.read())
    await numbered(client, made, 0, 1)
    assert [m["d"] for m in (await client.poll(made, tt))["m"]] == ["0"]


def _sound(body: bytes) -> bool:
    """Whether a client can work with this answer."""
    try:
        answer = json.loads(body)
        return isinstance(answer["m"], list) and 0 < int(answer["t"]["t"]) < 2**63 and bool(answer["t"]["r"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return False


async def test_every_fault_has_a_test():
    assert set(pubnub.NAMES) == {*ANSWERED, "poll-bomb", "reset", "hang", "bad-message"}


async def test_a_reset_connection(client: Client):
    made = await client.subscribe()
    client.sim.pubnub.faults.append("reset")
    where = urlsplit(client.poll_url(made))
    reader, writer = await asyncio.open_connection(where.hostname, where.port)  # aiohttp would repeat it by itself
    writer.write(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert (await client.poll(made))["m"] == []


async def test_a_hanging_answer_ends_with_the_client(client: Client, http: aiohttp.ClientSession):
    made = await client.subscribe()
    client.sim.pubnub.faults.append("hang")
    with pytest.raises(TimeoutError):
        await http.get(client.poll_url(made), timeout=aiohttp.ClientTimeout(total=0.05))
    assert (await client.poll(made))["m"] == []


async def test_a_bad_message_comes_with_a_good_one(client: Client):
    made = await client.subscribe()
    client.sim.pubnub.faults.append("bad-message")
    tt = (await client.poll(made))["t"]["t"]
    await numbered(client, made, 0, 1)
    bad, good = (await client.poll(made, tt))["m"]
    assert "p" not in bad
    assert good["d"] == "0"


async def test_an_unknown_fault_is_an_error(client: Client):
    with pytest.raises(ValueError, match="unknown fault"):
        client.sim.pubnub.faults.extend(["earthquake"])


async def test_stopping_ends_held_polls(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    poll = asyncio.create_task(client.poll(made, tt))
    await client.sim.wait_polling()
    await client.sim.stop()
    assert (await poll)["m"] == []
