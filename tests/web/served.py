"""`ringledger serve` as a process of its own over a real database, and what it takes to ask it."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from ringledger.config.model import load_settings
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.service.health.status import status_of
from ringledger.web import server
from tests import office
from tests.forked import Process
from tests.until import PATIENCE

#: Nothing speaks TLS here: without this, each request reads the authorities the world trusts, forty milliseconds' work.
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class NotListening(Exception):
    """It has ended before it listened; ``code``: its exit code, ``told``: what it said."""

    def __init__(self, code: int, told: str) -> None:
        super().__init__(f"ended with {code}: {told}")
        self.code, self.told = code, told


class Served:
    """A running server."""

    def __init__(self, process: Process, address: str, errors: list[str], reader: threading.Thread) -> None:
        self.process = process
        self._reader = reader
        self.address = address
        self._errors = errors

    def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{self.address}{path}", headers=named, timeout=PATIENCE, verify=NO_TLS)

    def items(self, path: str) -> list[dict[str, Any]]:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._errors if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def text(self) -> str:
        return "".join(self._errors)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; whatever it has logged is there afterwards."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@contextmanager
def serving(database: Path, config: str = "", *, directory: Path | None = None, **env: str) -> Iterator[Served]:
    """``config``: TOML; ``directory``: where its file goes, and the names of tokens begin."""
    file = (directory or database.parent) / "serve.toml"
    file.write_text(config)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RINGLEDGER_")}
    variables |= {"RINGLEDGER_CONFIG": str(file), "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{database}"}
    variables |= {"RINGLEDGER_LOG__FORMAT": "json", **env}
    words = ["serve"] if "listen" in config else ["serve", "--listen", "127.0.0.1:0"]
    process = Process(*words, env=variables, stderr=subprocess.PIPE)
    errors: list[str] = []
    found, listening = threading.Event(), []

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            errors.append(line)
            if line.startswith("ringledger: http://"):
                listening.append(line.split()[1].rstrip("/"))
                found.set()
        found.set()

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        assert found.wait(PATIENCE), "did not start in time"
        if not listening:
            raise NotListening(process.wait(PATIENCE), "".join(errors))
        yield Served(process, listening[0], errors, reader)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        assert process.stderr is not None
        process.stderr.close()


@asynccontextmanager
async def within(database: Path, **serve: Any) -> AsyncIterator[str]:
    """`serve` in this process, so also on virtual time; its address."""
    given = {"listen": "127.0.0.1:0"} | serve
    values = {f"serve.{name}": value for name, value in given.items()}
    settings = load_settings(None, {}, values | {"database.url": f"sqlite+aiosqlite:///{database}"})
    stopping, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        server.serve(
            settings, directory=database.parent, env={}, read_number=str, status=partial(status_of, settings),
            stopping=stopping, listening=listening.set_result,
        )
    )  # fmt: skip
    try:
        yield await asyncio.wait_for(listening, PATIENCE)
    finally:
        stopping.set()
        await running


def books(
    path: Path, *, days: int = 10, per_day: int = 60, now: datetime | None = None, by_calendar: bool = False
) -> Path:
    """A database with an office's calls until now, some of them open, and what was seen of them.

    Its days end now and none is free, so that what a test finds hangs neither on the hour nor on the day of the week;
    ``by_calendar``: they begin at midnight, as an office's do.
    """
    url = office.prepared(path)
    now = now or datetime.now().astimezone()
    at = office.ms_of(now)
    if by_calendar:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        made = office.days(3, midnight - timedelta(days=days - 1), days, per_day, weekends_off=now.weekday() < 5)
    else:
        made = office.days(3, now - timedelta(days=days), days, per_day, weekends_off=False)
    office.insert(path, "call", [row for row in made if row["ended_at"] < office.to_text(at)])
    statuses = ["CallConnected", "NoCall", "OnHold", "CallConnected", "NoCall", "NoCall", "Ringing", "CallConnected"]
    office.insert(path, "extension", [office.extension(n, one, at - 1000 * (n + 1)) for n, one in enumerate(statuses)])
    office.insert(path, "live_call", [
        office.open_call(0, "CallConnected", at - 431_000, at - 412_000),
        office.open_call(2, "OnHold", at - 240_000, at - 222_000, from_number=None),
        office.open_call(6, "Ringing", at - 6_000, None),
    ])  # fmt: skip
    hole = at - 40_000_000
    office.cover(url, [
        CoverageSpan(office.ACCOUNT, hole - 86_400_000, hole, CoverageState.LIVE),
        CoverageSpan(office.ACCOUNT, hole, hole + 420_000, CoverageState.HEALED, "network, healed by replay", 1),
        CoverageSpan(office.ACCOUNT, hole + 420_000, at, CoverageState.LIVE),
    ], at)  # fmt: skip
    return path
