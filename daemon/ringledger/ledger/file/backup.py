"""Copies of the database that are whole or not there at all.

SQLite's backup interface copies page by page while the daemon writes; the copy is verified and flushed under a
temporary name before it gets its own.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from ringledger.ledger.errors import DatabaseCorrupt, LedgerFailing, LedgerFull, classified
from ringledger.ledger.file.opening import acting_as_owner
from ringledger.ledger.file.owner import hand_over
from ringledger.ledger.file.sqlite import connect

#: Pages copied in one step; the source is unlocked in between.
PAGES = 2_048


def backup(source: Path, target: Path) -> Path:
    """Copy the database ``source`` to ``target`` (replaced if it exists) and return ``target``.

    Raises ``DatabaseCorrupt`` when the copy does not verify, ``LedgerFull`` or ``LedgerFailing`` when it cannot be
    written; nothing is left behind then.
    """
    try:
        mode = source.stat().st_mode & 0o777
    except OSError as error:
        raise LedgerFailing(f"{source}: {error.strerror}") from error
    with acting_as_owner(target):
        return _whole(partial(_copy_of, source), target, mode, source)


def saved(origin: sqlite3.Connection, target: Path, mode: int) -> Path:
    """As :func:`backup`, from an open connection: its file may have lost its name."""
    return _whole(partial(_copy, origin), target, mode, target.parent)


def _whole(copy: Callable[[Path], None], target: Path, mode: int, owner: Path) -> Path:
    """``owner``: the file or directory whose owner the copy gets when root makes it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        copy(temporary)
        hand_over(temporary, owner)
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
    except sqlite3.Error as error:
        failed = classified(error)
        if isinstance(failed, LedgerFull):  # it is the copy that has no room
            raise LedgerFull(f"{target}: {error}; nothing was copied") from error
        raise failed from error
    except OSError as error:
        raise LedgerFailing(f"{target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _copy_of(source: Path, temporary: Path) -> None:
    with ExitStack() as opened:
        with acting_as_owner(source):
            origin = opened.enter_context(closing(connect(source, read_only=True)))
            origin.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the files beside it, too
        _copy(origin, temporary)


def _copy(origin: sqlite3.Connection, temporary: Path) -> None:
    with closing(sqlite3.connect(temporary)) as copy:
        origin.backup(copy, pages=PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable without its neighbours
        verdict = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DatabaseCorrupt(f"database: its copy does not verify ({verdict}); restore the newest backup")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
