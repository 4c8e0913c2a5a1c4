"""A database with known calls, and the command line run in this process."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.rich_utils  # noqa: F401 - it looks at FORCE_COLOR once, which a test sets

from ringledger.cli import main
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.simulator import load_story
from tests.cli.simulated import Simulated
from tests.forked import Process
from tests.template import migrated

SCENARIOS = Path(__file__).parents[1] / "scenarios"
RINGING_AT = 1_772_442_000_000  # 2026-03-02T09:00:00Z
OPEN_CALL = """
story One call that goes on
call O session=900000099001 direction=in from=+14155550123 to=+16505551001 from-name="A Caller"

| time | extension | call | status        | notes |
| +0   | 2001      | O    | Ringing       |       |
| +10  | 2001      | O    | CallConnected |       |

expect 0 calls
"""


class Ended(NamedTuple):
    """What a command has left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        return json.loads(self.out)


def deliveries():
    """Flows 1+2 and 3, flow 2's sibling that is never answered, and a call that is still open."""
    stories = [load_story(SCENARIOS / name) for name in ("flow1_and_2_rings_again.story", "flow3_ringout.story")]
    stories.append(load_story(SCENARIOS / "flow2_shuffled_duplicated.story"))
    stories.append(load_story(OPEN_CALL))
    return [delivery for story in stories for delivery in story.deliveries]


async def record(url):
    ledger = await Ledger.open(url)
    tracker = CallTracker()
    now = 0.0
    try:
        for delivery in deliveries():
            text = json.dumps(delivery.envelope)
            seen = decode_notification(text, account_id="1001", default_region="US", received_at=delivery.at)
            now = max(now, seen.at / 1000)
            while (deadline := tracker.next_deadline) is not None and deadline <= now:
                tracker.advance(deadline)
            tracker.take(seen, now)
        start = RINGING_AT
        spans = [
            CoverageSpan("1001", start, start + 3_600_000, CoverageState.LIVE),
            CoverageSpan("1001", start + 3_600_000, start + 3_660_000, CoverageState.BLIND, "network"),
            CoverageSpan("1001", start + 3_660_000, start + 7_200_000, CoverageState.HEALED, "network", 2),
        ]
        await ledger.commit(tracker.drain(), now_ms=round(now * 1000), coverage=spans)
    finally:
        await ledger.close()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "ringledger.db"
    url = migrated(path)
    asyncio.run(record(url))
    return path


@pytest.fixture
def clean(monkeypatch):
    """No configuration from outside; wide tables; UTC."""
    for name in [name for name in os.environ if name.startswith("RINGLEDGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGLEDGER_CONFIG", os.devnull)
    monkeypatch.setenv("NO_COLOR", "1")
    return monkeypatch


@pytest.fixture
def database(recorded, clean):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{recorded}")
    return recorded


@pytest.fixture
def cli(clean, capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def platform(clean, tmp_path):
    """A simulated platform that commands use; ``platform(options, speed=…)`` starts it."""
    with contextlib.ExitStack() as stack:

        def start(options=None, *, speed=1.0):
            sim = stack.enter_context(Simulated(options, speed=speed))
            sim.configure(clean, tmp_path / "r.db")
            return sim

        yield start


def command(*arguments):
    """The words that start ringledger in an interpreter of its own; ``process`` needs a tenth of the time."""
    return [sys.executable, "-m", "ringledger", *(str(one) for one in arguments)]


@pytest.fixture
def process(clean):
    """Start ringledger as a process of its own; whatever still runs at the end is ended."""
    started = []

    def start(*arguments, **options):
        child = Process(*arguments, **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options))
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.fixture
def own(recorded, clean, tmp_path):
    """A database of one's own, to be changed."""
    path = tmp_path / "ringledger.db"
    with closing(sqlite3.connect(recorded)) as origin, closing(sqlite3.connect(path)) as copy:
        origin.backup(copy)
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    return path


def count(path, sql="SELECT count(*) FROM calls"):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchone()[0]


def traces(path, text):
    return sum(file.read_bytes().count(text.encode()) for file in path.parent.glob("ringledger.db*"))
