"""A simulated platform, and a daemon if one is wanted, in a thread of their own: commands run in the test's."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

from ringledger.simulator import SimClock, Simulator
from ringledger.simulator.exchange.model import SimCall, SimLeg, Step
from tests.rig import running, settings_for
from tests.until import PATIENCE


class Simulated:
    """``with Simulated(options, speed=60) as sim``. ``do(function)`` runs it where the simulator lives."""

    def __init__(self, options: Any = None, *, speed: float = 1.0) -> None:
        self.speed = speed
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.sim: Simulator = self.wait(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _start(self) -> Simulator:
        clock = SimClock(speed=self.speed)
        return await self._stack.enter_async_context(Simulator(clock=clock, options=self._options))

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def do(self, function: Callable[[], Any]) -> Any:
        async def work() -> Any:
            return function()

        return self.wait(work())

    def configure(self, monkeypatch: Any, database: Any) -> None:
        """Let commands use this platform and that database."""
        known = self.sim.options.credentials
        for name, value in {
            "PLATFORM__SERVER_URL": self.sim.url,
            "PLATFORM__EXTENSIONS": "all",
            "CREDENTIALS__CLIENT_ID": known.client_id,
            "CREDENTIALS__CLIENT_SECRET": known.client_secret,
            "CREDENTIALS__JWT": known.jwt,
            "DATABASE__URL": f"sqlite+aiosqlite:///{database}",
        }.items():
            monkeypatch.setenv(f"RINGLEDGER_{name}", value)

    def past_call(
        self, session: str, *, minutes: float = 60, result: str = "Accepted", number: str = "+14155550123"
    ) -> int:
        """An inbound call that began so long ago, rang for 5 s and ended after 65 s; returns its start, ms."""

        def happened() -> int:
            start = self.sim.clock.now_ms() - round(minutes * 60_000)
            leg = SimLeg("leg" + session, 1, "2001", "Inbound", number, "A Caller", "+16505551001", "Ann Archer")
            call = SimCall(session, "s-" + session, "Inbound", "answered", result, "Phone Call", [leg])
            for at, status in ((0, "Ringing"), (5_000, "CallConnected"), (65_000, "NoCall")):
                ending = "final" if status == "NoCall" else None
                if status != "CallConnected" or result == "Accepted":
                    self.sim.pbx.apply(call, Step(start + at, 0, status, ending))
            return start

        return int(self.do(happened))

    def daemon(self, database: Any, **overrides: Any) -> Any:
        """A daemon that is ready; it is stopped with the platform, or by ``stop``."""
        self._daemon = AsyncExitStack()
        rig = self.wait(
            self._daemon.enter_async_context(running(self.sim, settings_for(self.sim, database, **overrides)))
        )
        self.wait(self._watch())
        return rig

    async def _watch(self) -> None:
        self._stack.push_async_exit(self._daemon)

    def stop_daemon(self) -> None:
        self.wait(self._daemon.aclose())
