"""A server that is followed by one which lacks the last commits: facts and the feed's position are older together."""

import asyncio
import subprocess

import pytest

from ringledger.simulator import Options, Pbx, SimClock, Simulator, default_extensions
from tests.postgresql.server import PROGRAMS, needs_postgresql, server
from tests.postgresql.test_daemon import SPEED, keep_playing, told_whole
from tests.rig import running, settings_for

pytestmark = [needs_postgresql, pytest.mark.timeout(300)]


def dumped(url, file):
    subprocess.run([PROGRAMS / "pg_dump", "--format=custom", f"--file={file}", url], check=True)


def restored(file):
    """A database that holds what the file has."""
    url = server().url(empty=True)
    subprocess.run([PROGRAMS / "pg_restore", "--no-owner", f"--dbname={url}", file], check=True)
    return url


@pytest.mark.parametrize("transport", ["websocket", "pubnub"])
async def test_an_older_copy_is_caught_up_with(tmp_path, transport):
    """What the copy lacks is read again: from the feed, or from the platform's records."""
    pbx, clock = Pbx(default_extensions(10), seed=7), SimClock(speed=SPEED)
    first = server().url(empty=True)
    async with Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True, queue_limit=5_000)) as sim:
        given = {"calls__settle_seconds": 0.1, "poll__interval_seconds": 1, "database__directory": str(tmp_path)}
        before = settings_for(sim, tmp_path / "no.db", transport, database__url=first, **given)
        over = asyncio.Event()
        async with running(sim, before) as rig:
            office = asyncio.create_task(keep_playing(rig, over))
            await rig.until(lambda: len(rig.query("SELECT 1 FROM all_calls")) > 10, "some calls")
            await asyncio.to_thread(dumped, first, tmp_path / "dump")
            at_dump = len(rig.query("SELECT 1 FROM all_calls"))
            await rig.until(lambda: len(rig.query("SELECT 1 FROM all_calls")) > at_dump + 10, "the copy is older")
        second = await asyncio.to_thread(restored, tmp_path / "dump")
        after = settings_for(sim, tmp_path / "no.db", transport, database__url=second, **given)
        async with running(sim, after) as rig:
            over.set()
            await office
            await told_whole(rig)
            twice = "SELECT 1 FROM call_transitions GROUP BY account_id, session_id, at, to_status HAVING count(*) > 1"
            assert rig.query(twice) == []
