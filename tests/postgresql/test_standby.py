"""A standby: it is read, it refuses to be written to, and when it is made the primary, the daemon goes on there."""

import asyncio

import pytest

from ringledger.exits import Exit
from ringledger.ledger.errors import LedgerReadOnly
from ringledger.ledger.write.store import Ledger
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.builders import T0, observations, play
from tests.crash.child import Child, pace
from tests.crash.test_kill import _settled, _work
from tests.postgresql.server import Server, Standby, asked, needs_postgresql
from tests.truth import differences
from tests.until import eventually, until

pytestmark = [needs_postgresql, pytest.mark.timeout(300)]

SPEED = 20.0


@pytest.fixture
def primary():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def standby(primary):
    primary.execute("postgres", f"CREATE DATABASE ledger TEMPLATE {primary.template}")
    made = Standby(primary)
    yield made
    made.close()


@pytest.fixture
def run(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    return run


def calls(url):
    return [row["session_id"] for row in asked(url, "SELECT session_id FROM all_calls")]


async def written(url):
    ledger = await Ledger.open(url)
    await ledger.commit(play(observations("answered")).changes, now_ms=T0)
    await ledger.close()


def test_it_is_read_and_says_how_far_it_is_behind(primary, standby, run):
    here, there = primary.address("ledger"), standby.address("ledger")
    asyncio.run(written(here))
    eventually(lambda: calls(there))
    assert run(there, "calls --json")[:2] == run(here, "calls --json")[:2]
    assert "a standby, 0 s behind: to be read alone" in run(there, "doctor --offline")[1]
    assert "a standby" not in run(here, "doctor --offline")[1]
    code, out, _ = run(there, "doctor --offline --expect-running")
    assert code not in {0, 1}
    assert "target_session_attrs=read-write" in out
    standby.execute("postgres", "SELECT pg_wal_replay_pause()", "SELECT 1")
    primary.execute("ledger", "SELECT pg_switch_wal()")
    eventually(lambda: "a standby, 0 s behind" not in run(there, "doctor --offline")[1], "it falls behind")


def test_who_would_write_to_it_is_told_where_to_go(standby, run):
    there = standby.address("ledger")
    with pytest.raises(LedgerReadOnly, match=r"can only be read .*: a standby\? name the primary"):
        asyncio.run(written(there))
    code, _, err = run(there, "purge --number +13027430863 --yes")
    assert (code, len(err.splitlines())) == (Exit.TRY_AGAIN, 1)
    assert "name the primary, or all hosts and target_session_attrs=read-write" in err


async def test_a_standby_that_lacks_the_last_commits_is_made_the_primary(tmp_path, primary, standby):
    """All that is lost with the primary is read again: facts and position are older together."""
    url = f"postgresql://{primary.name}@/ledger?host={primary.folder},{standby.folder}&target_session_attrs=read-write"
    pbx = Pbx(default_extensions(40), seed=5)
    sim = Simulator(clock=SimClock(speed=SPEED), pbx=pbx, options=Options(real_lifetimes=True, queue_limit=5_000))
    async with sim:
        child = Child(sim, tmp_path, "pubnub", url=url, database__lease_seconds=2, **pace(SPEED))
        closed = asyncio.Event()
        try:
            await child.start()
            await child.until_working()
            office = asyncio.create_task(
                _work(sim, Office([*pbx.extensions.values()], calls_per_hour=500, seed=5), closed)
            )
            await until(lambda: len(calls(url)) > 10, "some calls")
            await asyncio.to_thread(standby.stop)
            before = len(calls(url))
            await until(lambda: len(calls(url)) > before + 10, "the standby lacks some")
            lost = set(calls(url))
            await asyncio.to_thread(primary.stop)
            await asyncio.to_thread(standby.start)
            await asyncio.to_thread(standby.promote)
            assert len(set(calls(url)) & lost) < len(lost) - 5
            assert await child.until_ended() == Exit.TRY_AGAIN
            assert "is older than what was committed" in child.log.read_text()
            await child.start()  # as systemd does
            await until(lambda: set(calls(url)) >= lost, "they are read again")
            closed.set()
            await office
            await _settled(sim, child)
            assert differences(child.query("SELECT * FROM all_calls"), pbx.truth()) == []
            twice = "SELECT 1 FROM call_transitions GROUP BY account_id, session_id, at, to_status HAVING count(*) > 1"
            assert child.query(twice) == []
            assert await child.stop() == 0
        finally:
            closed.set()
            if child.running:
                await child.kill()
