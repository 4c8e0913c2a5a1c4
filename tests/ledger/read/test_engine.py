"""A reader's files go away, come back one by one, and are others."""

import asyncio
import itertools
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ringledger.ledger.errors import DatabaseMissing, LedgerSlow, classified
from ringledger.ledger.file.sqlite import connect
from ringledger.ledger.read.engine import ReadEngine

SUFFIXES = ("", "-wal", "-shm")


def move(path, first, last, suffixes=SUFFIXES):
    for suffix in suffixes:
        path.with_name(f"{first}{suffix}").rename(path.with_name(f"{last}{suffix}"))


def write(path, number):
    """A row that is in the write-ahead log alone, as long as somebody reads."""
    with closing(connect(path)) as writer:
        writer.execute("INSERT OR REPLACE INTO publication (account_id, number) VALUES ('1001', ?)", (number,))


async def read(engine):
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT number FROM publication WHERE account_id = '1001'"))).scalar()


async def read_at_once(source, readers):
    """What that many read, each by a connection of its own."""

    async def one():
        async with source.reading() as engine:
            return await read(engine)

    return await asyncio.gather(*(one() for _ in range(readers)))


@pytest.fixture
async def source(url, path):
    one = ReadEngine(url, seconds=60, connections=4)
    yield one
    await one.close()


async def test_a_log_that_came_back_after_its_database_is_read(source, url, path):
    """Between the two somebody asks: SQLite makes a new, empty log, and the former one takes its place."""
    await read_at_once(source, 2)
    write(path, 1)
    assert await read_at_once(source, 2) == [1, 1]
    move(path, path.name, "away.db")
    with pytest.raises(DatabaseMissing):
        await read_at_once(source, 1)
    move(path, "away.db", path.name, [""])
    await read_at_once(source, 4)  # without its log it is an older one
    move(path, "away.db", path.name, ["-wal", "-shm"])
    assert await read_at_once(source, 4) == [1] * 4
    write(path, 2)
    assert await read_at_once(source, 4) == [2] * 4


async def test_other_files_are_opened_when_the_last_one_has_read(source, url, path):
    await read_at_once(source, 2)
    write(path, 1)
    async with source.reading() as former:
        move(path, path.name, "away.db", ["-wal", "-shm"])
        later = asyncio.create_task(read_at_once(source, 4))
        assert await read(former) == 1
        assert await read(former) == 1
        assert not later.done()
        move(path, "away.db", path.name, ["-wal", "-shm"])
    assert await later == [1] * 4
    write(path, 2)
    assert await read_at_once(source, 4) == [2] * 4


async def test_files_that_have_gone_are_let_go(source, url, path):
    def open_files():
        found = []
        for one in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # that of the listing itself
                found.append(str(one.readlink()))
        return [one for one in found if one.startswith(str(path))]

    await read_at_once(source, 2)
    assert open_files()
    path.unlink()
    with pytest.raises(DatabaseMissing):
        await read_at_once(source, 1)
    assert not open_files()


NUMBERS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {})"


async def test_a_question_that_takes_too_long_is_broken_off(url):
    source = ReadEngine(url, seconds=0.2, connections=1)
    try:
        async with source.reading() as engine:
            with pytest.raises(DBAPIError) as broken:
                async with engine.connect() as connection:
                    await connection.execute(text(f"{NUMBERS.format(10**12)} SELECT count(*) FROM n"))
            assert isinstance(classified(broken.value), LedgerSlow)
            assert await read(engine) is None
    finally:
        await source.close()


@pytest.mark.slow
@pytest.mark.sqlite
async def test_a_sort_can_be_broken_off_at_any_time(source):
    """In the database's own processor time, which no other process delays."""
    sort = f"{NUMBERS.format(600_000)} SELECT count(*) FROM (SELECT x * 7919 % 600011 AS y FROM n ORDER BY y LIMIT -1)"
    looks = []

    def may_go_on():
        looks.append(time.thread_time())
        return False

    async with source.reading() as engine, engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.set_progress_handler(may_go_on, 20_000)
        assert (await connection.execute(text(sort))).scalar() == 600_000
    apart = [later - sooner for sooner, later in itertools.pairwise(looks)]
    assert max(apart) < 0.1
