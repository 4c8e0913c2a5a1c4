"""Leases and their fence in the database: who holds what by the server's clock, and who can write nothing any more."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text

from ringledger.domain.lease import Fence
from ringledger.domain.observation import FeedPosition
from ringledger.ledger.database import postgresql
from ringledger.ledger.errors import LeaseLost, LedgerLocked, LedgerUnavailable
from ringledger.ledger.privacy.purge import purge_journal
from ringledger.ledger.schema.migrate import check, upgrade
from ringledger.ledger.write.quarantine import commit_apart
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, SESSION, T0, Desk, item, observations, play, presence
from tests.postgresql.server import asked, needs_postgresql, server
from tests.postgresql.test_writer import calls, kill_sessions, lost

pytestmark = needs_postgresql

SECONDS = 30.0
POSITION = FeedPosition("websocket", "subscription-1", "token-1", T0, ACCOUNT)


@pytest.fixture
def url():
    return server().url()


@asynccontextmanager
async def process(url, seconds=SECONDS):
    """What a daemon has: the ledger beside others, and its leases."""
    ledger = await Ledger.open(url, shared=True, busy_timeout_ms=500)
    leases = ledger.database.leases(seconds)
    try:
        yield ledger, leases
    finally:
        await leases.close()
        await ledger.close()


def lapse(url):
    asked(url, "UPDATE lease SET expires_at = '2000-01-01T00:00:00.000Z'", "SELECT 1")


async def test_one_has_it_and_the_next_sees_who(url):
    async with process(url) as (_, mine), process(url) as (_, others):
        assert await mine.take(["a", "b"]) == [Fence("a", 1), Fence("b", 1)]
        assert await others.take(["a", "c"]) == [Fence("c", 1)]
        seen = await others.look([])
        assert {name: row.holder for name, row in seen.rows.items()} == {
            "a": mine.token, "b": mine.token, "c": others.token,
        }  # fmt: skip
        assert seen.rows["a"].process.startswith("process ")
        assert 0 < seen.rows["a"].left <= SECONDS
        assert await mine.stands_for(Fence("a", 1), "77") is None
        assert await others.stands_for(Fence("c", 1), "77") == "a"


async def test_what_is_renewed_runs_on_and_what_is_given_is_free(url):
    async with process(url) as (_, mine), process(url) as (_, others):
        held = await mine.take(["a", "b"])
        lapse(url)
        assert (await mine.look([held[0]])).renewed == [held[0]]
        assert (await others.look([])).processes == 2
        assert await others.take(["a", "b"]) == [Fence("b", 2)]
        seen = await mine.look(held)
        assert seen.renewed == [held[0]]  # b has another holder
        await mine.give([held[0]])
        assert await others.take(["a"]) == [Fence("a", 2)]
        assert (await mine.look(held)).renewed == []


async def test_who_has_lost_a_lease_writes_nothing_by_any_way(url):
    async with process(url) as (ledger, mine), process(url) as (successor, others):
        (fence,) = await mine.take(["a"])
        stale = await ledger.under(fence, ACCOUNT)
        await stale.commit(Desk().see(presence(101, 1, T0, item(session="1"))).changes, now_ms=T0)
        lapse(url)
        (taken,) = await others.take(["a"])
        assert taken.term == fence.term + 1
        changes = play(observations("answered")).changes
        with pytest.raises(LeaseLost, match="was taken by process"):
            await stale.commit(changes, POSITION, now_ms=T0)
        with pytest.raises(LeaseLost):
            await commit_apart(stale, changes, now_ms=T0)
        with pytest.raises(LeaseLost):
            await stale.prove()
        with pytest.raises(LeaseLost):
            await purge_journal(stale, T0 + 10**9, account_id=ACCOUNT)
        assert calls(url) == []
        assert asked(url, "SELECT 1 FROM feed_position") == []
        # The other accounts of the process are not touched, and the successor writes.
        await ledger.commit(Desk().see(presence(101, 1, T0, item(session="2"))).changes, now_ms=T0)
        await (await successor.under(taken, ACCOUNT)).commit(changes, POSITION, now_ms=T0)
        assert calls(url) == [SESSION]


async def test_an_account_that_was_lost_keeps_no_other_from_the_commit_they_share(url):
    async with process(url) as (ledger, mine), process(url) as (_, others):
        names = ("a", "b", "c")
        views = [await ledger.under(fence, fence.name) for fence in await mine.take(names)]
        asked(url, "UPDATE lease SET expires_at = '2000-01-01T00:00:00.000Z' WHERE name = 'b'", "SELECT 1")
        await others.take(["b"])
        async with ledger.transaction():
            told = [play(observations("answered", account=name)).changes for name in names]
            tasks = [
                asyncio.create_task(view.commit(one, now_ms=T0, grouped=True))
                for view, one in zip(views, told, strict=True)
            ]
            await asyncio.sleep(0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in ended] == [type(None), LeaseLost, type(None)]
        assert [row["account_id"] for row in asked(url, "SELECT account_id FROM calls ORDER BY 1")] == ["a", "c"]


async def test_a_process_that_stops_in_a_transaction_keeps_nobody_waiting_for_long(url, monkeypatch):
    """Its locks go with its transaction, which the server ends."""
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 1)
    async with process(url) as (ledger, mine), process(url) as (_, others):
        (fence,) = await mine.take(["a"])
        stopped = await ledger.under(fence, ACCOUNT)
        with pytest.raises(LedgerUnavailable):
            await stops_within(stopped, others, url)


async def stops_within(ledger, others, url):
    async with ledger.transaction() as connection:
        lapse(url)
        assert await others.take(["a"]) == []
        async with asyncio.timeout(30):
            while not (taken := await others.take(["a"])):
                await asyncio.sleep(0.05)
        assert taken == [Fence("a", 2)]
        await connection.execute(text("DELETE FROM fact"))


async def test_a_process_that_was_paused_in_a_transaction_goes_on(url, monkeypatch):
    """It hears that the server has ended its session before the next statement, in the middle of it, or after."""
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 1)
    async with process(url) as (ledger, _):
        for turns in range(4):
            with pytest.raises(LedgerUnavailable):
                await paused(ledger, url, turns)
        await ledger.commit(play(observations("answered")).changes, now_ms=T0, grouped=True)
        assert calls(url) == [SESSION]


async def paused(ledger, url, turns):
    there = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    async with ledger.transaction() as connection:
        await connection.execute(text("DELETE FROM fact"))
        while asked(url, there):  # nothing else is done here meanwhile, as in a process that is stopped
            pass
        for _ in range(turns):  # of the loop: what the server has sent is heard bit by bit
            await asyncio.sleep(0)
        await connection.execute(text("DELETE FROM fact WHERE id = :id"), {"id": 1})


async def test_a_commit_under_way_is_waited_for_and_then_the_lease_changes_hands(url):
    async with process(url) as (ledger, mine), process(url) as (_, others):
        (fence,) = await mine.take(["a"])
        view = await ledger.under(fence, ACCOUNT)
        lapse(url)
        async with view.transaction():
            assert await others.take(["a"]) == []
            assert (await mine.look([fence])).renewed == []  # nor is it renewed meanwhile, and nobody waits
        assert await others.take(["a"]) == [Fence("a", 2)]


async def test_what_is_remembered_of_an_account_is_read_anew_with_the_lease(url):
    """Another process has published meanwhile: numbers go on where it stopped, and legs are written whole."""
    async with process(url) as (ledger, mine), process(url) as (others, theirs):
        first = await ledger.under((await mine.take(["a"]))[0], ACCOUNT)
        ringing = Desk().see(presence(101, 1, T0, item("Ringing")))
        await first.commit(ringing.changes, now_ms=T0)
        await mine.give([Fence("a", 1)])
        second = await others.under((await theirs.take(["a"]))[0], ACCOUNT)
        await second.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
        await theirs.give([Fence("a", 2)])
        third = await ledger.under((await mine.take(["a"]))[0], ACCOUNT)
        other = (
            Desk()
            .see(presence(101, 7, T0, item(session="7")))
            .see(presence(101, 8, T0, item("NoCall", session="7")))
            .settle()
        )
        await third.commit(other.changes, now_ms=T0)
        assert [row["publication"] for row in asked(url, "SELECT publication FROM call ORDER BY publication")] == [1, 2]
        assert asked(url, "SELECT number FROM publication") == [{"number": 2}]


async def test_a_lost_connection_costs_no_lease(url):
    async with process(url) as (ledger, mine):
        (fence,) = await mine.take(["a"])
        view = await ledger.under(fence, ACCOUNT)
        kill_sessions(url)
        await lost(ledger)
        with suppress(LedgerUnavailable):  # it may have noticed by itself
            await mine.look([fence])
        assert (await mine.look([fence])).renewed == [fence]
        await view.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
        assert calls(url) == [SESSION]


async def test_who_has_the_database_alone_keeps_daemons_out_and_ends_what_they_held(url):
    async with process(url) as (ledger, mine):
        (fence,) = await mine.take(["a"])
        with pytest.raises(LedgerLocked, match=r"process .* writes to it since"):
            await Ledger.open(url)
        asked(url, "DROP VIEW missed_calls", "SELECT 1")
        with pytest.raises(LedgerLocked):
            upgrade(url)
        kill_sessions(url)
        await lost(ledger)
        upgrade(url)
        alone = await Ledger.open(url)
        with pytest.raises(LedgerLocked):
            await Ledger.open(url, shared=True)
        await alone.close()
        view = await ledger.under(fence, ACCOUNT)
        with pytest.raises(LedgerLocked, match="another process has written"):
            await view.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
        assert await mine.take(["a"]) == []
        assert calls(url) == []


async def test_care_leaves_alone_what_another_process_has_in_its_hands(url):
    async with process(url) as (ledger, mine), process(url) as (others, theirs):
        (fence,) = await theirs.take(["a"])
        await theirs.stands_for(fence, ACCOUNT)
        await (await others.under(fence, ACCOUNT)).commit(play(observations("answered")).changes, now_ms=T0)
        facts = len(asked(url, "SELECT 1 FROM fact"))
        assert facts > 0
        assert await purge_journal(ledger, T0 + 10**12) == 0
        await theirs.give([fence])
        assert await purge_journal(ledger, T0 + 10**12) == facts
        await mine.close()


async def test_a_database_without_leases_gets_them(url):
    """Schema 9, as its program made it."""
    asked(
        url,
        "DROP INDEX ix_call_account_id_telephony_session_id",
        "DROP INDEX ix_call_source_account_id_record_id",
        "DROP TABLE lease",
        "DROP TABLE writer",
        "CREATE TABLE writer (id integer CONSTRAINT pk_writer PRIMARY KEY, token text NOT NULL, "
        "commits bigint NOT NULL, process text NOT NULL, since text NOT NULL, CONSTRAINT ck_writer_one CHECK (id = 1))",
        "INSERT INTO writer VALUES (1, 'x', 3, 'process 1 on a', 'then')",
        "UPDATE alembic_version SET version_num = '0009'",
        "SELECT 1",
    )
    assert await asyncio.to_thread(lambda: upgrade(url).before) == 9
    assert check(url).problems == ()
    async with process(url) as (_, mine):
        assert await mine.take([""]) == [Fence("", 1)]
