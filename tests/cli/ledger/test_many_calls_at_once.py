"""An extension with thousands of sessions, a session with thousands of legs: work grows as they do, no faster."""

import json
import os
import subprocess

import pytest

from ringledger.ledger.times import to_text
from tests.cli.conftest import command
from tests.platform.payloads import event, item

BEGAN = 1_772_442_000_000
#: The processor's time for twice as much may be so many times as long: the same again, and what a start costs less.
TWICE = 2.6


def ringing(count):
    """Sessions that only ring, all of one extension."""
    for n in range(count):
        call = item(id=f"l{n}", sessionId=f"s{n}", telephonySessionId=f"t{n}", startTime=to_text(BEGAN + n))
        told = event(extensionId="2002", sequence=n + 1, activeCalls=[call])
        yield told | {"timestamp": to_text(BEGAN + n), "uuid": str(n)}


def legs(count, each=500):
    """Legs of one session, of as many extensions as it takes."""
    for n in range(count // each):
        calls = [item(id=f"l{n}-{m}", sessionId="s", telephonySessionId="t") for m in range(each)]
        told = event(extensionId=str(3000 + n), sequence=n + 1, totalActiveCalls=each, activeCalls=calls)
        yield told | {"timestamp": to_text(BEGAN + n), "uuid": str(n)}


def seconds(path, rows):
    """The processor's time a replay takes."""
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    child = subprocess.Popen(command("replay", path, "--json"), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("made", "count"), [(ringing, 5_000), (legs, 20_000)], ids=["ringing", "legs"])
def test_twice_as_many_take_twice_as_long(clean, tmp_path, made, count):
    """30,000 sessions that only rang, or 44,000 legs, kept the daemon busy for 40 s, and the feed was lost."""
    half, whole = (seconds(tmp_path / f"{n}.jsonl", made(n)) for n in (count, 2 * count))
    assert whole < TWICE * half
