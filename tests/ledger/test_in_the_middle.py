"""A database that schema 2 left in the middle of calls is upgraded, and the calls go on: their rows are right.

`tests/data/schema2.sql` was written by the program of that schema: held, queued, ringing, parked and settling calls,
one that only a listing and one that only a read showed, one that was finished and lives again.
"""

import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.read import queries
from ringledger.ledger.schema.migrate import check, upgrade
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, T0, Desk, item, presence
from tests.older import in_the_middle

S = 1_000


def told(extension, sequence, session, *steps, leg=None, **about):
    """Notifications of one extension, each a second count and a status, as the old program was told them."""
    leg = leg or f"leg-{session}-{extension}"
    named = {"session": session, "telephony": f"s-{session}"} | about
    return [
        presence(extension, sequence + turn, T0 + seconds * S, item(status, leg, **named))
        for turn, (seconds, status) in enumerate(steps)
    ]


@pytest.fixture
async def upgraded(path):
    """The ledger after the upgrade, and a desk that goes on with what it remembers."""
    in_the_middle(path)
    upgrade(f"sqlite+aiosqlite:///{path}")
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{path}")
    desk, state = Desk(), await ledger.load_open(ACCOUNT)
    desk.tracker.restore(state.sessions, state.extensions, now=desk.now)
    yield ledger, desk
    await ledger.close()


async def row_of(ledger, desk, session):
    await ledger.commit(desk.changes, now_ms=T0 + 900 * S)
    (row,) = [one for one in await queries.calls(ledger.reader) if one["session_id"] == session]
    return row["disposition"], row["ring_seconds"], row["hold_seconds"], row["talk_seconds"], row["revision"]


def ask(path, question):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


async def test_every_row_and_every_live_call_is_there(upgraded, path):
    ledger, _ = upgraded
    assert check(f"sqlite+aiosqlite:///{path}").problems == ()
    figures = "disposition, ring_seconds, talk_seconds, hold_seconds, answer_estimated, revision"
    assert ask(path, f"SELECT session_id, {figures} FROM all_calls ORDER BY session_id") == [
        ("1", "answered", 5.0, 25.0, 10.0, 0, 2),
        ("13", "answered", 5.0, 10.0, 0.0, 0, 1),
        ("2", "answered", None, 30.0, None, 1, 1),  # the log alone told of it: nobody saw it ring or on hold
        ("2b", "missed", None, 0.0, None, 0, 1),
        ("3", "missed", 18.0, 0.0, 0.0, 0, 1),
    ]
    assert dict(ask(path, "SELECT session_id, status FROM active_calls")) == {
        "10": "Ringing", "12": "CallConnected", "13": "CallConnected", "4": "OnHold", "5": "Ringing",
        "7": "ParkedCall", "8": "CallConnected", "9": "CallConnected",
    }  # fmt: skip
    assert ask(path, "SELECT count(*) FROM call_events") == [(33,)]
    assert ask(path, "SELECT count(*) FROM outbox") == [(0,)]
    assert (await ledger.load_open(ACCOUNT)).positions.get("websocket") is not None
    assert (await ledger.load_open(ACCOUNT)).positions.get("pubnub") is not None


async def test_a_call_on_hold_for_the_second_time_goes_on(upgraded):
    ledger, desk = upgraded
    about = {"sender": "16505550111", "queue": True}
    desk.see(*told(202, 15, "4", (256, "CallConnected"), (266, "NoCall"), **about)).settle()
    assert await row_of(ledger, desk, "4") == ("answered", 6.0, 30.0, 30.0, 1)


async def test_a_queue_that_rings_is_answered_by_one(upgraded):
    ledger, desk = upgraded
    about = {"sender": "16505550122", "queue": True}
    desk.see(*told(203, 31, "5", (250, "CallConnected"), **about))
    for extension in (201, 202):
        desk.see(*told(extension, 31, "5", (251, "NoCall"), **about))
    desk.see(*told(203, 32, "5", (280, "NoCall"), **about)).settle()
    assert await row_of(ledger, desk, "5") == ("answered", 10.0, 0.0, 30.0, 1)


async def test_a_parked_call_is_fetched_by_somebody_else(upgraded):
    ledger, desk = upgraded
    desk.see(*told(105, 13, "7", (250, "NoCall"), sender="16505550133"))
    desk.see(*told(106, 5, "7", (250, "CallConnected"), (270, "NoCall"), sender="16505550133")).settle()
    assert await row_of(ledger, desk, "7") == ("answered", 4.0, 20.0, 36.0, 1)


async def test_a_settling_call_is_written_once(upgraded):
    ledger, desk = upgraded
    desk.settle()
    assert await row_of(ledger, desk, "6") == ("answered", 5.0, 0.0, 18.0, 1)


async def test_a_call_that_lives_again_amends_its_row(upgraded):
    ledger, desk = upgraded
    desk.see(*told(109, 21, "13", (150, "NoCall"), leg="leg-13-b", sender="16505550177")).settle()
    disposition, ring, _, _, revision = await row_of(ledger, desk, "13")
    assert (disposition, ring, revision) == ("answered", 5.0, 2)


async def test_the_guard_still_knows_what_came_before(upgraded):
    """A late ringing of a finished call opens nothing: its marks are in the summary."""
    ledger, desk = upgraded
    late = told(101, 9, "1", (0, "Ringing"))
    desk.tracker.restore(await ledger.load_sessions(desk.tracker.unknown_calls(late)), now=desk.now)
    desk.see(*late).settle()
    assert await row_of(ledger, desk, "1") == ("answered", 5.0, 10.0, 25.0, 2)
    assert "call.reopened" not in desk.announced()
