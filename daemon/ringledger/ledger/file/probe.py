"""Whether a daemon holds a database's lock (:mod:`ringledger.ledger.file.lock`), for those who only look.

What must stay true: no lock is taken, not for a moment, for a daemon that starts just then would be refused; "no" is
said only when it is certain.
"""

from pathlib import Path
from typing import Final

from ringledger.ledger.file.lock import holder_in, lock_file

#: The kernel's list of locks, and the name of the machine's own space of processes: from there it shows them all.
_LOCKS: Final = Path("/proc/locks")
_PROCESSES: Final = Path("/proc/self/ns/pid")
_ALL: Final = "pid:[4026531836]"


def holder_of(database: Path) -> int | None:
    """The process that last took the lock, as it has written it down; ``None``: unknown."""
    return holder_in(lock_file(database))


def is_held(database: Path) -> bool | None:
    """Whether a process holds the lock; ``None``: that cannot be told here (no list, a container's view of it, a file
    system that numbers its files twice, a database no daemon ever opened)."""
    try:
        lock = lock_file(database)
        inodes = {str(one.stat().st_ino) for one in (lock, database) if one.exists()}
        holder = holder_in(lock)
        entries = [line.split() for line in _LOCKS.read_text("ascii").splitlines()]
        complete = str(_PROCESSES.readlink()) == _ALL
    except (OSError, ValueError):
        return None
    if any(words[1] == "OFDLCK" and words[3] == "WRITE" and words[5].rpartition(":")[2] in inodes
           for words in entries if len(words) > 5):  # fmt: skip
        return True
    return None if holder is None or not complete or Path("/proc", str(holder)).exists() else False
