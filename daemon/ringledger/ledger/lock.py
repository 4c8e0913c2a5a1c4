"""One daemon per database: an advisory lock on a file next to it, released by the kernel however the process ends.

What must stay true: the lock file is never removed (two processes could then each lock their own).
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ringledger.ledger.errors import LedgerFailing, LedgerLocked
from ringledger.ledger.place import identity


class DaemonLock:
    """Held from construction to :meth:`release`. Raises ``LedgerLocked`` naming the process that holds it."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.lock")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            remedy = "let the user that runs ringledger write there, or set database.url"
            raise LedgerFailing(f"{database.parent}: cannot be written to ({error.strerror}); {remedy}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise LedgerLocked(f"{database}: process {holder} writes to it; stop that one first") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    @staticmethod
    def writes_elsewhere(database: Path) -> int | None:
        """The process that holds the lock and a database open, but not the one at this path; ``None``: all is well,
        or it cannot be known (no ``/proc``, another user's process). Takes no lock and opens no database.
        """
        lock = database.with_name(f"{database.name}.lock")
        try:
            holder = int(lock.read_text())
            held = [one for one in Path(f"/proc/{holder}/fd").iterdir() if one.exists()]
            files = {identity(one.stat()) for one in held}
            writing = any(str(one.readlink()).startswith(f"{database}-wal") for one in held)
            locked = identity(lock.stat()) in files
            there = database.exists() and identity(database.stat()) in files
        except (OSError, ValueError):
            return None
        return holder if locked and writing and not there else None

    def release(self) -> None:
        """Let the next one in. Releasing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
