"""How long a start and a stop take: `python tests/bench/bench_start.py [calls] [rounds]`.

A real process against a simulated platform, over both feeds, at an empty database and at one with a million calls:
from its start to READY=1 on systemd's socket, and from SIGTERM, with calls open, to its end. Exits 1 when the worst
of the rounds is over a limit. Before the first round one start compiles the program, as an installation has done.
"""

import signal
import socket
import statistics
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ringledger.simulator import SimClock  # noqa: E402
from tests import office  # noqa: E402
from tests.bench.bench_queries import rows  # noqa: E402
from tests.ops.conftest import Platform, Running, ringledger  # noqa: E402
from tests.until import PATIENCE  # noqa: E402

LIMITS = {"empty": 2.0, "full": 5.0, "stop": 5.0}
#: Calls that begin each hour, so that some are open whenever the daemon is told to stop.
CALLS_PER_HOUR = 3_000


@contextmanager
def busy_platform():
    """A platform in real time with calls going on."""
    platform = Platform(SimClock())
    try:
        platform.office(CALLS_PER_HOUR)
        yield platform
    finally:
        platform.stop()


def until_ready(manager: socket.socket, daemon: Running) -> None:
    while True:
        try:
            if manager.recv(65536) == b"READY=1":
                return
        except TimeoutError:
            raise SystemExit("".join(daemon.lines[-10:])) from None


def life(platform: Platform, database: Path, transport: str, compiled: Path) -> tuple[float, float]:
    """Seconds from start to READY=1, and from SIGTERM to the end."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager, tempfile.TemporaryDirectory() as folder:
        manager.bind(f"{folder}/notify")
        manager.settimeout(PATIENCE)
        settings = platform.settings(database, feed__transport=transport)
        bytecode = {"PYTHONPYCACHEPREFIX": str(compiled), "PYTHONDONTWRITEBYTECODE": ""}
        started = time.perf_counter()
        with ringledger(settings, more={"NOTIFY_SOCKET": manager.getsockname()} | bytecode) as daemon:
            until_ready(manager, daemon)
            ready = time.perf_counter() - started
            daemon.until(lambda: len(daemon.named("call.opened")) > len(daemon.named("call.finished")))
            stopping = time.perf_counter()
            daemon.process.send_signal(signal.SIGTERM)
            if daemon.wait() != 0:
                raise SystemExit("".join(daemon.lines[-10:]))
            return ready, time.perf_counter() - stopping


def within(name: str, took: list[float], limit: float) -> bool:
    """Whether even the worst is; tells all of it."""
    verdict = "" if max(took) <= limit else "  OVER THE LIMIT"
    print(f"{name:<46} {min(took):6.2f} s best {statistics.median(took):6.2f} s median {max(took):6.2f} s worst,"
          f" limit {limit:.0f} s{verdict}")  # fmt: skip
    return not verdict


def measure(folder: Path, full: Path, count: int, rounds: int) -> bool:
    """Whether everything was within its limit."""
    verdicts = []
    for transport in ("pubnub", "websocket"):
        with busy_platform() as platform:
            begin = partial(life, platform, transport=transport, compiled=folder / "compiled")
            begin(folder / f"{transport}.db")
            empty = [begin(folder / f"{transport}{n}.db") for n in range(rounds)]
            laden = [begin(full) for _ in range(rounds)]
        verdicts += [
            within(f"{transport}: READY, empty database", [one[0] for one in empty], LIMITS["empty"]),
            within(f"{transport}: READY, {count:,} calls", [one[0] for one in laden], LIMITS["full"]),
            within(f"{transport}: stop with calls open", [one[1] for one in empty + laden], LIMITS["stop"]),
        ]
    return all(verdicts)


def main() -> int:
    """The exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        full = Path(name) / "full.db"
        office.prepared(full)
        office.insert(full, "call", rows(count))
        print(f"{count:,} calls: {full.stat().st_size / 1e6:.0f} MB")
        return 0 if measure(Path(name), full, count, int(sys.argv[2]) if len(sys.argv) > 2 else 5) else 1


if __name__ == "__main__":
    sys.exit(main())
