"""What readers cost the daemon: `python tests/bench/bench_readers.py [seconds] [readers]`, 30 s and 100 if not given.

500 events a second go through tracker and writer into a database, in turns with and without `serve` and its readers on
it: half of them listen to events, half ask for board, calls, figures and health, one question a second each. Prints the
time from an event's arrival to its commit, the largest write-ahead log, the server's memory, what readers waited for
and how much of a processor each took. `serve` gives way to the daemon as its unit has it (`--nice N`: otherwise), and
the readers, who have machines of their own elsewhere, to both. Exits 1 when the server took 150 MiB or more, the
write-ahead log 64 MiB, or a reader was refused.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PER_SECOND = 500
TURNS = 2
MIB = 1024 * 1024
MEMORY_MIB, WAL_MIB = 150, 64
UNIT = ROOT / "systemd" / "ringledger-web.service"
READERS_NICE = 12
ASKED = ("/", "/api/v1/calls?limit=50", "/api/v1/stats?by=hour&since=today", "/api/v1/health", "/api/v1/active")


def main() -> int:
    """The exit code."""
    if sys.argv[1:2] == ["--write"]:
        write(int(sys.argv[2]))
        return 0
    reading = argparse.ArgumentParser()
    reading.add_argument("seconds", type=int, nargs="?", default=30)
    reading.add_argument("readers", type=int, nargs="?", default=100)
    reading.add_argument("--nice", type=int, default=niceness())
    given = reading.parse_args()
    good = True
    for turn in range(2 * TURNS):
        good &= measure(given.seconds, given.readers if turn % 2 else 0, given.nice)
    return 0 if good else 1


def niceness() -> int:
    """That of the unit."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return next((int(line.removeprefix("Nice=")) for line in lines if line.startswith("Nice=")), 0)


def measure(seconds: int, readers: int, nice: int) -> bool:
    """Print one turn; whether all was within bounds."""
    with tempfile.TemporaryDirectory() as folder:
        command, variables = [sys.executable, __file__, "--write", str(seconds)], os.environ | {"TMPDIR": folder}
        writing = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
        assert writing.stdin
        assert writing.stdout
        assert writing.stdout.readline() == "ready\n"
        (beside,) = Path(folder).glob("*/bench.db-wal")
        database = beside.with_name("bench.db")
        seen: dict[str, Any] = {"wal": 0, "memory": 0, "busy": {}}
        if readers:
            with serving(database, nice) as (address, pid):
                reading = read(address, readers, writing, database, pid)
                with ThreadPoolExecutor(1) as pool:  # niceness is a thread's
                    seen |= pool.submit(asyncio.run, reading).result()
        else:
            begin(writing)
            while writing.poll() is None:
                note(seen, beside, {"daemon": writing.pid})
                time.sleep(0.1)
        told = json.loads(writing.stdout.read())
    said = f"{readers:>4} readers: commit {told['median_ms']:6.1f} ms median, {told['p99_ms']:6.1f} ms 99th percentile"
    said += f", {told['max_ms']:6.1f} ms longest; write-ahead log at most {seen['wal'] / MIB:.1f} MiB"
    if readers:
        took = seen["took"]
        said += (
            f"; serve {seen['memory']:.0f} MiB; {len(took)} answers, {statistics.median(took) * 1000:.0f} ms median, "
        )
        said += f"{max(took) * 1000:.0f} ms longest, {seen['events']} events heard, refused {seen['refused']}"
    shares = [f"{name} {(last - first) / seconds:.2f}" for name, (first, last) in seen["busy"].items()]
    print(f"{said}; processors: {', '.join(shares)}", flush=True)
    return seen["memory"] < MEMORY_MIB and seen["wal"] < WAL_MIB * MIB and not seen.get("refused")


def note(seen: dict[str, Any], log: Path, processes: dict[str, int]) -> None:
    """Keep the largest size of the log, and how long each process has worked so far, seconds."""
    seen["wal"] = max(seen["wal"], size(log))
    for name, pid in processes.items():
        with suppress(FileNotFoundError, ProcessLookupError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            now = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            first, last = seen["busy"].get(name, (now, now))
            seen["busy"][name] = (first, max(last, now))


def begin(writing: "subprocess.Popen[str]") -> None:
    """Let the events come."""
    assert writing.stdin
    writing.stdin.write("go\n")
    writing.stdin.flush()


def write(seconds: int) -> None:
    """Write events when told to; print how long commits took."""
    sys.path.insert(0, str(HERE))
    import pipeline

    def wait() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        pipeline.configure_logging("info", "json", stream=nowhere)
        print(json.dumps(asyncio.run(pipeline.latency(seconds * PER_SECOND, PER_SECOND, wait))))


@contextmanager
def serving(database: Path, nice: int) -> Iterator[tuple[str, int]]:
    variables = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
    variables |= {"RINGLEDGER_CONFIG": os.devnull, "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{database}"}
    variables["RINGLEDGER_SERVE__TRUSTED_PROXIES"] = "127.0.0.1"  # one address may have 64 connections, a proxy more
    command = ["nice", "-n", str(nice), sys.executable, "-m", "ringledger", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = next(line for line in process.stderr if line.startswith("ringledger: http"))
            yield line.split()[1].rstrip("/"), process.pid
        finally:
            process.kill()


async def read(
    address: str, readers: int, writing: "subprocess.Popen[str]", database: Path, pid: int
) -> dict[str, Any]:
    """Ask and listen while events are written."""
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + READERS_NICE)
    took: list[float] = []
    counts = {"events": 0, "refused": 0}
    limits = httpx.Limits(max_connections=None)
    headers = {"X-Forwarded-User": "reader"}
    async with httpx.AsyncClient(base_url=address, timeout=30, limits=limits, headers=headers) as client:

        async def listen() -> None:
            async with client.stream("GET", "/api/v1/events") as stream:
                counts["refused"] += stream.status_code != 200
                async for piece in stream.aiter_raw():  # a look at each line would take longer than what is measured
                    counts["events"] += piece.count(b"\nevent: ")

        async def ask(n: int) -> None:
            await asyncio.sleep(n / readers)
            while True:
                begun = time.perf_counter()
                answer = await client.get(ASKED[n % len(ASKED)])
                took.append(time.perf_counter() - begun)
                counts["refused"] += answer.status_code != 200 and database.exists()  # it goes with its writer
                await asyncio.sleep(max(0.0, 1 - took[-1]))

        tasks = [asyncio.create_task(listen() if n % 2 else ask(n)) for n in range(readers)]
        await asyncio.sleep(2)
        begin(writing)
        seen: dict[str, Any] = {"wal": 0, "busy": {}}
        most = 0.0
        beside = database.with_name("bench.db-wal")
        processes = {"daemon": writing.pid, "serve": pid, "readers": os.getpid()}
        while writing.poll() is None:
            note(seen, beside, processes)
            most = max(most, memory(pid))
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            counts["refused"] += isinstance(outcome, Exception)
    return {"took": took, "memory": most, **seen, **counts}


def size(file: Path) -> int:
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def memory(pid: int) -> float:
    """Resident, MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
