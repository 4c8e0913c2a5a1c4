import asyncio
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings

from ringledger.domain.call import Phase
from ringledger.domain.changes import Changes
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.observation import CallKey, FeedPosition
from ringledger.domain.tracked import restored
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.errors import (
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    DatabaseOutdated,
    LedgerBroken,
    LedgerBusy,
    LedgerFull,
    LedgerLocked,
    LedgerRefused,
)
from ringledger.ledger.privacy import purge
from ringledger.ledger.times import to_text
from ringledger.ledger.write.encode import MOST_KNOWN
from ringledger.ledger.write.store import Ledger
from tests.builders import (
    ACCOUNT,
    SESSION,
    T0,
    Desk,
    answered_call,
    claim,
    item,
    observations,
    play,
    presence,
    presence_read,
)
from tests.domain.stories import calls
from tests.older import older

KEY = CallKey(ACCOUNT, SESSION)
POSITION = FeedPosition("websocket", "subscription-1", "token-1", T0, ACCOUNT)
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
    assert len(rows(other, "SELECT * FROM call_events WHERE outcome = 'accepted'")) == len(desk.changes.facts) == 3
    assert len(rows(other, "SELECT * FROM fact WHERE body IS NOT NULL")) == len(desk.changes.facts)
    assert rows(other, "SELECT * FROM live_call") == []
    (extension,) = rows(other, "SELECT * FROM extension_presence")
    assert extension["telephony_status"] == "NoCall"
    assert (await ledger.load_open(ACCOUNT)).positions.get("websocket") == POSITION
    assert (await ledger.load_open(ACCOUNT)).positions.get("pubnub") is None


async def test_an_open_call_is_active_and_comes_back_after_a_restart(ledger, other, url):
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 5000, item("CallConnected")))
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    (active,) = rows(other, "SELECT * FROM active_calls")
    assert (active["status"], active["from_number"], active["suspect"]) == ("CallConnected", "+13027430863", 0)
    await ledger.close()
    reopened = await Ledger.open(url)
    state = await reopened.load_open(ACCOUNT)
    assert state.sessions == [desk.call().saved()]
    assert state.extensions == list(desk.tracker.extensions.values())
    assert state.positions == {"websocket": POSITION}
    assert (await reopened.load_open("another")).sessions == []
    await reopened.close()


async def test_an_event_that_repeats_what_is_known_writes_its_fact_alone_and_is_seen(ledger, other):
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 2, T0 + 5000, item("CallConnected")))
    await ledger.commit(desk.changes, now_ms=T0)
    desk.changes = Changes()
    desk.see(presence(101, 3, T0 + 9000, item("CallConnected")))
    assert {sql.split()[2] for sql, _ in ledger.batch_of(desk.changes, now_ms=T0)} == {"fact", "extension"}
    await ledger.commit(desk.changes, now_ms=T0)
    seen = "SELECT last_seen_at FROM active_calls"
    assert rows(other, seen) == [{"last_seen_at": "2026-03-02T09:00:09.000Z"}]
    desk.changes = Changes()
    desk.see(presence(101, 4, T0 + 12_000))
    await ledger.commit(desk.changes, now_ms=T0)
    assert rows(other, seen) == [{"last_seen_at": "2026-03-02T09:00:09.000Z"}]  # a doubt is no sign of life


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls())
async def test_what_is_shown_of_a_live_call_is_what_the_tracker_has(ledger, other, events):
    for table in ("call", "call_leg", "call_transition", "call_source", "fact", "live_call"):
        other.execute(f"DELETE FROM {table}")
    await ledger.renew(ACCOUNT)
    desk = Desk()
    for event in events:
        desk.see(event)
        await ledger.commit(desk.changes, now_ms=T0)
        desk.changes = Changes()
        shown = rows(other, "SELECT session_id, status, suspect, started_at, last_seen_at FROM active_calls")
        live = [call for call in desk.tracker.calls.values() if call.phase is Phase.OPEN]
        assert sorted(tuple(row.values()) for row in shown) == sorted(
            (one.session_id, one.status.value, one.suspect, to_text(one.started_at), to_text(one.last_seen_at))
            for one in live
        )


async def test_a_settling_call_comes_back_but_is_not_active(ledger, other):
    desk = Desk().see(*observations("answered"))
    assert desk.call().phase is Phase.SETTLING
    await ledger.commit(desk.changes, now_ms=T0)
    assert rows(other, "SELECT * FROM active_calls") == []
    assert (await ledger.load_open(ACCOUNT)).sessions == [desk.call().saved()]


@pytest.mark.sqlite
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
    saved = desk.call().saved()
    desk.call().facts.events.clear()
    desk.changes.records.clear()
    desk.changes.facts.clear()
    await commit
    assert await ledger.load_sessions([KEY]) == [saved]


async def test_a_locked_database_is_busy_and_the_same_changes_go_in_later(ledger, other):
    desk = play(observations("answered"))
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(LedgerBusy):
            await ledger.commit(desk.changes, POSITION, now_ms=T0)
    other.execute("ROLLBACK")
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert len(rows(other, "SELECT * FROM call_transition")) == 3


@pytest.mark.sqlite
async def test_a_full_disk_loses_nothing_and_writing_resumes(ledger, other):
    connection = await ledger._connection.get_raw_connection()
    await connection.driver_connection.execute_fetchall("PRAGMA max_page_count = 1")
    desk = play([presence(101, n, T0 + n, item("Ringing", f"leg-{n}")) for n in range(2000)])
    for _ in range(2):
        with pytest.raises(LedgerFull):
            await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert rows(other, "SELECT * FROM fact") == []
    assert (await ledger.load_open(ACCOUNT)).positions.get("websocket") is None
    await connection.driver_connection.execute_fetchall("PRAGMA max_page_count = 100000")
    await ledger.commit(desk.changes, POSITION, now_ms=T0)
    assert len(rows(other, "SELECT * FROM fact")) == 2000


async def test_a_row_the_schema_refuses_takes_the_whole_batch_with_it(ledger, other):
    desk = play(observations("answered"))
    desk.changes.records[KEY] = desk.changes.records[KEY]._replace(ring_ms=-1)
    with pytest.raises(LedgerRefused, match="ck_call_durations"):
        await ledger.commit(desk.changes, POSITION, now_ms=T0)
    for table in ("call", "live_call", "call_leg", "fact", "publication", "feed_position"):
        assert rows(other, f"SELECT * FROM {table}") == []


async def test_a_reader_reads_the_state_before_while_the_writer_writes(ledger, other):
    await ledger.commit(play(observations("missed")).changes, now_ms=T0)
    async with ledger.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM call")
        assert len(rows(other, "SELECT * FROM calls")) == 1
        assert len(await ledger.load_sessions([KEY])) == 1
    assert rows(other, "SELECT * FROM calls") == []


async def test_without_a_journal_facts_go_when_they_are_no_longer_needed(ledger, other):
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    assert await ledger.load_sessions([KEY, CallKey(ACCOUNT, "unheard-of")]) == [desk.call().saved()]
    ledger.take_back([KEY])
    assert await purge.forget(ledger, T0 + 24 * HOUR) == 0  # not confirmed yet
    desk.changes = Changes()
    desk.books(claim("Accepted", started=desk.call().started_at, duration=21_000, coarse=True, read_at=T0))
    await ledger.commit(desk.changes, now_ms=T0)
    assert await purge.forget(ledger, T0 + HOUR) == 0
    assert await purge.forget(ledger, T0 + HOUR + 1) == 4
    assert rows(other, "SELECT * FROM fact") == []
    assert len(rows(other, "SELECT * FROM calls")) == 1


async def test_the_facts_of_open_calls_are_never_forgotten(ledger):
    await ledger.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
    assert await purge.forget(ledger, T0 + 1000 * HOUR) == 0


async def test_the_facts_of_a_call_that_is_in_somebodys_hands_are_not_forgotten(ledger):
    await ledger.commit(play(observations("answered")).changes, now_ms=T0)
    await ledger.load_sessions([KEY])
    assert await purge.forget(ledger, T0 + 1000 * HOUR) == 0
    ledger.take_back([KEY])
    assert await purge.forget(ledger, T0 + 1000 * HOUR) == 3


async def test_what_a_call_was_is_kept_before_its_first_fact_after_that(ledger, other):
    """Its facts were retired; a late one comes; its row comes out of both, also after the next start."""
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    await purge.forget(ledger, T0 + 1000 * HOUR)
    late = Desk()
    late.tracker.restore(await ledger.load_sessions([KEY]), now=late.now)
    late.books(claim("Accepted", started=late.call().started_at, duration=21_000, coarse=True))
    await ledger.commit(late.changes, now_ms=T0)
    ledger.take_back([KEY])
    assert [row["kind"] for row in rows(other, "SELECT kind FROM fact")] == ["summary", "record"]
    (saved,) = await ledger.load_sessions([KEY])
    assert restored(saved).row() == late.record() == saved.published
    plain = play(observations("answered"))
    plain.books(claim("Accepted", started=plain.call().started_at, duration=21_000, coarse=True))
    assert late.record() == plain.record()


@pytest.mark.parametrize("leg", ["leg-1", "never-heard-of"])
async def test_an_end_of_a_call_whose_facts_are_gone_is_a_late_repeat(ledger, leg):
    await ledger.commit(play(answered_call()).changes, now_ms=T0)
    await purge.retire(ledger, 1 << 47)
    desk = Desk()
    desk.tracker.restore(await ledger.load_sessions([KEY]), now=desk.now)
    desk.see(presence("101", 13, T0 + 26_000, item("NoCall", leg))).settle()
    assert desk.call().phase is Phase.FINISHED
    assert (desk.call().revision, desk.call().ended_at, len(desk.call().legs)) == (1, T0 + 25_000, 1)
    assert "call.amended" not in desk.announced()
    assert desk.tracker.next_deadline is None


async def test_a_ring_whose_end_nobody_saw_is_rebuilt_as_missed(ledger):
    desk = Desk().see(presence(101, 1, T0, item())).wait(60).read(presence_read(101, T0 + 60_000))
    await ledger.commit(desk.changes, now_ms=T0)
    await purge.retire(ledger, 1 << 47)
    (saved,) = await ledger.load_sessions([KEY])
    assert saved.summary is not None
    assert restored(saved).row() == desk.record()


async def test_many_sessions_are_found_in_one_go(ledger):
    desk, keys = Desk(), [CallKey(ACCOUNT, str(n)) for n in range(1, 1201)]
    desk.see(*(presence(101, n, T0 + n, item("NoCall", session=key.session_id)) for n, key in enumerate(keys)))
    await ledger.commit(desk.settle().changes, now_ms=T0)
    found = await ledger.load_sessions([*keys, CallKey("another", "1")])
    assert {CallKey(call.account_id, call.session_id) for call in found} == set(keys)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(calls())
async def test_a_forgotten_call_is_rebuilt_so_that_its_row_comes_out_the_same(ledger, other, events):
    for table in ("call", "call_leg", "call_transition", "call_source", "fact", "live_call"):
        other.execute(f"DELETE FROM {table}")
    ledger.lent.clear()
    desk = play(events)
    ledger.forget_written(desk.changes.sessions)
    await ledger.commit(desk.changes, now_ms=T0)
    await purge.retire(ledger, 1 << 47)
    assert {row["session_id"] for row in rows(other, "SELECT session_id FROM fact")} <= {
        row["session_id"] for row in rows(other, "SELECT session_id FROM live_call")
    }
    loaded = await ledger.load_sessions(desk.changes.records.keys())
    assert len(loaded) == len(desk.changes.records)
    for saved in loaded:
        call = restored(saved)
        assert (call.phase, call.watermarks) == (Phase.FINISHED, {})
        written, rebuilt = desk.changes.records[call.key], call.row(call.part_of)
        assert rebuilt == written


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


async def test_an_older_schema_is_not_opened(path):
    older(path, 3)
    with pytest.raises(DatabaseOutdated, match="db upgrade"):
        await Ledger.open(f"sqlite+aiosqlite:///{path}")


async def test_nothing_is_deleted_for_a_call_that_begins(ledger):
    desk = Desk().see(presence(101, 1, T0, item("Ringing")))
    assert not [sql for sql, _ in ledger.batch_of(desk.changes, now_ms=T0) if sql.startswith("DELETE")]


async def test_the_history_of_a_call_that_comes_back_is_not_written_twice(ledger, other):
    await ledger.commit(play(observations("answered")).changes, now_ms=T0)
    ledger.take_back([KEY])
    late = Desk()
    late.tracker.restore(await ledger.load_sessions([KEY]), now=late.now)
    late.see(presence(62264425008, 2_000_000, T0 + HOUR * 90_000, item("CallConnected", "leg-9")))
    await ledger.commit(late.changes, now_ms=T0)
    statuses = [row["to_status"] for row in rows(other, "SELECT * FROM call_transitions")]
    assert statuses == ["Ringing", "CallConnected", "NoCall", "CallConnected"]


async def test_a_call_whose_rows_are_no_longer_remembered_is_written_whole(ledger, other):
    """As of all but the last calls that were written."""
    tracker = CallTracker()
    for number in range(1, 2 + MOST_KNOWN):
        told = presence(1_000 + number, 1, T0, item("Ringing", f"leg-{number}", session=f"{number}"))
        tracker.take(told, 1.0)
        if number == 1:
            await ledger.commit(tracker.drain(), now_ms=T0)
    await ledger.commit(tracker.drain(), now_ms=T0)
    tracker.take(presence(1_001, 2, T0 + 5_000, item("CallConnected", "leg-1", session="1")), 6.0)
    changes = tracker.drain()
    assert [sql for sql, _ in ledger.batch_of(changes, now_ms=T0) if sql.startswith("DELETE")]
    await ledger.commit(changes, now_ms=T0)
    told = rows(other, "SELECT to_status FROM call_transitions WHERE session_id = '1' ORDER BY at")
    assert [row["to_status"] for row in told] == ["Ringing", "CallConnected"]
    legs = rows(other, "SELECT status, count(*) AS n FROM call_legs GROUP BY status ORDER BY status")
    assert [tuple(row.values()) for row in legs] == [("CallConnected", 1), ("Ringing", MOST_KNOWN)]
