"""A real database for each test, prepared as the daemon prepares it: a file, or one of a PostgreSQL server.

The same tests are the contract of both; those marked ``sqlite``, and those that look at the file itself (``path``), are
of SQLite alone.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringledger.ledger.write.store import Ledger
from tests.postgresql import server as postgresql
from tests.template import migrated


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not postgresql.CHOSEN:
        return
    ours = Path(__file__).parent
    others = [
        item
        for item in items
        if ours in item.path.parents
        and (item.get_closest_marker("sqlite") or "path" in getattr(item, "_fixtureinfo").argnames)  # noqa: B009
    ]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


class Looking:
    """Somebody else's connections to a server, spoken to like one of the module ``sqlite3``."""

    row_factory: Any = None

    def __init__(self, url: str) -> None:
        self._url = url
        self._holding = postgresql.Holding(url)

    def execute(self, question: str) -> "Rows":
        """``BEGIN IMMEDIATE`` keeps the writer out until ``ROLLBACK``, as it does on SQLite."""
        if question == "BEGIN IMMEDIATE":
            self._holding.begin()
        elif question == "ROLLBACK":
            self._holding.end()
        else:
            return Rows(postgresql.asked(self._url, question))
        return Rows()


class Rows(list[Any]):
    """What was found: dictionaries, or their values where one row is asked for."""

    def fetchone(self) -> tuple[Any, ...] | None:
        return tuple(self[0].values()) if self else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is to be; nothing is there yet."""
    return tmp_path / "ringledger.db"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A prepared, empty database."""
    return postgresql.server().url() if postgresql.CHOSEN else migrated(tmp_path / "ringledger.db")


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, busy_timeout_ms=50)
    yield opened
    await opened.close()


@pytest.fixture
def other(url: str, tmp_path: Path) -> Iterator[Any]:
    """Somebody else's connection to the same database."""
    if postgresql.CHOSEN:
        yield Looking(url)
        return
    with closing(sqlite3.connect(tmp_path / "ringledger.db", isolation_level=None, timeout=0)) as connection:
        yield connection
