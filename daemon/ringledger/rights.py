"""What a file's owner, group and mode let this process do, in words for a person who is kept out.

What must stay true: nothing is opened; who may read is told as the system decides it, and what lets one in is one step.
"""

import grp
import os
import pwd
from pathlib import Path


def owner_name(uid: int) -> str:
    """The name of a user, or the number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def refusal(path: Path) -> str:
    """Why this process may not read a file, or not get at it: who may, and what lets one in. Empty: it may, or nothing
    is there.
    """
    for directory in reversed(path.absolute().parents):
        if directory.is_dir() and not _allowed(directory, os.X_OK):
            return _admission(directory, 0o010)
    return _admission(path, 0o040) if path.is_file() and not _allowed(path, os.R_OK) else ""


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
