"""The notify protocol, read from a bound datagram socket as the service manager does, and what it keeps for us."""

import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringledger.systemd import HEADER, MEMORY_BYTES, Kept, Notifier
from tests.manager import Manager


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


# -- what the manager keeps --------------------------------------------------------------------------------------

#: A service that says what it was left, leaves what it is told to, and shows what it would pass on to others.
SERVICE = """
import os, sys
from ringledger.systemd import Notifier
kept = Notifier().kept("session")
try:
    print("left", kept.load())
except ValueError as odd:
    print("odd", odd)
for record in sys.argv[1:]:
    kept.save(record.encode())
print("told", sorted(name for name in os.environ if name.startswith("LISTEN_")))
print("inherits", os.path.exists("/proc/self/fd/3") and os.get_inheritable(3))
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def keeper(tmp_path):
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def run(keeper, *records, **env):
    command, passed = keeper.command([sys.executable, "-u", "-c", SERVICE, *records])
    environment = {**os.environ, **keeper.environment, **env}
    done = subprocess.run(command, env=environment, pass_fds=passed, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    keeper.read()
    return done.stdout.splitlines()


def test_a_record_outlives_the_process_that_saved_it(keeper):
    assert run(keeper, "first", "second")[0] == "left None"
    assert run(keeper)[0] == "left b'second'"
    assert run(keeper, "third", "")[0] == "left b'second'"
    assert run(keeper)[0] == "left None"
    assert keeper.told == ["FDSTORE=1\nFDNAME=session"]  # once: the manager keeps it, however often it is written


def test_what_is_kept_is_not_passed_on(keeper):
    run(keeper, "secret")
    assert run(keeper)[1:] == ["told []", "inherits False"]


def test_a_service_that_was_stopped_has_nothing_left(keeper):
    run(keeper, "secret")
    keeper.drop()
    assert run(keeper)[0] == "left None"


def test_nothing_of_the_record_is_in_the_message(keeper):
    run(keeper, "secret")
    assert not any("secret" in one for one in keeper.told)


def memory(keeper):
    return Path(f"/proc/self/fd/{keeper.store['session']}")


def test_the_memory_is_its_owners_and_its_size_is_fixed(keeper):
    run(keeper, "secret")
    assert memory(keeper).stat().st_mode & 0o777 == 0o600
    assert str(memory(keeper).readlink()).startswith("/memfd:ringledger-session")
    for size in (0, MEMORY_BYTES + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(keeper.store["session"], size)


@pytest.mark.parametrize("cut", [HEADER.size + 3, HEADER.size, HEADER.size - 1, 8])
def test_a_write_that_was_cut_is_noticed_and_mended_by_the_next(keeper, cut):
    run(keeper, "a record of some length")
    after = Kept(Notifier(keeper.environment), "session", os.dup(keeper.store["session"]))
    before = os.pread(keeper.store["session"], HEADER.size + 100, 0)
    after.save(b"another one, which is somewhat longer")
    torn = os.pread(keeper.store["session"], cut, 0) + before[cut:]
    os.pwrite(keeper.store["session"], torn, 0)
    assert run(keeper, "whole")[0] == "odd damaged"
    assert run(keeper)[0] == "left b'whole'"


def test_every_single_damaged_byte_is_noticed(keeper):
    run(keeper, "record")
    kept = Kept(Notifier({}), "session", os.dup(keeper.store["session"]))
    content = os.pread(keeper.store["session"], HEADER.size + 6, 0)
    for place in range(len(content)):
        os.pwrite(keeper.store["session"], bytes([content[place] ^ 1]), place)
        with pytest.raises(ValueError, match="damaged"):
            kept.load()
        os.pwrite(keeper.store["session"], content, 0)
    assert kept.load() == b"record"


def strangers(tmp_path):
    (tmp_path / "file").write_bytes(bytes(MEMORY_BYTES))
    unsealed = os.memfd_create("any", os.MFD_CLOEXEC)
    os.ftruncate(unsealed, MEMORY_BYTES)
    small = os.memfd_create("any", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(small, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return {
        "a file": os.open(tmp_path / "file", os.O_RDWR),
        "memory anybody may resize": unsealed,
        "memory of another size": small,
        "a directory": os.open(tmp_path, os.O_RDONLY),
        "a socket": socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(),
        "a device": os.open(os.devnull, os.O_RDWR),
    }


def test_anything_that_we_did_not_make_is_refused_and_replaced(keeper, tmp_path):
    for what, descriptor in strangers(tmp_path).items():
        keeper.store["session"] = descriptor
        assert run(keeper, "ours")[0] == "odd not our memory", what
        assert run(keeper)[0] == "left b'ours'", what
        keeper.drop()


def test_memory_opened_for_reading_alone_is_refused(keeper):
    run(keeper, "record")
    again = os.open(memory(keeper), os.O_RDONLY)
    keeper.drop()
    keeper.store["session"] = again
    assert run(keeper)[0] == "odd not our memory"


def test_what_is_meant_for_another_process_is_left_alone():
    env = {"NOTIFY_SOCKET": "/nobody", "LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "session"}
    assert Notifier(env).kept("session").load() is None
    assert env == {"NOTIFY_SOCKET": "/nobody"}


@pytest.mark.parametrize("count", ["", "no", "-1", "0"])
def test_a_count_that_is_none_means_that_nothing_is_passed(count):
    env = {"NOTIFY_SOCKET": "/x", "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": "session"}
    assert Notifier(env).kept("session").load() is None


def test_a_descriptor_that_was_told_of_and_is_not_there_is_refused():
    names = ":".join(["other"] * 900 + ["session"])
    env = {"NOTIFY_SOCKET": "/x", "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "901", "LISTEN_FDNAMES": names}
    kept = Notifier(env).kept("session")
    with pytest.raises(ValueError, match="not our memory"):
        kept.load()


def test_without_a_manager_nothing_is_kept():
    assert Notifier({}).kept("session") is None


def test_a_record_too_long_to_keep_is_not_kept_and_nothing_older_comes_back(keeper):
    kept = Notifier(keeper.environment).kept("session")
    kept.save(b"first")
    kept.save(bytes(MEMORY_BYTES - HEADER.size))
    assert kept.load() == bytes(MEMORY_BYTES - HEADER.size)
    kept.save(bytes(MEMORY_BYTES))
    assert kept.load() is None


@pytest.mark.parametrize("later", [b"", b"short", bytes(MEMORY_BYTES)])
def test_nothing_of_a_longer_record_is_left_behind_a_shorter_one(keeper, later):
    kept = Notifier(keeper.environment).kept("session")
    kept.save(b"a token that was given back " * 9)
    kept.save(later)
    assert b"given back" not in os.pread(kept._descriptor, MEMORY_BYTES, 0)


def test_a_manager_that_did_not_hear_is_told_again(keeper):
    kept = Notifier(keeper.environment).kept("session")
    ours = Notifier(keeper.environment)
    for _ in range(10_000):
        ours.keep_alive()
    kept.save(b"first")
    keeper.read()
    assert not keeper.store
    kept.save(b"second")
    assert run(keeper)[0] == "left b'second'"


def test_the_unit_has_room_for_what_the_daemon_leaves():
    unit = Path(__file__).resolve().parents[1] / "systemd" / "ringledger.service"
    assert "FileDescriptorStoreMax=1" in unit.read_text().splitlines()


def test_a_record_never_shows(keeper):
    kept = Notifier(keeper.environment).kept("session")
    kept.save(b"secret")
    assert repr(kept) == "Kept('session')"
