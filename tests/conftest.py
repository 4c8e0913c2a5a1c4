"""Fixtures for every test: the log in strict mode, and a look at what was logged."""

import asyncio
import gc
import getpass
import io
import json
import logging
import os
import queue
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from ringledger.observability.logging import configure_logging
from tests.needs import lacking
from tests.order import spread
from tests.postgresql import server as postgresql
from tests.virtual_time import JumpingLoop

ROOT = Path(__file__).resolve().parent.parent

#: Random examples of each property; `make properties` asks for more.
EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, max_examples=EXAMPLES)
hypothesis_settings.register_profile("dev", deadline=None, max_examples=EXAMPLES)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "dev")


class LogLines:
    """What was logged in this test, as a reader of the JSON sees it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self._read: list[dict[str, Any]] = []
        self._end = 0

    def all(self) -> list[dict[str, Any]]:
        """Each line is parsed once: tests ask again and again while they wait."""
        lines, rest, _ = self.stream.getvalue()[self._end :].rpartition("\n")
        self._end += len(lines) + len(rest)
        self._read += [json.loads(line) for line in lines.splitlines()]
        return list(self._read)

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["event"] == event]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.all()]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


#: Most letters of TMPDIR and the user's name together. A socket's address has 107 at most: pytest's folders and the
#: names of a test and of its socket take the rest.
ROOM = 20
#: A file system in memory, where it is no matter how long a disk takes to confirm what is written; and how much of it
#: has to be free, bytes: twice what the whole suite writes. Only what failed leaves its folder behind.
MEMORY = Path("/dev/shm")
ENOUGH = 2 << 30


def _in_memory() -> bool:
    """Whether the tests' folders have room in memory, where a program that a test makes can also be started."""
    if not os.access(MEMORY, os.W_OK):
        return False
    there = os.statvfs(MEMORY)
    return there.f_bavail * there.f_frsize >= ENOUGH and not there.f_flag & os.ST_NOEXEC


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """What is imported for the tests stays: looking through it for garbage took a quarter of the collection.

    A shell ignores SIGINT for what it starts in the background, and every process of a test would inherit that.
    """
    if not hasattr(config, "workerinput") and config.option.basetemp is None:
        place = str(MEMORY) if _in_memory() else tempfile.gettempdir()
        if len(os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place) + getpass.getuser()) > ROOM:
            config.option.basetemp = tempfile.mkdtemp(prefix="rl-")
            config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    gc.disable()
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several workers begin with what takes longest."""
    if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = spread(items, workers, lambda item: item.path.as_posix().removeprefix(f"{ROOT}/tests/"))


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # the daemon's own: what it makes dies without a search
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a test needs and this machine lacks is a reason to skip it, but not where every test has to run."""
    for mark in item.iter_markers("needs"):
        there, what, cure = mark.args
        if not there:
            lacking(what, cure)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """Whole daemons, feeds and the simulator run on virtual time; what is marked does as its mark says, and what works
    with a server lives in the server's time.
    """
    room = item.path.relative_to(ROOT / "tests").parts[0]
    virtual = bool(item.get_closest_marker("virtual_time")) or (
        room in {"service", "ringcentral", "simulator", "observability"} and not item.get_closest_marker("real_time")
    )
    return {"virtual": JumpingLoop} if virtual and not postgresql.CHOSEN else {"real": asyncio.new_event_loop}


@pytest.fixture
def root() -> Path:
    """The top of the source tree."""
    return ROOT


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """An empty folder other users can reach: pytest's own are closed to them, and ``TMPDIR`` may be."""
    usual = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
    reached = [place for place in usual if all(one.stat().st_mode & 0o001 for one in (place, *place.parents))]
    if not reached:
        lacking("a folder for temporary files that other users can reach", "let them enter /tmp")
    with tempfile.TemporaryDirectory(prefix="ringledger-test-", dir=reached[0]) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogLines]:
    """Every test logs as JSON, all levels, into `logs`; an event name outside the closed list fails it."""
    lines = LogLines()
    configure_logging("debug", "json", stream=lines.stream, strict=True)
    structlog.contextvars.clear_contextvars()
    yield lines
    structlog.contextvars.clear_contextvars()


Records: TypeAlias = "queue.SimpleQueue[logging.LogRecord]"


@pytest.fixture
def foreign(logs: LogLines) -> Iterator[Records]:
    """What the libraries log in a test."""
    records: Records = queue.SimpleQueue()
    handler = QueueHandler(records)
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="session")
def logs_factory() -> Callable[[], LogLines]:
    """A fresh log for each example of a property test."""

    def fresh() -> LogLines:
        lines = LogLines()
        configure_logging("debug", "json", stream=lines.stream, strict=True)
        return lines

    return fresh
