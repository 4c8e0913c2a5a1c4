"""A disk full for a whole minute under load: nobody exits, it is told once, and all is written at once afterwards.

Over WebSocket that is every call of the minute. PubNub remembers its last hundred messages and the feed does not move
on before a commit, so there it is every call that goes on; what was forgotten meanwhile comes from the call log.
"""

import os
import time
from pathlib import Path

import pytest

from ringledger.simulator import SimClock
from tests.ops.conftest import Platform, ringledger
from tests.ops.test_disk_full import WRITTEN_WITHIN, asked, begun, file_system, fill, known, on_its_thread

#: On a server the disk is the server's, and what it refuses is waited for (tests/postgresql/test_disk_full.py).
pytestmark = [pytest.mark.sqlite, pytest.mark.timeout(600)]

SECONDS = int(os.environ.get("FULL_SECONDS", "60"))
#: Memory may grow by so much while the disk is full, MiB.
GROWTH = 48.0
#: The call log knows a call some minutes after its end; what PubNub forgot is there then.
HEALED_WITHIN = 360.0
#: One begins each second; about a hundred go on at a time.
CALLS_PER_HOUR = 3_600.0


def rss(pid: int) -> float:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def going_on(platform: Platform) -> set[str]:
    return on_its_thread(platform, platform.sim.pbx.open_calls)


def test_a_minute(transport: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform = Platform(SimClock())
    with file_system(tmp_path / "small", 64) as small:
        try:
            platform.office(CALLS_PER_HOUR)
            a_minute(platform, transport, small, capsys)
        finally:
            platform.stop()


def a_minute(platform: Platform, transport: str, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, ballast = small / "r.db", small / "ballast"
    with ringledger(platform.settings(database, feed__transport=transport)) as daemon:
        daemon.ready()
        daemon.until(lambda: len(daemon.named("call.opened")) > 20)
        before, memory = begun(platform), rss(daemon.process.pid)
        fill(ballast)
        daemon.until(lambda: daemon.named("store.full"))
        full = time.monotonic()
        daemon.until(lambda: time.monotonic() > full + SECONDS, SECONDS + 10)
        happened, grown = begun(platform), rss(daemon.process.pid) - memory
        promised = happened if transport == "websocket" else going_on(platform)
        unwritten = happened - known(database)
        ballast.unlink()
        freed = time.monotonic()
        (line,) = daemon.until(lambda: daemon.named("store.recovered"), WRITTEN_WITHIN)
        daemon.until(lambda: promised <= known(database))
        took = time.monotonic() - freed
        daemon.until(lambda: happened <= known(database), HEALED_WITHIN)
        healed = time.monotonic() - freed
        daemon.process.terminate()
        assert daemon.wait() == 0
    told = [one["session_id"] for one in daemon.named("call.finished")]
    with capsys.disabled():
        print(f"\ndisk full: {transport}, {SECONDS} s, {len(happened - before)} calls, {len(unwritten)} of them not"
              f" written; after there was space {len(promised)} of {len(happened)} known in {took:.1f} s, all in"
              f" {healed:.1f} s; {line['attempts']} attempts, {grown:+.1f} MiB")  # fmt: skip
    assert len(unwritten) > SECONDS / 2
    assert took < WRITTEN_WITHIN
    assert grown < GROWTH
    assert len(daemon.named("store.full")) == len(daemon.named("store.recovered")) == 1
    assert len(told) == len(set(told))
    assert set(told) <= {row[0] for row in asked(database, "SELECT session_id FROM all_calls")}
    assert asked(database, "PRAGMA integrity_check") == [("ok",)]
