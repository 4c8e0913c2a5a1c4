"""Whose the files of a database are: what root makes beside it belongs to whoever the database belongs to.

What must stay true: a command that root types leaves nothing the daemon cannot write, nor a copy its owner cannot read.
"""

import os
import pwd
from pathlib import Path


def owner_name(uid: int) -> str:
    """The name of a user, or the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def hand_over(made: Path | int, database: Path) -> None:
    """Give a file (or open descriptor) that root has made to the owner of the database, or of the directory it is to
    stand in. Does nothing for other users: what they make is theirs. Raises ``OSError``.
    """
    if os.geteuid() != 0:
        return
    whose = database.stat() if database.exists() else database.parent.stat()
    now = os.fstat(made) if isinstance(made, int) else made.lstat()
    if (now.st_uid, now.st_gid) == (whose.st_uid, whose.st_gid):
        return  # a sandbox may forbid even a change that changes nothing
    if isinstance(made, int):
        os.fchown(made, whose.st_uid, whose.st_gid)
    else:
        os.chown(made, whose.st_uid, whose.st_gid, follow_symlinks=False)
