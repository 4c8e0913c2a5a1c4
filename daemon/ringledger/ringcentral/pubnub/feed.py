"""The PubNub feed: a subscription kept alive over REST, a guarded client on its channel.

What must stay true: a restart takes up the stored subscription at the stored cursor; whenever that is not
possible a gap is reported, never passed over; a replaced channel is closed only after its successor polls.
Encryption keys are fetched, never stored.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringledger.backoff import Backoff
from ringledger.clock import now_ms
from ringledger.domain.observation import FeedPosition
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.delivery import FeedNoticeKind, FeedSink, GapCause
from ringledger.ringcentral.errors import CredentialsRejected, PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.feed import SubscribedFeed
from ringledger.ringcentral.pubnub.client import POLL_SECONDS, PubNubChannel
from ringledger.ringcentral.pubnub.receiver import (
    IDLE_POSITION_SECONDS,
    OUTAGE_SECONDS,
    PubNubReceiver,
    key_of,
    read_bookmark,
)
from ringledger.ringcentral.subscriptions.subscription import PubNubDelivery, Subscription

#: A subscription is renewed so long before it expires, platform seconds.
RENEW_LEAD_SECONDS: Final = 120.0
DEFAULT_LIFE_SECONDS: Final = 900.0
#: An older cursor may lie before what the channel remembers.
RESUME_SECONDS: Final = 300
#: Pauses between attempts at a subscription, platform seconds.
RETRY: Final = Backoff(2.0, 60.0)
#: So many refused polls in a row mean that the channel is dead.
REFUSALS: Final = 2
#: What is unreadable for longer is passed over, real seconds: after such an outage a gap is told in any case.
UNREADABLE_SECONDS: Final = OUTAGE_SECONDS
#: The line is looked at so often, platform seconds.
WATCH_SECONDS: Final = 1.0
#: A poll may outlast its own time limit by so much before its client is thrown away.
STUCK_MARGIN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PubNubOptions:
    """How the feed behaves. ``origin``: empty for PubNub's own. ``backoff``: the SDK's first and longest wait
    between attempts, whole seconds. ``silence_seconds``: no message for so long is reported once.
    ``held_seconds``: a poll held for so long is a connection, answered or not. ``linger_seconds``: a
    replaced channel is listened to for so long. ``position_seconds``: an idle channel's position is renewed
    so often. Real seconds, all of them.
    """

    origin: str = ""
    silence_seconds: float = 300.0
    backoff: tuple[int, int] = (1, 30)
    poll_seconds: int = POLL_SECONDS
    held_seconds: float = 12.0
    position_seconds: float = IDLE_POSITION_SECONDS
    linger_seconds: float = 5.0


class _ResubscribeError(Exception):
    """The subscription is of no more use."""


class _HangingError(Exception):
    """The client is of no more use, its subscription is."""


@dataclass(slots=True, eq=False)
class _Line:
    """One channel in use."""

    subscription: Subscription
    delivery: PubNubDelivery
    receiver: PubNubReceiver
    channel: PubNubChannel
    renew_at: float
    expires_at: float
    retired_at: float = 0.0


class PubNubFeed(SubscribedFeed):
    """See :class:`ringledger.ringcentral.delivery.Feed`. ``position``: where a former run stood."""

    def __init__(
        self,
        client: PlatformClient,
        filters: Sequence[str],
        *,
        account_id: str,
        position: FeedPosition | None = None,
        options: PubNubOptions | None = None,
    ) -> None:
        super().__init__(client, filters, account_id=account_id, transport="PubNub")
        self._position = position
        self._options = options or PubNubOptions()
        self._line: _Line | None = None
        self._retired: list[_Line] = []
        self._wake = asyncio.Event()

    async def run(self, sink: FeedSink) -> None:
        """Feed ``sink`` until cancelled; raises :class:`CredentialsRejected` when there is no hope."""
        failures = 0
        try:
            while True:
                try:
                    await self._open(sink)
                    failures = 0
                    await self._keep(sink)
                except _ResubscribeError as lost:
                    failures += 1
                    await self._lost(sink, str(lost), RETRY.after(failures))
                except CredentialsRejected:
                    raise
                except PlatformError as error:
                    failures += 1
                    self._tell_failure(sink, error)
                    await self._client.pace.sleep(_retry_after(error) or RETRY.after(failures))
        finally:
            await asyncio.shield(self._close_all())

    def _look_up(self) -> None:
        self._wake.set()

    # -- getting a subscription --------------------------------------------------------------------------------

    async def _open(self, sink: FeedSink) -> None:
        """A line that is polling: the stored one, or a new one with the gap told."""
        before = self._line
        if before is None and await self._resume(sink):
            return
        subscription = await self._create(sink)
        self._tell_created(sink, subscription)
        line = self._start(sink, subscription, cursor=0, new=True)
        await self._until_connected(line)
        if before is not None:
            self._tell_gap(sink, GapCause.SUBSCRIPTION_LOST, before.receiver.last_sign_ms)
            return
        stored = self._position
        cause = GapCause.NO_POSITION if stored is None else GapCause.KEY_CHANGED
        self._tell_gap(sink, cause, stored.at if stored else None)

    async def _create(self, sink: FeedSink) -> Subscription:
        """What there was is of no more use."""
        return await self._request(
            sink, lambda: self._client.create_subscription(self._filters, transport=self._transport)
        )

    async def _resume(self, sink: FeedSink) -> bool:
        """Take up the stored subscription; ``False`` when a new one is needed."""
        bookmark, stored = read_bookmark(self._position), self._position
        if bookmark is None or stored is None:
            return False
        if bookmark.filters != self._mark:
            await self._forget(bookmark.subscription_id)
            return False
        try:
            subscription = await self._client.get_subscription(bookmark.subscription_id)
        except (PlatformUnavailable, Throttled, CredentialsRejected):
            raise
        except PlatformError:
            return False
        delivery = subscription.pubnub
        if delivery is None or not subscription.active or key_of(delivery) != stored.key:
            return False
        too_old = now_ms() - stored.at > RESUME_SECONDS * 1000
        line = self._start(sink, subscription, cursor=0 if too_old else bookmark.cursor)
        line.renew_at = self._client.pace.now()  # nobody knows how much of its life is left to a run that may be short
        if too_old:
            await self._until_connected(line)
            self._tell_gap(sink, GapCause.TOO_OLD, stored.at)
        return True

    async def _forget(self, subscription_id: str) -> None:
        with contextlib.suppress(PlatformError):
            await self._client.delete_subscription(subscription_id)

    def _start(self, sink: FeedSink, subscription: Subscription, *, cursor: int, new: bool = False) -> _Line:
        """Open a client on the subscription's channel; the line before it is retired, not closed."""
        delivery = subscription.pubnub
        if delivery is None:
            raise PlatformUnavailable("the platform gave no PubNub channel")
        before = self._line
        last_sign = before.receiver.last_sign_ms if before else (self._position.at if self._position else None)
        receiver = PubNubReceiver(
            sink,
            delivery,
            account_id=self._account_id,
            default_region=self._client.default_region,
            latest=self._client.latest_ms,
            subscription_id=subscription.id,
            filters=self._mark,
            cursor=cursor,
            new_channel=new,
            last_sign_ms=last_sign,
            on_change=self._wake.set,
            position_seconds=self._options.position_seconds,
        )
        channel = PubNubChannel(
            delivery,
            receiver,
            user_id=f"ringledger-{self._account_id}",
            origin=self._options.origin,
            backoff=self._options.backoff,
            poll_seconds=self._options.poll_seconds,
        )
        self._line = _Line(subscription, delivery, receiver, channel, *self._schedule(subscription))
        if before is not None:
            before.receiver.current = False
            before.retired_at = time.monotonic()
            self._retired.append(before)
        channel.start(cursor)
        return self._line

    async def _lost(self, sink: FeedSink, reason: str, retry: float) -> None:
        """Tell, tidy up, and wait when the line never worked."""
        self._notice(sink, FeedNoticeKind.SUBSCRIPTION_LOST, reason)
        line = self._using()
        await self._forget(line.subscription.id)
        if not line.receiver.connected:
            await self._client.pace.sleep(retry)

    def _using(self) -> _Line:
        if self._line is None:
            raise RuntimeError("no line is open")
        return self._line

    # -- keeping it --------------------------------------------------------------------------------------------

    async def _keep(self, sink: FeedSink) -> None:
        """Renew, watch and replace; ends by :class:`_ResubscribeError` or a ``PlatformError``."""
        while True:
            await self._wait(min(self._using().renew_at - self._client.pace.now(), WATCH_SECONDS))
            reason, self._rebuild = self._rebuild, ""
            if reason:
                raise _ResubscribeError(reason)
            try:
                await self._watch(sink)
            except _HangingError:
                hanging = self._using()
                self._replace(sink, hanging, cursor=hanging.receiver.cursor)
            if self._client.pace.now() >= self._using().renew_at:
                await self._renew(sink, self._using())

    def _replace(self, sink: FeedSink, before: _Line, *, cursor: int) -> None:
        """A new client on the same channel, with the old one's time limits."""
        line = self._start(sink, before.subscription, cursor=cursor)
        line.renew_at, line.expires_at = before.renew_at, before.expires_at

    async def _pass_over(self, sink: FeedSink, stuck: _Line) -> None:
        """What the channel holds stays unreadable, be it one message: go on from now, and tell the gap."""
        self._replace(sink, stuck, cursor=0)
        await self._close_retired()
        await self._until_connected(self._using())
        self._tell_gap(sink, GapCause.UNREADABLE, stuck.receiver.sure_ms)

    async def _renew(self, sink: FeedSink, line: _Line) -> None:
        try:
            renewed = await self._client.renew_subscription(line.subscription.id)
        except CredentialsRejected:
            raise
        except (PlatformUnavailable, Throttled) as error:
            if self._client.pace.now() >= line.expires_at:
                raise _ResubscribeError("it expired before it could be renewed") from None
            line.renew_at = self._client.pace.now() + (_retry_after(error) or RETRY.first)
        except PlatformError as error:
            raise _ResubscribeError(str(error)) from None
        else:
            self._renewed(sink, renewed)

    def _renewed(self, sink: FeedSink, renewed: Subscription) -> None:
        line = self._using()
        if not renewed.active:
            raise _ResubscribeError(f"status {renewed.status}")
        moved = renewed.pubnub is not None and renewed.pubnub != line.delivery
        detail = {"subscription_id": renewed.id, "moved": moved, "expires_in": renewed.expires_in}
        self._notice(sink, FeedNoticeKind.SUBSCRIPTION_RENEWED, "", detail)
        self._tell_refused(sink, renewed)
        if moved:  # cursors are times, so the new channel is asked from where the old one stands
            self._start(sink, renewed, cursor=line.receiver.cursor)
        else:
            line.subscription = renewed
            line.renew_at, line.expires_at = self._schedule(renewed)

    def _schedule(self, subscription: Subscription) -> tuple[float, float]:
        """When to renew and when it is too late, monotonic platform seconds."""
        life = subscription.expires_in if subscription.expires_in is not None else DEFAULT_LIFE_SECONDS
        lead = min(RENEW_LEAD_SECONDS, life / 3)
        now = self._client.pace.now()
        return now + max(0.0, life - lead), now + life

    async def _wait(self, seconds: float) -> None:
        """Platform seconds, or until something happens on the line."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds) / self._client.pace.speed):
                await self._wake.wait()
        self._wake.clear()

    async def _until_connected(self, line: _Line) -> None:
        """Return when the first poll was answered; refused or stuck lines raise."""
        while not line.receiver.connected:
            await self._wait(WATCH_SECONDS)
            try:
                self._judge(line)
            except _HangingError:
                raise _ResubscribeError("the client hangs") from None
            if line.receiver.refusals >= REFUSALS:
                raise _ResubscribeError("polls are refused")

    async def _watch(self, sink: FeedSink) -> None:
        line = self._using()
        self._judge(line)
        if line.receiver.refusals >= REFUSALS:
            raise _ResubscribeError("polls are refused")
        since = line.receiver.unreadable_since
        if since is not None and time.monotonic() - since > UNREADABLE_SECONDS:
            await self._pass_over(sink, line)
            return
        if line.receiver.connected:
            await self._close_retired(self._options.linger_seconds)
            await line.receiver.refresh_position()
        quiet = time.monotonic() - line.receiver.last_message
        if quiet < self._options.silence_seconds:
            self._silent = False
        elif line.receiver.connected and not self._silent:
            self._silent = True
            self._notice(sink, FeedNoticeKind.SILENT, "", {"seconds": round(quiet)})

    def _judge(self, line: _Line) -> None:
        """Throw away a client that hangs; its successor goes on from the same cursor. A sink that goes on failing is a
        defect of ours: end with it.
        """
        if line.receiver.defect is not None:
            raise line.receiver.defect
        now = time.monotonic()
        opened, closed = line.receiver.poll_open_since, line.receiver.poll_closed_since
        hangs = opened is not None and now - opened > self._options.poll_seconds + STUCK_MARGIN_SECONDS
        sleeps = closed is not None and now - closed > 2 * self._options.backoff[1] + STUCK_MARGIN_SECONDS
        if hangs or sleeps:
            raise _HangingError
        if not line.receiver.connected and opened is not None and now - opened > self._options.held_seconds:
            line.receiver.believe()
        self.last_sign = now

    # -- telling and closing -----------------------------------------------------------------------------------

    def _tell_failure(self, sink: FeedSink, error: PlatformError) -> None:
        """An outage is told by the client; what only an administrator can mend is told here, once."""
        self.last_sign = time.monotonic()
        if not isinstance(error, PlatformUnavailable | Throttled):
            self._tell_once(sink, str(error))

    async def _close_retired(self, linger: float = 0.0) -> None:
        """Whoever is cancelled meanwhile leaves the rest, and the one that was being closed, to the end."""
        now = time.monotonic()
        for line in [line for line in self._retired if now - line.retired_at >= linger]:
            await line.channel.close()
            self._retired.remove(line)

    async def _close_all(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._retired.append(line)
        await self._close_retired()


def _retry_after(error: PlatformError) -> float | None:
    return getattr(error, "retry_after", None)
