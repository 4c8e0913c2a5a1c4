"""The read-only engine of a process that reads the database for as long as it lives.

What must stay true: no query reads files that the path no longer names, or a schema that is not the program's; a
reader never blocks the daemon's writes, and no query takes longer than its limit.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.ledger.database.base import database_of
from ringledger.ledger.errors import DatabaseMissing, LedgerBusy, LedgerError, LedgerFailing
from ringledger.ledger.file.identity import Identity, identities
from ringledger.ledger.file.sqlite import is_sqlite, parse, path_of

#: How old the last look at the schema's version may be, seconds: a daemon may have upgraded the file in its place.
CHECKED_EVERY: Final = 1.0
#: How long a query waits for those that still read files which were replaced, seconds.
PATIENCE: Final = 10.0
Files = tuple[Identity | None, ...] | None


class ReadEngine:
    """Read-only connections to the database that the path names now.

    ``seconds``: how long a transaction may read; ``connections``: how many are kept open.
    """

    def __init__(self, url: str, *, seconds: float, connections: int) -> None:
        self.path: Path | None = path_of(url) if is_sqlite(parse(url)) else None
        self._database = database_of(url)
        self._seconds = seconds
        self._connections = connections
        self._engine: AsyncEngine | None = None
        #: One that has not been closed yet: its files are no longer those of the path.
        self._former: AsyncEngine | None = None
        self._identity: Files = None
        self._checked = 0.0
        self._opening = asyncio.Lock()
        #: How many read just now; none is the time to open other files.
        self._readers = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncEngine]:
        """The engine, for as long as somebody reads. Raises ``LedgerError``: the file has gone, is somebody else's, or
        has another schema.
        """
        engine = await self._current()
        self._readers += 1
        self._idle.clear()
        try:
            yield engine
        finally:
            self._readers -= 1
            if not self._readers:
                self._idle.set()

    async def close(self) -> None:
        """Close the database, also while queries read it; the next query opens it again."""
        engines, self._engine, self._former = (self._engine, self._former), None, None
        for engine in engines:
            if engine is not None:
                await engine.dispose()

    async def _current(self) -> AsyncEngine:
        try:
            found = self._look()
        except LedgerError:
            async with self._opening:
                await self._replace()
            raise
        if self._engine is not None and found == self._identity and time.monotonic() - self._checked < CHECKED_EVERY:
            return self._engine
        async with self._opening:
            found = self._look()  # another query may have opened it meanwhile
            if self._engine is None or found != self._identity:
                await self._replace()
                self._engine = self._database.reader(seconds=self._seconds, connections=self._connections)
                self._identity = found
            try:
                await self._database.check_version(self._engine)
            except BaseException:
                await self.close()
                raise
            self._checked = time.monotonic()
            return self._engine

    async def _replace(self) -> None:
        """Close the engine when the last one has read from it: SQLite has one index of the write-ahead log for all
        connections of a process, so a new log beside a connection that is left would be read by the former's index.

        Raises ``LedgerBusy``: an earlier query takes too long.
        """
        if self._engine is not None:
            self._former, self._engine = self._engine, None
        if self._former is None:
            return
        try:
            await asyncio.wait_for(self._idle.wait(), PATIENCE)
        except TimeoutError:
            raise LedgerBusy("database: has other files now, and is still read from the former ones") from None
        if self._former is not None:
            await self._former.dispose()
            self._former = None

    def written_at(self) -> int:
        """When the database or its write-ahead log last changed, ms; 0: that cannot be told."""
        if self.path is None:
            return 0
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        found = [0]
        for file in files:
            with suppress(OSError):
                found.append(round(file.stat().st_mtime * 1000))
        return max(found)

    def _look(self) -> Files:
        if self.path is None:
            return None
        try:
            return identities(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise DatabaseMissing(f"{self.path}: no such database; the daemon creates it (ringledger run)") from None
        except OSError as error:  # who runs this may not look into the directory
            raise LedgerFailing(f"{self.path}: {error.strerror}") from None
