"""The running simulator: one server on loopback that is RingCentral, its PubNub and its WebSocket gateway.

What must stay true: it can be started and stopped in milliseconds, many times, several at once; nothing it holds
outlives :meth:`Simulator.stop`.
"""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.call_log import BooksOptions
from ringledger.simulator.exchange.office import Office
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.exchange.player import play_story, run_office
from ringledger.simulator.faults.barriers import Gates
from ringledger.simulator.faults.delivery import Mishaps
from ringledger.simulator.faults.plan import FaultPlan
from ringledger.simulator.faults.rest import RestFaults
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.push.pubnub import PubNub
from ringledger.simulator.push.subscriptions import Subscriptions
from ringledger.simulator.push.websocket import WebSockets
from ringledger.simulator.rest.answers import error_middleware
from ringledger.simulator.rest.call_log import Books
from ringledger.simulator.rest.limits import Limits, RateLimit
from ringledger.simulator.rest.messages import Messages
from ringledger.simulator.rest.oauth import Credentials, OAuth
from ringledger.simulator.rest.permissions import Permissions
from ringledger.simulator.rest.resources import Rest
from ringledger.simulator.rest.ringout import RingOutOptions, RingOuts
from ringledger.simulator.story.story import Story


class Routes(Protocol):
    """A family of routes."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put its handlers into the router."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the platform behaves. Lifetimes are seconds of simulated time; with ``real_lifetimes`` of ours, however
    fast simulated time runs, so that a client with an ordinary clock renews in time."""

    credentials: Credentials = field(default_factory=Credentials)
    legacy_2015: bool = False  # grant password logins
    subscription_seconds: int = 900
    token_seconds: int = 3600
    refresh_seconds: int = 604_800
    issue_refresh: bool = True
    real_lifetimes: bool = False
    hold_seconds: float = 280.0  # of a long poll, real seconds
    queue_limit: int = 100  # messages a channel remembers
    admin: bool = True  # may read the whole account's books
    missing_permissions: frozenset[str] = frozenset()
    books: BooksOptions = field(default_factory=BooksOptions)
    ring_outs: RingOutOptions = field(default_factory=RingOutOptions)
    rate_limits: RateLimit = None  # "default", or requests per window by group; None refuses nothing
    rate_window_seconds: float = 60.0
    rate_real_time: bool = False  # windows and penalties in real seconds, however fast simulated time runs
    faults: tuple[str, ...] = ()  # see faultplan
    fault_seed: int = 0
    announces_pace: bool = True  # with each answer, so that a client's clocks can follow


class Simulator:
    """``async with Simulator() as sim: ... sim.url``. Both origins, REST and PubNub, are at the same address."""

    def __init__(
        self, *, clock: SimClock | None = None, pbx: Pbx | None = None, options: Options | None = None
    ) -> None:
        self.options = options or Options()
        self.clock = clock or SimClock()
        self.pbx = pbx or Pbx()
        scale = (self.clock.speed or 1.0) if self.options.real_lifetimes else 1.0
        self.owner_id = next(iter(self.pbx.extensions))
        self.gates = Gates()
        self.oauth = self._oauth(scale)
        seconds = self.options.subscription_seconds
        self.subscriptions = Subscriptions(self.clock, self.pbx, self.oauth, seconds=seconds, lifetime_scale=scale)
        self.pubnub = PubNub(self.clock, hold_seconds=self.options.hold_seconds, queue_limit=self.options.queue_limit)
        self.subscriptions.transports["PubNub"] = self.pubnub
        self.websocket = WebSockets(self.clock, self.oauth, self.subscriptions, self.gates)
        self.subscriptions.transports["WebSocket"] = self.websocket
        self.rest = Rest(self.pbx, self.oauth)
        self.permissions = Permissions(admin=self.options.admin, missing=self.options.missing_permissions)
        self.books = Books(self.clock, self.rest, self.permissions, self.options.books)
        self.ring_outs = RingOuts(self.clock, self.rest, self.permissions, self.options.ring_outs)
        self.messages = Messages(self.clock, self.rest, self.permissions)
        self.limits = self._limits()
        self.faults = FaultPlan(self.pubnub.faults, seed=self.options.fault_seed)
        self.mishaps = self._mishaps()
        self.subscriptions.send_by(self.mishaps.send)
        for fault in self.options.faults:
            self.faults.add(fault)
        self.routes: list[Routes] = [self.oauth, self.rest, self.books, self.ring_outs, self.messages]
        self.routes += [self.subscriptions, self.pubnub, self.websocket]
        self.url = ""
        self._runner: web.AppRunner | None = None

    def _oauth(self, scale: float) -> OAuth:
        o = self.options
        return OAuth(
            self.clock,
            o.credentials,
            self.owner_id,
            legacy_2015=o.legacy_2015,
            token_seconds=o.token_seconds,
            refresh_seconds=o.refresh_seconds,
            lifetime_scale=scale,
            issue_refresh=o.issue_refresh,
        )

    def _limits(self) -> Limits:
        o = self.options
        window, real = o.rate_window_seconds, o.rate_real_time
        return Limits(self.clock, self.oauth, o.rate_limits, window_seconds=window, real_time=real)

    def _mishaps(self) -> Mishaps:
        pubnub, websocket = self.pubnub, self.websocket

        def cut_websockets() -> None:
            for peer in list(websocket.peers):
                peer.reset()

        return Mishaps(
            self.clock,
            self.faults,
            self.pbx,
            self.subscriptions.deliver,
            cut={"PubNub": lambda: pubnub.faults.append("reset"), "WebSocket": cut_websockets},
            raw={
                "PubNub": lambda subscription, text: pubnub.publish(subscription.delivery["address"], text),
                "WebSocket": lambda _, text: websocket.send_text(text),
            },
        )

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; afterwards ``url`` is the base address, without a slash at its end."""
        faults = RestFaults(self.faults, self.limits)
        app = web.Application(
            middlewares=[
                faults.headers,
                error_middleware(self.clock, announces_pace=self.options.announces_pace),
                self.gates.middleware,
                self.limits.middleware,
                faults.middleware,
            ]
        )
        for routes in self.routes:
            routes.add_routes(app.router)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        self.rest.base_url = self.subscriptions.base_url = self.websocket.base_url = self.url

    async def stop(self) -> None:
        """Let held polls end and close every connection; a second call does nothing."""
        self.pubnub.stop()
        self.mishaps.stop()
        self.ring_outs.stop()
        await self.websocket.stop()
        await asyncio.sleep(0)
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- for tests and demonstrations ---------------------------------------------------------------------------

    @property
    def polls(self) -> int:
        """Subscribe requests so far, handshakes included."""
        return self.pubnub.polls

    async def wait_polling(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until some subscriber listens, by a poll or a WebSocket; ``TimeoutError`` otherwise."""
        waiting = [
            asyncio.ensure_future(self.pubnub.wait_polling(timeout=timeout)),
            asyncio.ensure_future(self.websocket.wait_subscribed(timeout=timeout)),
        ]
        try:
            await next(asyncio.as_completed(waiting))
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def wait_consumed(self, *, timeout: float = 10.0) -> None:  # noqa: ASYNC109 - a test's patience
        """Until subscribers have everything published and listen again; ``TimeoutError`` otherwise."""
        await self.pubnub.wait_consumed(timeout=timeout)
        await self.websocket.wait_sent(timeout=timeout)

    def publish_envelope(self, envelope: Json, *, forced: bool = False) -> int:
        """Send an envelope to each subscription whose filters match (``forced``: to all); returns how many."""
        return self.subscriptions.publish(envelope, forced=forced)

    def publish_raw(self, where: str, data: Any) -> int:
        """Put ``data`` unencrypted into channel ``where``, or into the channels of every subscription that wants
        events of extension ``where``. Bytes go as the text of the same code points. Returns how many channels."""
        payload = data.decode("latin-1") if isinstance(data, bytes) else data
        channels = [
            s.delivery["address"]
            for s in self.subscriptions.alive()
            if s.transport == "PubNub" and (where == s.delivery["address"] or s.everything or where in s.extensions)
        ]
        for channel in channels:
            self.pubnub.publish(channel, payload)
        return len(channels)

    async def play_story(self, story: Story, *, forced: bool = True, rebase: bool = False, pace: bool = True) -> None:
        """Deliver a story's events at their times (see :func:`ringledger.simulator.exchange.player.play_story`)."""
        await play_story(self.clock, self.pbx, self.subscriptions, story, forced=forced, rebase=rebase, pace=pace)

    async def run_office(self, office: Office, *, until: int | None = None, drain: bool = True) -> None:
        """Let an office make calls from now on, until the simulated instant ``until`` (ms), or for ever."""
        await run_office(self.clock, self.pbx, office, until=until, drain=drain)
