import json
from collections import OrderedDict
from typing import Any

import pytest

from ringledger.domain.observation import FeedPosition, Unreadable
from ringledger.ringcentral.delivery import FeedNoticeKind
from ringledger.ringcentral.websocket.connection import Frame, Wsc
from ringledger.ringcentral.websocket.receiver import (
    IDLE_POSITION_SECONDS,
    WebSocketBookmark,
    WebSocketReceiver,
    read_bookmark,
)
from tests.platform.payloads import ACCOUNT, REGION, event
from tests.platform.support import Recorder

PLATFORM_NOW = 1_767_607_200_000  # 2026-01-05T10:00:00Z, just before the event of the payloads


def frame(name: str | None, number: int, kind: str = "ServerNotification", **body: Any) -> Frame:
    payload = json.dumps({**event(**body), "uuid": name}).encode()
    return Frame(kind, name, 200, Wsc(f"T{number}", number), payload)


def receiver(sink: Recorder) -> WebSocketReceiver:
    return WebSocketReceiver(
        sink, WebSocketBookmark("sub", "mark", "T0"), account_id=ACCOUNT, default_region=REGION, seen=OrderedDict()
    )


async def test_a_batch_is_one_delivery_at_its_newest_context() -> None:
    sink = Recorder()
    gate = receiver(sink)
    assert await gate.take([frame("a", 1), frame("b", 3), frame("c", 2)]) == 3
    assert sink.uuids == ["a", "b", "c"]
    (position,) = sink.positions
    assert read_bookmark(position) == WebSocketBookmark("sub", "mark", "T3", 3)
    assert position.key == "sub"


async def test_a_context_without_events_is_kept_and_not_written() -> None:
    sink = Recorder()
    gate = receiver(sink)
    assert await gate.take([frame(None, 4, kind="Heartbeat")]) == 0
    assert (gate.bookmark.token, sink.positions) == ("T4", [])
    await gate.take([], force=True)
    assert read_bookmark(sink.positions[-1]) == WebSocketBookmark("sub", "mark", "T4", 4)


async def test_a_quiet_feed_keeps_its_position_fresh() -> None:
    sink = Recorder()
    gate = receiver(sink)
    await gate.take([], force=True)
    await gate.take([])
    assert len(sink.positions) == 1
    gate._written -= IDLE_POSITION_SECONDS + 1
    await gate.take([])
    await gate.take([])
    assert len(sink.positions) == 2


async def test_a_quiet_feed_that_was_recovered_keeps_its_position_fresh() -> None:
    """It has written none by itself; a restart after a quiet night would find one that is too old."""
    sink = Recorder()
    gate = receiver(sink)
    gate.expect_replay(100, None, PLATFORM_NOW)
    await gate.take([])
    assert sink.positions == []
    gate._written -= IDLE_POSITION_SECONDS + 1
    await gate.take([])
    assert read_bookmark(sink.positions[-1]) == WebSocketBookmark("sub", "mark", "T0")


async def test_the_same_event_is_delivered_once() -> None:
    sink = Recorder()
    gate = receiver(sink)
    await gate.take([frame("a", 1), frame("a", 2)])
    await gate.take([frame("a", 3), frame("b", 4)])
    assert sink.uuids == ["a", "b"]


async def test_events_without_a_name_are_all_delivered() -> None:
    sink = Recorder()
    await receiver(sink).take([frame(None, 1), frame(None, 2)])
    assert len(sink.seen) == 2


async def test_nobody_is_told_of_a_context_before_its_commit() -> None:
    sink = Recorder()
    sink.refuse = 3
    gate = receiver(sink)
    before = gate.bookmark
    seen: list[WebSocketBookmark] = []
    deliver = sink.deliver

    async def watching(delivery: Any) -> None:
        seen.append(gate.bookmark)
        await deliver(delivery)

    sink.deliver = watching  # type: ignore[method-assign]
    await gate.take([frame("a", 1)])
    assert seen == [before] * 4
    assert sink.uuids == ["a"]


async def test_the_unreadable_goes_with_its_neighbours() -> None:
    sink = Recorder()
    await receiver(sink).take([Unreadable("not_json", "", "", 1), frame("a", 1), frame("b", 2, sequence=None)])
    assert sink.uuids == ["a"]
    assert [one.reason for one in sink.unreadable] == ["not_json", "missing_sequence"]


@pytest.mark.parametrize(("count", "told"), [(4, 0), (5, 1), (6, 1)])
async def test_a_replay_as_long_as_the_memory(count: int, told: int) -> None:
    sink = Recorder()
    gate = receiver(sink)
    gate.expect_replay(5, 77, PLATFORM_NOW)
    for n in range(count):
        await gate.take([frame(str(n), n + 1)])
    gaps = sink.told(FeedNoticeKind.GAP)
    assert [(gap.reason, gap.detail["from_at"]) for gap in gaps] == [("possible_overflow", 77)] * told


async def test_news_after_a_replay_do_not_count() -> None:
    sink = Recorder()
    gate = receiver(sink)
    gate.expect_replay(5, 77, PLATFORM_NOW - 60_000)
    await gate.take([frame(str(n), n + 1) for n in range(20)])
    assert sink.gaps() == []


@pytest.mark.parametrize("token", ["", "{}", "5", '{"subscription_id":"s","filters":"f"}', '{"subscription_id":5}'])
def test_a_position_without_a_context_is_none(token: str) -> None:
    assert read_bookmark(FeedPosition("websocket", "s", token, 1)) is None


def test_a_position_of_another_feed_is_none() -> None:
    token = '{"subscription_id":"s","filters":"f","token":"T"}'
    assert read_bookmark(FeedPosition("pubnub", "s", token, 1)) is None
    assert read_bookmark(FeedPosition("websocket", "s", token, 1)) == WebSocketBookmark("s", "f", "T")
