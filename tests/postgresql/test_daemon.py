"""Whole daemons whose ledger is a database of a PostgreSQL server."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from ringledger.cli.status import sentence
from ringledger.ledger.copy import copy
from ringledger.service.control.server import Refused, request, socket_path
from ringledger.service.health.status import Life, status_of
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.postgresql.server import Server, needs_postgresql, server
from tests.rig import running, settings_for
from tests.truth import differences

pytestmark = [needs_postgresql, pytest.mark.timeout(300)]

SPEED = 120.0


@asynccontextmanager
async def recording(tmp_path, transport, url, **more):
    pbx, clock = Pbx(default_extensions(10), seed=7), SimClock(speed=SPEED)
    async with Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True)) as sim:
        given = {"calls__settle_seconds": 0.1, "poll__interval_seconds": 1, "database__directory": str(tmp_path)}
        settings = settings_for(sim, tmp_path / "no.db", transport, database__url=url, **given, **more)
        async with running(sim, settings) as rig:
            yield rig


def playing(rig, minutes=10):
    office = Office(list(rig.sim.pbx.extensions.values()), calls_per_hour=300, seed=7)
    return asyncio.create_task(rig.sim.run_office(office, until=rig.sim.clock.now_ms() + minutes * 60_000))


async def keep_playing(rig, over):
    """Calls for as long as they are wanted, in short stretches that each play their calls to the end."""
    office = Office(list(rig.sim.pbx.extensions.values()), calls_per_hour=300, seed=7)
    while not over.is_set():
        await rig.sim.run_office(office, until=rig.sim.clock.now_ms() + 120_000)


async def told_whole(rig):
    await rig.until(
        lambda: (
            len(rig.query("SELECT 1 FROM all_calls")) >= len(rig.sim.pbx.truth())
            and not rig.query("SELECT 1 FROM active_calls")
            and not rig.query("SELECT 1 FROM unconfirmed_calls")
        ),
        "every call is there",
    )
    assert differences(rig.query("SELECT * FROM all_calls"), rig.sim.pbx.truth()) == []


@pytest.mark.parametrize("transport", ["websocket", "pubnub"])
async def test_an_office_is_recorded_as_it_was(tmp_path, transport):
    async with recording(tmp_path, transport, server().url(empty=True)) as rig:
        await playing(rig)
        await told_whole(rig)
        assert not (tmp_path / "no.db").exists()


async def test_a_server_that_is_killed_twice_meanwhile_costs_nothing(tmp_path, logs):
    """What could not be committed waits; whether a commit under way has happened is known afterwards."""
    own = Server()
    try:
        async with recording(tmp_path, "websocket", own.url(empty=True)) as rig:
            over = asyncio.Event()
            office = asyncio.create_task(keep_playing(rig, over))
            for _ in range(2):
                seen = len(rig.query("SELECT 1 FROM all_calls"))
                await rig.until(lambda before=seen: len(rig.query("SELECT 1 FROM all_calls")) > before + 5)
                await asyncio.to_thread(own.stop)
                await rig.until(lambda: rig.daemon.parts.writer.failing, "the writer notices")
                await asyncio.to_thread(own.start)
                await rig.until(lambda: not rig.daemon.parts.writer.failing, "the writer goes on")
            over.set()
            await office
            await told_whole(rig)
            twice = "SELECT 1 FROM call_transitions GROUP BY account_id, session_id, at, to_status HAVING count(*) > 1"
            assert rig.query(twice) == []
        assert logs.events.count("store.recovered") >= 2
    finally:
        own.close()


async def test_a_second_daemon_stands_by_and_says_who_works(tmp_path, logs):
    url = server().url(empty=True)
    async with recording(tmp_path, "pubnub", url) as first:
        (tmp_path / "second").mkdir()
        settings = settings_for(
            first.sim, tmp_path / "no.db", "pubnub", database__url=url, database__directory=str(tmp_path / "second"),
            calls__settle_seconds=0.1, poll__interval_seconds=1,
        )  # fmt: skip
        async with running(first.sim, settings) as second:
            office = playing(first, minutes=5)
            assert second.daemon.parts is None
            place = socket_path(settings.database.path)
            with pytest.raises(Refused, match=r"purge: standing by: process \d+ on .* works for it; ask it there"):
                await request(place, {"do": "purge", "before": 1}, lambda _: None)
            status = await status_of(settings)
            assert status.life is Life.RUNNING
            assert "standing by: process" in sentence(status)
            checks = {one.code: one.found for one in second.daemon.vitals.findings()}
            assert "standing by" in checks["lease"]
            assert "feed" not in checks
            assert "term 1" in {one.code: one.found for one in first.daemon.vitals.findings()}["lease"]
            await first.stop()
            await second.until(lambda: second.daemon.parts is not None, "the second takes over")
            await office
            second.sim.clock.advance(90)
            await told_whole(second)
            assert "feed up" in second.daemon.vitals.status()
    events = logs.events
    assert events.count("lease.taken") == 2
    assert events.count("lease.waiting") == 1


async def test_a_daemon_goes_on_at_the_new_place_and_misses_nothing(tmp_path):
    """From SQLite to the server in the middle of the day; the feed's position comes along."""
    there, pbx, clock = server().url(empty=True), Pbx(default_extensions(10), seed=7), SimClock(speed=SPEED)
    async with Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True)) as sim:
        given = {"calls__settle_seconds": 0.1, "poll__interval_seconds": 1, "database__directory": str(tmp_path)}
        before = settings_for(sim, tmp_path / "r.db", "pubnub", **given)
        after = settings_for(sim, tmp_path / "r.db", "pubnub", database__url=there, **given)
        async with running(sim, before) as rig:
            office = playing(rig)
            await rig.until(lambda: len(rig.query("SELECT 1 FROM all_calls")) > 10)
        assert all(one.equal for one in await copy(before.database.url, there))
        async with running(sim, after) as rig:
            await office
            await told_whole(rig)
