"""One figure of one version: `BENCH_TREE=DIR python tests/bench/measures.py NAME [ARGUMENTS]`; one line of JSON.

The version is the one that ``PYTHONPATH`` gives, wired by the ``tests/bench/pipeline.py`` of its own tree, so that an
older one is measured as it was. The events are the same for all: `load.py` of this tree makes them.
"""

import asyncio
import gc
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TREE = Path(os.environ.get("BENCH_TREE", HERE.parent.parent))
sys.path.insert(0, str(TREE / "tests" / "bench"))

import pipeline  # noqa: E402 - of the tree that is measured
from load import KEY, START, Event, sealed  # noqa: E402

Figures = dict[str, Any]


def _loaded(*arguments: str) -> Iterator[Event]:
    """Events made by this tree's simulator, in a process of its own."""
    daemon = HERE.parent.parent / "daemon"
    command = [sys.executable, str(HERE / "load.py"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(daemon)}) as maker:
        assert maker.stdout
        for line in maker.stdout:
            at, text = line.split(b" ", 1)
            yield Event(int(at), text.rstrip(b"\n"))


def office(count: int) -> list[Event]:
    return list(_loaded("--office", str(count)))


async def turns(size: str, events: str) -> Figures:
    """Payload to committed row: a batch of so many events for each line that comes in, and its processor time (µs an
    event) as a line that goes out. The first line out is how many batches there are.
    """
    work = pipeline.batches_of(office(int(events)), int(size))
    async with pipeline.pipeline() as line:
        pipeline.as_the_daemon_does()
        print(len(work), flush=True)
        for now_ms, payloads in work:
            sys.stdin.readline()
            took = time.process_time()
            await line.deliver(payloads, now_ms)
            print((time.process_time() - took) / len(payloads) * 1e6, flush=True)
    return {}


async def stages(size: str, events: str) -> Figures:
    """Where it goes, stage by stage."""
    made = office(int(events))
    pipeline.office_events = lambda count: made[:count]
    told: Figures = await pipeline.stages(int(events), int(size))
    return told["stages"]  # type: ignore[no-any-return]


async def latency(events: str, per_second: str) -> Figures:
    """From an event's arrival to its commit, ms."""
    made = office(int(events))
    pipeline.office_events = lambda count: made[:count]
    told: Figures = await pipeline.latency(int(events), int(per_second))
    return told


async def written(events: str) -> Figures:
    """Rows and bytes of values an event writes, and how much the file grows."""
    work = pipeline.batches_of(office(int(events)), 100)
    rows = size = 0
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        async with pipeline.pipeline() as line:
            # Every commit passes here: an older version has no object for its kind of database.
            new = hasattr(line.ledger, "database")
            place, name = (line.ledger.database, "commit_batch") if new else (line.ledger, "write")
            write = getattr(place, name)

            async def counted(*arguments: Any) -> None:
                nonlocal rows, size
                (batch,) = [one for one in arguments if isinstance(one, list)]
                for _, some in batch:
                    rows += len(some)
                    size += sum(len(str(value).encode()) for row in some for value in row if value is not None)
                await write(*arguments)

            setattr(place, name, counted)
            (file,) = Path(folder).glob("*/bench.db")
            before = file.stat().st_size
            for now_ms, payloads in work:
                await line.deliver(payloads, now_ms)
            connection = sqlite3.connect(file)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.close()
            grown = file.stat().st_size - before
        tempfile.tempdir = None
    count = sum(len(payloads) for _, payloads in work)
    return {"rows": rows / count, "bytes": size / count, "file_bytes": grown / count}


async def crowded(calls: str) -> Figures:
    """Processor time an event with so many calls open, and one whose items name their telephony session alone."""
    async with pipeline.pipeline() as line:
        pipeline.as_the_daemon_does()
        pending: list[Event] = []
        kept: list[Event] = []
        for event in _loaded("--crowd", calls):
            pending.append(event)
            if len(pending) == 500:
                await line.deliver(sealed(pending), pending[-1].at)
                kept, pending = (kept + pending)[-1000:], []
        if pending:
            await line.deliver(sealed(pending), pending[-1].at)
            kept = (kept + pending)[-1000:]
        gc.collect()
        newest = {json.loads(event.text)["body"]["extensionId"]: event for event in kept}
        # As many as the smallest crowd has: of fewer calls a batch speaks more often, and writes each of them once.
        kept = list(newest.values())[-20:]
        usual = [await _turn(line, kept, turn, 1000, alone=False) for turn in range(1, 6)]
        alone = [await _turn(line, kept, turn, 40, alone=True) for turn in range(6, 9)]
        return {"us": statistics.median(usual), "us_alone": statistics.median(alone), "open": len(line.tracker.calls)}


async def _turn(line: Any, kept: list[Event], turn: int, count: int, *, alone: bool) -> float:
    """Calls are held and taken back; µs of processor time an event."""
    made: list[Event] = []
    for n in range(count):
        event = json.loads(kept[n % len(kept)].text)
        body = event["body"]
        body["sequence"] += 1000 * turn + n
        at = kept[-1].at + 1000 * turn + n
        event |= {"uuid": f"{turn}-{n}", "timestamp": _iso(at)}
        for item in body["activeCalls"]:
            item["telephonyStatus"] = "OnHold" if (turn + n // len(kept)) % 2 else "CallConnected"
            if alone:
                item.pop("sessionId")
        made.append(Event(at, json.dumps(event).encode()))
    batches = [(some[-1].at, sealed(some)) for some in (made[i : i + 100] for i in range(0, count, 100))]
    took = time.process_time()
    for at, payloads in batches:
        await line.deliver(payloads, at)
    return (time.process_time() - took) / count * 1e6


async def backwards(events: str) -> Figures:
    """A queue call of so many events that comes in the opposite order, in one batch: µs an event."""
    spent = []
    async with pipeline.pipeline() as line:
        pipeline.as_the_daemon_does()
        for turn in range(5):
            made = _queue_call(f"9{turn}00000", int(events))
            payloads = sealed(made[::-1])
            took = time.process_time()
            await line.deliver(payloads, made[-1].at + 1000)
            spent.append((time.process_time() - took) / int(events) * 1e6)
    return {"us": statistics.median(spent)}


def _queue_call(session: str, events: int) -> list[Event]:
    """Agents ring one after the other: three events each."""
    made = []
    for n in range(events):
        agent, at = n // 3, START + 1000 * n
        status = ("Ringing", "Ringing", "NoCall")[n % 3]
        extension = str(2001 + agent)
        item = {
            "id": f"leg-{agent}", "direction": "Inbound", "from": "+14155550123", "to": "+16505551001",
            "telephonyStatus": status, "sessionId": session, "startTime": _iso(START + 3000 * agent), "queueCall": True,
        }  # fmt: skip
        path = f"/restapi/v1.0/account/1001/extension/{extension}/presence?detailedTelephonyState=true"
        body = {"extensionId": extension, "sequence": 10 + n, "telephonyStatus": status, "activeCalls": [item]}
        text = {"uuid": f"{session}-{n}", "event": path, "timestamp": _iso(at), "body": body}
        made.append(Event(at, json.dumps(text).encode()))
    return made


def _iso(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03d}Z"


async def memory(calls: str) -> Figures:
    """Resident memory with so many calls open, MiB."""
    told: Figures = await pipeline.memory(int(calls), 100)
    return told


async def floor(events: str) -> Figures:
    """The machine's: decrypt, parse, and insert one row an event in batches of 500; µs an event."""
    from ringledger.ringcentral.decode.presence import _NOTIFICATION
    from ringledger.ringcentral.pubnub.crypto import PayloadCipher

    payloads = sealed(office(int(events)))
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE fact (id INTEGER PRIMARY KEY, session TEXT, body TEXT)")
        cipher = PayloadCipher(KEY)
        pipeline.as_the_daemon_does()
        took = time.process_time()
        for start in range(0, len(payloads), 500):
            rows = []
            for payload in payloads[start : start + 500]:
                text = cipher.open(payload)
                wire = _NOTIFICATION.decode(text)
                rows.append((wire.body.extension_id, text))
            with connection:
                connection.executemany("INSERT INTO fact (session, body) VALUES (?, ?)", rows)
        took = time.process_time() - took
        connection.close()
    return {"us": took / len(payloads) * 1e6}


MEASURES: dict[str, Callable[..., Any]] = {
    "turns": turns, "stages": stages, "latency": latency, "written": written, "crowded": crowded,
    "backwards": backwards, "memory": memory, "floor": floor,
}  # fmt: skip


def main() -> None:
    name, level, *arguments = sys.argv[1:]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    random.seed(1)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        pipeline.configure_logging(level, "json", stream=nowhere)
        print(json.dumps(asyncio.run(MEASURES[name](*arguments))))


if __name__ == "__main__":
    main()
