"""What the daemon tells the service manager, and when: ready, status, keep-alive, stop.

What must stay true: the keep-alive leaves this task only while every loop makes progress; a start that upgrades a large
database asks for the time it needs.
"""

import asyncio
import time
from typing import Final

import aiohttp

from ringledger.heartbeats import Heartbeats
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.api.http import open_session
from ringledger.ringcentral.api.pace import Pace
from ringledger.service.health.vitals import Vitals
from ringledger.systemd import Notifier

#: Gauges and status are brought up to date this often, seconds.
TICK_SECONDS: Final = 5.0
#: While the start works on the database, it asks for so much more time with every tick.
EXTEND_SECONDS: Final = 60.0
#: A loop in the middle of a round has this long from one request of its own to the next.
REQUEST_WITHIN: Final = 180.0
#: The task that fetches tokens works for every request that needs one.
FOR_ALL: Final = "token request"


class RestingPace(Pace):
    """A pace that tells the watchdog's book of every wait: waiting on purpose is no fault."""

    def __init__(self, loops: Heartbeats, speed: float) -> None:
        super().__init__(speed)
        self._loops = loops

    async def sleep(self, seconds: float) -> None:
        """As :meth:`Pace.sleep`."""
        task, rest = asyncio.current_task(), max(0.0, seconds) / self.speed
        name = task.get_name() if task else ""
        if name == FOR_ALL:
            self._loops.all_resting(rest)
        else:
            self._loops.resting(name, rest)
        await super().sleep(seconds)


class WatchdogTask:
    """Ticks from the start to the end; while the start works on the database, each tick asks for more time."""

    def __init__(self, notifier: Notifier, vitals: Vitals) -> None:
        self._preparing = True
        self._notifier = notifier
        self._vitals = vitals
        self._told = ""
        wanted = notifier.watchdog_seconds
        self._tick = min(TICK_SECONDS, wanted / 3) if wanted else TICK_SECONDS

    async def run(self) -> None:
        """Tick until cancelled."""
        lag = 0.0
        while True:
            self._beat(lag)
            due = time.monotonic() + self._tick
            await asyncio.sleep(self._tick)
            lag = max(0.0, time.monotonic() - due)

    def _beat(self, lag: float) -> None:
        vitals = self._vitals
        vitals.watch(self._tick + lag)
        vitals.measure()
        vitals.metrics.loop_lag_seconds.set(lag)
        if self._preparing:
            self._notifier.extend_timeout(EXTEND_SECONDS)
        self.tell()
        if not vitals.loops.stuck():
            self._notifier.keep_alive()

    def prepared(self) -> None:
        """The start is done with the database."""
        self._preparing = False

    def tell(self) -> None:
        """The status line, when it has changed."""
        line = self._vitals.status()
        if line != self._told:
            self._told = line
            self._notifier.status(line)


def watched_session(metrics: Metrics, loops: Heartbeats, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
    """A session whose requests are counted and are proof of progress of the loop that makes them."""
    trace = aiohttp.TraceConfig()

    async def started(_session: object, context: object, _params: object) -> None:
        context.started = time.monotonic()  # type: ignore[attr-defined]
        _progress(loops)

    async def answered(_session: object, context: object, params: aiohttp.TraceRequestEndParams) -> None:
        _progress(loops)
        endpoint = endpoint_of(params.url.path)
        metrics.api_requests.labels(endpoint=endpoint, code=str(params.response.status)).inc()
        seconds = time.monotonic() - context.started  # type: ignore[attr-defined]
        metrics.api_request_duration_seconds.labels(endpoint=endpoint).observe(seconds)

    async def failed(_session: object, _context: object, params: aiohttp.TraceRequestExceptionParams) -> None:
        metrics.api_requests.labels(endpoint=endpoint_of(params.url.path), code="none").inc()

    trace.on_request_start.append(started)
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(failed)
    return open_session(timeout=timeout, trace_configs=[trace])


def _progress(loops: Heartbeats) -> None:
    task = asyncio.current_task()
    if task is not None:
        loops.progress(task.get_name(), REQUEST_WITHIN)


#: The last of these in a path is its endpoint; ids and numbers never become labels.
ENDPOINTS: Final = (
    "oauth", "subscription", "presence", "active-calls", "call-log-sync", "call-log", "extension", "account",
    "ring-out", "sms", "company-pager", "ws",
)  # fmt: skip


def endpoint_of(path: str) -> str:
    """A word of a closed list for a request's path."""
    parts = path.split("/")
    return next((part for part in reversed(parts) if part in ENDPOINTS), "other")
