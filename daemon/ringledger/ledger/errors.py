"""What can go wrong with the database, named by who must act.

``LedgerUnavailable`` passes by itself: the writer keeps its changes and tries again. ``LedgerRefused`` costs what
brought the value, which the writer puts aside. ``LeaseLost`` ends the work for that account; a process that has several
goes on with the others. Everything else ends the process; ``exit_code`` is what the command returns then (contract 3).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from sqlalchemy.exc import DataError, IntegrityError, StatementError

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


class LedgerSlow(LedgerUnavailable):
    """The question took longer than its reader may ask."""


class LedgerUnreachable(LedgerUnavailable):
    """The database's server does not answer, or has ended the connection."""


class LedgerReadOnly(LedgerUnavailable):
    """The server lets itself only be read: a standby, until it is made the primary."""


class LedgerUnheard(LedgerUnavailable):
    """The connection was lost while a commit was on its way: whether it has happened is known when there is another."""


class LedgerLocked(LedgerError):
    """Another daemon writes to this database."""

    exit_code = Exit.TRY_AGAIN


class LeaseLost(LedgerError):
    """Another process works for this account: what ours has seen of it and not committed is not written. ``names``: the
    accounts, as the configuration has them."""

    exit_code = Exit.TRY_AGAIN

    def __init__(self, told: str, names: Collection[str] = ()) -> None:
        super().__init__(told)
        self.names = frozenset(names)


class LedgerBroken(LedgerError):
    """A statement failed for a reason that waiting does not cure."""


class DatabaseUnreadable(LedgerBroken):
    """A row holds what no version of this program writes: damage, or a stranger's making."""

    exit_code = Exit.DATA


class LedgerRefused(LedgerError):
    """A value cannot be stored, or is too large to be read; without it, the rest can."""

    exit_code = Exit.DATA


class DatabaseMissing(LedgerError):
    """There is no such database."""

    exit_code = Exit.IO


class DatabaseOffLimits(LedgerError):
    """The file is there, or may be, and the user who runs this may not read it."""

    exit_code = Exit.IO


class DatabaseMisplaced(LedgerError):
    """No database can lie at the path: it is a directory or a device."""

    exit_code = Exit.CONFIG


class DatabaseCorrupt(LedgerError):
    """The file is damaged."""

    exit_code = Exit.DATA


class DatabaseReplaced(LedgerError):
    """The file that is written to is no longer the one the path names."""

    exit_code = Exit.DATA


class DatabaseSetBack(LedgerError):
    """The database lacks what was committed: an older copy has taken its place. A new start goes on from it."""

    exit_code = Exit.TRY_AGAIN


class DatabaseForbidden(LedgerError):
    """The server does not let us in, or not do this."""

    exit_code = Exit.CONFIG


class LedgerPooled(LedgerError):
    """What stands before the server does not leave us our session, and with it our locks."""

    exit_code = Exit.CONFIG


class DatabaseDriverMissing(LedgerError):
    """The program was installed without what talks to this kind of database."""

    exit_code = Exit.CONFIG


class DatabaseForeign(LedgerError):
    """The file belongs to another program, or is no database."""

    exit_code = Exit.DATA


class DatabaseOutdated(LedgerError):
    """The schema is older than the program; ``ringledger db upgrade`` cures it."""

    exit_code = Exit.CONFIG


class DatabaseUnfinished(LedgerError):
    """A copy to this database was broken off."""

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
    9: LedgerSlow,  # SQLITE_INTERRUPT
    10: LedgerFailing,  # SQLITE_IOERR
    11: DatabaseCorrupt,  # SQLITE_CORRUPT
    13: LedgerFull,  # SQLITE_FULL
    14: LedgerFailing,  # SQLITE_CANTOPEN
    18: LedgerRefused,  # SQLITE_TOOBIG
    19: LedgerRefused,  # SQLITE_CONSTRAINT
    20: LedgerRefused,  # SQLITE_MISMATCH
    26: DatabaseForeign,  # SQLITE_NOTADB
}

#: SQL states, by their beginning; the longest that fits counts.
_BY_STATE: Final[dict[str, type[LedgerError]]] = {
    "08": LedgerUnreachable,  # connection exception
    "22": LedgerRefused,  # data exception
    "23": LedgerRefused,  # integrity constraint violation
    "25006": LedgerReadOnly,  # read-only transaction
    "28": DatabaseForbidden,  # invalid authorisation
    "3D": DatabaseMissing,  # no such database
    "40": LedgerBusy,  # transaction rollback: serialisation, deadlock
    "42501": DatabaseForbidden,  # insufficient privilege
    "53": LedgerFailing,  # insufficient resources
    "53100": LedgerFull,  # disk full
    "53300": LedgerUnreachable,  # too many connections: after a restart of the server all come at once
    "54": LedgerRefused,  # program limit exceeded: a value too large for an index
    "55P03": LedgerBusy,  # lock not available
    "57014": LedgerSlow,  # query cancelled: a time-out
    "57P": LedgerUnreachable,  # shutdown, crash, cannot connect now
    "58": LedgerFailing,  # system error
    "XX001": DatabaseCorrupt,
    "XX002": DatabaseCorrupt,
}

#: How the driver's words begin when a text in the file cannot be read; what follows is the text.
_NOT_UTF8: Final = "Could not decode to UTF-8"
#: What a driver says of a value it cannot hand over, before the database has seen it: too large, half a character, a
#: time beyond the years.
REFUSALS: Final = (OverflowError, UnicodeError)


_PRIMARY: Final = "name the primary, or all hosts and target_session_attrs=read-write"


def classified(error: BaseException) -> LedgerError:
    """The error of ours that stands for one of the driver's or of SQLAlchemy's; the original is its cause."""
    original = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    state = getattr(original, "sqlstate", None)
    if isinstance(state, str):
        return _of_state(state, original)
    if type(original).__name__ in _OUT_OF_STEP and type(original).__module__.startswith(_POSTGRESQL):
        return LedgerUnreachable(f"database: {_first_line(original)}")
    if str(original).startswith(_NOT_UTF8):
        return DatabaseUnreadable("database: holds text that is not UTF-8; restore the newest backup")
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        kind = _BY_CODE.get(code & 0xFF, LedgerBroken)
    elif isinstance(original, REFUSALS) or (isinstance(error, (IntegrityError, DataError)) and error.orig is not None):
        return LedgerRefused(f"database: {type(original).__name__} at a value")  # whose text may not be told
    else:
        kind = LedgerBroken
    return kind(f"database: {original}")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Tell by one kind of error that a row holds what none of ours does: ``DatabaseUnreadable``."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise DatabaseUnreadable(f"database: a row of {what} cannot be read ({type(error).__name__})") from error


#: What the driver raises when its connection has ended, or was told so in the middle of something else, or when none of
#: several hosts is one that can be written to: one of them will be.
_OUT_OF_STEP: Final = frozenset({"InterfaceError", "InternalClientError", "TargetServerAttributeNotMatched"})
#: Where the driver of PostgreSQL and its adapter have their errors.
_POSTGRESQL: Final = ("asyncpg", "sqlalchemy.dialects.postgresql")


def _of_state(state: str, original: BaseException) -> LedgerError:
    fitting = [begin for begin in _BY_STATE if state.startswith(begin)]
    kind = _BY_STATE[max(fitting, key=len)] if fitting else LedgerBroken
    if kind is LedgerRefused:  # the text may hold the value
        cause = original.__cause__ if getattr(original, "constraint_name", None) is None else original
        named = getattr(cause, "constraint_name", None) or type(cause or original).__name__
        return LedgerRefused(f"database: {named} at a value")
    if kind is LedgerReadOnly:
        return LedgerReadOnly(f"database: can only be read ({_first_line(original)}): a standby? {_PRIMARY}")
    return kind(f"database: {_first_line(original)}")


def _first_line(error: BaseException) -> str:
    """What went wrong; the lines behind it may hold values."""
    return str(error).partition("\n")[0].rpartition("'>: ")[2]
