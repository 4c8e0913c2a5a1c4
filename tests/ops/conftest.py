"""The daemon as a process of its own, and a simulated platform beside it."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, SimClock, Simulator, default_extensions
from tests.until import PATIENCE

HERE = Path(__file__).parent
#: The daemon's group, whose members may read.
GROUP = 54321


def pytest_collection_modifyitems(items):
    """Whole processes start and stop here: each test has time for that."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


class Platform:
    """A simulator on a thread of its own; ``office`` makes calls on it."""

    def __init__(self, clock: SimClock | None = None) -> None:
        self.sim = Simulator(clock=clock or SimClock(speed=30.0), options=Options(real_lifetimes=True))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.do(self.sim.start())

    def do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def office(self, calls_per_hour: float, seed: int = 0) -> None:
        office = Office(default_extensions(), calls_per_hour=calls_per_hour, seed=seed)
        asyncio.run_coroutine_threadsafe(self.sim.run_office(office), self.loop)

    def settings(self, database, **more: str) -> dict[str, str]:
        credentials = self.sim.options.credentials
        values = {
            "platform.server_url": self.sim.url,
            "platform.extensions": "all",
            "credentials.client_id": credentials.client_id,
            "credentials.client_secret": credentials.client_secret,
            "credentials.jwt": credentials.jwt,
            "feed.transport": "pubnub",
            "feed.pubnub_origin": self.sim.url,
            "database.url": f"sqlite+aiosqlite:///{database}",
            "calls.settle_seconds": "0.2",
            "poll.interval_seconds": "2",
            "confirm.sync_interval_seconds": "1",
            "log.format": "json",
        }
        return values | {key.replace("__", "."): value for key, value in more.items()}

    def stop(self) -> None:
        async def end() -> None:
            await self.sim.stop()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Running:
    """A started ``ringledger``: its log as it comes, on a thread."""

    def __init__(self, words, environment, through=(), **options) -> None:
        command = [*through, sys.executable, "-m", "ringledger", *words]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stderr.readline, ""))

    @property
    def events(self):
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def named(self, event):
        return [one for one in self.events if one["event"] == event]

    def until(self, condition, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, "".join(self.lines[-10:])
            assert time.monotonic() < deadline, "".join(self.lines[-10:])
            time.sleep(0.02)
        return found

    def ready(self):
        self.until(lambda: self.named("service.ready"))
        return self

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


def environment(settings):
    found = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
    found |= {"RINGLEDGER_" + key.upper().replace(".", "__"): text for key, text in settings.items()}
    return found | {"RINGLEDGER_CONFIG": os.devnull}


@contextmanager
def ringledger(settings, *words, more=None, **options):
    running = Running(words or ("run",), environment(settings) | (more or {}), **options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        running._reader.join(PATIENCE)
        running.process.stderr.close()


@pytest.fixture
def platform():
    made = Platform()
    yield made
    made.stop()


@pytest.fixture
def state(public_folder):
    """A state directory as the unit makes it, where other users can get at it."""
    directory = public_folder / "ringledger"
    directory.mkdir(mode=0o750)
    os.chown(directory, 0, GROUP)
    directory.chmod(0o750)
    return directory
