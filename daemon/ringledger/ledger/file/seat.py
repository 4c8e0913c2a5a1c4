"""A daemon's seat on its machine: a file beside its socket, locked while it runs, that names the token it writes under.

The kernel lets go of the lock however the process ends, so who gets it knows that whoever sat there before is dead, and
need not wait for what that one held. What must stay true: nothing depends on it but how soon an account is taken over;
a file that came from another machine (its folder was moved, or is shared) names nobody; the file is never removed.
"""

import fcntl
import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ringledger.ledger.file.opening import open_own

#: struct flock: type, whence, start, length, process.
_FLOCK: Final = struct.Struct("@hhqqi4x")
#: No token is so long.
_LONGEST: Final = 512


class Seat:
    """Held from construction to :meth:`leave`. ``former``: the token of whoever sat there and is dead; empty: that is
    not known, or the seat is taken, or there is no place for one."""

    def __init__(self, path: Path) -> None:
        self.former = ""
        self._handle: int | None = None
        try:
            handle = open_own(path, os.O_RDWR | os.O_CREAT)
        except OSError:
            return
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            token, _, machine = os.pread(handle, _LONGEST, 0).decode("ascii", "replace").strip().partition(" on ")
        except OSError:
            os.close(handle)
            return
        self._handle = handle
        self.former = token if machine == socket.gethostname() else ""

    def sit(self, token: str) -> None:
        """From now on this process writes under that token."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{token} on {socket.gethostname()}\n".encode("ascii", "replace"), 0)

    def leave(self) -> None:
        """Let the next one sit down. Leaving twice is harmless."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
