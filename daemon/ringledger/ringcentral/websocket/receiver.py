"""What happens to WebSocket frames: decode, deliver, and only then move the recovery context on.

What must stay true: a context is kept (and so used by the next recovery) only after the sink has committed what came
up to it; a delivery that fails is delivered again, unchanged; the same event is delivered once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery, FeedPosition, PresenceObservation, Unreadable
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.ringcentral.decode.values import latest_time
from ringledger.ringcentral.delivery import MOST_SINK_FAILURES, FeedNotice, FeedNoticeKind, FeedSink, GapCause
from ringledger.ringcentral.websocket.connection import Frame, WebSocketConnection, Wsc

FEED: Final = "websocket"
#: A quiet feed's position is written so often, so that a restart finds a fresh one.
IDLE_POSITION_SECONDS: Final = 30.0
SEEN_EVENTS: Final = 2000
#: So many frames become one delivery, and so one commit.
BATCH: Final = 500
#: So many events at once: more of them wait than come.
BEHIND: Final = 250
#: First and longest pause before a failed delivery is repeated.
REPEAT_SECONDS: Final = (0.2, 10.0)
#: An event so much younger than the reconnect is no replay; clocks are that inexact.
REPLAY_MARGIN_MS: Final = 2000
#: A replay is over when nothing has come for so long.
REPLAY_QUIET_SECONDS: Final = 5.0


class WebSocketBookmark(msgspec.Struct, frozen=True):
    """Where the feed stands: a subscription, the filters it was made for, and the newest context committed."""

    subscription_id: str
    filters: str
    token: str | None = None
    sequence: int = 0

    def at(self, wsc: Wsc) -> "WebSocketBookmark":
        """The same subscription at another context."""
        return msgspec.structs.replace(self, token=wsc.token, sequence=wsc.sequence)

    def after(self, frames: Sequence[Frame | Unreadable]) -> "WebSocketBookmark":
        """Behind ``frames``: the context with the greatest sequence counts."""
        newest = self
        for frame in frames:
            wsc = frame.wsc if isinstance(frame, Frame) else None
            if wsc is not None and wsc.token and wsc.sequence > newest.sequence:
                newest = newest.at(wsc)
        return newest

    def position(self) -> FeedPosition:
        """What is stored."""
        return FeedPosition(FEED, self.subscription_id, msgspec.json.encode(self).decode(), now_ms())


_BOOKMARK: Final = msgspec.json.Decoder(WebSocketBookmark)


def read_bookmark(position: FeedPosition) -> WebSocketBookmark | None:
    """The bookmark in ``position``; ``None``: this feed wrote none, or there is nothing to go on from."""
    if position.feed != FEED:
        return None
    try:
        bookmark = _BOOKMARK.decode(position.token)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return bookmark if bookmark.token else None


class WebSocketReceiver:
    """The gate of one subscription. ``seen``: ids of events delivered before, on any connection."""

    def __init__(
        self,
        sink: FeedSink,
        bookmark: WebSocketBookmark,
        *,
        account_id: str,
        default_region: str,
        latest: Callable[[], int] | None = None,
        seen: OrderedDict[str, None],
    ) -> None:
        self.bookmark = bookmark
        self._sink = sink
        self._account_id = account_id
        self._region = default_region
        #: The latest time that is believed now, ms.
        self._latest = latest or (lambda: latest_time(now_ms()))
        self._written = time.monotonic()
        self._seen = seen
        self._replay: _Replay | None = None

    def expect_replay(self, limit: int, since: int | None, now: int) -> None:
        """What comes now was missed since ``since``; ``limit`` of it may be less than all. ``now``: platform ms."""
        self._replay = _Replay(limit, since, now)

    async def take_next(self, connection: WebSocketConnection, seconds: float) -> int:
        """Commit what has come by now, once there is room for it; waits up to ``seconds`` for a frame. Returns how many
        events there were. Raises ``ConnectionEnded`` when no more will come.
        """
        await self._sink.room()
        return await self.take(await connection.batch(BATCH, seconds))

    async def take(self, frames: Sequence[Frame | Unreadable], *, force: bool = False) -> int:
        """Commit what is in ``frames`` and move on; returns how many events there were."""
        observations, unreadable, fresh = self._read(frames)
        bookmark = self.bookmark.after(frames)
        idle = time.monotonic() - self._written > IDLE_POSITION_SECONDS
        if observations or unreadable or force or idle:
            position = bookmark.position() if bookmark.token else None
            more = len(observations) >= BEHIND
            await commit(self._sink, Delivery(tuple(observations), tuple(unreadable), position, more=more))
            self._written = time.monotonic()
        self.bookmark = bookmark
        self._remember(fresh)
        self._count(observations)
        return len(fresh)

    def _read(
        self, frames: Sequence[Frame | Unreadable]
    ) -> tuple[list[PresenceObservation], list[Unreadable], list[str]]:
        """Observations, what was unreadable, and the ids of all events that are new."""
        observations: list[PresenceObservation] = []
        unreadable: list[Unreadable] = []
        fresh: dict[str, None] = {}
        received_at, latest = now_ms(), self._latest()
        for frame in frames:
            if isinstance(frame, Unreadable):
                unreadable.append(frame)
                continue
            if frame.kind != "ServerNotification" or frame.message_id in self._seen or frame.message_id in fresh:
                continue
            if frame.message_id:
                fresh[frame.message_id] = None
            try:
                observations.append(self._decode(frame, received_at, latest))
            except WireError as error:
                unreadable.append(error.unreadable(received_at))
        return observations, unreadable, list(fresh)

    def _decode(self, frame: Frame, received_at: int, latest: int) -> PresenceObservation:
        return decode_notification(
            frame.body,
            account_id=self._account_id,
            default_region=self._region,
            received_at=received_at,
            latest=latest,
        )

    def _remember(self, fresh: list[str]) -> None:
        for name in fresh:
            self._seen[name] = None
        while len(self._seen) > SEEN_EVENTS:
            self._seen.popitem(last=False)

    def _count(self, observations: list[PresenceObservation]) -> None:
        """Tell of a replay that was as long as the platform's memory."""
        replay = self._replay
        if replay is None:
            return
        if replay.overflows(observations):
            detail = {"from_at": replay.since, "until_at": now_ms()}
            self._sink.notice(FeedNotice(FeedNoticeKind.GAP, now_ms(), GapCause.POSSIBLE_OVERFLOW.value, detail))
        if replay.over:
            self._replay = None


async def commit(sink: FeedSink, delivery: Delivery) -> None:
    """Deliver until it is committed. A sink that fails is an outage of ours: told when it begins and when it ends;
    one that goes on failing is a defect, and raises.
    """
    pause = REPEAT_SECONDS[0]
    failures = 0
    while True:
        try:
            await sink.deliver(delivery)
            break
        except Exception as error:
            failures += 1
            if failures >= MOST_SINK_FAILURES:
                raise
            if failures == 1:
                sink.notice(
                    FeedNotice(FeedNoticeKind.DISCONNECTED, now_ms(), f"cannot deliver ({type(error).__name__})")
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, REPEAT_SECONDS[1])
    if failures:
        sink.notice(FeedNotice(FeedNoticeKind.RESUMED, now_ms()))


class _Replay:
    """Counts what a recovery brings back."""

    def __init__(self, limit: int, since: int | None, now: int) -> None:
        self.since = since
        self.over = False
        self._left = max(1, limit)
        self._until = now + REPLAY_MARGIN_MS
        self._last = time.monotonic()

    def overflows(self, observations: list[PresenceObservation]) -> bool:
        """Whether with these the platform's memory is exhausted; asked for every batch."""
        now = time.monotonic()
        replayed = sum(observation.at <= self._until for observation in observations)
        self._left -= replayed
        if replayed:
            self._last = now
        self.over = self._left <= 0 or replayed < len(observations) or now - self._last > REPLAY_QUIET_SECONDS
        return self._left <= 0
