"""At the limit of thirty, what earlier runs have left behind makes room; what others have made stays."""

import pytest

from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import Feed, FeedNoticeKind
from ringledger.ringcentral.pubnub.feed import PubNubFeed, PubNubOptions
from ringledger.ringcentral.websocket.feed import WebSocketFeed
from ringledger.simulator import Simulator
from tests.platform.payloads import event
from tests.platform.support import Recorder, running

PRESENCE = "/restapi/v1.0/account/~/extension/{}/presence?detailedTelephonyState=true&sipData=true"
TELEPHONY = "/restapi/v1.0/account/~/telephony/sessions"
SIMPLE = "/restapi/v1.0/account/~/extension/2001/presence"
LIMIT = 30


def opened(sim: Simulator, count: int, filters: list[str], transport: str) -> set[str]:
    """Subscriptions of our user and app that somebody made; their ids."""
    body = {"eventFilters": filters, "deliveryMode": {"transportType": transport}}
    return {sim.subscriptions.open(sim.owner_id, body).id for _ in range(count)}


def feed_over(transport: str, client: PlatformClient, sim: Simulator) -> Feed:
    filters = [PRESENCE.format(one) for one in ("~", "2002")]
    if transport == "WebSocket":
        return WebSocketFeed(client, filters, account_id="1001")
    return PubNubFeed(client, filters, account_id="1001", options=PubNubOptions(origin=sim.url))


@pytest.mark.parametrize("transport", ["PubNub", "WebSocket"])
async def test_leftovers_make_room_and_strangers_stay(transport: str, sim: Simulator, client: PlatformClient) -> None:
    other = "WebSocket" if transport == "PubNub" else "PubNub"
    stays = opened(sim, 2, [TELEPHONY], transport) | opened(sim, 2, [PRESENCE.format("~")], other)
    stays |= opened(sim, 1, [PRESENCE.format("~"), TELEPHONY], transport) | opened(sim, 1, [SIMPLE], transport)
    leftovers = opened(sim, 20, [PRESENCE.format("2001")], transport)
    leftovers |= opened(sim, LIMIT - len(stays) - 20, [PRESENCE.format("~"), PRESENCE.format("2002")], transport)
    sink = Recorder()
    async with running(feed_over(transport, client, sim), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.CONNECTED) and sink.gaps())
        sim.publish_envelope(event(extensionId="2002"))
        await sink.until(lambda: sink.seen)
        (lost,) = sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)
        assert lost.reason.startswith(f"SUB-505 limit reached, {len(leftovers)} of our own")
        assert len(sink.told(FeedNoticeKind.SUBSCRIPTION_CREATED)) == 1
        there = {one.id for one in sim.subscriptions.alive()}
        assert stays < there
        assert not leftovers & there


@pytest.mark.parametrize("transport", ["PubNub", "WebSocket"])
async def test_with_nothing_of_ours_the_limit_is_told_and_waited_out(
    transport: str, sim: Simulator, client: PlatformClient
) -> None:
    strangers = opened(sim, LIMIT, [TELEPHONY], transport)
    sink = Recorder()
    async with running(feed_over(transport, client, sim), sink) as task:
        await sink.until(lambda: sink.told(FeedNoticeKind.SUBSCRIPTION_LOST))
        assert "SUB-505" in sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason
        assert {one.id for one in sim.subscriptions.alive()} == strangers
        sim.subscriptions.close(sim.subscriptions.records[strangers.pop()])
        await sink.until(lambda: sink.told(FeedNoticeKind.CONNECTED))
        assert not task.done()
