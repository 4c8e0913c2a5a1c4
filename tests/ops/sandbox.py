"""Runs a program as the unit confines it, without systemd: `python -m tests.ops.sandbox UNIT PROGRAM…`.

The unit's ``SystemCallFilter`` and ``RestrictAddressFamilies`` become a seccomp filter (libseccomp) that answers with
``SystemCallErrorNumber``, and ``MemoryDenyWriteExecute`` becomes the kernel's own flag; both outlive the exec. What
must stay true: the allowed calls are the groups of systemd itself, as `systemd-analyze syscall-filter` lists them.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE, PR_GET_MDWE = 65, 66
PR_MDWE_REFUSE_EXEC_GAIN = 1
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO = 0x7FFF0000, 0x00050000
SCMP_CMP_EQ = 4
UNKNOWN = -1


class Comparison(ctypes.Structure):
    """libseccomp's ``scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("mask", ctypes.c_uint64),
    )


def members(group: str) -> set[str]:
    """The system calls of a group, groups within it resolved."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    names = [line.strip() for line in listed.stdout.splitlines()[1:]]
    found: set[str] = set()
    for name in names:
        if name and not name.startswith("#"):
            found |= members(name) if name.startswith("@") else {name}
    return found


def allowed(filters: list[str]) -> set[str]:
    """What is left after a unit's ``SystemCallFilter`` lines, in their order."""
    found: set[str] = set()
    for line in filters:
        named: set[str] = set()
        for word in line.removeprefix("~").split():
            named |= members(word) if word.startswith("@") else {word}
        found = found - named if line.startswith("~") else found | named
    # systemd itself adds what every program needs to begin and to end.
    return found | members("@default")


def library() -> str | None:
    """The name of libseccomp; ``None``: it is not installed."""
    return find_library("seccomp")


def old_kernel() -> bool:
    """Whether it is from before 6.3 and does not know how to refuse write and execute."""
    return ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0


def confine(calls: set[str], families: list[str], refusal: int) -> None:
    """From here on this process and its children may make only these calls, and sockets of these families."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_NO_NEW_PRIVS, 1), (PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    seccomp = ctypes.CDLL(library())
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(SCMP_ACT_ERRNO | refusal))
    rules: list[tuple[str, int, Comparison | None]] = [(call, 0, None) for call in sorted(calls - {"socket"})]
    rules += [("socket", 1, Comparison(0, SCMP_CMP_EQ, getattr(socket, name), 0)) for name in families]
    for call, count, comparison in rules:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number != UNKNOWN:
            compared = None if comparison is None else ctypes.byref(comparison)
            seccomp.seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, count, compared)
    if seccomp.seccomp_load(context) != 0:
        raise OSError("the filter was not accepted")


def main(unit: Path, program: list[str]) -> None:
    lines = [line.partition("=") for line in unit.read_text().splitlines()]
    values = {name: value for name, _, value in lines}
    if values["MemoryDenyWriteExecute"] != "yes":
        raise SystemExit("the unit does not refuse write and execute")
    filters = [value for name, _, value in lines if name == "SystemCallFilter"]
    families = values["RestrictAddressFamilies"].split()
    confine(allowed(filters), families, getattr(errno, values["SystemCallErrorNumber"]))
    os.execv(program[0], program)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
