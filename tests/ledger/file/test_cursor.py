"""A question and its answer are one visit to the database's thread; a long answer comes piece by piece."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.ledger.file.cursor import _AHEAD
from ringledger.ledger.file.sqlite import reader_engine, writer_engine

#: So many rows, counted from one.
COUNTED = (
    "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {}) SELECT n FROM counted"
)


class Visits:
    """A connection, and how often its thread was visited."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self.connection = connection
        self.count = 0
        self._execute = driver._execute
        driver._execute = self._counted

    async def _counted(self, *values: Any, **named: Any) -> Any:
        self.count += 1
        return await self._execute(*values, **named)

    async def since(self, sql: str) -> tuple[list[Any], int]:
        """The rows of a question, and what it cost."""
        before = self.count
        rows = list(await self.connection.exec_driver_sql(sql))
        return rows, self.count - before


@asynccontextmanager
async def visiting(url: str, *, writing: bool = False) -> AsyncIterator[Visits]:
    """In the middle of a transaction."""
    engine = writer_engine(url) if writing else reader_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
            yield Visits(connection, (await connection.get_raw_connection()).driver_connection)
    finally:
        await engine.dispose()


async def test_a_short_answer_costs_one_visit(url: str) -> None:
    async with visiting(url) as made:
        assert await made.since(COUNTED.format(_AHEAD - 1)) == ([(n + 1,) for n in range(_AHEAD - 1)], 1)
        assert await made.since("SELECT 1 WHERE false") == ([], 1)


@pytest.mark.parametrize("count", [_AHEAD, _AHEAD + 1, 5 * _AHEAD])
async def test_a_long_answer_is_whole(url: str, count: int) -> None:
    async with visiting(url) as made:
        assert await made.since(COUNTED.format(count)) == ([(n + 1,) for n in range(count)], 2)


@pytest.mark.parametrize("at_once", [1, 7, _AHEAD, 3 * _AHEAD])
async def test_a_stream_comes_piece_by_piece(url: str, at_once: int) -> None:
    async with visiting(url) as made:
        question = text(COUNTED.format(3 * _AHEAD + 5))
        told = await made.connection.stream(question, execution_options={"yield_per": at_once})
        seen = [len(some) async for some in told.partitions()]
        assert sum(seen) == 3 * _AHEAD + 5
        assert set(seen[:-1]) <= {at_once}


async def test_a_stream_that_is_left_holds_nothing(url: str) -> None:
    """Its question has no end: only who asks for more makes it go on."""
    async with visiting(url, writing=True) as made:
        endless = "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted) SELECT n FROM counted"
        told = await made.connection.stream(text(endless))
        assert await told.fetchone() == (1,)
        await told.close()
        await made.connection.rollback()
        assert await made.since("SELECT 2") == ([(2,)], 2)  # its BEGIN is one


async def test_what_is_changed_is_counted(url: str) -> None:
    async with visiting(url, writing=True) as made:
        await made.connection.exec_driver_sql("CREATE TEMP TABLE counting (n INTEGER PRIMARY KEY)")
        added = await made.connection.exec_driver_sql("INSERT INTO counting VALUES (?)", [(n,) for n in range(1000)])
        assert added.rowcount == 1000
        told = await made.connection.exec_driver_sql("DELETE FROM counting WHERE n < 10 RETURNING n")
        assert [row[0] for row in told] == list(range(10))
        assert (await made.connection.exec_driver_sql("DELETE FROM counting WHERE n < 30")).rowcount == 20
        assert (await made.connection.exec_driver_sql("INSERT INTO counting VALUES (7)")).lastrowid == 7


async def test_an_error_is_that_of_the_statement(url: str) -> None:
    async with visiting(url) as made:
        with pytest.raises(OperationalError, match="no such table: nobody") as error:
            await made.since("SELECT * FROM nobody")
        assert isinstance(error.value.orig, sqlite3.OperationalError)
        assert (await made.since("SELECT 3"))[0] == [(3,)]
