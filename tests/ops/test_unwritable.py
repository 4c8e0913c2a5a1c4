"""A file system under a running daemon that cannot be written any more: it says so, and claims to have seen nothing."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringledger.simulator import SimClock
from tests.needs import lacking
from tests.ops.conftest import Platform, environment, ringledger
from tests.ops.test_disk_full import fill

NEEDS = "the right to mount a file system from a file", "run the tests as root with loop devices, and install e2fsprogs"


def run(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))


@contextmanager
def ext4(path):
    """A file system of its own that becomes read-only when it finds an error."""
    image = path.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    path.mkdir()
    made = os.geteuid() == 0 and run("mkfs.ext4", "-q", "-F", str(image))
    if not made or made.returncode:
        lacking(*NEEDS)
    if run("mount", "-o", "loop,errors=remount-ro", str(image), str(path)).returncode:
        lacking(*NEEDS)
    try:
        yield path
    finally:
        run("umount", "-l", str(path))


def read_only(path):
    """An error of the disk: open files stay open, nothing is written to them any more."""
    device = Path(run("df", "--output=source", str(path)).stdout.split()[-1]).name
    switch = Path("/sys/fs/ext4", device, "trigger_fs_error")
    if not switch.exists():
        lacking("a kernel that lets ext4 fail on demand", "Linux 4.17 or newer")
    switch.write_text("a test")


def full(path):
    fill(path / "ballast")


@pytest.fixture
def platform():
    made = Platform(SimClock())
    yield made
    made.stop()


def covered(settings):
    """What `coverage` says of the last seconds: its exit code and rows."""
    command = [sys.executable, "-m", "ringledger", "--json", "coverage", "--since", "30s"]
    ended = subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)
    assert ended.returncode in {0, 1}, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def unwritten(settings):
    """The answer of `coverage` if it names what cannot be written."""
    code, rows = covered(settings)
    return (code, rows) if any(row["cause"] == "what was seen cannot be written" for row in rows) else None


@pytest.mark.parametrize("trouble", [read_only, full])
def test_unwritten_sight_is_none(platform, tmp_path, trouble):
    with ext4(tmp_path / "disk") as disk:
        settings = platform.settings(disk / "r.db", feed__transport="websocket")
        platform.office(calls_per_hour=7_200)
        with ringledger(settings) as daemon:
            daemon.ready()
            daemon.until(lambda: len(daemon.named("call.opened")) > 2)
            trouble(disk)
            daemon.until(lambda: daemon.named("store.full") or daemon.named("store.retrying"))
            # Not at once: for some seconds what a commit is late with may still come.
            code, rows = daemon.until(lambda: unwritten(settings))
            assert (code, rows[-1]["state"]) == (1, "unknown")
            told = daemon.named("store.full") + daemon.named("store.retrying")
            assert len(told) == 1
            if trouble is full:
                (disk / "ballast").unlink()
                daemon.until(lambda: daemon.named("store.recovered"))
                daemon.until(lambda: not unwritten(settings), seconds=30)
            daemon.process.terminate()
            assert daemon.wait() == 0
        assert not [line for line in daemon.lines if "Traceback" in line]
