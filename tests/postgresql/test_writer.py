"""The writer's right, and what becomes of it when a connection is lost."""

import asyncio

import pytest
from sqlalchemy import text

from ringledger.domain.changes import Changes, Quarantined, QuarantineKind
from ringledger.domain.observation import CallKey, FeedPosition, Source
from ringledger.ledger.database.base import database_of
from ringledger.ledger.database.postgresql import PostgresqlDatabase
from ringledger.ledger.errors import (
    DatabaseForbidden,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseSetBack,
    LedgerBroken,
    LedgerLocked,
    LedgerRefused,
    LedgerSlow,
    LedgerUnheard,
    LedgerUnreachable,
)
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.quarantine import commit_apart
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, SESSION, T0, Desk, item, observations, play, presence
from tests.postgresql.server import asked, needs_postgresql, server
from tests.until import PATIENCE

pytestmark = needs_postgresql

POSITION = FeedPosition("websocket", "subscription-1", "token-1", T0, ACCOUNT)


@pytest.fixture
def url():
    return server().url()


@pytest.fixture
async def ledger(url):
    opened = await Ledger.open(url, busy_timeout_ms=200)
    yield opened
    await opened.close()


def calls(url):
    return [row["session_id"] for row in asked(url, "SELECT session_id FROM all_calls ORDER BY 1")]


def kill_sessions(url):
    """As a network that is cut, or an administrator."""
    asked(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ringledger' "
               "AND datname = current_database()")  # fmt: skip


async def lost(ledger):
    """The driver has noticed."""
    async with asyncio.timeout(30):
        while not ledger.database.lost(ledger._connection):
            await asyncio.sleep(0.01)


async def test_one_writes_and_the_next_is_told_who(ledger, url):
    with pytest.raises(LedgerLocked, match=r"process .* writes to it since"):
        await Ledger.open(url)
    assert upgrade(url).backup is None  # there is nothing to do
    asked(url, "DROP VIEW missed_calls", "SELECT 1")
    with pytest.raises(LedgerLocked):
        upgrade(url)
    await ledger.close()
    upgrade(url)
    await (await Ledger.open(url)).close()


async def test_a_lost_connection_is_made_anew_and_the_right_to_write_with_it(ledger, url):
    await ledger.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
    kill_sessions(url)
    await lost(ledger)
    await ledger.commit(Desk().see(presence(101, 1, T0, item(session="2"))).changes, now_ms=T0)
    assert len(asked(url, "SELECT 1 FROM active_calls")) == 1
    with pytest.raises(LedgerLocked):
        await Ledger.open(url)


async def test_whoever_lost_the_right_to_another_writes_nothing(ledger, url):
    kill_sessions(url)
    await lost(ledger)
    successor = await Ledger.open(url)
    with pytest.raises(LedgerLocked, match="another process has written"):
        await ledger.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
    await successor.close()  # and not afterwards either: its state is no longer that of the database
    with pytest.raises(LedgerLocked, match="another process has written"):
        await ledger.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
    assert calls(url) == []


async def test_a_stale_token_stops_a_transaction_under_way(ledger, url):
    """Whatever has become of the lock: the row says who writes, in the same transaction."""
    asked(url, "UPDATE writer SET token = 'somebody else'", "SELECT 1")
    with pytest.raises(LedgerLocked):
        await ledger.commit(play(observations("answered")).changes, POSITION, now_ms=T0)
    with pytest.raises(LedgerLocked):
        async with ledger.transaction() as connection:
            await connection.execute(text("DELETE FROM call"))
    assert calls(url) == []


def cut_at_the_end(ledger, monkeypatch, *, happened):
    """The connection goes at the end of the next transaction: after the server has committed, or before."""
    driver = ledger.database._driver

    class Cut:
        def __init__(self):
            self._inner = driver.transaction()

        async def start(self):
            await self._inner.start()

        async def rollback(self):
            await self._inner.rollback()

        async def commit(self):
            if happened:
                await self._inner.commit()
            driver.terminate()
            raise ConnectionResetError

    class Driver:
        """The driver, but for its transactions."""

        def transaction(self):
            return Cut()

        def __getattr__(self, name):
            return getattr(driver, name)

    monkeypatch.setattr(ledger.database, "_driver", Driver())


@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_whose_answer_was_lost_is_made_once(ledger, url, monkeypatch, happened):
    """The connection goes before or after the server has committed: one row, one fact, either way."""
    changes = play(observations("answered")).changes
    cut_at_the_end(ledger, monkeypatch, happened=happened)
    with pytest.raises(LedgerUnheard):
        await ledger.commit(changes, POSITION, now_ms=T0)
    assert ledger.outcome_unknown(changes)
    await ledger.commit(changes, POSITION, now_ms=T0)
    assert not ledger.outcome_unknown(changes)
    assert calls(url) == [SESSION]
    for table, count in (("fact", len(changes.facts)), ("call_transition", 3), ("publication", 1)):
        assert len(asked(url, f"SELECT 1 FROM {table}")) == count, table
    assert (await ledger.load_open(ACCOUNT)).positions.get("websocket") == POSITION


class Wire:
    """The way to a server, which is cut at the next COMMIT: before it goes on, or before its answer comes back."""

    def __init__(self, there, *, happened):
        self._there, self._happened = there, happened
        self.armed = self.cut = False

    async def carry(self, reader, writer):
        theirs, ours = await asyncio.open_unix_connection(self._there / ".s.PGSQL.5432")

        async def answers():
            while data := await theirs.read(65_536):
                if self.cut:
                    break  # it has been committed, and nobody hears of it
                writer.write(data)
            writer.transport.abort()

        answering = asyncio.create_task(answers())
        while data := await reader.read(65_536):
            if self.armed and b"COMMIT;" in data:
                self.armed, self.cut = False, True
                if not self._happened:
                    break
            ours.write(data)
        if not self._happened:
            ours.transport.abort()
        await answering
        ours.transport.abort()
        writer.transport.abort()
        self.cut = False


@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_whose_answer_is_cut_off_on_the_wire_is_made_once(url, tmp_path, happened):
    wire = Wire(server().folder, happened=happened)
    async with await asyncio.start_unix_server(wire.carry, tmp_path / ".s.PGSQL.5432"):
        ledger = await Ledger.open(url.replace(str(server().folder), str(tmp_path)))
        changes = play(observations("answered")).changes
        wire.armed = True
        with pytest.raises(LedgerUnheard):
            await ledger.commit(changes, POSITION, now_ms=T0)
        assert calls(url) == ([SESSION] if happened else [])
        await ledger.commit(changes, POSITION, now_ms=T0)
        assert calls(url) == [SESSION]
        assert len(asked(url, "SELECT 1 FROM fact")) == len(changes.facts)
        await ledger.close()


@pytest.mark.parametrize("happened", [True, False])
async def test_so_are_those_of_several_accounts_that_went_together(ledger, url, monkeypatch, happened):
    accounts = ("1", "2", "3")
    them = [play(observations("answered", account=one)).changes for one in accounts]
    async with ledger.transaction():
        tasks = [asyncio.create_task(ledger.commit(one, now_ms=T0, grouped=True)) for one in them]
        await asyncio.sleep(0)
        cut_at_the_end(ledger, monkeypatch, happened=happened)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [LedgerUnheard] * 3
    await ledger.commit(play(observations("answered", account="4")).changes, now_ms=T0)  # somebody else comes first
    for one in them:
        assert ledger.outcome_unknown(one)
        await ledger.commit(one, now_ms=T0, grouped=True)
        assert not ledger.outcome_unknown(one)
    assert [row["account_id"] for row in asked(url, "SELECT account_id FROM calls ORDER BY 1")] == [*accounts, "4"]
    assert len(asked(url, "SELECT 1 FROM fact")) == sum(len(one.facts) for one in them) * 4 // 3


async def sleeping(url):
    """Somebody's statement is under way."""
    async with asyncio.timeout(30):
        while not asked(url, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
                             "AND wait_event = 'PgSleep'"):  # fmt: skip
            await asyncio.sleep(0.01)


async def test_a_transaction_that_is_cancelled_costs_its_owner_alone(ledger, url):
    """An account that is stopped in the middle of one shares its connection with all others."""

    async def long():
        async with ledger.transaction() as connection:
            await connection.execute(text("DELETE FROM purged_call"))
            await connection.execute(text("SELECT pg_sleep(60)"))

    for n in range(1, 4):
        task = asyncio.create_task(long())
        await sleeping(url)
        told = Desk().see(presence(101, n, T0, item(session=str(n)))).changes
        other = asyncio.create_task(ledger.commit(told, now_ms=T0, grouped=True))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await other
    assert len(asked(url, "SELECT 1 FROM active_calls")) == 3


async def test_many_may_ask_at_once_and_one_may_stop(ledger):
    await ledger.commit(play(observations("answered")).changes, now_ms=T0)
    for stopped in range(10):
        asking = [asyncio.create_task(ledger.load_sessions([CallKey(ACCOUNT, SESSION)])) for _ in range(10)]
        await asyncio.sleep(stopped / 2000)
        asking[stopped].cancel()
        found = await asyncio.gather(*asking, return_exceptions=True)
        del found[stopped]
        assert [len(one) for one in found if isinstance(one, list)] == [1] * 9


async def test_a_connection_that_dies_while_it_is_made_anew_is_not_taken_again(ledger, url, monkeypatch):
    kill_sessions(url)
    await lost(ledger)
    take_again = ledger.database._take_again

    async def dies(driver):
        driver.terminate()
        await take_again(driver)

    monkeypatch.setattr(ledger.database, "_take_again", dies)
    changes = play(observations("answered")).changes
    with pytest.raises(LedgerUnreachable):
        await ledger.commit(changes, POSITION, now_ms=T0)
    monkeypatch.undo()
    await ledger.commit(changes, POSITION, now_ms=T0)
    assert calls(url) == [SESSION]


class Mute:
    """The way to a server, on which nothing passes after the connection was accepted."""

    def __init__(self, there):
        self._there = there
        self.asked, self.ended = asyncio.Event(), asyncio.Event()

    async def carry(self, reader, writer):
        if self.asked.is_set():  # the driver would have the server break the statement off
            writer.transport.abort()
            return
        theirs, ours = await asyncio.open_unix_connection(self._there / ".s.PGSQL.5432")
        ours.write(await reader.read(65_536))
        writer.write(await theirs.readuntil(b"Z\0\0\0\5I"))
        assert b"SET" in await reader.read(65_536)
        self.asked.set()
        await reader.read()
        self.ended.set()
        ours.transport.abort()
        writer.transport.abort()


async def test_a_connection_that_is_given_up_in_its_first_statement_is_closed(url, tmp_path):
    """It was made, and nobody has it yet who could close it."""
    mute = Mute(server().folder)
    async with await asyncio.start_unix_server(mute.carry, tmp_path / ".s.PGSQL.5432"):
        database = database_of(url.replace(str(server().folder), str(tmp_path)))
        assert isinstance(database, PostgresqlDatabase)
        connecting = asyncio.create_task(database.connect())
        await asyncio.wait_for(mute.asked.wait(), PATIENCE)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await asyncio.wait_for(mute.ended.wait(), PATIENCE)


async def test_an_older_copy_in_its_place_is_noticed(ledger, url):
    for session in ("1", "2", "3"):
        await ledger.commit(Desk().see(presence(101, 1, T0, item(session=session))).changes, now_ms=T0)
    asked(url, "UPDATE writer SET commits = commits - 2", "SELECT 1")
    kill_sessions(url)
    await lost(ledger)
    with pytest.raises(DatabaseSetBack, match="start again"):
        await ledger.commit(Desk().see(presence(101, 1, T0, item(session="4"))).changes, now_ms=T0)


async def test_a_reader_can_write_nothing_and_not_ask_for_ever(url):
    engine = database_of(url).reader(seconds=0.2)
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="read-only transaction"):
            await connection.execute(text("DELETE FROM call"))
    from ringledger.ledger.errors import classified

    async with engine.connect() as connection:
        with pytest.raises(Exception, match="statement timeout") as told:
            await connection.execute(text("SELECT pg_sleep(10)"))
    assert isinstance(classified(told.value), LedgerSlow)
    await engine.dispose()


async def test_a_value_the_server_refuses_costs_what_brought_it(ledger, url):
    """No text holds a zero byte there. It is judged where it enters; should one come through all the same, it is put
    aside."""
    seen = presence(101, 1, T0, item("Ringing", session="9", sender_name="a\0b"))
    desk = Desk().see(*observations("answered"), seen).settle()
    desk.changes.observations.append(seen)
    with pytest.raises(LedgerRefused) as refused:
        await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert "a\0b" not in str(refused.value)
    done = await commit_apart(ledger, desk.changes, now_ms=T0)
    assert calls(url) == [SESSION]
    assert [entry.reason for entry in done.committed.quarantined] == ["not_storable"]
    assert len(asked(url, "SELECT 1 FROM quarantine WHERE body LIKE '%u0000%'")) == 1


async def test_what_is_put_aside_may_be_any_text(ledger, url):
    entry = Quarantined(ACCOUNT, T0, Source.PRESENCE, "unreadable", QuarantineKind.FACT, "\0\ud800 x")
    await ledger.commit(Changes(quarantined=[entry]), now_ms=T0)
    assert asked(url, "SELECT body FROM quarantine") == [{"body": "\\u0000\\ud800 x"}]


async def test_wrong_databases_are_named_without_a_password(url):
    where = server()
    strange = where.url(empty=True)
    asked(strange, "CREATE TABLE call (x int)", "SELECT 1")
    for wrong, error in (
        (strange, DatabaseForeign),
        (where.url(empty=True), DatabaseMissing),
        (where.address("nowhere"), DatabaseMissing),
        ("postgresql://somebody:geheim@127.0.0.1:1/ledger", LedgerUnreachable),
        (where.address("postgres").replace(where.name, "stranger"), DatabaseForbidden),
        ("postgresql+psycopg://x:geheim@y/z", LedgerBroken),
    ):
        with pytest.raises(error) as told:
            await Ledger.open(wrong)
        assert "geheim" not in str(told.value)
    asked(url, "UPDATE alembic_version SET version_num = '0099'", "SELECT 1")
    with pytest.raises(DatabaseNewer):
        await Ledger.open(url)
    with pytest.raises(DatabaseNewer):
        upgrade(url)


async def test_a_role_that_may_only_read_reads_all_and_writes_nothing(url):
    asked(url, "DROP ROLE IF EXISTS analyst", "CREATE ROLE analyst LOGIN",
          "GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst", "SELECT 1")  # fmt: skip
    analysts = url.replace(f"{server().name}@", "analyst@")
    reader = await Ledger.open(analysts, read_only=True)
    assert await reader.load_coverage(ACCOUNT) == []
    await reader.close()
    with pytest.raises(DatabaseForbidden, match="permission denied"):
        await Ledger.open(analysts)
    with pytest.raises(DatabaseForbidden):
        upgrade(analysts.replace(url.partition("?")[0].rpartition("/")[2], "postgres"))
    asked(url, "DROP OWNED BY analyst", "DROP ROLE analyst", "SELECT 1")
