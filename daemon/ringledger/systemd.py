"""The service manager's notify protocol: one datagram for each message (sd_notify(3)), and its store of file
descriptors (sd_pid_notify_with_fds(3), sd_listen_fds(3)), where a few kilobytes of memory outlive us.

What must stay true: without a manager every call does nothing; telling never fails and never blocks the daemon. What
is kept lies in memory alone: never in a file, in the environment or in a message.
"""

import array
import fcntl
import hashlib
import os
import socket
import stat
import struct
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Final

#: The first file descriptor the manager passes.
FIRST_FD: Final = 3
#: Length and checksum stand before a record.
HEADER: Final = struct.Struct(">Q32s")
#: The whole of the memory, of which only what was written takes any: room for the grants of a thousand accounts.
MEMORY_BYTES: Final = 4 * 1024 * 1024
#: F_SEAL_SHRINK and F_SEAL_GROW, which only Linux has.
SEALS: Final = 0x2 | 0x4
#: Newer kernels (6.3) want to be told that nobody will execute it; older ones do not know the flag.
MFD_NOEXEC_SEAL: Final = 0x8


class Notifier:
    """Speaks to the manager that ``NOTIFY_SOCKET`` names. ``watchdog_seconds``: 0 when it wants no keep-alive.

    File descriptors that the manager passes are taken over, and what tells of them is removed from ``env``.
    """

    def __init__(self, env: MutableMapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        self._address = env.get("NOTIFY_SOCKET", "")
        ours = env.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
        microseconds = env.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if ours and microseconds.isdecimal() else 0.0
        self._passed = _passed(env)

    def ready(self) -> None:
        """The start, or a reload, is done."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload begins; :meth:`ready` ends it. The time is what `Type=notify-reload` asks for."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The stop begins."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for people (`systemctl status`)."""
        self._send("STATUS=" + " ".join(text.split()))

    def keep_alive(self) -> None:
        """Every loop has made progress."""
        self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> None:
        """Start or stop takes longer: so long from now at most."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def kept(self, name: str) -> "Kept | None":
        """What the manager keeps under a name; ``None`` when there is no manager."""
        return Kept(self, name, self._passed.pop(name, None)) if self._addressed else None

    def store(self, name: str, descriptor: int) -> bool:
        """Let the manager keep a descriptor beyond our end; whether it was told."""
        return self._send(f"FDSTORE=1\nFDNAME={name}", descriptor)

    def drop(self, name: str) -> None:
        """Let the manager close what it keeps under a name."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")

    @property
    def _addressed(self) -> bool:
        return self._address.startswith(("/", "@"))

    def _send(self, message: str, descriptor: int | None = None) -> bool:
        if not self._addressed:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendmsg([message.encode()], rights, 0, address)
            return True
        return False


class Kept:
    """One record in memory that the manager holds on to while the service is restarted, and drops when it is stopped.

    A record is written by one call, behind its length and checksum: whatever instant we die at, the next process finds
    a whole record or an odd one, never half of one.
    """

    def __init__(self, notifier: Notifier, name: str, descriptor: int | None) -> None:
        self._notifier = notifier
        self._name = name
        self._descriptor = descriptor
        self._stored = descriptor is not None
        self._used = MEMORY_BYTES if self._stored else 0

    def __repr__(self) -> str:
        return f"Kept({self._name!r})"

    def load(self) -> bytes | None:
        """What was saved last; ``None``: nothing. Raises ``ValueError`` when it is damaged, or not ours."""
        if self._descriptor is None:
            return None
        if not _is_ours(self._descriptor):
            self._let_go()
            raise ValueError("not our memory")
        content = os.pread(self._descriptor, MEMORY_BYTES, 0)
        self._used = len(content.rstrip(b"\0"))
        length, checksum = HEADER.unpack_from(content)
        record = content[HEADER.size : HEADER.size + length]
        if checksum != _checksum(length, record):
            raise ValueError("damaged")
        return record or None

    def save(self, record: bytes) -> None:
        """Keep ``record`` instead; one that is too long is not kept, nor is the one before."""
        if len(record) > MEMORY_BYTES - HEADER.size:
            record = b""
        with suppress(OSError):  # without it the next process has to do without, no more
            if self._descriptor is None:
                self._descriptor = _memory(f"ringledger-{self._name}")
            content = HEADER.pack(len(record), _checksum(len(record), record)) + record
            os.pwrite(self._descriptor, content, 0)
            os.pwrite(self._descriptor, bytes(max(0, self._used - len(content))), len(content))  # nothing of the former
            self._used = len(content)
            self._stored = self._stored or self._notifier.store(self._name, self._descriptor)

    def _let_go(self) -> None:
        """The manager has room for one: a stranger makes way for what will be saved."""
        self._notifier.drop(self._name)
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
        self._descriptor, self._stored, self._used = None, False, 0


def _passed(env: MutableMapping[str, str]) -> dict[str, int]:
    """The descriptors the manager passes to this very process, by name. They are not passed on to others."""
    told: Mapping[str, str] = {name: env.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdecimal():
        return {}
    names = told["LISTEN_FDNAMES"].split(":")[: int(told["LISTEN_FDS"])]
    passed = {name: FIRST_FD + place for place, name in enumerate(names)}
    for descriptor in passed.values():
        with suppress(OSError):
            os.set_inheritable(descriptor, False)
    return passed


def _memory(name: str) -> int:
    """Anonymous memory that only its owner may open, and whose size cannot change."""
    try:
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)
    except OSError:
        descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
    os.ftruncate(descriptor, MEMORY_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS | fcntl.F_SEAL_SEAL)
    return descriptor


def _is_ours(descriptor: int) -> bool:
    """Whether it is memory as :func:`_memory` makes it; anything else was not put there by us."""
    try:
        found = os.fstat(descriptor)
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)  # of anything but memory: an error
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False
    owned = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    return owned and found.st_size == MEMORY_BYTES and seals & SEALS == SEALS and access == os.O_RDWR


def _checksum(length: int, record: bytes) -> bytes:
    return hashlib.sha256(length.to_bytes(8, "big") + record).digest()
