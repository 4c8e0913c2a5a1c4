"""A port for what has to be told one before it listens."""

import os
import socket
from itertools import count

#: Below those the kernel gives away by itself (32768 on Linux), so that none is given to somebody else meanwhile.
FIRST, LAST = 20_000, 32_000
_next = count(os.getpid() * 61)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens at, another each time, and hardly one that another worker of the suite is given."""
    while True:
        port = FIRST + next(_next) % (LAST - FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
