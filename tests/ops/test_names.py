"""A resolver that never answers: the daemon can be asked and stopped all the same."""

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from tests.needs import lacking, needs
from tests.ops.conftest import ringledger

#: One question takes two minutes; `TimeoutStopSec=` of the unit is 35 s.
RESOLVER = "nameserver 127.0.0.77\noptions timeout:30 attempts:4\n"
STOPPED_WITHIN = 15.0


@pytest.fixture
def silent():
    """Takes every question and answers none; gives how many have come."""
    asked = []
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind(("127.0.0.77", 53))
    except OSError:
        made.close()
        lacking("the right to listen as a name server", "run the tests as root")

    def listen():
        while True:
            try:
                asked.append(made.recvfrom(2_000))
            except OSError:
                return

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    yield asked
    made.close()


@needs(shutil.which("unshare"), "unshare", "apt-get install util-linux")
def test_a_name_that_is_never_found_delays_no_stop(tmp_path, silent):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text(RESOLVER)
    through = ["unshare", "-m", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh"]
    if os.geteuid() or subprocess.run([*through, "true"], capture_output=True, check=False).returncode:
        lacking("the right to mount a file over another", "run the tests as root with CAP_SYS_ADMIN")
    settings = {
        "platform.server_url": "https://platform.ringcentral.com", "credentials.client_id": "a",
        "credentials.client_secret": "b", "credentials.jwt": "c", "log.format": "json",
        "database.url": f"sqlite+aiosqlite:///{tmp_path / 'r.db'}",
    }  # fmt: skip
    with ringledger(settings, through=through) as daemon:
        daemon.until(lambda: silent)
        began = time.monotonic()
        daemon.process.terminate()
        assert daemon.wait() == 0
        assert time.monotonic() - began < STOPPED_WITHIN, daemon.lines
