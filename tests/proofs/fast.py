"""The daemon in fast motion: `python -m tests.proofs.fast SPEED` is `ringledger run` whose platform has SPEED seconds
in one of ours, so that tokens, renewals and rate limits are waited for in simulated time."""

import asyncio
import gc
import os
import sys

from ringledger.cli.operate.run import GC_THRESHOLDS, stop_on_signals
from ringledger.config.model import load_settings
from ringledger.ledger.file.sqlite import WRITER_PRAGMAS
from ringledger.observability.logging import configure_logging
from ringledger.ringcentral.api.pace import Pace
from ringledger.service import Daemon
from ringledger.simulator import Simulator
from tests.crash.child import Child


class FastChild(Child):
    """A daemon as a process of its own that can be measured; ``speed`` as its platform's."""

    speed = 1.0

    async def start(self) -> None:
        """Start it; returns as soon as the process exists."""
        with self.log.open("ab") as log:
            words = ("-m", "tests.proofs.fast", str(self.speed))
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *words, env=self._environment, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.returncode is None, f"ended, {self._process.returncode}: {self.log.read_text()[-2000:]}"
        return self._process.pid

    @property
    def resident_mib(self) -> float:
        return self._memory("VmRSS:")

    @property
    def peak_mib(self) -> float:
        """The most it has had."""
        return self._memory("VmHWM:")

    def _memory(self, name: str) -> float:
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - no file
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


async def complete(sim: Simulator, child: FastChild) -> None:
    """Until every call is there and confirmed."""
    pending = "SELECT 1 FROM active_calls UNION ALL SELECT 1 FROM unconfirmed_calls LIMIT 1"
    async with asyncio.timeout(60):
        while len(child.query("SELECT 1 FROM all_calls")) < len(sim.pbx.truth()) or child.query(pending):
            assert child.pid
            await asyncio.sleep(0.1)


async def _serve(speed: float) -> None:
    settings = load_settings(None, os.environ, {})
    configure_logging(settings.log.level, settings.log.format, settings.log.numbers)
    daemon = Daemon(settings, pace=Pace(speed))
    stop_on_signals(daemon.stop)
    await daemon.run()


if __name__ == "__main__":
    WRITER_PRAGMAS["cache_size"] = -1_024  # full after minutes, not after days: what grows then is not the cache
    gc.set_threshold(*GC_THRESHOLDS)
    asyncio.run(_serve(float(sys.argv[1])))
