"""A server whose disk is full: its refusals are waited for like a full disk of one's own, and nothing is lost."""

import asyncio
import os

import pytest

from tests.ops.test_disk_full import file_system, fill
from tests.postgresql.server import Server, needs_postgresql
from tests.postgresql.test_daemon import keep_playing, recording, told_whole

pytestmark = [needs_postgresql, pytest.mark.timeout(300)]

#: A new database takes eight.
MEBIBYTES = 48
#: So many calls happen while it is full.
LOAD = 20


async def test_calls_of_a_full_disk_are_written_when_there_is_space(tmp_path, logs):
    """The tables are on a small file system; the server's own log is not, or the server would end."""
    own = Server()
    try:
        with file_system(own.folder / "small", MEBIBYTES) as small:
            os.chown(small, own.data.stat().st_uid, own.data.stat().st_gid)
            own.execute("postgres", f"CREATE TABLESPACE small LOCATION '{small}'")
            own.execute("postgres", "CREATE DATABASE ledger TEMPLATE template0 TABLESPACE small")
            try:
                await full_for_a_while(tmp_path, own.address("ledger"), small / "ballast", logs)
            finally:
                own.stop()
    finally:
        own.close()


async def full_for_a_while(tmp_path, url, ballast, logs):
    async with recording(tmp_path, "websocket", url) as rig:
        over = asyncio.Event()
        office = asyncio.create_task(keep_playing(rig, over))
        await rig.until(lambda: len(rig.query("SELECT 1 FROM all_calls")) > 5, "calls are written")
        fill(ballast)
        await rig.until(lambda: logs.named("store.full"), "the server refuses what it has no room for")
        happened = len(rig.sim.pbx.truth())
        await rig.until(lambda: len(rig.sim.pbx.truth()) > happened + LOAD, "calls that nobody can write")
        assert rig.daemon.parts.writer.failing
        ballast.unlink()
        await rig.until(lambda: logs.named("store.recovered"), "the writer goes on")
        over.set()
        await office
        await told_whole(rig)
        assert logs.events.count("store.full") == logs.events.count("store.recovered") == 1
