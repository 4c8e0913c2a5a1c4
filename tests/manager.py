"""A service manager for one service: reads what it tells, keeps its file descriptors, passes them at its next start.

As systemd does (sd_notify(3), sd_listen_fds(3)): one descriptor at most, handed over as number 3.
"""

import array
import asyncio
import os
import socket
import sys
from pathlib import Path

#: Room for a message, and for more descriptors than anybody sends.
MESSAGE_BYTES, DESCRIPTORS = 65_536, 8
#: Becomes the service under the same process id, with descriptor 3 in its place.
STARTER = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': sys.argv[2]}\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


class Manager:
    """Bound to a datagram socket at ``path``. ``told``: all messages so far; ``store``: descriptors by name."""

    def __init__(self, path: Path, *, room: int = 1) -> None:
        self.told: list[str] = []
        self.store: dict[str, int] = {}
        self._room = room
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    @property
    def environment(self) -> dict[str, str]:
        """What the service has to know."""
        return {"NOTIFY_SOCKET": self._socket.getsockname()}

    def listen(self) -> None:
        """Read from now on, as long as the running loop lives."""
        asyncio.get_running_loop().add_reader(self._socket, self.read)

    def read(self) -> list[str]:
        """Everything told so far."""
        space = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
        while True:
            try:
                message, rights, _flags, _from = self._socket.recvmsg(MESSAGE_BYTES, space)
            except BlockingIOError:
                return self.told
            self.told.append(message.decode())
            self._hear(message.decode().splitlines(), _descriptors(rights))

    def kept(self) -> tuple[str, int] | None:
        """What it keeps for the next start of the service, a name and a descriptor."""
        self.read()
        return next(iter(self.store.items()), None)

    def command(self, command: list[str]) -> tuple[list[str], tuple[int, ...]]:
        """The command that starts the service, and the descriptors it is to inherit."""
        if (kept := self.kept()) is None:
            return command, ()
        name, descriptor = kept
        return [sys.executable, "-I", "-S", "-c", STARTER, str(descriptor), name, *command], (descriptor,)

    def drop(self) -> None:
        """The service has been stopped, not restarted: nothing is kept."""
        self.read()
        while self.store:
            os.close(self.store.popitem()[1])

    def close(self) -> None:
        """The end of the manager."""
        self.drop()
        self._socket.close()

    def _hear(self, lines: list[str], descriptors: list[int]) -> None:
        name = next((line.removeprefix("FDNAME=") for line in lines if line.startswith("FDNAME=")), "stored")
        if "FDSTOREREMOVE=1" in lines and name in self.store:
            os.close(self.store.pop(name))
        for descriptor in descriptors:
            if "FDSTORE=1" in lines and len(self.store) < self._room:
                self.store[name] = descriptor
            else:
                os.close(descriptor)


def _descriptors(rights: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)
