import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ringledger.domain.observation import FeedPosition
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import FeedNoticeKind
from ringledger.ringcentral.websocket.connection import READ_AHEAD, Vigilance
from ringledger.ringcentral.websocket.feed import WebSocketFeed, WebSocketOptions
from ringledger.ringcentral.websocket.receiver import read_bookmark
from ringledger.ringcentral.websocket.reconnect import ReconnectPace
from ringledger.simulator import Simulator
from tests.platform.payloads import event
from tests.platform.support import Recorder, running
from tests.until import until

FILTERS = ["/restapi/v1.0/account/~/extension/2001/presence?detailedTelephonyState=true"]


def feed(
    client: PlatformClient, position: FeedPosition | None = None, filters: list[str] = FILTERS, **options: Any
) -> WebSocketFeed:
    watchful = {
        "watch_seconds": 0.02,
        **{name: options.pop(name) for name in list(options) if name != "silence_seconds"},
    }
    made = WebSocketOptions(vigilance=Vigilance(**watchful), **options)
    return WebSocketFeed(
        client, filters, account_id="1001", position=position, options=made, pace=ReconnectPace(lambda low, _high: low)
    )


def publish(sim: Simulator, *names: str) -> None:
    for name in names:
        assert sim.publish_envelope({**event(extensionId="2001"), "uuid": name}, forced=True)


async def settled(sink: Recorder) -> None:
    await sink.until(lambda: sink.told(FeedNoticeKind.CONNECTED) or sink.told(FeedNoticeKind.RESUMED))
    await sink.until(lambda: sink.positions)


async def gone(sim: Simulator) -> None:
    await sim.websocket._until(lambda: not sim.websocket.peers, 10)


def kinds(sink: Recorder) -> list[FeedNoticeKind]:
    return [notice.kind for notice in sink.notices]


def number(sim: Simulator, position: FeedPosition) -> int:
    """Which frame of the platform's session a position stands at."""
    bookmark = read_bookmark(position)
    assert bookmark is not None
    found = sim.websocket.sessions.find(bookmark.token or "")
    assert found is not None
    return found[1]


def _has(sink, name):
    return name in sink.uuids


async def test_a_second_outage_goes_on_from_the_second_context(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = feed(client)
    async with running(made, sink):
        await settled(sink)
        publish(sim, *"abcdefgh")
        await sink.until(lambda: len(sink.seen) == 8)
        for name in "ij":
            await sim.websocket.cut()
            publish(sim, name)
            await sink.until(partial(_has, sink, name))
            (session,) = sim.websocket.sessions.subscribed()
            assert number(sim, sink.positions[-1]) == session.number
        publish(sim, "k")  # the feed comes around once more
        await sink.until(lambda: "k" in sink.uuids)
        await until(lambda: made._bookmark == read_bookmark(sink.positions[-1]))
    assert sink.uuids == list("abcdefghijk")


async def test_a_memory_replayed_to_its_end_is_a_possible_overflow(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        await sim.websocket.cut(0.2)
        publish(sim, *(str(n) for n in range(150)))
        await sink.until(lambda: "149" in sink.uuids and len(sink.gaps()) == 2)
    assert sink.uuids == [str(n) for n in range(50, 150)]
    assert sink.gaps() == ["no_position", "possible_overflow"]


async def test_a_short_replay_is_no_overflow(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        await sim.websocket.cut(0.2)
        publish(sim, *(str(n) for n in range(99)))
        await sink.until(lambda: len(sink.seen) == 99)
    assert sink.gaps() == ["no_position"]


async def test_beyond_the_window_there_is_a_gap(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket.sessions.recovery_seconds = 0.1
    async with running(feed(client), sink):
        await settled(sink)
        await sim.websocket.cut(0.3)
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert len(sink.told(FeedNoticeKind.SUBSCRIPTION_CREATED)) == 2
    assert sim.websocket.connects == 2  # the new subscription was made on the connection that failed to recover
    gap = sink.told(FeedNoticeKind.GAP)[-1].detail
    assert gap["from_at"] <= gap["until_at"]


async def test_a_context_the_platform_does_not_know(sim: Simulator, client: PlatformClient) -> None:
    before, after = Recorder(), Recorder()
    async with running(feed(client), before):
        await settled(before)
    token = before.positions[-1].token.replace('"token":"', '"token":"f')
    async with running(feed(client, replace(before.positions[-1], token=token)), after):
        await after.until(after.gaps)
        publish(sim, "a")
        await after.until(lambda: after.uuids == ["a"])
    assert after.gaps() == ["subscription_lost"]
    assert sim.websocket.connects == 3  # one each, and one without the context
    assert "WSG-400" in after.told(FeedNoticeKind.DISCONNECTED)[0].reason


async def test_a_new_authorisation_cannot_recover(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.oauth.revoke_all()
        await sim.websocket.cut()
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert "WSG-1003" in sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason


async def test_a_refreshed_authorisation_recovers(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.oauth.expire_access_tokens()
        await sim.websocket.cut()
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.gaps() == ["no_position"]


async def test_a_sink_that_raises_gets_the_same_again(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sink.refuse = 2
    async with running(feed(client), sink):
        await settled(sink)
        publish(sim, "a", "b")
        await sink.until(lambda: "b" in sink.uuids)
    assert sink.uuids == ["a", "b"]
    assert sink.refused == 2
    assert len(sink.told(FeedNoticeKind.DISCONNECTED)) == len(sink.told(FeedNoticeKind.RESUMED)) == 1


async def test_what_was_not_committed_is_replayed_after_a_cut(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sink.gate.clear()
        publish(sim, "a")
        await sim.websocket.wait_sent()
        publish(sim, "b", "c")
        await sim.websocket.wait_sent()
        await sim.websocket.cut()
        sink.gate.set()
        publish(sim, "d")
        await sink.until(lambda: "d" in sink.uuids)
    assert sink.uuids == ["a", "b", "c", "d"]


async def test_without_room_nothing_is_delivered_and_nothing_lost(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = feed(client)
    async with running(made, sink):
        await settled(sink)
        sink.gate.clear()
        publish(sim, *(str(n) for n in range(1000)))
        await sim.websocket.wait_sent()
        await asyncio.sleep(0.05)
        assert sum(1 for one in sink.deliveries if one.observations) <= 1, "one batch was under way"
        assert len(made._connection._ahead) <= READ_AHEAD
        sink.gate.set()
        await sink.until(lambda: len(sink.seen) == 1000)
    assert sink.uuids == [str(n) for n in range(1000)]


async def test_a_long_outage_is_a_possible_overflow(sim: Simulator, client: PlatformClient) -> None:
    before, after = Recorder(), Recorder()
    async with running(feed(client), before):
        await settled(before)
    stored = replace(before.positions[-1], at=before.positions[-1].at - 150_000)
    async with running(feed(client, stored), after):
        await after.until(after.gaps)
    assert kinds(after) == [FeedNoticeKind.RESUMED, FeedNoticeKind.GAP]
    assert after.gaps() == ["possible_overflow"]


@pytest.mark.parametrize("limit", ["idle_seconds", "absolute_seconds"])
async def test_an_ordinary_end_is_nothing_to_speak_of(sim: Simulator, client: PlatformClient, limit: str) -> None:
    sink = Recorder()
    setattr(sim.websocket, limit, 0.2)
    async with running(feed(client), sink):
        await settled(sink)
        await sink.until(lambda: sink.told(FeedNoticeKind.RESUMED))
        setattr(sim.websocket, limit, 100.0)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert not sink.told(FeedNoticeKind.DISCONNECTED)
    assert sink.gaps() == ["no_position"]


async def test_an_ordinary_end_that_becomes_an_outage_is_told(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.websocket.send_error("WSG-903", "Absolute timeout reached")
        sim.websocket._refuse_until = float("inf")
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        sim.websocket._refuse_until = 0.0
        await sink.until(lambda: sink.told(FeedNoticeKind.RESUMED))


async def test_an_error_nobody_asked_for_is_an_outage(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.websocket.send_error("WSG-500", "Internal error", close=False)
        await sink.until(lambda: sink.told(FeedNoticeKind.RESUMED))
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.told(FeedNoticeKind.DISCONNECTED)[0].reason == "WSG-500 Internal error"
    assert sink.gaps() == ["no_position"]


async def test_unreadable_frames_never_cost_their_neighbours(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    bad = [
        "not json",
        "{}",
        "[]",
        "[5]",
        '[{"type":"ServerNotification","messageId":"m"},{"x":',
        b"\xff\xfe",
        "[" * 5000,
    ]
    async with running(feed(client), sink):
        await settled(sink)
        for text in bad:
            sim.websocket.send_text(text)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"] and len(sink.unreadable) == len(bad))
    assert not sink.told(FeedNoticeKind.DISCONNECTED)


async def test_frames_we_have_no_use_for_are_passed_over(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.websocket.send_text('[{"type":"ClientRequest","messageId":"nobody asked","status":200},{}]')
        sim.websocket.send_text('[{"type":"Multipart","messageId":"m"},--Boundary_1\r\nnot json]')
        sim.websocket.send_text('[{"type":"Heartbeat","messageId":"h"}]')
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.unreadable == []


async def test_a_frame_beyond_all_measure(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sim.publish_envelope({**event(extensionId="2001"), "uuid": "huge", "x": "y" * 1_100_000}, forced=True)
        publish(sim, "a")
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "b")
        await sink.until(lambda: "b" in sink.uuids)
    assert {one.reason for one in sink.unreadable} == {"too_large"}
    assert len(sink.unreadable) == 2  # once more after a recovery, then the context is given up


async def test_a_connection_without_a_sign_of_life_is_given_up(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    async with running(feed(client, heartbeat_seconds=0.1, dead_seconds=0.4), sink):
        await settled(sink)
        sim.websocket.mute = True
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        sim.websocket.mute = False
        publish(sim, "a")
        await sink.until(lambda: "a" in sink.uuids)
    assert "nothing came" in sink.told(FeedNoticeKind.DISCONNECTED)[0].reason


async def test_an_answer_that_does_not_come(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = feed(client, answer_seconds=0.3)
    async with running(made, sink):
        await settled(sink)
        sim.websocket.mute = True
        await made.rebuild("asked for")
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        sim.websocket.mute = False
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert "in time" in sink.told(FeedNoticeKind.DISCONNECTED)[0].reason


async def test_a_greeting_that_does_not_come(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket.mute = True
    async with running(feed(client, answer_seconds=0.3), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        sim.websocket.mute = False
        await settled(sink)
    assert "no greeting" in sink.told(FeedNoticeKind.DISCONNECTED)[0].reason


async def test_pings_are_answered_though_nobody_takes_the_frames(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket.ping_seconds = 0.1
    made = feed(client)
    async with running(made, sink):
        await settled(sink)
        sink.gate.clear()
        publish(sim, "a")
        signs, own = set(), []
        async with asyncio.timeout(10):
            while len(signs) < 10:
                await asyncio.sleep(0.02)
                signs.add(made._connection.last_sign)
                if len(signs) > 4:  # a ping that came behind the event has been seen: the feed waits for room
                    own.append(made.last_sign)
        assert len(set(own)) == 1  # the watchdog is not told that the feed goes on
        sink.gate.set()
        await sink.until(lambda: sink.uuids == ["a"])
    assert sim.websocket.connects == 1


async def test_our_own_heartbeats_keep_a_quiet_connection(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket.idle_seconds = 1.0
    async with running(feed(client, heartbeat_seconds=0.05, dead_seconds=0.5), sink):
        await settled(sink)
        beats = 0
        (peer,) = sim.websocket.peers
        used = peer._used
        async with asyncio.timeout(10):
            while beats < 20:
                await asyncio.sleep(0.02)
                beats, used = beats + (peer._used != used), peer._used
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sim.websocket.connects == 1


async def test_silence_is_told_once_and_a_rebuilt_subscription_hears_again(
    sim: Simulator, client: PlatformClient
) -> None:
    sink = Recorder()
    made = feed(client, silence_seconds=0.3)
    async with running(made, sink):
        await settled(sink)
        sim.websocket.silent = True
        publish(sim, "lost")
        await sink.until(lambda: sink.told(FeedNoticeKind.SILENT))
        sim.websocket.silent = False
        await made.rebuild("silent")
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
    assert sink.told(FeedNoticeKind.SUBSCRIPTION_LOST)[0].reason == "silent"
    assert len(sim.subscriptions.alive()) == 1
    assert sim.websocket.connects == 1


async def test_a_rebuilt_subscription_is_recovered_like_any_other(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = feed(client)
    async with running(made, sink):
        await settled(sink)
        publish(sim, "a")
        await sink.until(lambda: sink.uuids == ["a"])
        await made.rebuild("asked for")
        await sink.until(lambda: "subscription_lost" in sink.gaps())
        await sim.websocket.cut()
        publish(sim, "b")
        await sink.until(lambda: "b" in sink.uuids)
    assert sink.uuids == ["a", "b"]
    numbers = [number(sim, position) for position in sink.positions]
    assert numbers == sorted(numbers)


async def test_reconnects_are_paced(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    made = WebSocketFeed(client, FILTERS, account_id="1001", pace=ReconnectPace(lambda _low, _high: 1e9))
    async with running(made, sink):
        await settled(sink)
        await sim.websocket.cut()
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        await asyncio.sleep(0.05)
        assert sim.websocket.tokens_issued == 1


async def test_a_platform_that_is_not_there_yet(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket._refuse_until = float("inf")
    async with running(feed(client), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
        sim.websocket._refuse_until = 0.0
        await settled(sink)
    assert len(sink.told(FeedNoticeKind.DISCONNECTED)) == 1


async def test_tokens_never_appear_in_what_is_told(sim: Simulator, client: PlatformClient) -> None:
    sink = Recorder()
    sim.websocket.token_seconds = -1.0  # every one is too old
    async with running(feed(client), sink):
        await sink.until(lambda: sink.told(FeedNoticeKind.DISCONNECTED))
    (told,) = sink.told(FeedNoticeKind.DISCONNECTED)
    assert "status 401" in told.reason
    assert "WS-" not in told.reason
    assert "access_token" not in told.reason


async def test_pings_behind_a_backlog_are_answered(sim: Simulator, client: PlatformClient) -> None:
    """More waits than was read ahead when the reader stopped there, and the pings behind it stayed unanswered."""
    sim.websocket.ping_seconds = 0.5
    sink = Recorder()
    async with running(feed(client), sink):
        await settled(sink)
        sink.gate.clear()
        publish(sim, *(str(n) for n in range(3_000)))
        await sim.websocket.wait_sent()
        await asyncio.sleep(3 * sim.websocket.ping_seconds)
        assert sim.websocket.connects == 1
        assert sim.websocket.connections == 1
        sink.gate.set()
        await sink.until(lambda: len(sink.seen) == 3_000)
    assert sink.uuids == [str(n) for n in range(3_000)]
