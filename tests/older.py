"""Databases of earlier versions of the schema, as their programs made them."""

import sqlite3
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Final

from ringledger.ledger.file.sqlite import parse
from ringledger.ledger.schema.migrate import MIGRATIONS, _run
from ringledger.ledger.schema.tables import APPLICATION_ID

#: A database that the program of schema 2 left in the middle of calls: `tests/data/schema2.sql`.
IN_THE_MIDDLE: Final = Path(__file__).parent / "data" / "schema2.sql"


def older(path: Path, version: int) -> None:
    """Make an empty database of that version, without views; what is there goes."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    if version:
        _run(parse(f"sqlite+aiosqlite:///{path}"), f"{version:04d}", MIGRATIONS, UTC)


def in_the_middle(path: Path) -> None:
    """Make the database that schema 2 left in the middle of calls."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(IN_THE_MIDDLE.read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 2")
