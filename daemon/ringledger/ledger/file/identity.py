"""Whether the database that is open is still the one its path names.

What must stay true: nothing here opens or closes the database's file, for closing any descriptor of it would drop the
locks SQLite holds on it. The file cannot be taken for another one: as long as it is open, its inode is not given away.
"""

import os
from pathlib import Path
from typing import Final, Self

from ringledger.ledger.errors import DatabaseReplaced

Identity = tuple[int, int]
#: What the file's name is followed by in the names of all the files that are written to.
SUFFIXES: Final = ("", "-wal")


class Place:
    """The files of a database as they were when it was opened."""

    def __init__(self, path: Path, files: dict[Path, Identity], mode: int) -> None:
        self.path = path
        #: The database's permission bits.
        self.mode = mode
        self._files = files

    @classmethod
    def of(cls, path: Path) -> Self:
        """To be called when the writer has just opened the database. Raises ``DatabaseReplaced``: it has gone."""
        names = [path.with_name(path.name + suffix) for suffix in SUFFIXES]
        try:
            mode = path.stat().st_mode & 0o777
            return cls(path, {name: identity(name.stat()) for name in names if name.exists()}, mode)
        except OSError as error:
            raise DatabaseReplaced(f"{path}: went away while it was opened ({error.strerror}); start again") from error

    def lost(self) -> str:
        """Return what has become of the files, in words; empty: they are where they were, or that is not known."""
        for name, known in self._files.items():
            try:
                if identity(name.stat()) != known:
                    return f"{name}: another file is in its place"
            except (FileNotFoundError, NotADirectoryError):
                return f"{name}: is no longer there"
            except OSError:
                continue
        return ""


def identity(status: os.stat_result) -> Identity:
    """What makes a file that file."""
    return status.st_dev, status.st_ino


def identities(path: Path) -> tuple[Identity | None, ...]:
    """What makes a database, its write-ahead log and that one's index those files; ``None`` for one that is not there.

    Raises ``OSError``: there is no such database, or it must not be looked at.
    """
    found: list[Identity | None] = [identity(path.stat())]
    for suffix in ("-wal", "-shm"):
        try:
            found.append(identity(path.with_name(path.name + suffix).stat()))
        except FileNotFoundError:
            found.append(None)
    return tuple(found)
