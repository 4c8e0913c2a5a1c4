"""One daemon per database: locks on the database's own file and on a file next to it, released by the kernel however
the process ends.

The lock on the database's file is what counts: removing or replacing the file next to it lets no second daemon
in. That one says who writes, to those who only look. What must stay true: only somebody who may write can hold such a
lock against a daemon; the locks SQLite holds are not disturbed, so the descriptor of the database stays open as long as
any connection of this process does, for closing any descriptor of a file drops the process's own locks on it; the lock
file is never removed.
"""

import errno
import fcntl
import os
import struct
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ringledger.ledger.errors import LedgerFailing, LedgerLocked
from ringledger.ledger.file.identity import identity
from ringledger.ledger.file.opening import open_own, refuse_link
from ringledger.ledger.file.owner import refuse_outsider, writers_of
from ringledger.rights import owner_name

#: The byte of either file that is locked, far from those SQLite locks (from 2**30 on, 512 bytes).
BYTE: Final = 2**62
#: struct flock: type, whence, start, length, process.
_FLOCK: Final = struct.Struct("@hhqqi4x")


class DaemonLock:
    """Held from construction to :meth:`release`. Raises ``LedgerLocked`` naming the process that holds it."""

    def __init__(self, database: Path) -> None:
        self.path = lock_file(database)
        self._held: list[int] = []
        try:
            refuse_link(database)
            with suppress(FileNotFoundError):  # at the first start there is nothing yet to write to
                self._take(os.open(database, os.O_RDWR | os.O_CLOEXEC), database)
            self._take(open_own(self.path, os.O_RDWR | os.O_CREAT), database)
            os.ftruncate(self._held[-1], 0)
            os.pwrite(self._held[-1], f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self.release()
            remedy = _remedy(error, database)
            raise LedgerFailing(f"{database.parent}: cannot be written to ({error.strerror}); {remedy}") from error
        except BaseException:
            self.release()
            raise

    def _take(self, handle: int, database: Path) -> None:
        """Lock an open file, and keep it open."""
        self._held.append(handle)
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, BYTE, 1, 0)
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)
        except (BlockingIOError, PermissionError) as error:
            kind = _FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_OFD_GETLK, wanted))[0]
            if kind == fcntl.F_RDLCK:
                return  # held by a user who may only read: that is no daemon, and keeps none out
            raise LedgerLocked(f"{database}: {_who(self.path)}; stop that one first") from error

    @staticmethod
    def writes_elsewhere(database: Path) -> int | None:
        """The process that holds the lock and a database open, but not the one at this path; ``None``: all is well,
        or it cannot be known (no ``/proc``, another user's process). Takes no lock and opens no database.
        """
        lock = lock_file(database)
        holder = holder_in(lock)
        try:
            held = [one for one in Path(f"/proc/{holder}/fd").iterdir() if one.exists()]
            files = {identity(one.stat()) for one in held}
            writing = any(str(one.readlink()).startswith(f"{database}-wal") for one in held)
            locked = identity(lock.stat()) in files
            there = database.exists() and identity(database.stat()) in files
        except OSError:
            return None
        return holder if locked and writing and not there else None

    def release(self) -> None:
        """Let the next one in. Releasing twice is harmless."""
        while self._held:
            os.close(self._held.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _remedy(error: OSError, database: Path) -> str:
    """What helps who cannot write beside the database. Raises ``DatabaseOffLimits`` for who may not even read it."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        refuse_outsider(database)
        with suppress(OSError):
            return writers_of(database)
    return "let the user that runs ringledger write there, or set database.url"


def refuse_second(database: Path) -> None:
    """Raise ``LedgerLocked`` while another process holds the lock: before an address it listens to is asked for.

    Raises ``DatabaseOffLimits`` for who may not read the database."""
    refuse_outsider(database)
    if database.with_name(f"{database.name}.lock").exists():
        DaemonLock(database).release()


def _program_of(process: str) -> str:
    """The command and the user of a process, as far as they can be seen: ` (ringledger run, user ringledger)`."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        owner = owner_name(Path(f"/proc/{process}").stat().st_uid)
        owner = owner if owner.startswith("user ") else f"user {owner}"  # who has no name is told by a number
    except OSError:
        return ""
    start = next((n for n, word in enumerate(words) if Path(word).name in {"ringledger", "__main__.py"}), None)
    named = words[start + 1 : start + 2] if start is not None else []
    return f" ({' '.join(['ringledger', *named])}, {owner})" if named and named[0] else f" ({owner})"


def _who(lock: Path) -> str:
    """Who writes, and since when, as far as the lock file tells."""
    holder = holder_in(lock)
    if holder is None:
        return "another process writes to it"
    since = datetime.fromtimestamp(lock.stat().st_mtime).astimezone()
    return f"process {holder}{_program_of(str(holder))} writes to it since {since:%m-%d %H:%M:%S}"


def lock_file(database: Path) -> Path:
    """The file next to the database that says who writes."""
    return database.with_name(f"{database.name}.lock")


def holder_in(lock: Path) -> int | None:
    """The process that a lock file names; ``None``: it names none."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return int(os.read(handle, 32))
    except (OSError, ValueError):
        return None
    finally:
        os.close(handle)
