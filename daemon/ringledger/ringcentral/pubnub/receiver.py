"""What happens to the answer of a PubNub poll: check, decrypt, decode, deliver, and only then move on.

What must stay true: a cursor is reported back (and so used for the next poll) only after the sink has committed
what came before it; one bad message never costs its neighbours; the same message is delivered once, though the
SDK asks again from an old cursor after each reconnect.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery, FeedPosition, PresenceObservation, Unreadable
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.unreadable import WireError, WireReason
from ringledger.ringcentral.decode.values import EARLIEST_MS, LATEST_MS, latest_time, whole
from ringledger.ringcentral.delivery import MOST_SINK_FAILURES, FeedNotice, FeedNoticeKind, FeedSink, GapCause
from ringledger.ringcentral.pubnub.client import BadAnswer
from ringledger.ringcentral.pubnub.crypto import PayloadCipher
from ringledger.ringcentral.subscriptions.subscription import PubNubDelivery

FEED: Final = "pubnub"
#: PubNub keeps so many messages of a channel; a batch of exactly so many after a resume may hide more.
QUEUE_LENGTH: Final = 100
#: An idle channel's position is written so often, so that a restart finds a fresh one.
IDLE_POSITION_SECONDS: Final = 60.0
#: After a longer outage the channel's memory may have been outrun by time.
OUTAGE_SECONDS: Final = 60.0
#: PubNub's units of time, of 100 ns each, in a ms.
TICKS: Final = 10_000
#: How long before its handshake a new channel is read from: one minute.
NEW_CHANNEL_MARGIN: Final = 60_000 * TICKS
SEEN_MESSAGES: Final = 2000
#: An answer with more messages is malformed: the channel remembers a hundred.
MOST_ENTRIES: Final = 10_000


class PubNubBookmark(msgspec.Struct, frozen=True):
    """The token of a position: PubNub's cursor, and the subscription it belongs to (to be taken up again). A cursor is
    a time in such units; from one of a time that no clock may have nothing would ever be read.
    """

    cursor: Annotated[int, msgspec.Meta(ge=EARLIEST_MS * TICKS, lt=LATEST_MS * TICKS)]
    subscription_id: str
    filters: str


_BOOKMARK: Final = msgspec.json.Decoder(PubNubBookmark)


def read_bookmark(position: FeedPosition | None) -> PubNubBookmark | None:
    """The bookmark in ``position``; ``None``: it holds none that this feed wrote."""
    if position is None or position.feed != FEED:
        return None
    try:
        return _BOOKMARK.decode(position.token)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def key_of(delivery: PubNubDelivery) -> str:
    """What a cursor belongs to."""
    return f"{delivery.subscriber_key}/{delivery.address}"


class PubNubReceiver:
    """The gate of one channel. ``current``: whether its cursor is the feed's position (a replaced channel may
    still deliver, but no longer says where the feed stands).
    """

    def __init__(
        self,
        sink: FeedSink,
        delivery: PubNubDelivery,
        *,
        account_id: str,
        default_region: str,
        latest: Callable[[], int] | None = None,
        subscription_id: str,
        filters: str,
        cursor: int,
        new_channel: bool = False,
        last_sign_ms: int | None,
        on_change: Callable[[], None],
        position_seconds: float = IDLE_POSITION_SECONDS,
    ) -> None:
        self.current = True
        self.connected = False
        self.cursor = cursor
        self.refusals = 0
        self.last_sign_ms = last_sign_ms
        #: When the poll that brought the cursor was opened, and the one that is open (our clock): nothing older than
        #: the former is missing, however late its answer was taken in.
        self.sure_ms = last_sign_ms
        self._opened_ms = last_sign_ms
        self.last_message = time.monotonic()
        self.poll_open_since: float | None = None
        self.poll_closed_since: float | None = time.monotonic()
        #: Since when what follows the cursor comes and is no answer (monotonic).
        self.unreadable_since: float | None = None
        self._sink = sink
        self._cipher = PayloadCipher(delivery.encryption_key)
        self._key = key_of(delivery)
        self._account_id = account_id
        self._region = default_region
        #: The latest time that is believed now, ms.
        self._latest = latest or (lambda: latest_time(now_ms()))
        self._subscription_id = subscription_id
        self._filters = filters
        self._on_change = on_change
        #: What a sink that goes on failing raised: the feed ends with it.
        self.defect: Exception | None = None
        self._sink_failures = 0
        self._ever = False
        self._given = cursor > 0
        self._new_channel = new_channel
        self._full = 0  # answers in a row that were all the channel remembers
        self._full_since: int | None = None
        self._position_at = 0.0
        self._position_seconds = position_seconds
        self._one_at_a_time = asyncio.Lock()
        self._seen: OrderedDict[tuple[int, int], None] = OrderedDict()

    # -- the gate -----------------------------------------------------------------------------------------------

    async def before_poll(self) -> None:
        """Wait for room; the time spent here is nobody's fault."""
        self.poll_open_since = self.poll_closed_since = None
        await self._sink.room()
        self.poll_open_since, self._opened_ms = time.monotonic(), now_ms()

    async def answered(self, cursor: int, answer: Any) -> tuple[str, int]:
        """Commit a poll's messages; the new cursor and its region (see ``PollGate``)."""
        token, region, entries = parse_answer(answer)
        if cursor == 0:
            begin = await self._handshaken(token)
            self._poll_over()
            return str(begin), region
        fresh = [entry for entry in entries if self._fresh(entry)]
        moved = max(token, self.cursor)
        self._came_in(len(entries))  # before it is delivered: what may be missing is missing before it
        async with self._one_at_a_time:
            await self._deliver(fresh, moved, full=len(entries) >= QUEUE_LENGTH)
            self.cursor = moved
        self.unreadable_since = None
        self._remember(fresh)
        self._poll_over()
        return str(moved), region

    def failed(self, reason: str, status: int | None, *, unreadable: bool) -> None:
        """A poll failed: tell once per outage, count what looks like a dead subscription."""
        self.poll_open_since, self.poll_closed_since = None, time.monotonic()
        if not unreadable:
            self.unreadable_since = None
        elif self.unreadable_since is None:
            self.unreadable_since = time.monotonic()
        self.refusals = self.refusals + 1 if status in (400, 403, 404) else 0
        if self.connected:
            self.connected = False
            self._notice(FeedNoticeKind.DISCONNECTED, reason)
        self._on_change()

    async def refresh_position(self) -> None:
        """While a poll is held nothing has been missed: say so now and then, or a restart finds a stale position.

        A sink that refuses is asked again next time.
        """
        if self.connected and self.poll_open_since is not None and self._position_due():
            async with self._one_at_a_time:
                with contextlib.suppress(Exception):
                    await self._deliver([], self.cursor)

    def _position_due(self) -> bool:
        return self.current and time.monotonic() - self._position_at > self._position_seconds

    # -- steps --------------------------------------------------------------------------------------------------

    async def _handshaken(self, token: int) -> int:
        """The first answer: where the first poll begins. A resumed channel keeps the cursor it came with.

        A channel made just now is read from a little before the handshake (cursors are times): what was published
        between the subscription and the handshake is in it, and nothing older can be.
        """
        begin = token - NEW_CHANNEL_MARGIN if self._new_channel else token
        if self.cursor == 0:
            await self._sink.deliver(Delivery((), (), self._position(begin)))
            self.cursor, self._position_at = begin, time.monotonic()
        self._connected()
        return begin

    async def _deliver(self, entries: list[Any], cursor: int, *, full: bool = False) -> None:
        if not entries and not self._position_due():
            return
        observations: list[PresenceObservation] = []
        unreadable: list[Unreadable] = []
        received_at, latest = now_ms(), self._latest()
        for entry in entries:
            try:
                observations.append(self._decode(entry, received_at, latest))
            except WireError as error:
                unreadable.append(error.unreadable(received_at))
        position = self._position(cursor) if self.current else None
        try:
            delivery = Delivery(tuple(observations), tuple(unreadable), position, after_gap=full, more=full)
            await self._sink.deliver(delivery)
        except Exception as error:
            self._sink_failures += 1
            if self._sink_failures >= MOST_SINK_FAILURES:
                self.defect = error
                self._on_change()
            raise
        self._sink_failures = 0
        if position is not None:
            self._position_at = time.monotonic()

    def _decode(self, entry: Any, received_at: int, latest: int) -> PresenceObservation:
        if not isinstance(entry, dict) or "d" not in entry:
            raise WireError(WireReason.WRONG_SHAPE, "a PubNub message without payload", entry)
        return decode_notification(
            self._cipher.open(entry["d"]),
            account_id=self._account_id,
            default_region=self._region,
            received_at=received_at,
            latest=latest,
        )

    def _came_in(self, count: int) -> None:
        if count:
            self.last_message = time.monotonic()
        self._judge_fill(count)
        self._connected()

    def _judge_fill(self, count: int) -> None:
        """All that the channel remembers in one answer: there may have been more, however long or short we were away.
        In a flood of such answers the gap is told when it begins and, as a whole, when it ends."""
        if count >= QUEUE_LENGTH:
            self._full += 1
            if self._full == 1:
                self._full_since = self.sure_ms
                self._gap(GapCause.POSSIBLE_OVERFLOW, self.sure_ms)
            return
        if self._full > 1:
            self._gap(GapCause.POSSIBLE_OVERFLOW, self._full_since)
        self._full = 0

    def _connected(self) -> None:
        self.refusals = 0
        if not self.connected:
            self.connected = True
            again = self._ever or self._given
            self._notice(FeedNoticeKind.RESUMED if again else FeedNoticeKind.CONNECTED)
            if self._ever and self.last_sign_ms and now_ms() - self.last_sign_ms > OUTAGE_SECONDS * 1000:
                self._gap(GapCause.OUTAGE, self.last_sign_ms)
            self._ever = True
        self.last_sign_ms = now_ms()
        self._on_change()

    def believe(self) -> None:
        """A poll has been held long enough to be called connected, though nothing has come back yet."""
        self._connected()

    def _poll_over(self) -> None:
        self.poll_open_since, self.poll_closed_since = None, time.monotonic()
        self.sure_ms = self._opened_ms

    def _gap(self, cause: GapCause, from_at: int | None) -> None:
        delivered = cause is GapCause.POSSIBLE_OVERFLOW
        self._notice(FeedNoticeKind.GAP, cause.value, {"from_at": from_at, "until_at": now_ms()}, delivered=delivered)

    def _notice(
        self, kind: FeedNoticeKind, reason: str = "", detail: dict[str, Any] | None = None, *, delivered: bool = False
    ) -> None:
        self._sink.notice(FeedNotice(kind, now_ms(), reason, detail or {}, delivered))

    def _position(self, cursor: int) -> FeedPosition:
        bookmark = PubNubBookmark(cursor, self._subscription_id, self._filters)
        return FeedPosition(FEED, self._key, msgspec.json.encode(bookmark).decode(), now_ms())

    # -- once only ----------------------------------------------------------------------------------------------

    def _fresh(self, entry: Any) -> bool:
        published = publish_token(entry)
        return published is None or published not in self._seen

    def _remember(self, entries: list[Any]) -> None:
        for entry in entries:
            if (published := publish_token(entry)) is not None:
                self._seen[published] = None
        while len(self._seen) > SEEN_MESSAGES:
            self._seen.popitem(last=False)


def parse_answer(answer: Any) -> tuple[int, int, list[Any]]:
    """Cursor, region and entries of a poll's answer; raises :class:`BadAnswer`."""
    if not isinstance(answer, dict):
        raise BadAnswer("an answer that is no object")
    cursor, entries = answer.get("t"), answer.get("m")
    if not isinstance(cursor, dict) or not isinstance(entries, list):
        raise BadAnswer("an answer without cursor or messages")
    if "t" not in cursor or "r" not in cursor:
        raise BadAnswer("an answer with an unreadable cursor")
    token, region = whole(cursor["t"], 1), whole(cursor["r"])
    if token is None or region is None:
        raise BadAnswer("an answer with an impossible cursor")
    if len(entries) > MOST_ENTRIES:
        raise BadAnswer(f"an answer with {len(entries)} messages")
    return token, region, entries


def publish_token(entry: Any) -> tuple[int, int] | None:
    """Publish timetoken and region, which name a message; ``None`` when it has none."""
    published = entry.get("p") if isinstance(entry, dict) else None
    if not isinstance(published, dict):
        return None
    token, region = whole(published.get("t")), whole(published.get("r", 0))
    return None if token is None or region is None else (token, region)
