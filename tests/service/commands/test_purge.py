"""`purge` asked of a running daemon: the calls go, without a trace, and it goes on recording."""

import re
import sqlite3
from contextlib import closing

import pytest

from ringledger.domain.observation import Delivery
from ringledger.service.commands import purge as erasure
from ringledger.service.control.server import Refused, request, socket_path
from ringledger.simulator import Office, SimClock, Simulator, default_extensions
from tests.builders import CALLER as ADA
from tests.builders import T0, item, presence
from tests.rig import running, settings_for

pytestmark = pytest.mark.sqlite  # on a server: tests/postgresql/test_commands.py


@pytest.fixture
def database(public_folder):
    """In a directory that other users may enter."""
    return public_folder / "r.db"


def asked(database, sql):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def traces(database, digits):
    return sum(file.read_bytes().count(digits.encode()) for file in database.parent.glob("r.db*") if file.is_file())


async def purge(database, **what):
    return await request(socket_path(database), {"do": "purge", **what}, print)


async def test_a_number_goes_while_calls_come(database):
    async with Simulator(clock=SimClock(speed=60.0)) as sim:
        settings = settings_for(sim, database, calls__settle_seconds=0.05)
        async with running(sim, settings) as rig:
            office = Office(default_extensions(), calls_per_hour=400, seed=3)
            until = sim.clock.now_ms() + 600_000
            await sim.run_office(office, until=until)
            await rig.until(lambda: len(asked(database, "SELECT 1 FROM calls")) > 5, "some calls are there")
            ((number, _),) = asked(
                database, "SELECT from_number, count(*) AS n FROM call WHERE from_number LIKE '+1%'"
                " GROUP BY 1 ORDER BY n DESC, 1 LIMIT 1"
            )  # fmt: skip
            digits = re.sub(r"\D", "", number)
            await rig.until(lambda: not rig.daemon.intake.tracker.calls, "all are over")
            await rig.until(lambda: not asked(database, "SELECT 1 FROM unconfirmed_calls"), "all are confirmed")
            sim.clock.advance(180)  # what ended just now is listed for two minutes, and a poll would bring it back
            await rig.until(lambda: not rig.daemon.intake.tracker.calls, "nobody is spoken of")
            assert traces(database, digits) > 0
            before = len(asked(database, "SELECT 1 FROM call"))
            answer = await purge(database, number=digits)
            assert answer["purged"] > 0
            assert answer["traceless"]
            assert traces(database, digits) == 0
            assert len(asked(database, "SELECT 1 FROM call")) == before - answer["purged"]
            left = {row[0] for row in asked(database, "SELECT session_id FROM call")}
            assert {key.session_id for key in rig.daemon.parts.confirmer.waiting} <= left
            assert (await purge(database, number=digits))["purged"] == 0


async def test_what_was_being_heard_of_a_call_does_not_bring_it_back(database, monkeypatch):
    """A repeated event is under way, its call already read from the database, when the call's row is deleted."""
    async with Simulator() as sim, running(sim, settings_for(sim, database, calls__settle_seconds=0.05)) as rig:
        intake = rig.daemon.intake
        told = [presence(101, 9_000_001, T0, item("Ringing", sender=ADA)), presence(101, 9_000_002, T0, item("NoCall"))]
        told = [one._replace(account_id=intake.account_id) for one in told]
        await intake.deliver(Delivery(tuple(told), (), None))
        await rig.until(lambda: asked(database, "SELECT 1 FROM call"), "it is over")
        await rig.until(lambda: not intake.tracker.calls, "it has left memory")
        done = erasure.purge

        async def meanwhile(*args, **options):
            monkeypatch.setattr(erasure, "purge", done)
            async with intake._applying((told[1],)):
                intake.tracker.take(told[1], 0.0)
                result = await done(*args, **options)
            await intake.change(lambda: None)
            return result

        monkeypatch.setattr(erasure, "purge", meanwhile)
        assert (await purge(database, number=ADA))["purged"] >= 1
        assert asked(database, "SELECT 1 FROM call") == []
        assert traces(database, ADA) == 0


async def test_a_number_without_a_country_is_one_of_the_default_region(database):
    async with Simulator() as sim, running(sim, settings_for(sim, database, calls__settle_seconds=0.05)) as rig:
        intake = rig.daemon.intake
        told = [
            presence(101, 9_000_001, T0, item("Ringing", sender=ADA)),
            presence(101, 9_000_002, T0, item("NoCall")),
            presence(102, 9_000_003, T0, item("Ringing", session="2", sender=f"{ADA[1:]}9")),
        ]
        told = [one._replace(account_id=intake.account_id) for one in told]
        await intake.deliver(Delivery(tuple(told), (), None))
        await rig.until(lambda: asked(database, "SELECT 1 FROM call"), "it is over")
        answer = await purge(database, number=f"({ADA[1:4]}) {ADA[4:7]}-{ADA[7:]}")
        assert answer == {"purged": 1, "traceless": True, "unconfirmed": 1, "events": 2, "open": 0}
        assert traces(database, ADA) == 0
        answer = await purge(database, number=f"{ADA[1:]}9")
        assert (answer["purged"], answer["open"], answer["traceless"]) == (0, 1, False)


async def test_by_age_and_what_is_refused(database):
    async with Simulator() as sim, running(sim, settings_for(sim, database)):
        assert (await purge(database, before=0)) == {"purged": 0, "traceless": True, "unconfirmed": 0}
        for what in ({}, {"number": "1", "before": 1}, {"number": 1}, {"before": "1"}, {"number": "nobody"}):
            with pytest.raises(Refused) as refused:
                await purge(database, **what)
            assert refused.value.kind == "ValueError"


async def test_a_reader_in_the_way_is_told_of(database):
    async with Simulator() as sim, running(sim, settings_for(sim, database)) as rig:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM call").fetchone()
            async with rig.daemon.intake._ledger.transaction() as connection:
                await connection.exec_driver_sql("UPDATE feed_position SET at = at")
                await connection.exec_driver_sql("PRAGMA busy_timeout = 50")  # each attempt waits so long for it
            assert not (await purge(database, before=0))["traceless"]
            reader.execute("COMMIT")
        assert (await purge(database, before=0))["traceless"]
