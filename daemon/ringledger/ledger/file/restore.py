"""A copy put back in the place of the database.

What must stay true: nothing else writes meanwhile; what was there is kept; a process killed in the middle leaves either
the old database or the new one, never one with the other's write-ahead log.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ringledger.ledger.errors import DatabaseForeign, DatabaseMisplaced, DatabaseMissing, LedgerError, LedgerFailing
from ringledger.ledger.file.backup import backup
from ringledger.ledger.file.copies import before_restore
from ringledger.ledger.file.inspect import verify
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.opening import acting_as_owner
from ringledger.ledger.file.owner import hand_over
from ringledger.ledger.file.sqlite import connect, path_of, placed
from ringledger.ledger.schema.migrate import version_of

#: As the daemon makes it: its own to write, the group's to read.
MODE = 0o640


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The version of what is there now, and where what was there before is kept (``None``: nothing was there)."""

    version: int
    kept: Path | None


def restore(url: str | URL, source: Path) -> RestoreReport:
    """Put a copy of ``source`` in the database's place.

    Raises ``LedgerLocked`` (a daemon runs), ``DatabaseForeign``, ``DatabaseNewer`` or ``DatabaseCorrupt`` for a source
    that is no sound ledger, ``LedgerUnavailable`` (full, not writable), ``DatabaseMissing`` (no such directory),
    ``DatabaseMisplaced``.
    """
    path = placed(path_of(url))
    if not path.parent.is_dir():
        raise DatabaseMissing(f"{path.parent}: no such directory; create it or set database.url")
    if path.exists() and source.samefile(path):
        raise DatabaseMisplaced(f"{source}: is the database itself; name a copy of it")
    with acting_as_owner(path), DaemonLock(path):
        return _restored(path, source)


def _restored(path: Path, source: Path) -> RestoreReport:
    beside = f"sqlite+aiosqlite:///{source.resolve()}"
    try:
        version = version_of(beside)
    except DatabaseForeign as error:
        raise DatabaseForeign(f"{source}: is no copy of a ledger; name one that db backup has made") from error
    if version == 0:
        raise DatabaseForeign(f"{source}: is empty; name a copy that db backup has made")
    verify(beside, thorough=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.restore")
    try:
        backup(source, fresh)
        fresh.chmod(MODE)
        hand_over(fresh, path)
        kept = _kept(path)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        fresh.replace(path)
    except OSError as error:
        raise LedgerFailing(f"{path}: {error.strerror}; nothing was restored") from error
    finally:
        fresh.unlink(missing_ok=True)
    return RestoreReport(version, kept)


def _kept(path: Path) -> Path | None:
    """What stands in the place, copied with its write-ahead log; or moved away as it is when it cannot be read."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    copy = before_restore(path)
    try:
        backup(path, copy)
        with closing(connect(path)) as connection:  # what is removed below is empty then
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (LedgerError, sqlite3.Error):
        copy.unlink(missing_ok=True)
        copy = before_restore(path, damaged=True)
        for suffix in ("", "-wal"):
            if (one := path.with_name(path.name + suffix)).exists():
                one.replace(copy.with_name(copy.name + suffix))
    return copy
