"""A PostgreSQL server of the tests' own: on a socket in a folder of its own, run by a user that is not root.

One server serves a whole run (each worker of xdist has its own); a database is a copy of one that was migrated once.
With ``TEST_DATABASE=postgresql`` the suites of the ledger run on it: ``make postgresql``.
"""

import asyncio
import atexit
import functools
import itertools
import os
import pwd
import subprocess
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import asyncpg

from ringledger.ledger.schema.migrate import upgrade
from tests.needs import needs

#: Whether the suites that may run on either database run on PostgreSQL.
CHOSEN = os.environ.get("TEST_DATABASE") == "postgresql"
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
_WHERE = str(_FOLDERS[-1]) if _FOLDERS else None
PROGRAMS = Path(_WHERE) if _WHERE and (Path(_WHERE) / "initdb").exists() else None
needs_postgresql = needs(PROGRAMS, "a PostgreSQL server", "apt-get install postgresql")
#: Nobody's power cut is tried here.
_FAST = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=60", "shared_buffers=64MB")
_numbers = itertools.count()


class Server:
    """A running server. ``url()`` makes a database; ``stop`` and ``start`` are for tests that take it away."""

    def __init__(self) -> None:
        assert PROGRAMS is not None
        self.folder = Path(tempfile.mkdtemp(prefix="ringledger-pg-", dir="/tmp"))
        self._user = {} if os.geteuid() else self._lesser_user()
        self.data = self.folder / "data"
        #: What it is started with besides.
        self.more: tuple[str, ...] = ()
        self.name = pwd.getpwuid(self._user.get("user", os.geteuid())).pw_name
        self._make()
        self.start()

    def _make(self) -> None:
        self._call("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", f"--pgdata={self.data}")

    def _lesser_user(self) -> dict[str, Any]:
        entry = pwd.getpwnam("nobody")
        os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _call(self, program: str, *arguments: str) -> None:
        assert PROGRAMS is not None
        done = subprocess.run(
            [PROGRAMS / program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False, **self._user
        )
        assert done.returncode == 0, done.stderr or done.stdout

    def start(self) -> None:
        given = " ".join(f"-c {one}" for one in (*_FAST, f"unix_socket_directories={self.folder}", *self.more))
        self._call(
            "pg_ctl", f"--pgdata={self.data}", f"--log={self.folder}/log", "--wait", f"--options={given}", "start"
        )

    def stop(self, how: str = "immediate") -> None:
        self._call("pg_ctl", f"--pgdata={self.data}", "--wait", f"--mode={how}", "stop")

    def address(self, database: str) -> str:
        return f"postgresql://{self.name}@/{database}?host={self.folder}"

    @functools.cached_property
    def template(self) -> str:
        self.execute("postgres", "CREATE DATABASE template_ledger")
        upgrade(self.address("template_ledger"))
        return "template_ledger"

    def url(self, *, empty: bool = False) -> str:
        """A database of today's schema, or an empty one."""
        name = f"ledger{next(_numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else self.template}")
        return self.address(name)

    def execute(self, database: str, *statements: str) -> list[dict[str, Any]]:
        """What the last statement returns."""
        return asked(self.address(database), *statements)

    def close(self) -> None:
        try:
            if (self.data / "postmaster.pid").exists():
                self.stop()
        finally:
            # Hundreds of databases take a while, and xdist does not wait for its workers that long.
            subprocess.run(["setsid", "--fork", "rm", "-rf", self.folder], check=True)


class Standby(Server):
    """A server that follows another one."""

    def __init__(self, primary: Server) -> None:
        self._primary = primary
        super().__init__()

    def _make(self) -> None:
        source = f"host={self._primary.folder} user={self.name}"
        self._call("pg_basebackup", f"--dbname={source}", f"--pgdata={self.data}", "--write-recovery-conf", "--no-sync",
                   "--checkpoint=fast")  # fmt: skip

    def promote(self) -> None:
        """From now on it is a primary."""
        self._call("pg_ctl", f"--pgdata={self.data}", "--wait", "promote")


@functools.cache
def server() -> Server:
    """This process's server."""
    made = Server()
    atexit.register(made.close)
    return made


def asked(url: str, *statements: str) -> list[dict[str, Any]]:
    """What the last statement returns, by a connection of somebody else's. Callable inside a running loop too."""

    async def work() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [dict(row) for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return _beside(work())


class Holding:
    """Somebody who keeps the writer waiting."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    def begin(self) -> None:
        async def work() -> None:
            self._connection = await asyncpg.connect(self._url)
            await self._connection.execute("BEGIN; LOCK TABLE writer IN EXCLUSIVE MODE")

        _beside(work())

    def end(self) -> None:
        _beside(self._connection.close())


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """A loop beside the test's own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def _beside(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()
