"""The PubNub feed against a real loopback server: faults, duplicates, restarts, renewals, shutdown."""

import asyncio
import gc
import gzip
import warnings
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from pubnub.pnconfiguration import PNConfiguration
from pubnub.pubnub_asyncio import PubNubAsyncio

from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery, FeedPosition
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import FeedNoticeKind
from ringledger.ringcentral.pubnub import client as pubnub_client
from ringledger.ringcentral.pubnub.client import MAX_ANSWER_BYTES, BadAnswer, BoundedTransport, GuardedHandler, Refusal
from ringledger.ringcentral.pubnub.feed import PubNubFeed, PubNubOptions
from ringledger.ringcentral.pubnub.receiver import parse_answer, publish_token
from ringledger.simulator import Options, Simulator
from tests.conftest import Records
from tests.platform.fake import reply, serving
from tests.platform.payloads import event
from tests.platform.support import Recorder, client_for, running

FILTERS = ["/restapi/v1.0/account/~/presence?detailedTelephonyState=true"]
FAULTS = [
    "status-403",
    "status-429",
    "status-500",
    "html-502",
    "status-503",
    "status-204",
    "empty",
    "object",
    "array",
    "null",
    "number",
    "truncated",
    "invalid-utf8",
    "no-m",
    "no-t",
    "no-tt",
    "no-r",
    "reset",
]


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[PlatformClient]:
    async with client_for(sim.url) as made:
        yield made


def feed(client: PlatformClient, sim: Simulator, position: FeedPosition | None = None, **options: Any) -> PubNubFeed:
    settings = {"origin": sim.url, "backoff": (0, 1), "linger_seconds": 0.0, **options}
    return PubNubFeed(client, FILTERS, account_id="1001", position=position, options=PubNubOptions(**settings))


def publish(sim: Simulator, *names: str) -> None:
    for name in names:
        assert sim.publish_envelope({**event(extensionId="2001"), "uuid": name}, forced=True)


async def settled(sim: Simulator, sink: Recorder) -> None:
    await sink.until(lambda: sink.told(FeedNoticeKind.CONNECTED) or sink.told(FeedNoticeKind.RESUMED))
    await sim.wait_polling()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_costs_nothing_and_repeats_nothing(sim: Simulator, client: PlatformClient, fault: str) -> None:
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        await sim.wait_consumed()
        sim.pubnub.faults.append(fault)
        publish(sim, "b", "c")
        await sink.until(lambda: "c" in sink.uuids)
        publish(sim, "d")
        await sink.until(lambda: "d" in sink.uuids)
    assert sink.uuids == ["a", "b", "c", "d"]
    assert sink.told(FeedNoticeKind.DISCONNECTED)
    assert sink.told(FeedNoticeKind.RESUMED)


@pytest.mark.parametrize("fault", ["empty", "object", "status-503", "reset"])
async def test_a_fault_at_the_handshake(sim: Simulator, client: PlatformClient, fault: str) -> None:
    sink = Recorder()
    sim.pubnub.faults.append(fault)
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])


async def test_a_poll_that_hangs_is_given_up(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client, sim, poll_seconds=1), sink):
        await settled(sim, sink)
        sim.pubnub.faults.append("hang")
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])


async def test_a_bad_message_never_costs_its_neighbours(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        sim.pubnub.faults.append("bad-message")
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        sim.publish_raw("2001", "not base64")
        sim.publish_raw("2001", "AAAAAAAAAAAAAAAAAAAA")  # no whole block: no key can open it by chance
        sim.publish_raw("2001", 7)
        publish(sim, "b")
        await sink.until(lambda: sink.uuids == ["a", "b"] and len(sink.unreadable) == 4)
    reasons = [one.reason for one in sink.unreadable]
    assert reasons == ["missing_body", "not_base64", "undecryptable", "wrong_shape"]


async def test_what_stays_unreadable_is_passed_over_and_told(
    sim: Simulator, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel gives the same answer again and again until a hundred newer messages have pushed it out."""
    monkeypatch.setattr(pubnub_client, "MAX_ANSWER_BYTES", 100_000)  # it is sent more than a hundred times
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        await sim.wait_consumed()
        published = now_ms()
        sim.publish_raw("2001", "x" * 100_000)
        await sink.until(lambda: "unreadable" in sink.gaps())
        await sim.wait_polling()
        publish(sim, "b")
        await sink.until(lambda: sink.uuids == ["a", "b"])
    assert sink.told(FeedNoticeKind.GAP)[-1].detail["from_at"] <= published
    assert len(sink.told(FeedNoticeKind.SUBSCRIPTION_CREATED)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["html-502", "reset"])
async def test_an_outage_of_minutes_passes_nothing_over(sim: Simulator, client: PlatformClient, fault: str) -> None:
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        sim.pubnub.faults.extend([fault] * 150)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        await sim.wait_consumed()
    assert "unreadable" not in sink.gaps()


async def test_no_poll_is_opened_without_room(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        sink.gate.clear()
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        polls = sim.polls
        publish(sim, "b")
        await asyncio.sleep(0.05)
        assert (sim.polls, sink.uuids) == (polls, ["a"])
        sink.gate.set()
        await sink.until(lambda: sink.uuids == ["a", "b"])


async def test_a_held_poll_keeps_the_position_fresh(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client, sim, position_seconds=0.0), sink):
        await settled(sim, sink)
        polls = sim.polls
        await sink.until(lambda: len(sink.positions) >= 3)
        assert sim.polls == polls
    assert len({position.token for position in sink.positions}) == 1
    assert sink.positions[-1].at >= sink.positions[0].at


async def test_a_full_answer_at_work_is_a_possible_overflow_too(sim: Simulator, client: PlatformClient) -> None:
    """The channel remembers a hundred messages whether we were away or only slow."""
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        known = len(sink.gaps())
        sink.gate.clear()  # no poll is opened before there is room again
        publish(sim, *(str(n) for n in range(99)))
        await sink.until(lambda: len(sink.seen) == 99)
        assert len(sink.gaps()) == known
        publish(sim, *(str(n) for n in range(100, 250)))
        sink.gate.set()
        await sink.until(lambda: len(sink.seen) == 199)
        assert sink.gaps()[known:] == ["possible_overflow"]
        publish(sim, "one more")
        await sink.until(lambda: len(sink.seen) == 200)
        assert sink.gaps()[known:] == ["possible_overflow"]
    with_events = [one for one in sink.deliveries if one.observations]
    assert [len(one.observations) for one in with_events if one.after_gap] == [100]


async def test_a_gap_is_told_before_what_came_after_it(sim: Simulator, client: PlatformClient) -> None:
    """Who rings before a gap and talks after it was not seen to be answered; who rings after it was."""
    sink = Recorder()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        known = len(sink.in_order)
        sink.gate.clear()
        publish(sim, "before")
        await sink.until(lambda: sink.uuids == ["before"])
        publish(sim, *(str(n) for n in range(100)))
        sink.gate.set()
        await sink.until(lambda: len(sink.seen) == 101)
    assert sink.in_order[known:] == [1, "possible_overflow", 100]


async def test_what_overflows_while_we_stand_still_is_doubtful_from_before(
    sim: Simulator, client: PlatformClient
) -> None:
    """An answer that is taken in late (a stopped process, a locked database) says nothing of the time in between."""

    class Slow(Recorder):
        going = asyncio.Event()

        async def deliver(self, delivery: Delivery) -> None:
            if delivery.observations and not self.seen:
                await self.going.wait()
            await super().deliver(delivery)

    sink = Slow()
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        known = len(sink.gaps())
        published = now_ms()
        publish(sim, "first")
        while now_ms() < published + 200:
            await asyncio.sleep(0.01)
        publish(sim, *(str(n) for n in range(150)))
        sink.going.set()
        await sink.until(lambda: len(sink.gaps()) > known)
    gap = sink.told(FeedNoticeKind.GAP)[known]
    assert gap.reason == "possible_overflow"
    assert gap.detail["from_at"] <= published


async def test_a_subscription_that_is_gone_is_a_gap(sim: Simulator, client: PlatformClient) -> None:
    before, after = Recorder(), Recorder()
    async with running(feed(client, sim), before):
        await settled(sim, before)
    sim.subscriptions.expire_all()
    async with running(feed(client, sim, before.positions[-1]), after):
        await after.until(after.gaps)
    assert after.gaps() == ["key_changed"]
    assert after.positions[-1].key != before.positions[-1].key


async def test_other_filters_need_another_subscription(sim: Simulator, client: PlatformClient) -> None:
    before, after = Recorder(), Recorder()
    async with running(feed(client, sim), before):
        await settled(sim, before)
    other = PubNubFeed(
        client,
        ["/restapi/v1.0/account/~/extension/~/presence?detailedTelephonyState=true"],
        account_id="1001",
        position=before.positions[-1],
        options=PubNubOptions(origin=sim.url),
    )
    async with running(other, after):
        await after.until(after.gaps)
    assert len(sim.subscriptions.alive()) == 1


async def test_a_renewal_that_changes_channel_and_key_loses_nothing(client: PlatformClient) -> None:
    async with Simulator(options=Options(subscription_seconds=3)) as sim, client_for(sim.url) as short:
        sim.subscriptions.rotate_on_renew = True
        sink = Recorder()
        async with running(feed(short, sim), sink):
            await settled(sim, sink)
            publish(sim, "a")
            await sink.until(lambda: sink.told(FeedNoticeKind.SUBSCRIPTION_RENEWED))
            publish(sim, "b")
            await sink.until(lambda: sink.uuids == ["a", "b"])
    assert sink.told(FeedNoticeKind.SUBSCRIPTION_RENEWED)[0].detail["moved"] is True
    assert len({position.key for position in sink.positions}) == 2
    assert sink.gaps() == ["no_position"]


async def test_a_renewal_that_fails_brings_a_new_subscription(client: PlatformClient) -> None:
    async with Simulator(options=Options(subscription_seconds=3)) as sim, client_for(sim.url) as short:
        sink = Recorder()
        async with running(feed(short, sim), sink):
            await settled(sim, sink)
            sim.subscriptions.expire_all()
            await sink.until(lambda: "subscription_lost" in sink.gaps())
            publish(sim, "a")
            await sink.until(lambda: sink.uuids == ["a"])
    assert sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)
    assert len(sink.told(FeedNoticeKind.SUBSCRIPTION_CREATED)) == 2


async def test_a_channel_that_refuses_is_replaced(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.pubnub.forbid_dead_channels = True
    async with running(feed(client, sim), sink):
        await settled(sim, sink)
        sim.subscriptions.expire_all()
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])


async def test_a_rebuilt_subscription_hears_again(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = feed(client, sim)
    async with running(made, sink):
        await settled(sim, sink)
        sim.subscriptions.expire_all()
        await made.rebuild("silent")
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason == "silent"


async def test_a_shutdown_at_the_handshake_leaves_nothing_behind(
    foreign: Records,
) -> None:
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # what other tests have left behind
    before = set(asyncio.all_tasks())
    sink = Recorder()
    async with Simulator() as sim, client_for(sim.url) as client:
        sim.pubnub.faults.append("hang")
        async with running(feed(client, sim), sink):
            await sink.until(lambda: sink.told(FeedNoticeKind.SUBSCRIPTION_CREATED))
    gc.collect()
    assert {task for task in asyncio.all_tasks() if "Feed" in repr(task) or "Effect" in repr(task)} <= before
    assert foreign.empty()


@pytest.mark.parametrize(
    "answer",
    [None, [], 5, "N/A", {}, {"t": {}, "m": []}, {"t": {"t": "x", "r": 1}, "m": []}, {"t": {"t": 0, "r": 1}, "m": []}],
)
def test_no_answer_at_all(answer: Any) -> None:
    with pytest.raises(Exception, match="answer"):
        parse_answer(answer)


@pytest.mark.parametrize("entry", [None, 5, {}, {"p": 7}, {"p": {"t": "x"}}, {"p": {"t": []}}])
def test_a_message_without_a_time_has_no_name(entry: Any) -> None:
    assert publish_token(entry) is None


async def test_the_private_names_we_use_exist() -> None:
    config = PNConfiguration()
    config.subscribe_key, config.user_id, config.disable_config_locking = "k", "u", False
    pubnub = PubNubAsyncio(config, custom_request_handler=GuardedHandler)
    manager = pubnub._subscription_manager
    assert manager.event_engine.get_dispatcher()._managed_effects == {}
    assert manager.presence_engine.get_dispatcher()._managed_effects == {}
    assert pubnub._request_handler._session is None
    manager.loop.close()


async def test_a_redirect_takes_no_key_elsewhere() -> None:
    """The SDK asks for redirects to be followed; its transport does not."""
    async with serving() as fake, serving() as elsewhere:
        fake.script("/v2/subscribe/key/channel/0", reply({}, 307, Location=f"{elsewhere.url}/there"))
        elsewhere.script("/there", reply({"t": {"t": "1", "r": 1}, "m": []}))
        async with httpx.AsyncClient(transport=BoundedTransport()) as client:
            with pytest.raises(Refusal, match="redirects are not followed"):
                await client.get(f"{fake.url}/v2/subscribe/key/channel/0", follow_redirects=True)
        assert elsewhere.requests == []


@pytest.mark.parametrize("encoding", ["gzip", ""])
async def test_a_poll_is_answered_within_bounds(encoding: str) -> None:
    body = gzip.compress(b" " * 100_000_000, 1) if encoding else b" " * 9_000_000

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": encoding} if encoding else {})

    async with serving() as fake, httpx.AsyncClient(transport=BoundedTransport()) as client:
        fake.script("/", answer)
        with pytest.raises(BadAnswer, match=f"more than {MAX_ANSWER_BYTES} bytes"):
            await client.get(fake.url + "/")
