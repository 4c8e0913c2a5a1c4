"""The unused room of a database's pages: what SQLite leaves there, and that emptying it changes nothing else."""

import os
import random
import sqlite3
from contextlib import closing, contextmanager

import pytest

from ringledger.ledger.file import unused

#: Enough for inner pages of each table where pages are small.
ROWS = 3_000
#: Like the fact table's rows: of different lengths, found by a key that does not grow with time.
TABLES = """
CREATE TABLE told (id INTEGER PRIMARY KEY, body TEXT);
CREATE TABLE named (name TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
CREATE INDEX by_body ON told (body);
"""


@contextmanager
def opened(path):
    file = os.open(path, os.O_RDWR)
    try:
        yield file
    finally:
        os.close(file)


def body(chance, n):
    return f"secret{n:06d}" + "x" * chance.choice([0, 5, 40, 300, 900, 6_000])


def moved_about(path, page_size, seed):
    """Rows put in and taken out in no order, so that SQLite balances its pages; the last one that names a secret goes
    at the end."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(TABLES)
        connection.execute("BEGIN")
        for n in chance.sample(range(ROWS), ROWS):
            connection.execute("INSERT INTO told VALUES (?, ?)", (n, body(chance, n)))
            connection.execute("INSERT INTO named VALUES (?, ?)", (body(chance, n), f"{n}"))
        for n in chance.sample(range(ROWS), ROWS):
            if n % 7:
                connection.execute("DELETE FROM told WHERE id = ?", (n,))
        for name, _ in connection.execute("SELECT * FROM named ORDER BY body").fetchall():
            connection.execute("DELETE FROM named WHERE name = ?", (name,))
        connection.execute("UPDATE told SET body = replace(body, 'secret', 'public')")
        connection.execute("COMMIT")


def rows(path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in ("told", "named")]


@pytest.mark.parametrize("page_size", [512, 4_096, 65_536])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_what_was_deleted_is_nowhere_and_every_row_is_there(tmp_path, page_size, seed):
    path = tmp_path / "some.db"
    moved_about(path, page_size, seed)
    before = rows(path)
    assert b"secret" in path.read_bytes()  # or this test shows nothing
    with opened(path) as file:
        pages = unused.pages_to_empty(file)
        unused.empty(file, pages)
        assert unused.pages_to_empty(file) == []
    assert b"secret" not in path.read_bytes()
    assert rows(path) == before
    with closing(sqlite3.connect(path)) as connection:  # the room can be used again
        connection.executemany("INSERT INTO named VALUES (?, ?)", [(f"public{n}", "y" * 50) for n in range(5_000)])
        connection.commit()
    rows(path)


def test_a_page_that_is_not_as_it_should_be_is_left_alone(tmp_path):
    path = tmp_path / "some.db"
    moved_about(path, 512, 1)
    chance = random.Random(2)
    for _ in range(50):
        content = bytearray(path.read_bytes())
        for _ in range(50):
            content[chance.randrange(512, len(content))] = chance.randrange(256)
        damaged = tmp_path / "damaged.db"
        damaged.write_bytes(content)
        with opened(damaged) as file:
            unused.empty(file, unused.pages_to_empty(file))
        assert damaged.stat().st_size == len(content)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(10)])
def test_what_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "some.db"
    path.write_bytes(content)
    with opened(path) as file, pytest.raises(ValueError, match="no SQLite database"):
        unused.pages_to_empty(file)
