"""A cursor for SQLAlchemy over a connection that has a thread of its own.

What must stay true: a question whose answer is short costs one visit to that thread; of a long one no more rows are in
memory than were asked for, and those of one visit.
"""

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Self

#: Rows of a question that are fetched in the visit that asks it; of more the rest costs a visit each time.
_AHEAD: Final = 256


class OneVisitCursor:
    """A cursor as SQLAlchemy uses it, of either kind: statement and rows in one visit to the database's thread.

    aiosqlite's own goes there four times: to be made, to execute, to fetch, to be closed.
    """

    arraysize = 1

    def __init__(self, visit: Callable[[Callable[[sqlite3.Connection], object]], Awaitable[None]]) -> None:
        self._visit = visit
        self._cursor: sqlite3.Cursor | None = None
        self._ahead: deque[Any] = deque()
        self._whole = True
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        """Ask, and fetch the first rows. Raises ``sqlite3.Error``."""
        await self._visit(lambda opened: self._ask(opened, sql, tuple(parameters)))
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """The same statement for each of these. Raises ``sqlite3.Error``."""
        await self._visit(lambda opened: self._tell(opened.executemany(sql, parameters)))
        return self

    async def fetchone(self) -> Any:
        """The next row, if there is one."""
        return next(iter(await self.fetchmany(1)), None)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, so many at most."""
        wanted = size or self.arraysize
        if not self._whole and len(self._ahead) < wanted:
            await self._visit(lambda _: self._fetch(max(_AHEAD, wanted - len(self._ahead))))
        return [self._ahead.popleft() for _ in range(min(wanted, len(self._ahead)))]

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if not self._whole:
            await self._visit(lambda _: self._fetch(None))
        rows, self._ahead = list(self._ahead), deque()
        return rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(_AHEAD):
            for row in rows:
                yield row

    async def close(self) -> None:
        """Nothing more is wanted."""
        self._ahead.clear()
        if not self._whole:
            await self._visit(lambda _: self._close())

    # -- on the database's thread ----------------------------------------------------------------------------------

    def _ask(self, opened: sqlite3.Connection, sql: str, parameters: tuple[Any, ...]) -> None:
        cursor = self._cursor = opened.execute(sql, parameters)
        self._whole, self.description = False, cursor.description
        self._fetch(_AHEAD)
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

    def _tell(self, cursor: sqlite3.Cursor) -> None:
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        cursor.close()

    def _fetch(self, size: int | None) -> None:
        if self._cursor is None:
            return
        rows = self._cursor.fetchall() if size is None else self._cursor.fetchmany(size)
        self._ahead.extend(rows)
        if size is None or len(rows) < size:
            self._close()

    def _close(self) -> None:
        cursor, self._cursor, self._whole = self._cursor, None, True
        if cursor is not None:
            cursor.close()
