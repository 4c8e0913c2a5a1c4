"""The daemon in fast motion: `python -m tests.proofs.fast SPEED` is `ringledger run` whose platform has SPEED seconds in
one of ours, so that tokens, renewals and rate limits are waited for in simulated time."""

import asyncio
import gc
import os
import sys

from ringledger.cli.service import GC_THRESHOLDS, stop_on_signals
from ringledger.logs import configure_logging
from ringledger.platform.pace import Pace
from ringledger.service import Daemon
from ringledger.settings import load_settings
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
        assert self._process.returncode is None, f"it has ended: {self.log.read_text()[-2000:]}"
        return self._process.pid

    @property
    def resident_mib(self) -> float:
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - no file
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


async def _serve(speed: float) -> None:
    settings = load_settings(None, os.environ, {})
    configure_logging(settings.log.level, settings.log.format, settings.log.numbers)
    daemon = Daemon(settings, pace=Pace(speed))
    stop_on_signals(daemon.stop)
    await daemon.run()


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    asyncio.run(_serve(float(sys.argv[1])))
