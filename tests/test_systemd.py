"""The notify protocol, read from a bound datagram socket as the service manager does."""

import os
import socket
import time

import pytest

from ringledger.systemd import Notifier


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(5)
        yield bound


def notifier(manager, **env):
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), **env})


def test_each_message_is_one_datagram(manager):
    ours = notifier(manager)
    ours.ready()
    ours.status("3 extensions,\n2 calls open")
    ours.keep_alive()
    ours.extend_timeout(60)
    ours.stopping()
    assert [manager.recv(4096) for _ in range(5)] == [
        b"READY=1",
        b"STATUS=3 extensions, 2 calls open",
        b"WATCHDOG=1",
        b"EXTEND_TIMEOUT_USEC=60000000",
        b"STOPPING=1",
    ]


def test_a_reload_tells_the_time_it_began(manager):
    before = time.monotonic_ns() // 1000
    notifier(manager).reloading()
    first, second = manager.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


def test_an_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.settimeout(5)
        bound.bind(f"\0ringledger-test-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@ringledger-test-{os.getpid()}"}).ready()
        assert bound.recv(4096) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nobody/listens/here", "nonsense"])
def test_without_a_manager_nothing_happens(address):
    Notifier({"NOTIFY_SOCKET": address}).ready()


def test_a_manager_that_does_not_read_never_blocks_us(manager):
    ours = notifier(manager)
    for _ in range(10_000):
        ours.keep_alive()
    assert manager.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "60000000"}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_the_keep_alive_the_manager_wants(env, seconds):
    assert Notifier(env).watchdog_seconds == seconds
