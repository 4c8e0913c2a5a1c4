import sqlite3

import pytest

from ringledger.domain.changes import Changes
from ringledger.ledger.errors import LedgerUnavailable
from ringledger.ledger.privacy import purge
from ringledger.ledger.write import outbox
from ringledger.ledger.write.letters import Letter
from ringledger.ledger.write.outbox import Outcome
from tests.builders import ACCOUNT, SESSION, T0, Desk, claim, item, observations, play, presence

DAY = 86_400_000


def letter(session="1", event="call.opened", n=0, receiver="r", **more):
    return Letter(receiver, ACCOUNT, session, f"{session}/{event}/{n}", event, '{"from": "+13027430863"}', **more)


def telling(ledger, *letters):
    """A ledger that writes these letters with its next commits."""
    ledger.fill_outbox_with(lambda _changes, _now: letters)
    return ledger


async def put(ledger, *letters, now_ms=T0):
    await telling(ledger, *letters).commit(play(observations("answered")).changes, now_ms=now_ms)


async def heads(ledger, receiver="r", limit=10):
    return [head.event_id for head in await outbox.heads(ledger, receiver, limit)]


def done(head, **more):
    return Outcome(head.id, head.event_id, **more)


async def test_letters_are_committed_with_the_call_or_not_at_all(ledger, other):
    telling(ledger, letter())
    changes = play(observations("answered")).changes
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable):
        await ledger.commit(changes, now_ms=T0)
    other.execute("ROLLBACK")
    assert await heads(ledger) == []
    await ledger.commit(changes, now_ms=T0)
    assert await heads(ledger) == ["1/call.opened/0"]
    assert other.execute("SELECT count(*) FROM calls").fetchone() == (1,)


async def test_changes_nobody_announces_ask_nobody_for_letters(ledger):
    ledger.fill_outbox_with(lambda *_: pytest.fail("asked"))
    desk = play(observations("answered"))
    desk.changes.announcements.clear()
    await ledger.commit(desk.changes, now_ms=T0)


async def test_of_each_call_the_first_is_a_head(ledger):
    await put(ledger, letter("1"), letter("2"), letter("1", "call.finished"), letter("1", receiver="other"))
    assert await heads(ledger) == ["1/call.opened/0", "2/call.opened/0"]
    assert await heads(ledger, limit=1) == ["1/call.opened/0"]
    assert await heads(ledger, "other") == ["1/call.opened/0"]
    first, _ = await outbox.heads(ledger, "r", 10)
    await outbox.settle(ledger, [done(first)], now_ms=T0)
    assert await heads(ledger) == ["2/call.opened/0", "1/call.finished/0"]


async def test_what_failed_stays_first_and_what_is_given_up_makes_room(ledger):
    await put(ledger, letter("1"), letter("1", "call.finished"))
    (first,) = await outbox.heads(ledger, "r", 10)
    await outbox.settle(ledger, [done(first, error="answered 500")], now_ms=T0)
    (again,) = await outbox.heads(ledger, "r", 10)
    assert (again.id, again.attempts, again.since) == (first.id, 1, T0)
    await outbox.settle(ledger, [done(again, error="answered 410", final=True)], now_ms=T0 + 5)
    assert await heads(ledger) == ["1/call.finished/0"]
    (dead,) = await outbox.letters(ledger.reader, dead=True)
    assert (dead["attempts"], dead["last_error"], dead["gave_up_at"]) == (2, "answered 410", "2026-03-02T09:00:00.005Z")
    assert len(await outbox.letters(ledger.reader)) == 2


async def test_a_dead_letter_is_tried_again_as_if_it_were_new(ledger):
    await put(ledger, letter("1"), letter("2"))
    one, two = await outbox.heads(ledger, "r", 10)
    await outbox.settle(ledger, [done(head, error="x", final=True) for head in (one, two)], now_ms=T0)
    assert await outbox.retry(ledger, [one.id, 999], now_ms=T0 + DAY) == 1
    (again,) = await outbox.heads(ledger, "r", 10)
    assert (again.event_id, again.attempts, again.since) == (one.event_id, 0, T0 + DAY)
    assert await outbox.retry(ledger, None, now_ms=T0) == 1
    assert await outbox.retry(ledger, None, now_ms=T0) == 0


async def test_an_id_is_never_given_again(ledger):
    await put(ledger, letter("1"))
    (old,) = await outbox.heads(ledger, "r", 10)
    await outbox.settle(ledger, [done(old)], now_ms=T0)
    await put(ledger, letter("2"))
    (new,) = await outbox.heads(ledger, "r", 10)
    assert new.id > old.id
    await outbox.settle(ledger, [done(old)], now_ms=T0)
    assert await heads(ledger) == ["2/call.opened/0"]


async def test_letters_for_strangers_are_given_up_and_forgotten_in_time(ledger):
    await put(ledger, letter("1"), letter("2", receiver="gone"))
    assert await outbox.give_up_strangers(ledger, ["r"], now_ms=T0) == 1
    assert await outbox.give_up_strangers(ledger, ["r"], now_ms=T0) == 0
    (dead,) = await outbox.letters(ledger.reader, dead=True)
    assert (dead["receiver"], dead["last_error"]) == ("gone", outbox.UNKNOWN_RECEIVER)
    assert await outbox.forget_dead(ledger, T0) == 0
    assert await outbox.forget_dead(ledger, T0 + 1) == 1
    assert await heads(ledger) == ["1/call.opened/0"]


async def test_missed_is_told_again_only_when_it_is_news(ledger):
    missed = letter(SESSION, "call.missed", 2, if_newly_missed=True)
    await ledger.commit(play(observations("missed")).changes, now_ms=T0)
    await put(ledger, missed, letter(SESSION, "call.amended", 2))  # the row is written as answered
    assert await heads(ledger) == [f"{SESSION}/call.amended/2"]
    await put(ledger, missed)
    rows = await outbox.letters(ledger.reader)
    assert [row["event"] for row in rows] == ["call.amended", "call.missed"]


async def test_a_missed_call_confirmed_as_missed_is_told_once(ledger):
    """The whole way: the letters the daemon would write."""
    from ringledger.config.model import WebhookSettings
    from ringledger.service.webhooks.letters import LetterWriter, receivers_of

    ledger.fill_outbox_with(
        LetterWriter(receivers_of([WebhookSettings(url="https://a.test", events=("call.missed",))]))
    )
    desk = Desk().see(presence(101, 1, T0, item()), presence(101, 2, T0 + 9000, item("NoCall"))).settle()
    await ledger.commit(desk.changes, now_ms=T0)
    assert len(await outbox.letters(ledger.reader)) == 1
    desk.changes = Changes()
    desk.books(claim("Missed", started=T0, duration=9_000))
    assert "call.confirmed" in desk.announced()
    await ledger.commit(desk.changes, now_ms=T0)
    assert len(await outbox.letters(ledger.reader)) == 1


async def test_letters_go_with_their_call_and_their_number(ledger, path):
    await put(ledger, letter(SESSION), letter("2"))
    await purge.purge_number(ledger, "+13027430863", now_ms=T0)
    assert await outbox.letters(ledger.reader) == []
    await put(ledger, letter(SESSION), letter("2"))
    await purge.purge_calls(ledger, T0 + 9 * 365 * DAY, now_ms=T0)
    assert [row["session_id"] for row in await outbox.letters(ledger.reader)] == ["2"]


async def test_dead_letters_do_not_outlive_the_masking_of_numbers(ledger):
    await put(ledger, letter("1"), letter("2"))
    one, _ = await outbox.heads(ledger, "r", 10)
    await outbox.settle(ledger, [done(one, error="x", final=True)], now_ms=T0)
    await purge.mask_numbers(ledger, T0 + 1)
    assert await heads(ledger) == ["2/call.opened/0"]


def test_the_order_of_letters_is_found_by_an_index(url, path):
    with sqlite3.connect(path) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT 1 FROM outbox WHERE receiver = 'r' AND account_id = 'a' AND session_id = 's' "
            "AND id < 7 AND gave_up_at IS NULL"
        ).fetchall()
    connection.close()
    assert "USING INDEX ix_outbox_receiver_account_id_session_id_id" in plan[0][3]
