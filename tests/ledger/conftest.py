"""A real database file for each test, prepared as the daemon prepares it."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.ledger.ledger import Ledger
from ringledger.ledger.upgrade import upgrade


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is to be; nothing is there yet."""
    return tmp_path / "ringledger.db"


@pytest.fixture
def url(path: Path) -> str:
    """A prepared, empty database."""
    upgrade(url_of(path))
    return url_of(path)


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, busy_timeout_ms=50)
    yield opened
    await opened.close()


@pytest.fixture
def other(url: str, path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else's connection to the same file."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection
