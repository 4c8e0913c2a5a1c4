"""A client against a simulated platform, and a sink that remembers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp

from ringledger.domain.observation import Delivery, FeedPosition, PresenceObservation, Unreadable
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.authorisation import Authenticator, AuthEvent, Credentials
from ringledger.ringcentral.auth.session import GrantKeeper
from ringledger.ringcentral.delivery import Feed, FeedNotice, FeedNoticeKind
from ringledger.ringcentral.ratelimit.limits import RateLimits
from tests.until import PATIENCE

WAIT = PATIENCE
GOOD = Credentials(client_id="sim-client", client_secret="sim-secret", jwt="sim-jwt")


class Recorder:
    """A sink in memory. ``refuse``: so many deliveries fail first; ``gate``: cleared, there is no room."""

    def __init__(self) -> None:
        self.seen: list[PresenceObservation] = []
        self.unreadable: list[Unreadable] = []
        self.positions: list[FeedPosition] = []
        self.notices: list[FeedNotice] = []
        self.deliveries: list[Delivery] = []
        #: How many events came, and the reasons of gaps, as they were told.
        self.in_order: list[int | str] = []
        self.refuse = 0
        self.refused = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Event()

    async def room(self) -> None:
        await self.gate.wait()

    async def deliver(self, delivery: Delivery) -> None:
        await asyncio.sleep(0)
        if self.refuse and delivery.observations:
            self.refuse -= 1
            self.refused += 1
            raise OSError("the disk is full")
        self.seen += delivery.observations
        self.deliveries.append(delivery)
        if delivery.observations:
            self.in_order.append(len(delivery.observations))
        self.unreadable += delivery.unreadable
        if delivery.position is not None:
            self.positions.append(delivery.position)
        self._changed.set()

    def notice(self, notice: FeedNotice) -> None:
        self.notices.append(notice)
        if notice.kind is FeedNoticeKind.GAP:
            self.in_order.append(notice.reason)
        self._changed.set()

    @property
    def uuids(self) -> list[str | None]:
        return [one.uuid for one in self.seen]

    def told(self, kind: FeedNoticeKind) -> list[FeedNotice]:
        return [notice for notice in self.notices if notice.kind is kind]

    def gaps(self) -> list[str]:
        return [notice.reason for notice in self.told(FeedNoticeKind.GAP)]

    async def until(self, holds: Callable[[], object]) -> None:
        """Return when ``holds()``; it is asked after each delivery and notice."""
        async with asyncio.timeout(WAIT):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def client_for(
    url: str,
    *,
    credentials: Credentials = GOOD,
    speed: float = 1.0,
    events: list[AuthEvent] | None = None,
    notices: list[tuple[str, str]] | None = None,
    waits: list[tuple[str, str, float]] | None = None,
    keeper: GrantKeeper | None = None,
) -> AsyncIterator[PlatformClient]:
    """A client of the platform at ``url``; what it tells is appended to the lists."""
    limits = RateLimits(pace=Pace(speed), on_wait=lambda *told: None if waits is None else waits.append(told))
    async with aiohttp.ClientSession() as session:
        auth = Authenticator(
            url,
            session,
            credentials,
            limits,
            on_event=lambda one: None if events is None else events.append(one),
            keeper=keeper,
        )
        yield PlatformClient(
            url,
            session,
            auth,
            limits,
            on_notice=lambda kind, text: None if notices is None else notices.append((kind, text)),
        )


@asynccontextmanager
async def running(feed: Feed, sink: Recorder) -> AsyncIterator[asyncio.Task[None]]:
    """The feed at work; cancelled and awaited at the end."""
    task = asyncio.create_task(feed.run(sink))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
