"""The contract of a feed (``ringcentral/delivery.py``): what the service relies on, whichever way events come.

What must stay true: each test here runs over every feed; what only one of them has is tested beside it.
"""

import asyncio
import gc
import warnings
from dataclasses import replace
from typing import Any, Protocol

import pytest

from ringledger.domain.observation import Delivery, FeedPosition
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import Feed, FeedNoticeKind
from ringledger.ringcentral.errors import CredentialsRejected
from ringledger.ringcentral.pubnub.feed import PubNubFeed, PubNubOptions
from ringledger.ringcentral.websocket.connection import Vigilance
from ringledger.ringcentral.websocket.feed import WebSocketFeed, WebSocketOptions
from ringledger.ringcentral.websocket.reconnect import ReconnectPace
from ringledger.simulator import Simulator
from tests.conftest import Records
from tests.platform.payloads import event
from tests.platform.support import GOOD, Recorder, client_for, running

FILTERS = ["/restapi/v1.0/account/~/extension/2001/presence?detailedTelephonyState=true"]
OTHERS = [FILTERS[0].replace("2001", "2002")]
REMEMBERED = 100  # messages, by the platform, for whoever is away


class Way(Protocol):
    """One kind of feed, and what befalls it."""

    name: str

    def feed(
        self, sim: Simulator, client: PlatformClient, position: FeedPosition | None, filters: list[str], silence: float
    ) -> Feed: ...

    async def cut(self, sim: Simulator) -> None:
        """The connection breaks; the next one works."""

    async def fail(self, sim: Simulator) -> None:
        """The connection breaks, and no other works."""

    async def gone(self, sim: Simulator) -> None:
        """Return when the platform knows that nobody listens."""

    def send(self, sim: Simulator, text: str) -> None:
        """Something that is no message of the platform's."""


class OverWebSocket:
    name = "websocket"

    def feed(
        self, sim: Simulator, client: PlatformClient, position: FeedPosition | None, filters: list[str], silence: float
    ) -> Feed:
        options = WebSocketOptions(vigilance=Vigilance(watch_seconds=0.02), silence_seconds=silence)
        made = {"position": position, "options": options, "pace": ReconnectPace(lambda low, _high: low)}
        return WebSocketFeed(client, filters, account_id="1001", **made)

    async def cut(self, sim: Simulator) -> None:
        await sim.websocket.cut(0.3)

    async def fail(self, sim: Simulator) -> None:
        await sim.websocket.cut(60)

    async def gone(self, sim: Simulator) -> None:
        await sim.websocket._until(lambda: not sim.websocket.peers, 10)

    def send(self, sim: Simulator, text: str) -> None:
        sim.websocket.send_text(text)


class OverPubNub:
    name = "pubnub"

    def feed(
        self, sim: Simulator, client: PlatformClient, position: FeedPosition | None, filters: list[str], silence: float
    ) -> Feed:
        options = PubNubOptions(origin=sim.url, backoff=(0, 1), linger_seconds=0.0, silence_seconds=silence)
        return PubNubFeed(client, filters, account_id="1001", position=position, options=options)

    async def cut(self, sim: Simulator) -> None:
        sim.pubnub.faults.append("reset")

    async def fail(self, sim: Simulator) -> None:
        sim.pubnub.faults += ["reset"] * 1_000
        sim.publish_raw("2001", "ends the poll that is held")

    async def gone(self, sim: Simulator) -> None:
        """A poll is all there is of a listener."""

    def send(self, sim: Simulator, text: str) -> None:
        assert sim.publish_raw("2001", text)


@pytest.fixture(params=[OverPubNub, OverWebSocket], ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    made: Way = request.param()
    return made


def fed(
    way: Way,
    sim: Simulator,
    client: PlatformClient,
    position: FeedPosition | None = None,
    *,
    filters: list[str] = FILTERS,
    silence: float = 3_600.0,
) -> Feed:
    return way.feed(sim, client, position, filters, silence)


def publish(sim: Simulator, *names: str) -> None:
    for name in names:
        assert sim.publish_envelope({**event(extensionId="2001"), "uuid": name}, forced=True)


async def settled(sim: Simulator, sink: Recorder) -> None:
    await sink.until(lambda: sink.told(FeedNoticeKind.CONNECTED) or sink.told(FeedNoticeKind.RESUMED))
    await sink.until(lambda: sink.positions)
    await sim.wait_polling()


def kinds(sink: Recorder) -> list[FeedNoticeKind]:
    return [notice.kind for notice in sink.notices]


async def stopped_before(way: Way, sim: Simulator, client: PlatformClient, *names: str) -> Recorder:
    """A feed that delivered these and was stopped."""
    sink = Recorder()
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        publish(sim, *names)
        await sink.until(lambda: sink.uuids == [*names])
    await way.gone(sim)
    return sink


# -- what is delivered ---------------------------------------------------------------------------------------------


async def test_events_arrive_in_order_each_with_a_position(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        publish(sim, "a", "b")
        await sink.until(lambda: sink.uuids == ["a", "b"])
    assert kinds(sink) == [FeedNoticeKind.SUBSCRIPTION_CREATED, FeedNoticeKind.CONNECTED, FeedNoticeKind.GAP]
    assert sink.gaps() == ["no_position"]
    assert {one.feed for one in sink.positions} == {way.name}
    assert len({one.key for one in sink.positions}) == 1
    assert len({one.token for one in sink.positions}) > 1


async def test_an_unreadable_message_never_costs_its_neighbours(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    sink = Recorder()
    bad = ["not json", "{}", "[5]", "[" * 5_000, "\x00"]
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        for text in bad:
            way.send(sim, text)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"] and len(sink.unreadable) == len(bad))
    assert not sink.told(FeedNoticeKind.DISCONNECTED)
    assert sink.gaps() == ["no_position"]


async def test_a_sink_that_raises_gets_the_same_again(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sink.refuse = 2
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        publish(sim, "a", "b")
        await sink.until(lambda: "b" in sink.uuids)
    assert sink.uuids == ["a", "b"]
    assert sink.refused == 2
    assert sink.gaps() == ["no_position"]


async def test_a_sink_that_never_takes_it_ends_the_feed_with_its_own_error(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    class Broken(Recorder):
        async def deliver(self, delivery: Delivery) -> None:
            if delivery.observations:
                raise KeyError("a defect of ours")
            await super().deliver(delivery)

    sink = Broken()
    task = asyncio.create_task(fed(way, sim, client).run(sink))
    await settled(sim, sink)
    publish(sim, "a")
    with pytest.raises(KeyError, match="a defect of ours"):
        await asyncio.wait_for(task, 30)


async def test_without_room_little_is_delivered_and_nothing_lost(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    sink = Recorder()
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        sink.gate.clear()
        publish(sim, *(str(n) for n in range(REMEMBERED - 1)))
        await asyncio.sleep(1)
        known = len(sink.seen)
        publish(sim, "last")
        await asyncio.sleep(1)
        assert len(sink.seen) == known < REMEMBERED
        sink.gate.set()
        await sink.until(lambda: "last" in sink.uuids)
    assert sink.uuids == [*(str(n) for n in range(REMEMBERED - 1)), "last"]


# -- outages and restarts ------------------------------------------------------------------------------------------


async def test_an_outage_is_replayed_once(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(fed(way, sim, client), sink):
        await settled(sim, sink)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        await sim.wait_consumed()
        await way.cut(sim)
        publish(sim, "b", "c")
        await sink.until(lambda: len(sink.seen) == 3)
        publish(sim, "d")
        await sink.until(lambda: len(sink.seen) == 4)
    assert sink.uuids == ["a", "b", "c", "d"]
    assert sink.gaps() == ["no_position"]
    for kind in (FeedNoticeKind.DISCONNECTED, FeedNoticeKind.RESUMED, FeedNoticeKind.SUBSCRIPTION_CREATED):
        assert len(sink.told(kind)) == 1, kind


async def test_a_restart_goes_on_where_it_stood(way: Way, sim: Simulator, client: PlatformClient) -> None:
    before, after = await stopped_before(way, sim, client, "a"), Recorder()
    publish(sim, "b", "c")
    async with running(fed(way, sim, client, before.positions[-1]), after):
        await after.until(lambda: after.uuids == ["b", "c"])
    assert set(kinds(after)) - {FeedNoticeKind.SUBSCRIPTION_RENEWED} == {FeedNoticeKind.RESUMED}


async def test_a_restart_before_any_message_goes_on_too(way: Way, sim: Simulator, client: PlatformClient) -> None:
    before, after = await stopped_before(way, sim, client), Recorder()
    publish(sim, "a")
    async with running(fed(way, sim, client, before.positions[-1]), after):
        await after.until(lambda: after.uuids == ["a"])
    assert set(kinds(after)) - {FeedNoticeKind.SUBSCRIPTION_RENEWED} == {FeedNoticeKind.RESUMED}


async def test_a_restart_from_an_older_commit_gets_the_rest_again(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    before, after = Recorder(), Recorder()
    async with running(fed(way, sim, client), before):
        await settled(sim, before)
        publish(sim, "a")
        await before.until(lambda: before.uuids == ["a"])
        old = before.positions[-1]
        publish(sim, "b")
        await before.until(lambda: before.uuids == ["a", "b"])
    await way.gone(sim)
    async with running(fed(way, sim, client, old), after):
        await after.until(lambda: after.uuids == ["b"])


# -- gaps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "filters", "cause"),
    [
        ({"at": 1_000}, FILTERS, "too_old"),
        ({}, OTHERS, "key_changed"),
        ({"feed": "another"}, FILTERS, "key_changed"),
        ({"token": "no token of ours"}, FILTERS, "key_changed"),
    ],
)
async def test_a_position_of_no_use_is_a_gap(
    way: Way, sim: Simulator, client: PlatformClient, changes: dict[str, Any], filters: list[str], cause: str
) -> None:
    before, after = await stopped_before(way, sim, client), Recorder()
    stored = replace(before.positions[-1], **changes)
    async with running(fed(way, sim, client, stored, filters=filters), after):
        await after.until(after.gaps)
        publish(sim, "a")
        await after.until(lambda: after.uuids == ["a"])
    (gap,) = after.told(FeedNoticeKind.GAP)
    assert (gap.reason, gap.detail["from_at"]) == (cause, stored.at)


@pytest.mark.parametrize(("missed", "gaps"), [(REMEMBERED - 1, []), (REMEMBERED + 50, ["possible_overflow"])])
async def test_more_than_the_platform_remembers_is_a_possible_overflow(
    way: Way, sim: Simulator, client: PlatformClient, missed: int, gaps: list[str]
) -> None:
    before, after = await stopped_before(way, sim, client), Recorder()
    names = [str(n) for n in range(missed)]
    publish(sim, *names)
    async with running(fed(way, sim, client, before.positions[-1]), after):
        await after.until(lambda: names[-1] in after.uuids and len(after.gaps()) >= len(gaps))
    assert after.gaps() == gaps
    assert after.uuids == names[-REMEMBERED:]


async def test_silence_is_told_once(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(fed(way, sim, client, silence=1.0), sink):
        await settled(sim, sink)
        await sink.until(lambda: sink.told(FeedNoticeKind.SILENT))
        await asyncio.sleep(5)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert len(sink.told(FeedNoticeKind.SILENT)) == 1


async def test_a_rebuilt_subscription_hears_again_and_tells_the_gap(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    sink, made = Recorder(), fed(way, sim, client)
    async with running(made, sink):
        await settled(sim, sink)
        await made.rebuild("silent")
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason == "silent"
    assert len(sim.subscriptions.alive()) == 1
    gap = sink.told(FeedNoticeKind.GAP)[-1].detail
    assert gap["from_at"] <= gap["until_at"]


async def test_other_extensions_are_watched_from_now_on(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink, made = Recorder(), fed(way, sim, client)
    async with running(made, sink):
        await settled(sim, sink)
        await made.watch(OTHERS)
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        sim.publish_envelope({**event(extensionId="2001"), "uuid": "not watched"})
        sim.publish_envelope(
            {**event(extensionId="2002", event=OTHERS[0].split("?", maxsplit=1)[0]), "uuid": "watched"}
        )
        await sink.until(lambda: "watched" in sink.uuids)
    assert sink.uuids == ["watched"]
    assert len(sim.subscriptions.alive()) == 1


# -- what an administrator has to mend -----------------------------------------------------------------------------


async def test_refused_filters_are_told(way: Way, sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    filters = [*FILTERS, FILTERS[0].replace("2001", "999")]
    async with running(fed(way, sim, client, filters=filters), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.FILTERS_REFUSED))
    assert sink.told(FeedNoticeKind.FILTERS_REFUSED)[0].detail == {"filters": [[filters[1], "SUB-408"]]}


@pytest.mark.slow
async def test_filters_the_platform_refuses_altogether_are_told_once(
    way: Way, sim: Simulator, client: PlatformClient
) -> None:
    sink = Recorder()
    async with running(fed(way, sim, client, filters=["/no/such/filter"]), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.SUBSCRIPTION_LOST))
        await asyncio.sleep(100)
    assert len(sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)) == 1
    assert "SUB-508" in sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason


async def test_rejected_credentials_end_it(way: Way, sim: Simulator) -> None:
    async with client_for(sim.url, credentials=replace(GOOD, jwt="wrong")) as client:
        with pytest.raises(CredentialsRejected):
            await fed(way, sim, client).run(Recorder())


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["receiving", "outage", "delivering"])
async def test_shutdown_leaves_nothing_behind(way: Way, moment: str, foreign: Records) -> None:
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # what other tests have left behind
    before = set(asyncio.all_tasks())
    sink = Recorder()
    async with Simulator() as sim, client_for(sim.url) as client, running(fed(way, sim, client), sink):
        await settled(sim, sink)
        if moment == "outage":
            await way.fail(sim)
            await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        if moment == "delivering":
            sink.refuse = 1000
            publish(sim, "a")
            await sink.until(lambda: sink.refused)
    gc.collect()
    ours = ("ringledger", "Feed", "Effect")
    assert {task for task in asyncio.all_tasks() if any(word in repr(task) for word in ours)} <= before
    assert foreign.empty()
