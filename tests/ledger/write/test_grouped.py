"""Commits of several accounts in one transaction: what one of them is at fault for costs the others nothing."""

import asyncio
from contextlib import suppress

import pytest

from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey
from ringledger.ledger.errors import LedgerRefused
from ringledger.ledger.write.encode import merged
from tests.builders import SESSION, T0, observations, play

ACCOUNTS = ("1", "2", "3", "4")


def called(account):
    """One finished call of an account."""
    return play(observations("answered", account=account)).changes


def recorded(other):
    return [row[0] for row in other.execute("SELECT account_id FROM calls ORDER BY account_id").fetchall()]


async def together(ledger, them):
    """Their commits begin while another transaction holds the writer, so that they go in one; how each ended."""
    async with ledger.transaction():
        tasks = [asyncio.create_task(ledger.commit(one, now_ms=T0, grouped=True)) for one in them]
        await asyncio.sleep(0)  # each has taken its place
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_waits_goes_in_one_transaction(ledger, other, monkeypatch):
    transactions = []
    commit = ledger.database.commit_batch

    async def counted(*values):
        transactions.append(values)
        await commit(*values)

    monkeypatch.setattr(ledger.database, "commit_batch", counted)
    assert await together(ledger, [called(one) for one in ACCOUNTS]) == [None] * 4
    assert len(transactions) == 1
    assert recorded(other) == list(ACCOUNTS)
    assert await together(ledger, [called(one) for one in ACCOUNTS[:1]]) == [None]
    assert len(transactions) == 2


async def test_a_value_that_is_refused_costs_its_own_account(ledger, other):
    them = [called(one) for one in ACCOUNTS]
    key = CallKey("3", SESSION)
    them[2].records[key] = them[2].records[key]._replace(ring_ms=-1)
    ended = await together(ledger, them)
    assert [type(one) for one in ended] == [type(None), type(None), LedgerRefused, type(None)]
    assert recorded(other) == ["1", "2", "4"]


async def test_who_no_longer_waits_takes_nothing_from_the_others(ledger, other):
    async with ledger.transaction():
        tasks = [asyncio.create_task(ledger.commit(called(one), now_ms=T0, grouped=True)) for one in ACCOUNTS]
        await asyncio.sleep(0)
        tasks[0].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[0]
    await asyncio.gather(*tasks[1:])
    assert recorded(other) == ["2", "3", "4"]


async def test_a_batch_that_is_large_does_not_wait_for_more(ledger, other, monkeypatch):
    monkeypatch.setattr("ringledger.ledger.write.store.GROUP_ROWS", 1)
    assert await together(ledger, [called(one) for one in ACCOUNTS]) == [None] * 4
    assert recorded(other) == list(ACCOUNTS)


async def test_nothing_to_write_is_no_commit(ledger, other):
    assert await together(ledger, [Changes(), called("1")]) == [None, None]
    assert recorded(other) == ["1"]


@pytest.mark.parametrize(
    ("batches", "whole"),
    [
        ([[("a", [1]), ("b", [2])]], [("a", [1]), ("b", [2])]),
        ([[("a", [1]), ("b", [2])], [("a", [3]), ("b", [4])]], [("a", [1, 3]), ("b", [2, 4])]),
        ([[("b", [1])], [("a", [2]), ("b", [3]), ("c", [4])]], [("a", [2]), ("b", [1, 3]), ("c", [4])]),
        ([[("a", [1]), ("b", [2])], [("b", [3]), ("a", [4])]], [("a", [1]), ("b", [2, 3]), ("a", [4])]),
        ([[("a", [1]), ("a", [2])], [("a", [3])]], [("a", [1, 3]), ("a", [2])]),
    ],
)
def test_each_batch_keeps_its_order_in_the_whole(batches, whole):
    assert merged(batches) == whole
    assert batches == [[(sql, [*rows]) for sql, rows in batch] for batch in batches]
