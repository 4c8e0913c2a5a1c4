"""The daemon as a child process of the demonstration, heard through its log.

What must stay true: it is ended whatever happens to the demonstration, and its log is kept beside the database.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ringledger.cli.errors import Failure
from ringledger.exits import Exit

#: How long a daemon that was asked to stop may take, seconds.
STOP_SECONDS = 20.0
#: A line of the log is at most this long; one that carries a row has about a thousand characters.
LINE_BYTES = 1 << 20


class DaemonProcess:
    """``ringledger run`` with nothing but the given settings (``{"log.level": "info"}``) in its environment."""

    def __init__(self, settings: Mapping[str, str], log: Path, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.log = log
        self._environment = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
        for key, text in settings.items():
            self._environment["RINGLEDGER_" + key.upper().replace(".", "__")] = text
        # Neither the machine's configuration nor its credentials have a say in a demonstration.
        self._environment |= {"RINGLEDGER_CONFIG": os.devnull}
        self._environment.pop("CREDENTIALS_DIRECTORY", None)
        self._on_event = on_event
        self._last: deque[str] = deque(maxlen=3)
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # A session of its own: Ctrl-C reaches us alone, and we end it in good order.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringledger", "run"),
            env=self._environment,
            stderr=PIPE,
            limit=LINE_BYTES,
            start_new_session=True,
        )
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    async def stop(self) -> int:
        """SIGTERM, then its exit code; a second call only returns the code."""
        process = self._running
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._listening is not None:
            await self._listening
        return process.returncode or 0

    async def watch(self) -> None:
        """Raise :class:`Failure` when it ends by itself; else never return."""
        code = await self._running.wait()
        if self._listening is not None:
            await self._listening
        told = self._last[-1] if self._last else "no word"
        raise Failure(Exit.INTERNAL, f"the daemon ended with {code}: {told}; its log is {self.log}")

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError("the daemon was not started")
        return self._process

    async def _listen(self) -> None:
        stream = self._running.stderr
        with self.log.open("w", encoding="utf-8") as log:
            while stream is not None and (line := await stream.readline()):
                text = line.decode("utf-8", "replace")
                log.write(text)
                log.flush()
                self._last.append(text.strip())
                with suppress(ValueError):
                    event = json.loads(text)
                    if isinstance(event, dict):
                        self._on_event(event)
