"""Copies that lie beside the database: each may hold what has been taken out of it.

What must stay true: only copies made before an upgrade expire by themselves, for no person asked for them; those that
people or a rescue made are theirs to delete.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ringledger.durations import DAY_MS
from ringledger.ledger.errors import LedgerFailing

#: Copies from before an upgrade: so many are kept, and none longer than so many days.
KEPT: Final = 3
KEPT_DAYS: Final = 30
#: Where `db backup` puts copies that get their names by themselves.
FOLDER: Final = "backups"
STAMP: Final = "%Y%m%dT%H%M%SZ"
#: What follows the database's name: from before an upgrade or a restore, saved when it lost its place.
_BESIDE: Final = re.compile(r"\.((schema\d+|before-restore|damaged)\.\d{8}T\d{6}Z\.backup|saved-.+)")
_SCHEMA: Final = re.compile(r"\.schema\d+\.(\d{8}T\d{6}Z)\.backup")


def before_upgrade(database: Path, version: int) -> Path:
    """The name of a copy that is made now, of a database of that version."""
    return database.with_name(f"{database.name}.schema{version}.{datetime.now(UTC).strftime(STAMP)}.backup")


def before_restore(database: Path, *, damaged: bool = False) -> Path:
    """The name of what a restore finds in its place."""
    kind = "damaged" if damaged else "before-restore"
    return database.with_name(f"{database.name}.{kind}.{datetime.now(UTC).strftime(STAMP)}.backup")


def rescued(database: Path) -> Path:
    """The name of what is saved now of a database that has lost its place."""
    return database.with_name(f"{database.name}.saved-{datetime.now(UTC).strftime(STAMP)}")


def taken_away(database: Path) -> list[Path]:
    """What was saved of databases that had lost their place, oldest first."""
    return [path for path in copies(database) if path.name.startswith(f"{database.name}.saved-")]


def copies(database: Path) -> list[Path]:
    """Every copy this program knows of, also those that a kill left unfinished."""
    found = [path for path in _files(database.parent) if _is_copy(path.name, database.name)]
    return sorted([*found, *_files(database.parent / FOLDER)])


def expire(database: Path, now_ms: int | None = None) -> list[Path]:
    """Delete copies from before an upgrade but the newest few, those too old (``now_ms``: if that is known), and those
    a kill left unfinished: the caller holds the database's lock, so no other process is making one.

    Returns what was deleted. Raises ``LedgerFailing``.
    """
    made = {
        path: datetime.strptime(match[1], STAMP).replace(tzinfo=UTC).timestamp() * 1000
        for path in _files(database.parent)
        if path.name.startswith(database.name) and (match := _SCHEMA.fullmatch(path.name[len(database.name) :]))
    }
    newest = sorted(made, key=lambda path: (made[path], path.name))[-KEPT:]
    oldest = 0.0 if now_ms is None else now_ms - KEPT_DAYS * DAY_MS
    gone = sorted(path for path, at in made.items() if path not in newest or at < oldest)
    gone += [path for path in _files(database.parent) if _is_unfinished(path.name, database.name)]
    try:
        for path in gone:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerFailing(
            f"{database.parent}: {error.strerror}; delete {gone[0].name} and its like by hand"
        ) from error
    return gone


def _is_unfinished(name: str, database: str) -> bool:
    """Of a copy from before an upgrade; `db backup` may be at work on another."""
    return name.startswith(f".{database}.schema") and name.endswith(".partial")


def _is_copy(name: str, database: str) -> bool:
    if name.startswith(f".{database}.") and name.endswith(".partial"):
        return True
    return name.startswith(database) and _BESIDE.fullmatch(name[len(database) :]) is not None


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []
