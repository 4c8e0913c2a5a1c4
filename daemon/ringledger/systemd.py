"""The service manager's notify protocol: one datagram for each message (sd_notify(3)).

What must stay true: without a manager every call does nothing; telling never fails and never blocks the daemon.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Speaks to the manager that ``NOTIFY_SOCKET`` names. ``watchdog_seconds``: 0 when it wants no keep-alive."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        self._address = env.get("NOTIFY_SOCKET", "")
        ours = env.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
        microseconds = env.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if ours and microseconds.isdecimal() else 0.0

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

    def _send(self, message: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto(message.encode(), address)
