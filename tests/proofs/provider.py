"""Many small companies' platforms, a process of their own: `python -m tests.proofs.provider ACCOUNTS EXTENSIONS RATE`.

It prints the accounts' tables, and answers a word on a line with a line of JSON: ``open`` lets every office take calls,
together so many events a second; ``count`` tells how many events there were; ``close`` ends all calls; ``judge FILE``
tells what a ledger has otherwise than it was.
"""

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from ringledger.simulator import Credentials, Office, Options, Pbx, Simulator, default_extensions
from tests.crash.test_kill import _work
from tests.truth import differences

#: Events of one call of an office, on average.
EVENTS_A_CALL = 3.6


class Provider:
    """The platforms of its customers."""

    def __init__(self, accounts: int, extensions: int, rate: float) -> None:
        self.sims = [self._platform(n, extensions) for n in range(accounts)]
        self._calls_per_hour = rate / EVENTS_A_CALL * 3600 / accounts
        self._closed = asyncio.Event()
        self._offices: list[asyncio.Task[None]] = []

    @staticmethod
    def _platform(n: int, extensions: int) -> Simulator:
        options = Options(credentials=Credentials(jwt=f"sim-jwt of account {n}"), rate_limits="default")
        return Simulator(pbx=Pbx(default_extensions(extensions), account_id=str(7001 + n), seed=n), options=options)

    def tables(self) -> list[dict[str, str]]:
        """As `[[accounts]]` has them."""
        return [
            {"name": f"a{n}", "server_url": sim.url, "jwt": sim.options.credentials.jwt}
            for n, sim in enumerate(self.sims)
        ]

    def open(self) -> int:
        """Let calls come in."""
        for n, sim in enumerate(self.sims):
            office = Office([*sim.pbx.extensions.values()], calls_per_hour=self._calls_per_hour, seed=n)
            self._offices.append(asyncio.create_task(_work(sim, office, self._closed)))
        return len(self._offices)

    def count(self) -> list[int]:
        """How many events there were, how many calls, and how many of them go on."""
        calls = [call for sim in self.sims for call in sim.pbx.calls.values()]
        events = sum(len(leg.timeline) for call in calls for leg in call.legs)
        return [events, len(calls), sum(len(list(sim.pbx.open_calls())) for sim in self.sims)]

    async def close(self) -> int:
        """Let all calls come to their end."""
        self._closed.set()
        await asyncio.gather(*self._offices)
        return sum(sim.limits.violations for sim in self.sims)

    def judge(self, file: str) -> list[str]:
        """What is lost, invented or told wrong."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows: dict[str, list[dict[str, Any]]] = {}
            for row in connection.execute("SELECT * FROM all_calls"):
                rows.setdefault(row["account_id"], []).append(dict(row))
        return [
            f"{sim.pbx.account_id}: {one}"
            for sim in self.sims
            for one in differences(rows.get(sim.pbx.account_id, ()), sim.pbx.truth())
        ]


async def serve(accounts: int, extensions: int, rate: float) -> None:
    """Until standard input ends."""
    provider = Provider(accounts, extensions, rate)
    async with AsyncExitStack() as stack:
        for sim in provider.sims:
            await stack.enter_async_context(sim)
        print(json.dumps(provider.tables()), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, *rest = line.split()
            told = getattr(provider, word)(*rest)
            print(json.dumps(await told if asyncio.iscoroutine(told) else told), flush=True)
        os._exit(0)  # whoever asked is gone: nobody is to be told


class Customers:
    """That process, for a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.tables: list[dict[str, str]] = []

    @classmethod
    async def start(cls, accounts: int, extensions: int, rate: float) -> "Customers":
        """Once every platform listens."""
        command = [sys.executable, "-m", "tests.proofs.provider", str(accounts), str(extensions), str(rate)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        made = cls(process)
        made.tables = await made._answer()
        return made

    async def ask(self, *words: str) -> Any:
        """What it says to that."""
        assert self._process.stdin
        self._process.stdin.write(f"{' '.join(words)}\n".encode())
        return await self._answer()

    async def _answer(self) -> Any:
        assert self._process.stdout
        return json.loads(await self._process.stdout.readline())

    async def end(self) -> None:
        """No more is asked."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
