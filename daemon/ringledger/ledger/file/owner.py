"""Whose the files of a database are: what root makes beside it belongs to whoever the database belongs to, and who is
kept out is told who may read it.

What must stay true: a command that root types leaves nothing the daemon cannot write, nor a copy its owner cannot read.
"""

import os
from pathlib import Path

from ringledger.ledger.errors import DatabaseOffLimits
from ringledger.rights import owner_name, refusal


def refuse_outsider(database: Path) -> None:
    """Raise ``DatabaseOffLimits`` when this process may not read the file, or not get at it: the line says who may, and
    what lets one in. A file that does not exist refuses no user.
    """
    if why := refusal(database):
        raise DatabaseOffLimits(f"{database}: {why}")


def writers_of(database: Path) -> str:
    """What someone does who may not write beside a database. Raises ``OSError``."""
    uid = database.parent.stat().st_uid
    if os.geteuid() in {0, uid}:  # it is not their rights that are in the way
        return "let the user that runs ringledger write there, or set database.url"
    if uid == 0:
        return "run this as root, let the user that runs ringledger write there, or set database.url"
    return f"root and {owner_name(uid)} alone may; run this as root"


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
