"""Through a feed over loopback, against a server in another process.

`python tests/bench/feeds.py daemon|websocket|reference [events] [log level]`; one line of JSON comes out. ``daemon`` is
the whole daemon through the SDK, ``websocket`` the same through the platform's WebSocket. ``reference`` is what the
SDK's examples lead to: a listener that decrypts with a new cipher, parses,
and commits one row per message.

As in `measures.py`, the version is the one that ``PYTHONPATH`` gives, wired by the ``pipeline.py`` of its own tree
(``BENCH_TREE``); the server is this tree's for all of them.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TREE = Path(os.environ.get("BENCH_TREE", HERE.parent.parent))
sys.path.insert(0, str(TREE / "tests" / "bench"))

import pipeline  # noqa: E402 - of the tree that is measured
from load import KEY  # noqa: E402


@contextmanager
def flood(events: int) -> Iterator[dict[str, Any]]:
    """The server; gives what it says of itself."""
    command = [sys.executable, str(HERE / "flood.py"), str(events)]
    ours = os.environ | {"PYTHONPATH": str(HERE.parent.parent / "daemon")}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ours) as server:
        assert server.stdin
        assert server.stdout
        yield json.loads(server.stdout.readline())
        server.stdin.close()


class Stopwatch:
    """Wall and processor time from the first event to the last."""

    def __init__(self, events: int) -> None:
        self.done = asyncio.Event()
        self._events, self._seen = events, 0
        self._began = (0.0, 0.0)

    def begin(self) -> None:
        if not self._began[0]:
            self._began = time.perf_counter(), time.process_time()

    def count(self, events: int) -> None:
        self._seen += events
        if self._seen >= self._events:
            self._took = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
            self.done.set()

    def result(self) -> dict[str, Any]:
        wall, cpu = self._took
        per_second = {"events_per_second": self._seen / wall, "events_per_cpu_second": self._seen / cpu}
        return per_second | {"us": cpu / self._seen * 1e6}


async def websocket(events: int) -> dict[str, Any]:
    """The daemon with its default feed."""
    return await daemon(events, transport="websocket")


async def daemon(events: int, *, transport: str = "pubnub") -> dict[str, Any]:
    """The daemon as it is; the clock starts with the first delivery and stops with the commit of the last."""
    from ringledger.service import Daemon

    watch = Stopwatch(events)
    with flood(events) as server, tempfile.TemporaryDirectory() as folder:
        values: dict[str, Any] = {
            "platform.server_url": server["url"], "feed.transport": transport, "feed.pubnub_origin": server["url"],
            "credentials.client_id": server["client_id"], "credentials.client_secret": server["client_secret"],
            "credentials.jwt": server["jwt"], "platform.extensions": ["all"], "calls.settle_seconds": 0.5,
            "database.url": f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}", "confirm.enabled": False,
            "backfill.max_days": 0,
        }  # fmt: skip
        one = Daemon(pipeline.load_settings(None, {}, values))
        _watch_deliveries(watch)
        pipeline.as_the_daemon_does()
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(120):
            await watch.done.wait()
        one.stop("bench")
        await running
    return watch.result()


def _watch_deliveries(watch: Stopwatch) -> None:
    door: Any = getattr(pipeline, "Intake", None) or pipeline.Pipeline  # what an older version calls it
    deliver = door.deliver

    async def watched(self: Any, delivery: Any) -> None:
        if delivery.observations:
            watch.begin()
        await deliver(self, delivery)
        watch.count(len(delivery.observations))

    door.deliver = watched


async def reference(events: int) -> dict[str, Any]:
    """The SDK's listener, its default loop and settings."""
    from pubnub.callbacks import SubscribeCallback
    from pubnub.pnconfiguration import PNConfiguration
    from pubnub.pubnub_asyncio import PubNubAsyncio

    watch = Stopwatch(events)
    with flood(events) as server, tempfile.TemporaryDirectory() as folder:
        store = _orm_store(folder)

        class Listener(SubscribeCallback):
            def message(self, _pubnub: Any, message: Any) -> None:
                watch.begin()
                store(_naive_decode(message.message))
                watch.count(1)

            def presence(self, _pubnub: Any, _presence: Any) -> None: ...
            def status(self, _pubnub: Any, _status: Any) -> None: ...

        config = PNConfiguration(subscribe_key=server["subscribe_key"], uuid="bench")
        config.disable_config_locking = False
        config.origin, config.ssl = server["url"].removeprefix("http://"), False
        pubnub = PubNubAsyncio(config)
        pubnub.add_listener(Listener())
        pubnub.subscribe().channels("bench").execute()
        async with asyncio.timeout(120):
            await watch.done.wait()
        pubnub.unsubscribe_all()
        await pubnub.stop()
    return watch.result()


def _naive_decode(text: str) -> dict[str, Any]:
    from Cryptodome.Cipher import AES
    from Cryptodome.Util.Padding import unpad

    cipher = AES.new(base64.b64decode(KEY), AES.MODE_ECB)
    return json.loads(unpad(cipher.decrypt(base64.b64decode(text)), AES.block_size))


def _orm_store(folder: str) -> Any:
    """One object and one commit per event; SQLite as it is, with full synchronisation."""
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        pass

    class PresenceEvent(Base):
        __tablename__ = "presence_event"
        id: Mapped[int] = mapped_column(primary_key=True)
        uuid: Mapped[str] = mapped_column(unique=True)
        timestamp: Mapped[str]
        extension_id: Mapped[str] = mapped_column(index=True)
        sequence: Mapped[int]
        telephony_status: Mapped[str]
        session_id: Mapped[str | None] = mapped_column(index=True)
        body: Mapped[str]

    engine = create_engine(f"sqlite:///{Path(folder) / 'reference.db'}")
    Base.metadata.create_all(engine)
    session = Session(engine)

    def store(event: dict[str, Any]) -> None:
        body = event["body"]
        calls = body["activeCalls"]
        row = PresenceEvent(
            uuid=event["uuid"], timestamp=event["timestamp"], extension_id=body["extensionId"],
            sequence=body["sequence"], telephony_status=body["telephonyStatus"],
            session_id=calls[0]["sessionId"] if calls else None, body=json.dumps(body),
        )  # fmt: skip
        session.add(row)
        session.commit()

    return store


MEASURES = {"daemon": (daemon, 20_000), "websocket": (websocket, 20_000), "reference": (reference, 1_500)}


def main() -> None:
    name, *rest = sys.argv[1:]
    measure, events = MEASURES[name]
    events = int(rest[0]) if rest else events
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        pipeline.configure_logging(rest[1] if len(rest) > 1 else "info", "json", stream=nowhere)
        print(json.dumps(asyncio.run(measure(events))))
    sys.stdout.flush()
    os._exit(0)  # the reference leaves the SDK's tasks behind


if __name__ == "__main__":
    main()
