"""Many accounts for one daemon: each a simulated platform of its own, all of one clock, and calls evenly over them."""

import heapq
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from ringledger.simulator import Credentials, Office, Options, Pbx, SimCall, SimClock, Simulator, default_extensions
from ringledger.simulator.exchange.model import Step
from ringledger.simulator.push.pubnub import PubNub

#: Calls take so much of an office's time: those of a few minutes are over within a proof.
SHORTER = 0.2
#: Events of a call of an office, on average.
EVENTS_OF_A_CALL = 3.4
#: What the platform remembers for a subscription while a daemon is started again.
REMEMBERED = 1_000

#: An event: its account, extension and sequence.
Told = tuple[str, str, int]


class Companies:
    """The platforms by the names of their accounts. ``told``: when each event was sent, monotonic seconds, by its
    account, extension and sequence."""

    def __init__(self, sims: dict[str, Simulator], origin: str) -> None:
        self.sims = sims
        self.origin = origin
        self.clock = next(iter(sims.values())).clock
        self.told: dict[Told, float] = {}

    def write_configuration(self, path: Path) -> None:
        """The accounts' tables, as an owner writes them."""
        tables = [
            f"[[accounts]]\nname = {json.dumps(name)}\nserver_url = {json.dumps(sim.url)}\n"
            f"jwt = {json.dumps(sim.options.credentials.jwt)}\n"
            for name, sim in self.sims.items()
        ]
        path.write_text("\n".join(tables))
        path.chmod(0o600)

    @property
    def subscribed(self) -> int:
        """Accounts that somebody listens to."""
        return sum(bool(sim.subscriptions.alive()) and _heard(sim) for sim in self.sims.values())

    async def call(self, per_second: float, seconds: float) -> None:
        """So many events a second for so long, then those of the calls that are still open."""
        rate = per_second / EVENTS_OF_A_CALL / len(self.sims) * 3600
        begin = self.clock.now_ms()
        offices = [
            _of(sim, Office([*sim.pbx.extensions.values()], calls_per_hour=rate, seed=n, name=name), begin)
            for n, (name, sim) in enumerate(self.sims.items())
        ]
        upcoming = heapq.merge(*offices, key=lambda one: one[0])
        order = itertools.count()
        until = begin + round(seconds * 1000)
        steps: list[tuple[int, int, Simulator, SimCall, Step]] = []
        for at, sim, call in itertools.takewhile(lambda one: one[0] < until, upcoming):
            await self._happen(steps, at)
            for step in call.plan:
                heapq.heappush(steps, (step.at, next(order), sim, call, step))
        await self._happen(steps, None)

    async def _happen(self, steps: list[tuple[int, int, Simulator, SimCall, Step]], until: int | None) -> None:
        with self.clock.held() as hold:
            while steps and (until is None or steps[0][0] <= until):
                at, _, sim, call, step = heapq.heappop(steps)
                hold(at)
                await self.clock.sleep_until(at)
                body = sim.pbx.apply(call, step)["body"]
                self.told[sim.pbx.account_id, body["extensionId"], body["sequence"]] = time.monotonic()


def _of(sim: Simulator, office: Office, begin: int) -> Iterator[tuple[int, Simulator, SimCall]]:
    """The calls of an office, shorter than they would be."""
    for call in office.calls(begin):
        first = call.plan[0].at
        call.plan = [step._replace(at=first + round((step.at - first) * SHORTER)) for step in call.plan]
        yield first, sim, call


def _heard(sim: Simulator) -> bool:
    return bool(sim.websocket.peers) or sim.pubnub.polling > 0


class _Origin:
    """PubNub as all of them have it: an address that tells by the key whose messages are asked for."""

    def __init__(self, sims: Sequence[Simulator]) -> None:
        self._by_key = {sim.pubnub.subscribe_key: sim.pubnub for sim in sims}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v2/subscribe/{key}/{channels}/0", self._subscribe)
        app.router.add_get("/v2/presence/sub-key/{key}/channel/{channels}/leave", self._leave)
        return app

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        return await self._of(request).subscribe(request)

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        return await self._of(request).leave(request)

    def _of(self, request: web.Request) -> PubNub:
        return self._by_key[request.match_info["key"]]


@asynccontextmanager
async def companies(accounts: int, extensions: int) -> AsyncIterator[Companies]:
    """So many platforms of so many extensions each."""
    async with AsyncExitStack() as stack:
        clock = SimClock()
        sims: dict[str, Simulator] = {}
        for n in range(accounts):
            pbx = Pbx(default_extensions(extensions), account_id=str(700_001 + n), seed=n)
            login = Credentials(jwt=f"sim-jwt of company {n}")
            options = Options(rate_limits="default", queue_limit=REMEMBERED, credentials=login)
            sim = Simulator(clock=clock, pbx=pbx, options=options)
            sim.websocket.sessions.buffer_size = REMEMBERED
            sims[f"company-{n:03d}"] = await stack.enter_async_context(sim)
        runner = web.AppRunner(_Origin([*sims.values()]).application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Companies(sims, f"http://127.0.0.1:{runner.addresses[0][1]}")
        for sim in sims.values():
            sim.pubnub.stop()
