"""A whole daemon against a simulated platform, in process, over real sockets and a real file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from ringledger.config.model import Settings, load_settings
from ringledger.service import Daemon
from ringledger.simulator import Options, SimClock, Simulator
from tests.postgresql import server as postgresql
from tests.template import migrated
from tests.until import PATIENCE, until
from tests.virtual_time import jumping

STORIES = Path(__file__).parent / "scenarios"


def settings_for(sim: Simulator, database: Path, transport: str = "pubnub", **overrides: Any) -> Settings:
    """Settings of a daemon that uses ``sim``; ``overrides`` are dotted keys with ``__`` for the dot. On virtual time,
    where hours of a quiet office pass at once, it polls less often.
    """
    credentials = sim.options.credentials
    values: dict[str, Any] = {
        "platform.server_url": sim.url,
        "credentials.client_id": credentials.client_id,
        "credentials.client_secret": credentials.client_secret,
        "credentials.jwt": credentials.jwt,
        "feed.transport": transport,
        "feed.pubnub_origin": sim.url,
        "database.url": f"sqlite+aiosqlite:///{database}",
        "calls.settle_seconds": 0.3,
        "poll.interval_seconds": 10 if jumping() else 2,
        "confirm.sync_interval_seconds": 5 if jumping() else 1,
        "platform.extensions": ["all"],
        "backfill.max_days": 1,
    }
    if postgresql.CHOSEN:
        values |= {"database.url": postgresql.server().url(), "database.directory": str(database.parent)}
    values |= {key.replace("__", "."): value for key, value in overrides.items()}
    return load_settings(None, {}, values)


class Rig:
    """A running daemon and what can be asked of it."""

    def __init__(self, sim: Simulator, daemon: Daemon, database: Path, task: asyncio.Task[None]) -> None:
        self.sim = sim
        self.daemon = daemon
        self.database = database
        self.task = task
        self._reader: sqlite3.Connection | None = None
        self._waiting = 0

    def query(self, sql: str) -> list[dict[str, Any]]:
        """What an analyst would read."""
        if not self.daemon.settings.database.is_file:
            return postgresql.asked(self.daemon.settings.database.url, sql)
        if self._reader is None:
            self._reader = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
            self._reader.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in self._reader.execute(sql)]
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Close what was read over, unless somebody waits and will ask again."""
        if self._reader is not None and not self._waiting:
            self._reader.close()
            self._reader = None

    def execute(self, sql: str) -> None:
        """What somebody does by hand to one row."""
        if not self.daemon.settings.database.is_file:
            assert len(postgresql.asked(self.daemon.settings.database.url, f"{sql} RETURNING 1")) == 1
            return
        with closing(sqlite3.connect(self.database)) as connection, connection:
            assert connection.execute(sql).rowcount == 1

    def calls(self) -> list[dict[str, Any]]:
        """The finished calls, oldest first."""
        return self.query("SELECT * FROM calls ORDER BY started_at")

    async def until(self, condition: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
        """Wait for a condition; the daemon's death or the end of patience fails the test.

        All that is asked of a file in the meantime is asked over one connection, which reads the schema once.
        """

        def come_about() -> Any:
            if not (found := condition()) and self.task.done():
                self.task.result()
                raise AssertionError("the daemon has ended")
            return found

        self._waiting += 1
        try:
            return await until(come_about, lambda: f"{what or condition}; {len(self.calls())} calls", seconds)
        finally:
            self._waiting -= 1
            self._let_go()

    async def stop(self) -> None:
        """Stop the daemon in good order."""
        self.daemon.stop("test")
        await asyncio.wait_for(self.task, PATIENCE)


@asynccontextmanager
async def running(sim: Simulator, settings: Settings) -> AsyncIterator[Rig]:
    """A daemon that is ready."""
    if "sqlite" in settings.database.url:
        migrated(settings.database.path)
    daemon = Daemon(settings)
    task = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    try:
        await asyncio.wait({task, ready}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert daemon.ready.is_set(), "not ready in time"
        rig = Rig(sim, daemon, settings.database.path, task)
        yield rig
        await rig.stop()
    finally:
        ready.cancel()
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def office(
    tmp_path: Path, transport: str, *, speed: float = 60.0, options: Options | None = None, **overrides: Any
) -> AsyncIterator[Rig]:
    """A simulated platform whose time runs ``speed`` times as fast, and a daemon that watches it."""
    options = options or Options(real_lifetimes=True)
    async with (
        Simulator(clock=SimClock(speed=speed), options=options) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", transport, **overrides)) as rig,
    ):
        yield rig
