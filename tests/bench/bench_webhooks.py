"""What a webhook costs the writer, and what a receiver that hangs does to an event's way to its commit.

`python tests/bench/bench_webhooks.py [events]`: a line for each case, rounds taken in turn so that a busy machine is
fair to all of them.
"""

import asyncio
import os
import socket
import statistics
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from load import office_events, sealed
from pipeline import as_the_daemon_does, batches_of, pipeline

from ringledger.config.model import WebhookSettings
from ringledger.observability.logging import configure_logging
from ringledger.service.webhooks.letters import LetterWriter, receivers_of
from ringledger.service.webhooks.worker import Deliveries

ROUNDS = 3
CASES: dict[str, tuple[str, ...]] = {"no webhook": (), "call.finished": ("call.finished",), "call.*": ("call.*",)}


def letters_for(url: str, events: tuple[str, ...]) -> Any:
    return receivers_of([WebhookSettings(url=url, events=events, secret="bench")]) if events else []


async def rate(events: int, names: tuple[str, ...]) -> float:
    """Microseconds of processor time an event takes, in batches of 100."""
    work = batches_of(office_events(events), 100)
    async with pipeline() as line:
        receivers = letters_for("http://127.0.0.1:9", names)
        line.ledger.fill_outbox_with(LetterWriter(receivers) if receivers else None)
        as_the_daemon_does()
        cpu = time.process_time()
        for now_ms, payloads in work:
            await line.deliver(payloads, now_ms)
        return (time.process_time() - cpu) / sum(len(payloads) for _, payloads in work) * 1e6


async def waits(events: int, names: tuple[str, ...], per_second: int = 200) -> list[float]:
    """From an event's arrival to its commit, ms; the receiver takes connections and never answers."""
    office = office_events(events)
    payloads = sealed(office)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:
        async with AsyncExitStack() as stack:
            line = await stack.enter_async_context(pipeline())
            receivers = letters_for(f"http://127.0.0.1:{silent.getsockname()[1]}", names)
            line.ledger.fill_outbox_with(LetterWriter(receivers) if receivers else None)
            deliveries = Deliveries(line.ledger, receivers)
            task = asyncio.create_task(deliveries.run())
            stack.push_async_callback(_end, task)
            as_the_daemon_does()
            took = []
            for n in range(0, events - 10, 10):
                began = time.perf_counter()
                await line.deliver(payloads[n : n + 10], office[n + 9].at)
                took.append((time.perf_counter() - began) * 1000)
                deliveries.wake()
                await asyncio.sleep(max(0.0, began + 10 / per_second - time.perf_counter()))
            assert not task.done()
        return took


async def _end(task: asyncio.Task[None]) -> None:
    """The ledger is closed after this: nobody may be in the middle of a transaction."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    costs, commits = defaultdict(list), defaultdict(list)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging("info", "json", stream=nowhere)
        for _ in range(ROUNDS):
            for case, names in CASES.items():
                costs[case].append(asyncio.run(rate(events, names)))
                commits[case] += asyncio.run(waits(events // 4, names))
    for case in CASES:
        hundredths = statistics.quantiles(commits[case], n=100)
        print(f"{case}: {min(costs[case]):.1f} µs an event; to its commit with a receiver that hangs: median "
              f"{hundredths[49]:.1f} ms, p99 {hundredths[98]:.1f} ms, longest {max(commits[case]):.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
