"""Penalties every process of one configuration keeps: a small file tells until when each rate group is closed.

A request within a penalty starts it anew, whichever process sends it (platform page 6); so a daemon and a command that
did not know of each other's refusals would keep each other out for ever. What must stay true: a penalty is extended,
never shortened; an entry that is damaged, of another user and app, or absurdly far away is ignored; a file that cannot
be read or written stops no process, which then keeps its own penalties alone. Instants are wall-clock seconds; no
secret is in the file.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ringledger.clock import wall

#: The longest penalty that is told to others and believed of them, seconds, though one may be longer
#: (``MAX_PENALTY_SECONDS``): a clock may have been set meanwhile.
LONGEST_SECONDS: Final = 900.0
#: As the database: ours to write, the group's to read.
MODE: Final = 0o640
#: Nothing of ours is longer, bytes.
LONGEST_FILE: Final = 4096


class _Kept(msgspec.Struct, frozen=True):
    """The form of the file. ``of``: whose penalties they are; ``blocked_until``: by group, seconds since 1970."""

    of: str
    blocked_until: dict[str, float]


class PenaltyFile:
    """The penalties of one user and app (``mark``), at ``path``. ``wall``: seconds since 1970."""

    def __init__(self, path: Path, mark: str, *, wall: Callable[[], float] = wall) -> None:
        self._path = path
        self._mark = mark
        self._wall = wall

    def left(self, group: str) -> float:
        """Return the seconds of penalty left for ``group``, whichever process caused it."""
        return max(0.0, self._read().get(group, 0.0) - self._wall())

    def extend(self, group: str, seconds: float) -> None:
        """``group`` is closed for so long from now on, if it is not for longer already."""
        kept, until = self._read(), self._wall() + min(seconds, LONGEST_SECONDS)
        if until > kept.get(group, 0.0):
            with suppress(OSError):  # not ours to write to, no such directory, a full disk
                self._write(kept | {group: until})

    def _read(self) -> dict[str, float]:
        """The penalties that are neither over nor absurd."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                kept = msgspec.json.decode(os.read(file, LONGEST_FILE), type=_Kept)
            finally:
                os.close(file)
        except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
            return {}
        now = self._wall()
        possible = {group: until for group, until in kept.blocked_until.items() if now < until <= now + LONGEST_SECONDS}
        return possible if kept.of == self._mark else {}

    def _write(self, penalties: dict[str, float]) -> None:
        """Put a new file in the place of the old one. Raises ``OSError``."""
        made, name = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(made, "wb") as file:
                file.write(msgspec.json.encode(_Kept(self._mark, penalties)))
                os.fchmod(made, MODE)
                if os.geteuid() == 0:  # for a command of root's the daemon must be able to read it
                    owner = self._path.parent.stat()
                    os.fchown(made, owner.st_uid, owner.st_gid)
            Path(name).replace(self._path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
