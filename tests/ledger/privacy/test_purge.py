"""What is taken out is out: the rows, and the bytes in the file."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest
from sqlalchemy import insert

from ringledger.domain.changes import Changes
from ringledger.domain.facts import Record
from ringledger.domain.observation import CallKey
from ringledger.domain.tracked import restored
from ringledger.ledger.file import unused
from ringledger.ledger.privacy import purge
from ringledger.ledger.read import queries
from ringledger.ledger.schema.tables import fact
from ringledger.ledger.write.letters import Letter
from tests.builders import ACCOUNT, T0, Desk, claim, item, presence
from tests.until import PATIENCE

DAY = 86_400_000
ADA, GRACE = "13027430863", "16502008440"


def story(session, at, sender):
    return [
        presence(101, at // 1000, at, item("Ringing", f"leg-{session}", session=session, sender=sender,
                                           sender_name=f"Caller {sender}")),
        presence(101, at // 1000 + 1, at + 5000, item("NoCall", f"leg-{session}", session=session, sender=sender)),
    ]  # fmt: skip


@pytest.fixture
async def filled(ledger):
    """Two days: Ada calls on the first, Grace on the second, and somebody is ringing now."""
    desk = Desk().see(*story("1", T0, ADA)).settle().see(*story("2", T0 + DAY, GRACE)).settle()
    desk.see(presence(101, T0, T0 + 2 * DAY, item("Ringing", "leg-3", session="3")))
    await ledger.commit(desk.changes, now_ms=T0)
    return ledger


async def left(ledger):
    return [row["session_id"] for row in await queries.calls(ledger.reader)]


async def count(ledger, table):
    async with ledger.reader.connect() as connection:
        return (await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one()


#: Where a number stands, and the column that holds it.
MASKED = {"call": "from_number", "call_leg": "from_number", "fact": "body",
          "outbox": "body"}  # fmt: skip


async def mentions(ledger, table, text):
    async with ledger.reader.connect() as connection:
        found = f"SELECT count(*) FROM {table} WHERE {MASKED[table]} LIKE '%{text}%'"
        return (await connection.exec_driver_sql(found)).scalar_one()


def traces(path, text):
    return sum(file.read_bytes().count(text.encode()) for file in path.parent.glob(f"{path.name}*"))


async def test_calls_before_a_day_go_with_everything_known_of_them(filled, path):
    assert await purge.purge_calls(filled, T0 + DAY, now_ms=T0) == 1
    assert await filled.wipe()
    assert await left(filled) == ["2"]
    assert await queries.call(filled.reader, "1") is None
    assert traces(path, "leg-1") == 0
    assert [row["session_id"] for row in await queries.active_calls(filled.reader)] == ["3"]
    assert await purge.purge_calls(filled, T0 + DAY, now_ms=T0) == 0


@pytest.mark.parametrize("step", [1, 2, 500])
async def test_steps_leave_nothing_behind(filled, monkeypatch, step):
    monkeypatch.setattr(purge, "STEP", step)
    monkeypatch.setattr(purge, "JOURNAL_STEP", step)
    assert await purge.purge_calls(filled, T0 + 9 * DAY, now_ms=T0) == 2
    assert [await count(filled, table) for table in ("call", "fact", "live_call")] == [0, 1, 1]  # who rings now


async def test_a_call_that_goes_on_keeps_its_journal_however_young_what_is_purged(ledger):
    desk = Desk().see(*story("1", T0, ADA)).settle().see(presence(101, 7, T0 + DAY, item(session="2")))
    await ledger.commit(
        desk.see(presence(101, 8, T0 + DAY + 5_000, item("CallConnected", session="2"))).changes, now_ms=T0
    )
    assert await purge.purge_calls(ledger, T0 + 9 * DAY, now_ms=T0) == 1
    assert await count(ledger, "fact") == 2


async def test_the_journal_has_its_own_days(filled):
    assert await purge.purge_journal(filled, T0 + DAY) == 2
    assert await count(filled, "fact") == 3
    assert await left(filled) == ["2", "1"]


@pytest.mark.parametrize("number", [GRACE, f"+{GRACE}"])
async def test_a_number_leaves_no_trace_in_the_file(filled, path, number):
    assert traces(path, GRACE) > 0
    assert await purge.purge_number(filled, number, now_ms=T0) == (1, 2, 0)
    assert await filled.wipe()
    assert await left(filled) == ["1"]
    assert traces(path, GRACE) == 0
    assert traces(path, ADA) > 0


async def test_who_stops_waiting_for_a_wipe_harms_nothing(filled, path, monkeypatch):
    """Whoever writes next comes after what was begun: pages are not overwritten while they are being written."""
    begun, go_on, happened = threading.Event(), threading.Event(), []

    def empty(file, pages):
        begun.set()
        go_on.wait(PATIENCE)
        overwrite(file, pages)
        happened.append("emptied")

    overwrite = unused.empty
    monkeypatch.setattr(unused, "empty", empty)
    assert await purge.purge_number(filled, GRACE, now_ms=T0) == (1, 2, 0)
    wiping = asyncio.create_task(filled.wipe())
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    wiping.cancel()
    writing = asyncio.create_task(
        filled.commit(Desk().see(*story("new", T0 + 5 * DAY, ADA)).settle().changes, now_ms=T0)
    )
    writing.add_done_callback(lambda _: happened.append("committed"))
    await asyncio.wait({writing}, timeout=0.3)  # the wrong order has time to show itself; the right one needs none
    go_on.set()
    await asyncio.wait({wiping, writing})
    assert happened == ["emptied", "committed"]
    assert await left(filled) == ["new", "1"]
    assert await filled.wipe()
    assert traces(path, GRACE) == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_short_number_takes_only_what_names_it(filled):
    filled.fill_outbox_with(
        lambda _, __: [
            Letter(
                "receiver",
                ACCOUNT,
                session,
                session,
                "call.opened",
                f'{{"data":{{"extension_id":"101","from_number":"{number}"}}}}',
            )
            for session, number in (("4", "101"), ("5", "102"))
        ]
    )
    short = presence(102, 1, T0, item("Ringing", "leg-4", session="4", sender="101"))
    await filled.commit(Desk().see(short).changes, now_ms=T0)
    assert (await count(filled, "fact"), await count(filled, "outbox")) == (6, 2)
    assert await purge.purge_number(filled, "101", now_ms=T0) == (0, 1, 1)  # a call that goes on keeps its facts
    assert (await count(filled, "fact"), await count(filled, "outbox")) == (6, 1)


@pytest.mark.parametrize("number", ["all", "", "+1 650 200-8440", "1650200XXXX"])
async def test_a_word_is_no_number(filled, number):
    with pytest.raises(ValueError, match="no telephone number"):
        await purge.purge_number(filled, number, now_ms=T0)


async def test_digits_that_merely_occur_are_no_number(filled):
    """A part of a number, a session, a leg and a receiver's event: none of them is somebody's number."""
    other = presence(102, 1, T0, item("Ringing", GRACE, session=GRACE, sender=f"{GRACE}9", sender_name=f"1{GRACE}"))
    claimed = claim("Accepted", session=GRACE, record=GRACE, sender=f"4{GRACE}")
    filled.fill_outbox_with(
        lambda _, __: [
            Letter(
                "receiver",
                ACCOUNT,
                GRACE,
                GRACE,
                "call.opened",
                f'{{"id":"{GRACE}","data":{{"from_number":"1{GRACE}"}}}}',
            )
        ]
    )
    await filled.commit(Desk().see(other).changes, now_ms=T0)
    await filled.commit(Changes(facts=[(CallKey(ACCOUNT, GRACE), Record(claimed))]), now_ms=T0)
    kept = (await count(filled, "fact") - 2, await count(filled, "outbox"))
    assert await purge.purge_number(filled, GRACE, now_ms=T0) == (1, 2, 0)
    assert (await count(filled, "fact"), await count(filled, "outbox")) == kept
    assert await purge.purge_number(filled, GRACE[1:], now_ms=T0) == (0, 0, 0)
    assert (await count(filled, "fact"), await count(filled, "outbox")) == kept


@pytest.mark.parametrize("step", [1, 2, 500])
async def test_all_of_a_number_goes_in_steps(filled, monkeypatch, step):
    """Also what names its owner only, and what can no longer be read."""
    monkeypatch.setattr(purge, "JOURNAL_STEP", step)
    named = presence(102, 1, T0, item("NoCall", "leg-2", session="2", sender=None, sender_name=f"Caller {GRACE}"))
    desk = Desk()
    desk.tracker.restore(await filled.load_sessions([CallKey(ACCOUNT, "2")]), now=desk.now)
    await filled.commit(desk.see(named).settle().changes, now_ms=T0)
    async with filled.transaction() as connection:
        unreadable = {"account_id": ACCOUNT, "session_id": "x", "kind": "event", "source": "presence"}
        body = f'["{GRACE}"]'
        await connection.execute(insert(fact).values(**unreadable, at=T0, received_at=T0, body=body))
    before = await count(filled, "fact")
    assert await purge.purge_number(filled, GRACE, now_ms=T0) == (1, 4, 0)
    assert await count(filled, "fact") == before - 4


async def test_masked_numbers_lose_their_last_digits_and_their_names(filled, path):
    assert await purge.mask_numbers(filled, T0 + DAY) == 1
    (new, old) = await queries.calls(filled.reader)
    assert (old["from_number"], old["from_name"]) == ("+1302743xxxx", None)
    assert (new["from_number"], new["from_name"]) == (f"+{GRACE}", f"Caller {GRACE}")
    async with filled.reader.connect() as connection:
        legs = (await connection.exec_driver_sql("SELECT from_number FROM call_legs ORDER BY started_at")).scalars()
        assert next(iter(legs)) == "+1302743xxxx"
    assert await purge.mask_numbers(filled, T0 + DAY) == 0


async def test_a_masked_number_leaves_no_trace_in_the_file(ledger, path):
    """Neither where it stood, nor in the journal, the remembered state or a letter that was given up; nor its name."""
    body = f'{{"data":{{"from_number":"+{ADA}"}}}}'
    ledger.fill_outbox_with(lambda _, __: [Letter("receiver", ACCOUNT, "1", "1", "call.finished", body)])
    desk = Desk().see(*story("1", T0, ADA)).settle().see(*story("2", T0 + DAY, GRACE)).settle()
    await ledger.commit(desk.changes, now_ms=T0)
    async with ledger.transaction() as connection:
        await connection.exec_driver_sql("UPDATE outbox SET gave_up_at = since")
    assert {table for table in MASKED if await mentions(ledger, table, ADA)} == set(MASKED)
    assert traces(path, ADA) > len(MASKED)
    await purge.mask_numbers(ledger, T0 + DAY)
    assert await ledger.wipe()
    assert [table for table in MASKED if await mentions(ledger, table, ADA)] == []
    assert traces(path, ADA) == 0
    assert traces(path, GRACE) > 0
    assert path.with_name(f"{path.name}-wal").stat().st_size == 0


async def test_nothing_open_is_touched(ledger):
    await ledger.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
    await purge.mask_numbers(ledger, T0 + 9 * DAY)
    await purge.purge_calls(ledger, T0 + 9 * DAY, now_ms=T0)
    (session,) = (await ledger.load_open(ACCOUNT)).sessions
    assert restored(session).legs[0].from_party.number == f"+{ADA}"
