"""A value the database refuses costs what brought it, and nothing else."""

import asyncio
import json

import pytest

from ringledger.domain.changes import AnnouncementKind, Changes, Extension, Quarantined, QuarantineKind
from ringledger.domain.facts import Record
from ringledger.domain.observation import CallKey, FeedPosition, Source
from ringledger.ledger.errors import LedgerRefused
from ringledger.ledger.privacy import purge
from ringledger.ledger.read import queries
from ringledger.ledger.read.quarantine import entries
from ringledger.ledger.write import quarantine
from ringledger.ledger.write.encode import QUARANTINED_CHARACTERS, QUARANTINED_MOST
from tests.builders import ACCOUNT, SESSION, T0, Desk, claim, item, observations, presence
from tests.ledger.write.test_writer import Book, running
from tests.until import PATIENCE

HALF = "Ann \ud83d"
BEYOND = 253_402_300_800_000  # 10000-01-01
POISONS = {
    "half a character": lambda at: presence(102, 1, at, item(session="9", sender_name=HALF)),
    "a name of an extension's own": lambda at: presence(102, 1, at, item(session="9"))._replace(user_status=HALF),
    "beyond the years": lambda at: presence(102, 1, BEYOND, item(session="9"), received_at=at),
    "a start before the years": lambda at: presence(102, 1, at, item(session="9", started=-(10**15))),
    "before the years": lambda at: presence(102, 1, -(10**15), item(session="9"), received_at=at),
    "a number of 64 bits": lambda at: presence(102, 1 << 63, at, item(session="9")),
    "one of many more": lambda at: presence(102, 10**40, at, item(session="9")),
}


async def rows(ledger):
    return await entries(ledger.reader)


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
async def test_a_poison_is_put_aside_and_the_rest_and_the_position_are_committed(ledger, poison):
    book = Book(ledger, commit_interval=60.0)
    async with running(book):
        first, *others = observations("answered")
        book.see(first, poison(T0), *others)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        assert (await ledger.load_open(ACCOUNT)).positions["websocket"].token == str(book.seen)
        (row,) = await rows(ledger)
        assert (row["account_id"], row["source"], row["reason"], row["kind"]) == (
            ACCOUNT, "presence", "not_storable", "fact",
        )  # fmt: skip
        assert json.loads(row["body"])[1] == "102"
        told = [line for changes in book.told for line in changes.announcements]
        assert [line.reason for line in told if line.kind is AnnouncementKind.UNREADABLE] == ["not_storable"]
        assert {line.session_id for line in told} <= {None, SESSION, "9"}
        book.desk.tracker.advance(2000.0)
        book.writer.notify(0)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
    assert [call["session_id"] for call in await queries.calls(ledger.reader)] == [SESSION]


async def test_what_was_committed_of_a_call_before_is_what_it_goes_on_from(ledger):
    """Also what came with the poison: only the poison itself is put aside."""
    book = Book(ledger, commit_interval=60.0)
    refused = []

    async def on_refused(isolated):
        refused.extend(isolated.calls)
        for key in isolated.calls:
            book.desk.tracker.forget(key)
        book.desk.tracker.restore(await ledger.load_sessions(isolated.calls), now=1000.0)
        for key in isolated.calls:
            book.desk.tracker.save(key)
        book.writer.notify(0)

    book.writer._on_refused = on_refused
    ring, connect, over = observations("answered")
    async with running(book):
        book.see(ring)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        (poisoned,) = (one._replace(to_party=one.to_party._replace(name=HALF)) for one in connect.items)
        book.see(connect._replace(items=(poisoned,), uuid="poison"), connect)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        assert [key.session_id for key in refused] == [SESSION]
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        assert [call["status"] for call in await queries.active_calls(ledger.reader)] == ["CallConnected"]
        book.see(over)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        book.desk.tracker.advance(2000.0)
        book.writer.notify(0)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
    (call,) = await queries.calls(ledger.reader)
    assert (call["disposition"], call["ring_seconds"], call["talk_seconds"]) == ("answered", 5.829, 15.141)
    assert len(await rows(ledger)) == 1


async def test_a_row_that_breaks_a_rule_of_the_schema_is_put_aside_whole(ledger):
    """No observation has a value that cannot be stored: what the row was made of is kept."""
    desk = Desk().see(*observations("answered")).settle()
    changes = desk.changes
    (key,) = changes.records
    changes.records[key] = changes.records[key]._replace(ring_ms=-1)
    changes.observations.clear()
    with pytest.raises(LedgerRefused):
        await ledger.commit(changes, now_ms=T0)
    changes.absorb(Changes(extensions={(ACCOUNT, "7"): Extension(ACCOUNT, "7")},
                           positions={"pubnub": FeedPosition("pubnub", "key", "17", T0, ACCOUNT)}))  # fmt: skip
    done = await quarantine.commit_apart(ledger, changes, now_ms=T0)
    assert done.calls == {key}
    assert await ledger.load_sessions([key]) == []
    assert [row["extension_id"] for row in await queries.presence(ledger.reader)] == ["607457016", "7"]
    assert (await ledger.load_open(ACCOUNT)).positions["pubnub"].token == "17"
    (row,) = await rows(ledger)
    assert SESSION in row["body"]
    assert await queries.calls(ledger.reader) == []


async def test_a_record_is_put_aside_with_its_source(ledger):
    seen, other = claim("Accepted", session="9", source=Source.CALL_LOG, read_at=BEYOND), claim("Missed")
    changes = Changes(observations=[seen, other])
    changes.facts += [(CallKey(ACCOUNT, one.session_id), Record(one)) for one in (seen, other)]
    done = await quarantine.commit_apart(ledger, changes, now_ms=T0)
    assert [one.source for one in done.committed.quarantined] == [Source.CALL_LOG]
    assert done.committed.facts == [(CallKey(ACCOUNT, SESSION), Record(other))]


def entry(body, at=T0):
    return Quarantined(ACCOUNT, at, Source.CALL_LOG, "wrong_shape", QuarantineKind.RECORD, body)


async def test_any_text_can_be_put_aside(ledger):
    texts = ['{"name": "\ud83d"}', '{"name": "\0"}', "x" * (QUARANTINED_CHARACTERS + 1), ""]
    await ledger.commit(Changes(quarantined=[entry(text) for text in texts]), now_ms=T0)
    half, nul, long, none = [row["body"] for row in reversed(await rows(ledger))]
    assert (half, nul, none) == ('{"name": "\\ud83d"}', '{"name": "\\u0000"}', "")
    assert len(long) == QUARANTINED_CHARACTERS


async def test_there_are_only_so_many_of_them_and_the_oldest_go(ledger):
    await ledger.commit(Changes(quarantined=[entry(str(n)) for n in range(QUARANTINED_MOST + 5)]), now_ms=T0)
    kept = await rows(ledger)
    assert len(kept) == QUARANTINED_MOST
    assert kept[-1]["body"] == "5"
    assert await quarantine.discard(ledger, [kept[0]["id"], 10**9]) == 1


DAY = 86_400_000


async def test_they_go_with_the_journal_with_their_number_and_with_what_is_masked(ledger):
    number = "13027430863"
    old, new = entry(f'{{"from": "+{number}"}}'), entry(f'{{"from": "+1{number}"}}', T0 + DAY)
    await ledger.commit(Changes(quarantined=[old, new]), now_ms=T0)
    assert await purge.purge_number(ledger, number, now_ms=T0) == (0, 1, 0)
    assert [row["body"] for row in await rows(ledger)] == [new.body]
    await ledger.commit(Changes(quarantined=[old]), now_ms=T0)
    assert await purge.purge_journal(ledger, T0 + 1) == 1
    await ledger.commit(Changes(quarantined=[old]), now_ms=T0)
    await purge.mask_numbers(ledger, T0 + 1)
    assert [row["body"] for row in await rows(ledger)] == [new.body]
