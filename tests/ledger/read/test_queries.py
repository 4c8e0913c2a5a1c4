import pytest

from ringledger.domain.changes import Changes, SourceClaim
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.domain.observation import Source
from ringledger.domain.tracked import restored
from ringledger.ledger.privacy import purge
from ringledger.ledger.read import queries
from ringledger.ledger.read.queries import CallFilter
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, SESSION, T0, Desk, answered_call, claim, item, observations, play, presence

MINUTE = 60_000


@pytest.fixture
async def filled(ledger):
    """Two finished calls a minute apart, an open one, a claim, and two spans of sight."""
    desk = Desk().see(
        presence(101, 1, T0, item("Ringing", session="1", telephony="s-1")),
        presence(101, 2, T0 + 5000, item("NoCall", session="1")),
        presence(
            102,
            1,
            T0 + MINUTE,
            item("Ringing", "leg-2", session="2", direction="Outbound", sender="102", to="16502008440"),
        ),
        presence(102, 2, T0 + MINUTE + 2000, item("CallConnected", "leg-2", session="2", direction="Outbound")),
        presence(102, 3, T0 + MINUTE + 9000, item("NoCall", "leg-2", session="2", direction="Outbound")),
    )
    desk.settle().see(presence(101, 3, T0 + 2 * MINUTE, item("Ringing", "leg-3", session="3")))
    desk.changes.extensions[ACCOUNT, "102"].extension_number = "77"
    key = next(iter(desk.changes.records))
    claim = SourceClaim(*key, Source.CALL_LOG, "rec-1", "Inbound", T0, T0 + 4900, 4900, "Missed", T0)
    desk.changes.claims[key, Source.CALL_LOG, "rec-1"] = claim
    spans = [
        CoverageSpan(ACCOUNT, T0, T0 + MINUTE, CoverageState.LIVE),
        CoverageSpan(ACCOUNT, T0 + MINUTE, T0 + 2 * MINUTE, CoverageState.BLIND, "down"),
    ]
    await ledger.commit(desk.changes, now_ms=T0, coverage=spans)
    return ledger.reader


@pytest.mark.parametrize(
    ("wanted", "sessions"),
    [
        ({}, ["2", "1"]),
        ({"since": T0 + MINUTE}, ["2"]),
        ({"until": T0 + MINUTE}, ["1"]),
        ({"direction": "Inbound"}, ["1"]),
        ({"disposition": "answered"}, ["2"]),
        ({"number": "+13027430863"}, ["1"]),
        ({"number": "13027430863"}, ["1"]),
        ({"number": "16502008440"}, ["2"]),
        ({"extension": "101"}, ["1"]),
        ({"extension": "77"}, ["2"]),
        ({"unconfirmed": True}, ["2", "1"]),
        ({"account_id": "another"}, []),
        ({"direction": "Inbound", "disposition": "answered"}, []),
    ],
)
async def test_calls_are_found(filled, wanted, sessions):
    assert [row["session_id"] for row in await queries.calls(filled, CallFilter(**wanted))] == sessions


async def test_the_newest_come_first_and_no_more_than_wanted(filled):
    (newest,) = await queries.calls(filled, limit=1)
    assert (newest["session_id"], newest["started_at"]) == ("2", "2026-03-02T09:01:00.000Z")
    assert newest["talk_seconds"] == 7.0


async def test_one_call_is_explained(filled):
    story = await queries.call(filled, "1")
    assert story.call["disposition"] == "missed"
    assert story.active is None
    assert [leg["leg_id"] for leg in story.legs] == ["leg-1"]
    assert [event["status"] for event in story.events] == ["Ringing", "NoCall"]
    assert [change["to_status"] for change in story.transitions] == ["Ringing", "NoCall"]
    assert {source["source"]: source["duration_seconds"] for source in story.sources} == {
        "call-log": 4.9,
        "presence": 0.0,
    }


async def test_an_open_call_has_a_story_too_and_an_unknown_one_has_none(filled):
    story = await queries.call(filled, "3", account_id=ACCOUNT)
    assert (story.call, story.active["status"]) == (None, "Ringing")
    assert await queries.call(filled, "3", account_id="another") is None
    assert await queries.call(filled, "nobody's") is None


async def test_a_part_is_left_out_of_calls_and_told_with_its_whole(ledger):
    desk = play(observations("answered"))
    (key,) = desk.changes.records
    inner = desk.changes.records[key]._replace(session_id="inner", part_of=SESSION)
    desk.changes.records[key._replace(session_id="inner")] = inner
    await ledger.commit(desk.changes, now_ms=T0)
    assert [row["session_id"] for row in await queries.calls(ledger.reader)] == [SESSION]
    story = await queries.call(ledger.reader, SESSION)
    assert [part["session_id"] for part in story.parts] == ["inner"]
    assert [row["calls"] for row in await of_days(ledger.reader)] == [1]


async def test_what_is_now(filled):
    assert [row["session_id"] for row in await queries.active_calls(filled)] == ["3"]
    statuses = {row["extension_id"]: row["telephony_status"] for row in await queries.presence(filled)}
    assert statuses == {"101": "Ringing", "102": "NoCall"}


async def test_sight_over_a_period(filled):
    assert [row["state"] for row in await queries.coverage(filled)] == ["live", "blind"]
    assert [row["state"] for row in await queries.coverage(filled, since=T0 + MINUTE)] == ["blind"]
    assert [row["state"] for row in await queries.coverage(filled, until=T0 + MINUTE)] == ["live"]


async def of_days(engine):
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql("SELECT * FROM daily_calls ORDER BY day, direction")
        return list(found.mappings())


async def test_days(filled):
    rows = await of_days(filled)
    assert [(row["day"], row["direction"], row["answered"], row["missed"]) for row in rows] == [
        ("2026-03-02", "Inbound", 0, 1),
        ("2026-03-02", "Outbound", 1, 0),
    ]


async def test_the_journal_has_calls_whole_by_when_a_fact_of_theirs_came(ledger):
    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    (calls,) = [some async for some in ledger.recorded()]
    assert [restored(call).row() for call in calls] == [
        record._replace(revision=0) for record in desk.changes.records.values()
    ]
    last = max(seen.received_at for seen in desk.changes.observations)
    assert [some async for some in ledger.recorded(last)] == [calls]
    assert [some async for some in ledger.recorded(last + 1)] == []


async def test_publications_have_growing_numbers_that_are_never_used_twice(ledger, url):
    async def numbers(after=0):
        rows = await queries.published_after(ledger.reader, ACCOUNT, after)
        return [(row["session_id"], row["publication"]) for row in rows]

    desk = play(observations("answered"))
    await ledger.commit(desk.changes, now_ms=T0)
    desk.changes = Changes()
    await ledger.commit(desk.see(*answered_call(session="2", leg="l2")).settle().changes, now_ms=T0)
    assert await numbers() == [(SESSION, 1), ("2", 2)]
    desk.changes = Changes()
    await ledger.commit(desk.books(claim("Accepted", started=desk.call().started_at, duration=9)).changes, now_ms=T0)
    assert await numbers(1) == [("2", 2), (SESSION, 3)]
    assert await queries.published_after(ledger.reader, "another", 0) == []
    await purge.purge_calls(ledger, 1 << 47, now_ms=1 << 47)
    await ledger.close()
    again = await Ledger.open(url)
    await again.commit(play(observations("missed")).changes, now_ms=T0)
    await again.close()
    assert await numbers(3) == [(SESSION, 4)]
