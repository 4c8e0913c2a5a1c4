"""The WebSocket feed: one connection with one subscription, recovered after every loss as far as the platform can.

What must stay true: the recovery context (``wsc``) we keep never lies ahead of what the sink has committed; whatever
the platform cannot replay is reported as a gap; an unreadable frame costs its neighbours nothing.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery, FeedPosition
from ringledger.ringcentral.api.client import PlatformClient, read_answer
from ringledger.ringcentral.delivery import FeedNoticeKind, FeedSink, GapCause
from ringledger.ringcentral.errors import CredentialsRejected, PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.feed import SubscribedFeed
from ringledger.ringcentral.subscriptions.subscription import Subscription, decode_subscription
from ringledger.ringcentral.websocket.connection import (
    ConnectionEnded,
    Vigilance,
    WebSocketConnection,
    Wsc,
    open_connection,
)
from ringledger.ringcentral.websocket.receiver import WebSocketBookmark, WebSocketReceiver, commit, read_bookmark
from ringledger.ringcentral.websocket.reconnect import ReconnectPace

SUBSCRIPTION_PATH: Final = "/restapi/v1.0/subscription"
#: An older position is not worth a try. The platform keeps a session for three minutes by its clock; by ours a position
#: looks older than it is (one of a quiet feed is written now and then), and a try in vain costs a moment.
RESUME_SECONDS: Final = 600
#: After a longer outage the books are read again, although the platform says that it has replayed everything.
LONG_OUTAGE_SECONDS: Final = 100.0
#: How long the feed waits for frames before it looks around, real seconds.
WATCH_SECONDS: Final = 1.0
#: A context that brings the connection down so often is given up.
STRIKES: Final = 2
#: The platform does not know the context we came with.
FORGED: Final = "WSG-400"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketOptions:
    """How the feed behaves. ``silence_seconds``: no event for so long is reported once; real seconds."""

    silence_seconds: float = 300.0
    vigilance: Vigilance = field(default_factory=Vigilance)


class _DeadError(Exception):
    """The subscription is of no more use, the connection is."""


class WebSocketFeed(SubscribedFeed):
    """See :class:`ringledger.ringcentral.delivery.Feed`. ``position``: where a former run stood."""

    def __init__(
        self,
        client: PlatformClient,
        filters: Sequence[str],
        *,
        account_id: str,
        position: FeedPosition | None = None,
        options: WebSocketOptions | None = None,
        pace: ReconnectPace | None = None,
    ) -> None:
        super().__init__(client, filters, account_id=account_id, transport="WebSocket")
        self._options = options or WebSocketOptions()
        self._pace = pace or ReconnectPace()
        self._bookmark: WebSocketBookmark | None = None  # what a recovery would go on from
        self._gap: tuple[GapCause, int | None] | None = self._take_up(position)
        self._covered_until = position.at if position else None
        self._connection: WebSocketConnection | None = None
        self._good_since: float | None = None
        self._strikes = 0
        self._down_told = False
        self._last_event = time.monotonic()
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def run(self, sink: FeedSink) -> None:
        """Feed ``sink`` until cancelled; raises :class:`CredentialsRejected` when there is no hope."""
        clock = self._client.pace
        while True:
            await self._rest(self._pace.wait(clock.now()))
            self._pace.connecting(clock.now())
            self._good_since = None
            try:
                await self._live(sink)
            except ConnectionEnded as ended:
                await self._after(sink, ended)
            except CredentialsRejected:
                raise
            except PlatformError as error:
                self._tell_failure(sink, error)
                at_least = getattr(error, "retry_after", None) or 0.0
                self._pace.lost(clock.now(), lived=self._lived(), at_least=at_least)

    def _look_up(self) -> None:
        if self._connection is not None:
            self._connection.wake()

    # -- a connection -------------------------------------------------------------------------------------------

    async def _live(self, sink: FeedSink) -> None:
        """One connection from its beginning to its end; raises what ended it."""
        wsc = self._bookmark.token if self._bookmark else None
        self._connection = None
        connection = await open_connection(self._client, wsc, self._options.vigilance, lambda: self._beat(sink))
        self._connection = connection
        try:
            receiver = await self._establish(sink, connection)
            while True:
                try:
                    await self._serve(connection, receiver)
                except _DeadError as dead:
                    self._notice(sink, FeedNoticeKind.SUBSCRIPTION_LOST, str(dead))
                    self._give_up()
                    self._gap = (GapCause.SUBSCRIPTION_LOST, self._last_event_ms())
                    receiver = await self._subscribe(sink, connection, receiver.bookmark)
        finally:
            self._good_until(connection)
            await connection.close()

    async def _establish(self, sink: FeedSink, connection: WebSocketConnection) -> WebSocketReceiver:
        """The old subscription if the platform still has it, else a new one on the same connection."""
        bookmark = self._bookmark
        if bookmark is not None and connection.details.recovery_state == "Successful":
            return self._recovered(sink, connection, bookmark)
        if bookmark is not None:
            reason = f"recovery failed {connection.details.recovery_error_code or ''}".strip()
            self._notice(sink, FeedNoticeKind.SUBSCRIPTION_LOST, reason)
            self._give_up()
        return await self._subscribe(sink, connection)

    def _recovered(
        self, sink: FeedSink, connection: WebSocketConnection, bookmark: WebSocketBookmark
    ) -> WebSocketReceiver:
        """The context in the greeting replaces ours, whatever its sequence is."""
        if connection.greeting.wsc is not None and connection.greeting.wsc.token:
            bookmark = bookmark.at(connection.greeting.wsc)
        receiver = self._receiver(sink, bookmark)
        until, since = now_ms(), self._covered_until
        self._up(sink, FeedNoticeKind.RESUMED)
        if since is not None and until - since > LONG_OUTAGE_SECONDS * 1000:
            self._tell_gap(sink, GapCause.POSSIBLE_OVERFLOW, since)
        else:
            receiver.expect_replay(connection.details.recovery_buffer_size, since, self._client.platform_now_ms())
        return receiver

    async def _subscribe(
        self, sink: FeedSink, connection: WebSocketConnection, before: WebSocketBookmark | None = None
    ) -> WebSocketReceiver:
        """All filters in one subscription, for there is only one; it replaces the one ``before``."""
        self._rebuild = ""
        subscription = await self._create(sink, connection, before.subscription_id if before else "")
        if not subscription.active:
            raise PlatformUnavailable(f"a new subscription has status {subscription.status}")
        self._tell_created(sink, subscription)
        wsc = connection.greeting.wsc or Wsc()
        at = before or WebSocketBookmark("", "", wsc.token or None, wsc.sequence)
        receiver = self._receiver(sink, WebSocketBookmark(subscription.id, self._mark, at.token, at.sequence))
        self._last_event = time.monotonic()
        self._up(sink, FeedNoticeKind.CONNECTED)
        if self._gap is not None:
            cause, from_at = self._gap
            self._gap = None
            self._tell_gap(sink, cause, from_at)
        await receiver.take([], force=True)
        return receiver

    async def _create(self, sink: FeedSink, connection: WebSocketConnection, using: str) -> Subscription:
        body = {"eventFilters": self._filters, "deliveryMode": {"transportType": self._transport}}

        async def create() -> Subscription:
            return read_answer(decode_subscription, await connection.request("POST", SUBSCRIPTION_PATH, body))

        return await self._request(sink, create, using)

    async def _serve(self, connection: WebSocketConnection, receiver: WebSocketReceiver) -> None:
        """Let the receiver take what comes. Ends by :class:`ConnectionEnded`, or :class:`_DeadError` when asked to
        rebuild.
        """
        while True:
            self.last_sign = time.monotonic()
            if self._rebuild:
                raise _DeadError(self._rebuild)
            if await receiver.take_next(connection, WATCH_SECONDS):
                self._last_event = time.monotonic()
                self._strikes = 0
            self._bookmark = receiver.bookmark

    def _receiver(self, sink: FeedSink, bookmark: WebSocketBookmark) -> WebSocketReceiver:
        self._bookmark = bookmark
        return WebSocketReceiver(
            sink,
            bookmark,
            account_id=self._account_id,
            default_region=self._client.default_region,
            latest=self._client.latest_ms,
            seen=self._seen,
        )

    # -- its end ------------------------------------------------------------------------------------------------

    async def _after(self, sink: FeedSink, ended: ConnectionEnded) -> None:
        """Decide whether the context is still good, and when to come back."""
        lived = self._lived()
        if ended.unreadable is not None or (self._connection is None and ended.code):
            self._strikes += 1
        if (self._connection is None and ended.code == FORGED) or self._strikes >= STRIKES:
            self._strikes = 0
            self._give_up()
        if ended.unreadable is not None:
            await commit(sink, Delivery((), (ended.unreadable,), None))
        ordinary = ended.ordinary and self._connection is not None
        if not ordinary:
            self._tell_down(sink, str(ended))
        self._pace.lost(self._client.pace.now(), lived=lived, ordinary=ordinary)

    def _give_up(self) -> None:
        """Forget the context; the gap is told when there is a new subscription."""
        if self._bookmark is not None:
            self._bookmark = None
            self._gap = (GapCause.SUBSCRIPTION_LOST, self._covered_until)

    def _last_event_ms(self) -> int:
        """Our clock when the last event came."""
        return now_ms() - round((time.monotonic() - self._last_event) * 1000)

    def _good_until(self, connection: WebSocketConnection) -> None:
        """What came before the last sign of life has been seen."""
        if self._good_since is not None:
            silent_ms = round((time.monotonic() - connection.last_sign) * 1000)
            self._covered_until = now_ms() - silent_ms

    def _lived(self) -> float:
        """Platform seconds the connection was good for."""
        return 0.0 if self._good_since is None else self._client.pace.now() - self._good_since

    async def _rest(self, seconds: float) -> None:
        """Platform seconds, in pieces: who waits is not stuck."""
        until = self._client.pace.now() + seconds
        while (left := until - self._client.pace.now()) > 0:
            self.last_sign = time.monotonic()
            await self._client.pace.sleep(min(left, WATCH_SECONDS * self._client.pace.speed))

    # -- telling ------------------------------------------------------------------------------------------------

    def _take_up(self, position: FeedPosition | None) -> tuple[GapCause, int | None] | None:
        """Go on from a former run's position if it is any good; else the gap there will be."""
        if position is None:
            return GapCause.NO_POSITION, None
        bookmark = read_bookmark(position)
        if bookmark is None or bookmark.filters != self._mark:
            return GapCause.KEY_CHANGED, position.at
        if now_ms() - position.at > RESUME_SECONDS * 1000:
            return GapCause.TOO_OLD, position.at
        self._bookmark = bookmark
        return None

    def _beat(self, sink: FeedSink) -> None:
        """The connection is in order, which says nothing of whoever should take what it brings."""
        quiet = time.monotonic() - self._last_event
        if quiet < self._options.silence_seconds:
            self._silent = False
        elif self._good_since is not None and not self._silent:
            self._silent = True
            self._notice(sink, FeedNoticeKind.SILENT, "", {"seconds": round(quiet)})

    def _up(self, sink: FeedSink, kind: FeedNoticeKind) -> None:
        self._good_since = self._client.pace.now()
        self._down_told, self._told = False, ""
        self._notice(sink, kind)

    def _tell_down(self, sink: FeedSink, reason: str) -> None:
        """Once for each outage."""
        if not self._down_told:
            self._down_told = True
            self._notice(sink, FeedNoticeKind.DISCONNECTED, reason)

    def _tell_failure(self, sink: FeedSink, error: PlatformError) -> None:
        """An outage is told once; what only an administrator can mend, once for each reason."""
        self.last_sign = time.monotonic()
        reason = str(error)
        if isinstance(error, PlatformUnavailable | Throttled):
            self._tell_down(sink, reason)
        else:
            self._tell_once(sink, reason)
