"""The daemon's way from an encrypted payload to a committed row, in process and without a network.

`python tests/bench/pipeline.py rate|stages|latency|memory [events] [batch] [log level]`: one line of JSON.
One processor; the clock of timers is the events' own, so calls settle as they would. ``BENCH_URL`` names an empty
database to use in the place of a new file.
"""

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from load import ACCOUNT, KEY, START, Event, office_events, sealed

from ringledger import clock
from ringledger.cli.operate.run import GC_THRESHOLDS
from ringledger.config.model import load_settings
from ringledger.domain.observation import Delivery, FeedPosition, PresenceObservation
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.observability.logging import configure_logging
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.values import latest_time
from ringledger.ringcentral.pubnub.crypto import PayloadCipher
from ringledger.service.announce import Announcer
from ringledger.service.ingest.pipeline import Pipeline


class Line:
    """Intake, tracker, writer and a new database, wired as the daemon wires them."""

    def __init__(self, ledger: Ledger) -> None:
        self.now_ms = START
        self.ledger = ledger
        self.tracker = CallTracker()
        self.cipher = PayloadCipher(KEY)
        announce = Announcer(Metrics()).announce
        self.intake = Pipeline(self.tracker, ledger, ACCOUNT, clock=self.clock, announce=announce)
        database = load_settings(None, {}, {}).database
        self.writer = self.intake.commit_by(
            LedgerWriter(
                ledger,
                self.intake.take,
                commit_interval=database.commit_interval_ms / 1000,
                commit_batch=database.commit_batch,
                on_committed=self.intake.committed,
                notices=None,
                now_ms=lambda: self.now_ms,
            )
        )

    def clock(self) -> float:
        return self.now_ms / 1000

    def decode(self, text: bytes, latest: int) -> PresenceObservation:
        """``latest``: the latest time that is believed, ms, the same for all that one answer brought."""
        return decode_notification(
            text, account_id=ACCOUNT, default_region="US", received_at=self.now_ms + 120, latest=latest
        )

    def position(self) -> FeedPosition:
        return FeedPosition("pubnub", "sub-c-bench/1_bench", str(self.now_ms), self.now_ms)

    async def deliver(self, payloads: list[str], now_ms: int) -> None:
        """One answer of a poll, to its commit."""
        self.now_ms = now_ms
        latest = latest_time(clock.now_ms())
        observations = tuple([self.decode(self.cipher.open(payload), latest) for payload in payloads])
        self.tracker.advance(self.clock())
        await self.intake.deliver(Delivery(observations, (), self.position()))


@asynccontextmanager
async def pipeline() -> AsyncIterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("BENCH_URL") or f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}"
        # in another process: what makes a database is loaded once in its life, and memory is measured here
        subprocess.run([sys.executable, __file__, "database", url], check=True)
        ledger = await Ledger.open(url)
        line = Line(ledger)
        writing = asyncio.create_task(line.writer.run())
        try:
            yield line
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            await ledger.close()


Batches = list[tuple[int, list[str]]]


def batches_of(events: list[Event], size: int) -> Batches:
    payloads = sealed(events)
    starts = range(0, len(events) - size + 1, size)
    return [(events[i + size - 1].at, payloads[i : i + size]) for i in starts]


def as_the_daemon_does() -> None:
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    gc.freeze()


async def rate(events: int, size: int) -> dict[str, Any]:
    """Events a second, delivered in batches of ``size``."""
    work = batches_of(office_events(events + 10 * size), size)
    warm_up, work = work[:10], work[10:]
    async with pipeline() as line:
        for now_ms, payloads in warm_up:
            await line.deliver(payloads, now_ms)
        as_the_daemon_does()
        took, cpu = time.perf_counter(), time.process_time()
        for now_ms, payloads in work:
            await line.deliver(payloads, now_ms)
        took, cpu = time.perf_counter() - took, time.process_time() - cpu
        count = sum(len(payloads) for _, payloads in work)
        open_calls = len(line.tracker.calls)
    return {"events_per_second": count / took, "events_per_cpu_second": count / cpu, "open_calls": open_calls}


async def stages(events: int, size: int) -> dict[str, Any]:
    """Microseconds of processor time an event spends in each stage."""
    work = batches_of(office_events(events), size)
    spent: dict[str, float] = {}
    last = 0.0

    def mark(stage: str) -> None:
        nonlocal last
        now = time.process_time()
        if stage:
            spent[stage] = spent.get(stage, 0.0) + now - last
        last = now

    async with pipeline() as line:
        as_the_daemon_does()
        for now_ms, payloads in work:
            await _staged(line, payloads, now_ms, mark)
    count = sum(len(payloads) for _, payloads in work)
    return {"stages": {stage: seconds / count * 1e6 for stage, seconds in spent.items()}}


async def _staged(line: Line, payloads: list[str], now_ms: int, mark: Callable[[str], None]) -> None:
    """What ``Pipeline.deliver`` and the writer do, step by step."""
    line.now_ms, tracker, ledger = now_ms, line.tracker, line.ledger
    mark("")
    texts = [line.cipher.open(payload) for payload in payloads]
    mark("decrypt")
    latest = latest_time(clock.now_ms())
    observations = [line.decode(text, latest) for text in texts]
    mark("decode")
    unknown = tracker.unknown_calls(observations)
    restored = await ledger.load_sessions(unknown) if unknown else []
    mark("look up new calls")
    tracker.restore(restored, now=line.clock())
    tracker.advance(line.clock())
    for observation in observations:
        tracker.take(observation, line.clock())
    line.intake._note_position(line.position())
    changes = line.intake.take()
    mark("tracker")
    batch = ledger.batch_of(changes, now_ms=now_ms)
    mark("rows")
    await ledger.write(batch)
    ledger.note(changes)
    mark("database")
    line.intake.committed(changes)
    mark("announce")


async def latency(events: int, per_second: int, begin: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """From an event's arrival to its commit, ms: a feed that takes what has come, and waits for the commit.

    ``begin`` is called when the database is there.
    """
    office = office_events(events)
    payloads = sealed(office)
    waits: list[float] = []
    async with pipeline() as line:
        as_the_daemon_does()
        begin()
        begun, done = time.perf_counter() + 0.1, 0
        while done < events:
            due = int((time.perf_counter() - begun) * per_second) + 1
            if due <= done:
                await asyncio.sleep(max(0.0, begun + done / per_second - time.perf_counter()))
                continue
            upto = min(due, done + 100, events)
            await line.deliver(payloads[done:upto], office[upto - 1].at)
            committed = time.perf_counter()
            waits += [(committed - begun - n / per_second) * 1000 for n in range(done, upto)]
            done = upto
    return {
        "median_ms": statistics.median(waits),
        "p99_ms": statistics.quantiles(waits, n=100)[98],
        "max_ms": max(waits),
    }


async def memory(calls: int, size: int) -> dict[str, Any]:
    """Resident memory with so many calls open, everything the daemon uses loaded."""
    from ringledger.service import Daemon  # noqa: F401

    async with pipeline() as line:
        as_the_daemon_does()
        before, pending = resident_mib(), []
        for at, payload in crowd(calls):
            pending.append(payload)
            if len(pending) == size:
                await line.deliver(pending, at)
                pending.clear()
        gc.collect()
        return {"rss_mib": resident_mib(), "rss_mib_before": before, "open_calls": len(line.tracker.calls)}


def crowd(calls: int) -> Iterator[tuple[int, str]]:
    """The events of a crowd, made in another process so that its memory is not counted."""
    command = [sys.executable, str(Path(__file__).parent / "load.py"), str(calls)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout
        for text in maker.stdout:
            at, payload = text.split()
            yield int(at), payload


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


MEASURES: dict[str, tuple[Callable[..., Any], int, int]] = {
    "rate": (rate, 30_000, 100),
    "stages": (stages, 20_000, 100),
    "latency": (latency, 10_000, 1_000),
    "memory": (memory, 10_000, 100),
}


def main() -> None:
    name, *rest = sys.argv[1:]
    if name == "database":
        upgrade(*rest)
        return
    measure, events, size = MEASURES[name]
    events, size = int(rest[0]) if rest else events, int(rest[1]) if len(rest) > 1 else size
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging(rest[2] if len(rest) > 2 else "info", "json", stream=nowhere)
        print(json.dumps(asyncio.run(measure(events, size))))


if __name__ == "__main__":
    main()
