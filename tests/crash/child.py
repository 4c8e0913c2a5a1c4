"""`ringledger run` as a process of its own that can be killed, its service manager, and the log it leaves behind."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from ringledger.ledger.schema.migrate import upgrade
from ringledger.simulator import Simulator
from tests.forked import Awaited, Process
from tests.manager import Manager
from tests.postgresql import server as postgresql
from tests.rig import settings_for
from tests.template import migrated
from tests.until import PATIENCE


def pace(speed: float) -> dict[str, float]:
    """The platform's and our own intervals in a life that goes so many times faster."""
    return {
        "calls__settle_seconds": 10 / speed,
        "poll__interval_seconds": 150 / speed,
        "confirm__sync_interval_seconds": 60 / speed,
    }


class Child:
    """One daemon after another on the same database. ``log`` holds what all of them have written, in order;
    ``manager`` keeps for the next one what the last one gave it. ``forked``: a copy of a process that has imported the
    program (tests/forked.py), where the start itself does not matter. As a context it leaves no daemon behind.
    """

    def __init__(
        self,
        sim: Simulator,
        directory: Path,
        transport: str,
        *,
        manager: Manager | None = None,
        url: str | None = None,
        forked: bool = False,
        **overrides: Any,
    ) -> None:
        self._forked = forked
        self.manager = manager
        self.database = directory / "ringledger.db"
        self._url = url or (postgresql.server().url(empty=True) if postgresql.CHOSEN else None)
        if self._url is not None:
            overrides |= {"database__url": self._url, "database__directory": str(directory)}
        self.log = directory / "ringledger.log"
        self._environment = environment(sim, self.database, transport, **overrides)
        self._environment |= manager.environment if manager else {}
        self._process: asyncio.subprocess.Process | Awaited | None = None
        self._begun = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whatever has failed, no daemon is left behind."""
        if self.running:
            await self.kill()

    @property
    def pid(self) -> int:
        """Of the process started last."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether a process has been started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start a daemon; returns as soon as the process exists."""
        self._begun = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "ringledger", "run"]
        passed: tuple[int, ...] = ()
        if self.manager is not None:
            self.manager.listen()
        with self.log.open("ab") as log:
            if self._forked:
                out, kept = log.fileno(), self.manager and self.manager.kept()
                self._process = Awaited(Process("run", env=self._environment, stdout=out, stderr=out, kept=kept))
                return
            if self.manager is not None:
                command, passed = self.manager.command(command)
            self._process = await asyncio.create_subprocess_exec(
                *command, env=self._environment, stdout=log, stderr=log, pass_fds=passed
            )

    async def until(self, event: str) -> None:
        """Until this run has logged an event."""
        async with asyncio.timeout(PATIENCE):
            while not self._has_logged(event):
                assert self._process is not None
                assert self._process.returncode is None, f"it has ended: {self.log.read_text()[-2000:]}"
                await asyncio.sleep(0.01)

    def _has_logged(self, event: str) -> bool:
        if not self.log.exists():
            return False
        with self.log.open("rb") as log:
            log.seek(self._begun)
            return f'"event":"{event}"'.encode() in log.read().replace(b'"event": "', b'"event":"')

    async def until_working(self) -> None:
        """Until this run is ready, and works for the account: on a server it may have to wait for its former lease."""
        await self.until("service.ready")
        if self._url is not None:
            await self.until("poll.finished")

    async def until_lines(self, event: str, count: int) -> None:
        """Until an event has been logged so often, by all runs together."""
        async with asyncio.timeout(PATIENCE):
            while [line["event"] for line in self.lines()].count(event) < count:
                assert self._process is not None
                assert self._process.returncode is None, f"it has ended: {self.log.read_text()[-2000:]}"
                await asyncio.sleep(0.05)

    async def until_ended(self) -> int:
        """Until it has ended by itself; its exit code."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that is over is left alone."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def kill(self) -> bool:
        """``kill -9``; whether it was still running."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        return await asyncio.wait_for(self._process.wait(), PATIENCE) == -signal.SIGKILL

    async def stop(self) -> int:
        """Stop it in good order; its exit code."""
        assert self._process is not None
        self.signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    def prepared(self) -> str:
        """Make its database before its first start, empty and of today's schema; the URL."""
        if self._url is None:
            return migrated(self.database)
        upgrade(self._url)
        return self._url

    def query(self, sql: str) -> list[dict[str, Any]]:
        """What an analyst would read."""
        if self._url is not None:
            return postgresql.asked(self._url, sql)
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql)]

    def lines(self) -> list[dict[str, Any]]:
        """What all runs have logged. A line that a kill has cut is left out, any other one must be readable."""
        found: list[dict[str, Any]] = []
        for line in self.log.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                assert not line.lstrip().startswith(("Traceback", "File ")), self.log.read_text()[-4000:]
        return found


def environment(sim: Simulator, database: Path, transport: str, **overrides: Any) -> dict[str, str]:
    """The environment of a daemon that uses ``sim``, in the place of a configuration file."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RINGLEDGER_")}
    settings = settings_for(sim, database, transport, **overrides)
    dump = settings.model_dump(mode="json")
    for section in ("platform", "feed", "calls", "poll", "confirm", "backfill", "database"):
        for key, value in dump[section].items():
            text = ",".join(value) if isinstance(value, list) else str(value)
            env[f"RINGLEDGER_{section}__{key}".upper()] = text
    given = sim.options.credentials
    env |= {
        "RINGLEDGER_CONFIG": os.devnull,
        "RINGLEDGER_CREDENTIALS__CLIENT_ID": given.client_id,
        "RINGLEDGER_CREDENTIALS__CLIENT_SECRET": given.client_secret,
        "RINGLEDGER_CREDENTIALS__JWT": given.jwt,
        "RINGLEDGER_LOG__FORMAT": "json",
    }
    return env
