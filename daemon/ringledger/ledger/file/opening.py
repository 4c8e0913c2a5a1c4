"""Files in a directory that belongs to a lesser user: opened without following links, and as that user.

Root cares for the database (``db upgrade``, ``db backup``, ``purge``) in a directory that the service's user may change
as he likes. What must stay true: root never opens, truncates, deletes or gives away what another user's link points to.
So a command of root's acts as the directory's owner (:func:`acting_as_owner`), who gains nothing by links of his own,
and what is made belongs to him; and another user's link in the place of one of our files is refused, whoever looks.
"""

import ctypes
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from ringledger.ledger.errors import LedgerFailing

#: The kernel's version of capability sets, and CAP_DAC_READ_SEARCH in them.
_CAPABILITIES: Final = 0x20080522
_READ_SEARCH: Final = 1 << 2


class _User(NamedTuple):
    """Whom the kernel takes this process for."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def present(cls) -> "_User":
        return cls(os.geteuid(), os.getegid(), tuple(os.getgroups()))

    def take(self) -> None:
        """Act as this user from now on; root can come back."""
        os.seteuid(0)
        os.setgroups(self.groups)
        os.setegid(self.gid)
        os.seteuid(self.uid)
        if self.uid != 0:
            _go_on_reading()


def _go_on_reading() -> None:
    """Keep root's right to read: modules are loaded when they are needed, and may lie where only root may look."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("@Ii", _CAPABILITIES, 0)
    sets = ctypes.create_string_buffer(24)
    if libc.capget(header, sets) == 0:
        effective, permitted, *rest = struct.unpack("@6I", sets.raw)
        libc.capset(header, struct.pack("@6I", effective | (permitted & _READ_SEARCH), permitted, *rest))


@contextmanager
def acting_as_owner(path: Path) -> Iterator[None]:
    """Let root act as the lesser user whose directory leads to a file; anybody else goes on as he is."""
    owner = _lesser_owner(path) if os.geteuid() == 0 else None
    if owner is None:
        yield
        return
    before = _User.present()
    owner.take()
    try:
        yield
    finally:
        before.take()


@contextmanager
def _acting_as_root() -> Iterator[None]:
    """Let a command that root started, and that acts as another user, be root again for a moment."""
    before = _User.present()
    if before.uid == 0 or os.getresuid()[2] != 0:
        yield
        return
    _User(0, os.getresgid()[2], before.groups).take()
    try:
        yield
    finally:
        before.take()


def _lesser_owner(path: Path) -> _User | None:
    """Return the first user other than root who may change where a path leads to; ``None``: no user may."""
    above = list(reversed(path.absolute().parents))
    with suppress(OSError):
        for status in (*(one.lstat() for one in above), path.absolute().parent.stat()):
            if status.st_uid != 0:
                return _User(status.st_uid, status.st_gid, tuple(_groups_of(status.st_uid, status.st_gid)))
    return None


def _groups_of(user: int, group: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]


def open_own(path: Path, flags: int, mode: int = 0o640) -> int:
    """Open a file of ours by its own name: no link, nothing but an ordinary file.

    Returns the descriptor. Raises ``OSError`` as ``os.open`` does, and ``LedgerFailing`` for what is no file of ours.
    """
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or not _trusted(status.st_uid, path):
        os.close(handle)
        raise LedgerFailing(f"{path}: is no file of ours (a link, or another user's); remove it")
    return handle


def refuse_link(path: Path) -> None:
    """Raise ``LedgerFailing`` for a link made by a user other than root and the one who runs this command."""
    try:
        status = path.lstat()
    except OSError:
        return
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in {0, os.getresuid()[2]}:
        raise LedgerFailing(f"{path}: is a link another user has put there; remove it")


def _trusted(user: int, path: Path) -> bool:
    """Whether a file of that user may lie there: ours, root's, or that of the directory's owner."""
    return user in {0, os.geteuid()} or user == path.parent.stat().st_uid


@contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that a person named, to be written anew. Raises ``OSError``.

    In a directory of a lesser user root writes as that user.
    """
    with _acting_as_root(), acting_as_owner(path):
        file = path.open("wb")
    with file:
        yield file
