"""Whose the files of a database are: what root makes beside it belongs to whoever the database belongs to, and who is
kept out is told who may read it.

What must stay true: a command that root types leaves nothing the daemon cannot write, nor a copy its owner cannot read.
"""

import grp
import os
import pwd
from pathlib import Path

from ringledger.ledger.errors import DatabaseOffLimits


def owner_name(uid: int) -> str:
    """The name of a user, or the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def refuse_outsider(database: Path) -> None:
    """Raise ``DatabaseOffLimits`` when this process may not read the file, or not get at it: the line says who may, and
    what lets one in. A file that is not there refuses nobody.
    """
    for directory in reversed(database.absolute().parents):
        if directory.is_dir() and not _allowed(directory, os.X_OK):
            raise DatabaseOffLimits(f"{database}: {_admission(directory, 0o010)}")
    if database.is_file() and not _allowed(database, os.R_OK):
        raise DatabaseOffLimits(f"{database}: {_admission(database, 0o040)}")


def writers_of(database: Path) -> str:
    """What someone does who may not write beside a database. Raises ``OSError``."""
    uid = database.parent.stat().st_uid
    if os.geteuid() in {0, uid}:  # it is not their rights that are in the way
        return "let the user that runs ringledger write there, or set database.url"
    if uid == 0:
        return "run this as root, let the user that runs ringledger write there, or set database.url"
    return f"root and {owner_name(uid)} alone may; run this as root"


def may_write(path: Path) -> bool:
    """Whether this process may write a file, or make files in a directory."""
    return _allowed(path, os.W_OK)


def _allowed(path: Path, wanted: int) -> bool:
    return os.access(path, wanted, effective_ids=True)


def _admission(closed: Path, group_right: int) -> str:
    """Who may pass a file or directory that is closed to this process, and what this process's user does to get in."""
    status = closed.stat()
    owner = owner_name(status.st_uid)
    if status.st_gid == 0 or not status.st_mode & group_right:
        return f"only {owner} may read it; run this as {owner if owner == 'root' else f'root or {owner}'} (sudo)"
    who = f"only {owner} and the members of the group {_group_name(status.st_gid)} may read it"
    return f"{who}; {_way_in(status.st_gid)}"


def _way_in(gid: int) -> str:
    group = _group_name(gid)
    try:
        me = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        me = "NAME"
    if me in _members(gid):
        return f"{me} has become one since this login: log in again (or newgrp {group})"
    return f"let root type `usermod --append --groups {group} {me}`, then log in again"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _members(gid: int) -> list[str]:
    try:
        return grp.getgrgid(gid).gr_mem
    except KeyError:
        return []


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
