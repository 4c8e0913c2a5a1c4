"""What can go wrong with the database, named by who must act.

``LedgerUnavailable`` passes by itself: the writer keeps its changes and tries again. Everything else ends the
process; ``exit_code`` is what the command returns then (contract 3).
"""

from typing import ClassVar

from sqlalchemy.exc import DBAPIError

from ringledger.exits import Exit


class LedgerError(Exception):
    """The database cannot do what was asked. The text is one line: what, where, what to do."""

    exit_code: ClassVar[int] = Exit.INTERNAL


class LedgerUnavailable(LedgerError):
    """Not now: nothing was written, the same changes may be committed again."""

    exit_code = Exit.TRY_AGAIN


class LedgerBusy(LedgerUnavailable):
    """Somebody else holds the write lock."""


class LedgerFull(LedgerUnavailable):
    """No space left."""


class LedgerFailing(LedgerUnavailable):
    """The file system answers with errors (or refuses to write)."""

    exit_code = Exit.IO


class LedgerLocked(LedgerError):
    """Another daemon writes to this database."""

    exit_code = Exit.TRY_AGAIN


class LedgerBroken(LedgerError):
    """A statement failed for a reason that waiting does not cure."""


class DatabaseMissing(LedgerError):
    """There is no such database."""

    exit_code = Exit.IO


class DatabaseMisplaced(LedgerError):
    """The path is none that could ever hold a database: a directory, a device."""

    exit_code = Exit.CONFIG


class DatabaseCorrupt(LedgerError):
    """The file is damaged."""

    exit_code = Exit.DATA


class DatabaseReplaced(LedgerError):
    """The file that is written to is no longer the one the path names."""

    exit_code = Exit.DATA


class DatabaseForeign(LedgerError):
    """The file belongs to another program, or is no database."""

    exit_code = Exit.DATA


class DatabaseOutdated(LedgerError):
    """The schema is older than the program; ``ringledger db upgrade`` cures it."""

    exit_code = Exit.CONFIG


class DatabaseNewer(LedgerError):
    """The schema is newer than the program."""

    exit_code = Exit.CONFIG


#: SQLite's primary result codes (the low byte of ``sqlite_errorcode``).
_BY_CODE: dict[int, type[LedgerError]] = {
    5: LedgerBusy,  # SQLITE_BUSY
    6: LedgerBusy,  # SQLITE_LOCKED
    7: LedgerFailing,  # SQLITE_NOMEM
    8: LedgerFailing,  # SQLITE_READONLY
    10: LedgerFailing,  # SQLITE_IOERR
    11: DatabaseCorrupt,  # SQLITE_CORRUPT
    13: LedgerFull,  # SQLITE_FULL
    14: LedgerFailing,  # SQLITE_CANTOPEN
    26: DatabaseForeign,  # SQLITE_NOTADB
}


def classified(error: BaseException) -> LedgerError:
    """The error of ours that stands for one of the driver's or of SQLAlchemy's; the original is its cause."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(original, "sqlite_errorcode", None)
    kind = LedgerBroken if code is None else _BY_CODE.get(code & 0xFF, LedgerBroken)
    return kind(f"database: {original}")
