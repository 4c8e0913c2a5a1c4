"""Copies of the database that are whole or not there at all.

SQLite's backup interface copies page by page while the daemon writes; the copy is verified and flushed under a
temporary name before it gets its own.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ringledger.ledger.database import connect
from ringledger.ledger.errors import DatabaseCorrupt, LedgerFailing, classified

#: Pages copied in one step; the source is unlocked in between.
PAGES = 2_048


def backup(source: Path, target: Path) -> Path:
    """Copy the database ``source`` to ``target`` (replaced if it exists) and return ``target``.

    Raises ``DatabaseCorrupt`` when the copy does not verify, ``LedgerFull`` or ``LedgerFailing`` when it cannot be
    written; nothing is left behind then.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, source.stat().st_mode & 0o777))
        _copy(source, temporary)
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
    except sqlite3.Error as error:
        raise classified(error) from error
    except OSError as error:
        raise LedgerFailing(f"{target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _copy(source: Path, temporary: Path) -> None:
    with closing(connect(source, read_only=True)) as origin, closing(sqlite3.connect(temporary)) as copy:
        origin.backup(copy, pages=PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable without its neighbours
        verdict = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DatabaseCorrupt(f"{source}: its copy does not verify ({verdict}); restore the newest backup")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
