"""A look at the database that changes nothing: is it whole, and what would an operator want to know of it.

What must stay true: only read-only connections; a look can be broken off at any time.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy import URL

from ringledger.ledger.errors import DatabaseCorrupt, classified
from ringledger.ledger.file.opening import acting_as_owner
from ringledger.ledger.file.sqlite import connect, path_of
from ringledger.ledger.times import to_ms_or_none, to_text

#: A look is asked whether to go on after so many instructions of SQLite's machine.
BREATH = 20_000
#: First releases without the fault that two writers or checkpointers can run into (the WAL-reset bug).
MENDED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))


@dataclass(frozen=True, slots=True)
class Examination:
    """Times: ms since the epoch. ``oldest_open_at``, ``last_event_at``: ``None`` when there is none.

    ``unconfirmed``: finished calls that ended before ``before_ms`` and that the platform has not confirmed.
    ``letters_dead``: events for receivers that were given up; ``oldest_letter_at``: of those that still wait.
    """

    size_bytes: int
    wal_bytes: int
    journal_mode: str
    oldest_open_at: int | None
    last_event_at: int | None
    unconfirmed: int
    letters_dead: int
    oldest_letter_at: int | None


def verify(url: str | URL, *, thorough: bool = False, stop: Event | None = None) -> bool:
    """Read every page; ``thorough`` compares indexes and references too. ``False``: broken off by ``stop``.

    Raises ``DatabaseCorrupt`` with the first damage found and what to do.
    """
    path = path_of(url)
    try:
        with acting_as_owner(path), closing(connect(path, read_only=True)) as connection:
            connection.set_progress_handler(lambda: int(stop is not None and stop.is_set()), BREATH)
            verdict = connection.execute(f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(1)").fetchone()[0]
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone() if thorough else None
    except sqlite3.Error as error:
        if stop is not None and stop.is_set():
            return False
        raise classified(error) from error
    if orphan is not None:
        verdict = f"row {orphan[1]} of {orphan[0]} has no parent"
    if verdict != "ok":
        raise DatabaseCorrupt(f"{path}: {verdict}; stop the daemon and put the newest backup in its place")
    return True


def examine(url: str | URL, *, before_ms: int) -> Examination:
    """What there is to know. Raises ``LedgerError``."""
    path = path_of(url)
    try:
        with acting_as_owner(path), closing(connect(path, read_only=True)) as connection:

            def one(sql: str, *values: object) -> Any:
                row = connection.execute(sql, values).fetchone()
                return None if row is None else row[0]

            return Examination(
                size_bytes=size_of(path),
                wal_bytes=size_of(path.with_name(f"{path.name}-wal")),
                journal_mode=one("PRAGMA journal_mode"),
                oldest_open_at=to_ms_or_none(one("SELECT min(started_at) FROM live_call")),
                last_event_at=to_ms_or_none(
                    one("SELECT received_at FROM fact WHERE status IS NOT NULL ORDER BY id DESC LIMIT 1")
                ),
                unconfirmed=one(
                    "SELECT count(*) FROM call WHERE confirmed_at IS NULL AND ended_at < ?", to_text(before_ms)
                ),
                letters_dead=one("SELECT count(*) FROM outbox WHERE gave_up_at IS NOT NULL"),
                oldest_letter_at=to_ms_or_none(one("SELECT min(since) FROM outbox WHERE gave_up_at IS NULL")),
            )
    except sqlite3.Error as error:
        raise classified(error) from error


def size_of(path: Path) -> int:
    """Bytes, 0 when there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sqlite_verdict(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> tuple[str, bool]:
    """The SQLite in use, and whether a second writer or checkpointer is safe with it."""
    text = ".".join(map(str, version))
    same_line = [mended for mended in MENDED if mended[:2] == version[:2]]
    return text, version >= (same_line[0] if same_line else MENDED[-1])
