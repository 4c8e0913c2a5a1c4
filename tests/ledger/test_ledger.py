import asyncio
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings

from ringledger.domain.call import CallSession, Phase, Verdict
from ringledger.domain.changes import Changes
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.observation import CallKey, FeedPosition, Source
from ringledger.domain.record import derive_record
from ringledger.ledger.errors import (
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseOutdated,
    LedgerBroken,
    LedgerBusy,
    LedgerFull,
    LedgerLocked,
)
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.upgrade import downgrade
from tests.builders import ACCOUNT, SESSION, T0, Desk, item, observations, play, presence
from tests.domain.stories import calls

KEY = CallKey(ACCOUNT, SESSION)
POSITION = FeedPosition("websocket", "subscription-1", "token-1", T0)
HOUR = 3_600_000


def rows(connection, question):
    connection.row_factory = sqlite3.Row
    return [dict(row) for row in connection.execute(question)]


async def test_a_batch_and_its_position_are_there_together(ledger, other):
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    (call,) = rows(other, "SELECT * FROM calls")
    assert (call["disposition"], call["ring_seconds"], call["talk_seconds"]) == ("answered", 5.829, 15.141)
    assert call["to_number"] == "+18885434778"
    assert call["updated_at"] == "2026-03-02T09:00:00.000Z"
    assert (call["internal"], call["revision"], call["part_of"]) == (0, 1, None)
    (leg,) = rows(other, "SELECT * FROM call_legs")
    assert (leg["status"], leg["direction"], leg["source"]) == ("NoCall", "Inbound", "presence")
    statuses = [row["to_status"] for row in rows(other, "SELECT * FROM call_transitions")]
    assert statuses == ["Ringing", "CallConnected", "NoCall"]
    assert len(rows(other, "SELECT * FROM call_events WHERE outcome = 'accepted'")) == len(desk.changes.journal)
    assert len(rows(other, "SELECT * FROM observation")) == len(desk.changes.observations)
    (extension,) = rows(other, "SELECT * FROM extension_presence")
    assert extension["telephony_status"] == "NoCall"
    assert await ledger.load_position("websocket", "subscription-1") == POSITION
    assert await ledger.load_position("pubnub", "subscription-1") is None


async def test_an_open_call_is_active_and_comes_back_after_a_restart(ledger, other, url):
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 5000, item("CallConnected")))
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    (active,) = rows(other, "SELECT * FROM active_calls")
    assert (active["status"], active["from_number"], active["suspect"]) == ("CallConnected", "+13027430863", 0)
    await ledger.close()
    reopened = await Ledger.open(url)
    state = await reopened.load_open(ACCOUNT)
    assert state.sessions == [desk.call()]
    assert state.extensions == list(desk.tracker.extensions.values())
    assert state.positions == {"websocket": POSITION}
    assert (await reopened.load_open("another")).sessions == []
    await reopened.close()


async def test_a_settling_call_comes_back_but_is_not_active(ledger, other):
    desk = Desk().see(*observations("answered"))
    assert desk.call().phase is Phase.SETTLING
    await ledger.commit(desk.changes, now_ms=T0)
    assert rows(other, "SELECT * FROM active_calls") == []
    assert (await ledger.load_open(ACCOUNT)).sessions == [desk.call()]


async def test_committing_twice_keeps_one_row_and_its_identity(ledger, other):
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    (before,) = rows(other, "SELECT rowid, * FROM call")
    desk.see(presence(62264425008, 2_000_000, T0 + HOUR * 90_000, item("CallConnected", "leg-9")))
    desk.see(presence(62264425008, 2_000_001, T0 + HOUR * 90_000 + 1000, item("NoCall", "leg-9")))
    desk.settle()
    await ledger.commit(desk.changes, now_ms=T0)
    (after,) = rows(other, "SELECT rowid, * FROM call")
    assert after["rowid"] == before["rowid"]
    assert after["revision"] == 2


async def test_sessions_may_change_right_after_the_call(ledger):
    desk = play(observations("answered"))
    commit = asyncio.ensure_future(ledger.commit(desk.changes, now_ms=T0))
    await asyncio.sleep(0)
    desk.call().events_accepted += 1000
    desk.changes.records.clear()
    await commit
    (session,) = await ledger.load_sessions([KEY])
    assert session.events_accepted == desk.call().events_accepted - 1000


async def test_a_locked_database_is_busy_and_the_same_changes_go_in_later(ledger, other):
    desk = play(observations("answered"))
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await ledger.commit(desk.changes, POSITION, now_ms=T0)
    other.execute("ROLLBACK")
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert len(rows(other, "SELECT * FROM call_transition")) == 3


async def test_a_full_disk_loses_nothing_and_writing_resumes(ledger, other):
    connection = await ledger._connection.get_raw_connection()
    await connection.driver_connection.execute_fetchall("PRAGMA max_page_count = 1")
    desk = play([presence(101, n, T0 + n, item("Ringing", f"leg-{n}")) for n in range(2000)])
    for _ in range(2):
        with pytest.raises(LedgerFull):
            await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert rows(other, "SELECT * FROM call_event") == []
    assert await ledger.load_position("websocket", "subscription-1") is None
    await connection.driver_connection.execute_fetchall("PRAGMA max_page_count = 100000")
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert len(rows(other, "SELECT * FROM call_event")) == 2000


async def test_a_row_the_schema_refuses_takes_the_whole_batch_with_it(ledger, other):
    desk = play(observations("answered"))
    desk.changes.records[KEY] = desk.changes.records[KEY]._replace(ring_ms=-1)
    with pytest.raises(LedgerBroken, match="ck_call_durations"):
        await ledger.commit(desk.changes, POSITION, now_ms=T0)
    for table in ("call", "call_state", "call_leg", "call_event", "feed_position"):
        assert rows(other, f"SELECT * FROM {table}") == []


async def test_a_reader_reads_the_state_before_while_the_writer_writes(ledger, other):
    await ledger.commit(play(observations("missed")).changes, now_ms=T0)
    async with ledger.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM call")
        assert len(rows(other, "SELECT * FROM calls")) == 1
        assert len(await ledger.load_sessions([KEY])) == 1
    assert rows(other, "SELECT * FROM calls") == []


async def test_without_the_journal_only_effects_are_kept(ledger, other):
    await ledger.commit(play(observations("answered")).changes, now_ms=T0, journal=False)
    assert rows(other, "SELECT * FROM call_events") == rows(other, "SELECT * FROM observation") == []
    assert len(rows(other, "SELECT * FROM calls")) == 1


async def test_finished_calls_are_remembered_until_they_may_be_forgotten(ledger):
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    (remembered,) = await ledger.load_sessions([KEY, CallKey(ACCOUNT, "unheard-of")])
    assert remembered == desk.call()
    assert await ledger.forget(T0 + 24 * HOUR) == 0  # not confirmed yet
    confirmed = desk.call()
    confirmed.verdict = Verdict(Source.CALL_LOG, "r", "Accepted", T0, 21_000, coarse=True, confirmed_at=T0)
    await ledger.commit(desk.changes, now_ms=T0)
    assert await ledger.forget(T0 + HOUR) == 0
    assert await ledger.forget(T0 + HOUR + 1) == 1


async def test_open_calls_are_never_forgotten(ledger):
    await ledger.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
    assert await ledger.forget(T0 + 1000 * HOUR) == 0


async def test_many_sessions_are_found_in_one_go(ledger):
    changes, keys = Changes(), [CallKey(ACCOUNT, str(n)) for n in range(1200)]
    for key in keys:
        changes.sessions[key] = CallSession(*key, phase=Phase.FINISHED)
    await ledger.commit(changes, now_ms=T0)
    found = await ledger.load_sessions([*keys, CallKey("another", "1")])
    assert {session.key for session in found} == set(keys)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls())
async def test_a_forgotten_call_is_rebuilt_so_that_its_row_comes_out_the_same(ledger, other, events):
    for table in ("call", "call_leg", "call_state"):
        other.execute(f"DELETE FROM {table}")
    desk = play(events)
    await ledger.commit(desk.changes, now_ms=T0)
    await ledger.forget(T0 + 100 * HOUR)
    loaded = await ledger.load_sessions(desk.changes.records.keys())
    assert len(loaded) == len(desk.changes.records)
    for session in loaded:
        assert session.phase is Phase.FINISHED
        assert session.marks == {}
        assert derive_record(session) == desk.changes.records[session.key]


async def test_coverage_spans_grow_and_heal(ledger, other):
    await ledger.commit(Changes(), now_ms=T0, coverage=[CoverageSpan(ACCOUNT, T0, T0 + 1, CoverageState.BLIND, "down")])
    healed = CoverageSpan(ACCOUNT, T0, T0 + 9000, CoverageState.HEALED, "down", 3)
    await ledger.commit(Changes(), now_ms=T0, coverage=[healed])
    loaded = await ledger.load_coverage(ACCOUNT)
    assert loaded == [healed]
    assert loaded[0].state is CoverageState.HEALED  # a bare text would be equal, and no hole
    assert rows(other, "SELECT state, recovered_calls FROM coverage") == [{"state": "healed", "recovered_calls": 3}]


async def test_a_second_daemon_is_refused_while_readers_are_welcome(ledger, url):
    with pytest.raises(LedgerLocked, match="process"):
        await Ledger.open(url)
    reader = await Ledger.open(url, read_only=True)
    with pytest.raises(LedgerBroken, match="read-only"):
        await reader.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
    await reader.close()


async def test_closing_empties_the_log_into_the_database(url, path):
    ledger = await Ledger.open(url)
    await ledger.commit(play(observations("answered")).changes, now_ms=T0)
    wal = path.with_name(f"{path.name}-wal")
    assert wal.stat().st_size > 0
    await ledger.checkpoint()
    await ledger.close()
    await ledger.close()
    assert not wal.exists() or wal.stat().st_size == 0


async def test_databases_that_are_not_this_programs_are_refused(path, url, other):
    for statement, error in (
        ("PRAGMA user_version = 99", DatabaseNewer),
        ("PRAGMA user_version = 0", DatabaseOutdated),
        ("PRAGMA application_id = 7", DatabaseForeign),
    ):
        other.execute(statement)
        with pytest.raises(error, match=str(path)):
            await Ledger.open(url)
    with pytest.raises(DatabaseMissing):
        await Ledger.open(f"{url}.other")


async def test_an_older_schema_is_not_opened(url):
    downgrade(url)
    with pytest.raises(DatabaseOutdated, match="db upgrade"):
        await Ledger.open(url)
