"""One contract for both databases: the same schema, and the same answer to every question about the same stories."""

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Text, inspect
from sqlalchemy.types import Integer

from ringledger.domain.changes import Changes
from ringledger.domain.observation import Source
from ringledger.domain.tracker import CallTracker, Records
from ringledger.ledger.database.base import database_of
from ringledger.ledger.errors import DatabaseForbidden
from ringledger.ledger.read import queries
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.read.groups import By
from ringledger.ledger.read.hours import hours_and_extensions
from ringledger.ledger.read.stats import SUMS, stats
from ringledger.ledger.schema.baseline import OWN
from ringledger.ledger.schema.migrate import check, upgrade
from ringledger.ledger.schema.tables import SCHEMA_VERSION, metadata
from ringledger.ledger.schema.views import VIEWS
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.records import decode_records
from ringledger.simulator import load_story
from tests.builders import T0
from tests.postgresql.server import asked, needs_postgresql, server
from tests.template import migrated

pytestmark = needs_postgresql

STORIES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.story"))


def kind_of(column):
    kind = column["type"]
    return "text" if isinstance(kind, Text) or "CHAR" in str(kind) else "whole" if isinstance(kind, Integer) else kind


def schema_of(connection):
    looked = inspect(connection)
    tables = {
        table: (
            [(one["name"], kind_of(one), bool(one["nullable"])) for one in looked.get_columns(table)],
            looked.get_pk_constraint(table)["constrained_columns"],
            sorted((one["name"], tuple(one["column_names"])) for one in looked.get_indexes(table)
                   if None not in one["column_names"]),
            sorted(one["name"] for one in looked.get_check_constraints(table)),
        )
        for table in metadata.tables
    }  # fmt: skip
    views = {name: [one["name"] for one in looked.get_columns(name)] for name in VIEWS}
    return tables, views, {name for name in looked.get_table_names() if name not in OWN}


async def reflected(url):
    engine = database_of(url).reader()
    async with engine.connect() as connection:
        found = await connection.run_sync(schema_of)
    await engine.dispose()
    return found


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
async def test_both_have_one_schema(tmp_path):
    """Tables, columns, types, keys, indexes, constraints, and the columns of views."""
    assert await reflected(server().url()) == await reflected(migrated(tmp_path / "r.db"))


def test_a_new_database_gets_the_newest_schema_and_nothing_is_left_to_do():
    url = server().url(empty=True)
    assert (upgrade(url).before, upgrade(url).before) == (0, SCHEMA_VERSION)
    assert check(url).problems == ()
    asked(
        url,
        "DROP VIEW missed_calls",
        "DROP INDEX ix_call_daily",
        "ALTER TABLE call ADD COLUMN strange text",
        "SELECT 1",
    )
    assert len(check(url).problems) == 3
    upgrade(url)
    assert check(url).problems == ("schema: the column call.strange is not this program's",)
    asked(url, "ALTER TABLE outbox ALTER attempts TYPE integer, ALTER attempts DROP NOT NULL", "SELECT 1")
    assert sorted(check(url).problems[1:]) == [
        "schema: outbox.attempts is of type INTEGER, not BIGINT", "schema: outbox.attempts may be null",
    ]  # fmt: skip


async def test_text_is_in_the_order_of_its_bytes_whatever_the_server_speaks():
    url = server().url()
    for name in ("b", "A", "ä", "a", "B", "1"):
        asked(url, f"INSERT INTO purged_call VALUES ('1', '{name}', 'x')", "SELECT 1")
    found = [row["session_id"] for row in asked(url, "SELECT session_id FROM purged_call ORDER BY session_id")]
    assert found == sorted(("b", "A", "ä", "a", "B", "1"))


def changes_of(story):
    """What a story comes to: its deliveries, then what the platform's log says."""
    tracker, changes = CallTracker(settle_seconds=story.settle_seconds), Changes()

    def advance(at):
        while (deadline := tracker.next_deadline) is not None and deadline <= at / 1000:
            tracker.advance(deadline)
        changes.absorb(tracker.drain())

    for one in story.deliveries:
        advance(one.at)
        body = json.dumps(one.envelope).encode()
        tracker.take(
            decode_notification(body, account_id=story.account_id, default_region="US", received_at=one.at),
            one.at / 1000,
        )
    advance(story.deliveries[-1].at + 60_000)
    yield changes
    changes = Changes()
    for one in story.log_records:
        page = decode_records(
            json.dumps({"records": [one.record]}).encode(), account_id=story.account_id, source=Source.CALL_LOG,
            default_region="US", read_at=one.at,
        )  # fmt: skip
        tracker.take(Records(tuple(page.claims)), one.at / 1000)
    changes.absorb(tracker.drain())
    yield changes


async def answers(engine):
    """All views, and what the commands ask."""
    found: dict[str, Any] = {}
    async with engine.connect() as connection:
        for view in sorted(VIEWS):
            rows = await connection.exec_driver_sql(f"SELECT * FROM {view}")
            found[view] = sorted(map(repr, map(dict, rows.mappings())))
    everything = CallFilter(with_parts=True)
    found["calls"] = await queries.calls(engine, everything)
    for row in found["calls"]:
        found[row["session_id"]] = await queries.call(engine, row["session_id"])
    glance = await queries.glance(engine, since=0)
    found["glance"] = replace(glance, minutes=sorted(glance.minutes, key=repr))  # to be added up: they have no order
    found["presence"] = await queries.presence(engine)
    for by in By:
        found[by] = await stats(engine, CallFilter(), by)
    hours, found["extensions"] = await hours_and_extensions(engine, CallFilter())
    # A sum of seconds depends on the order of the addition.
    found["hours"] = {at: {name: round(getattr(hour, name), 6) for name in SUMS} for at, hour in hours.items()}
    assert {type(getattr(hour, name)) for name in SUMS for hour in hours.values()} <= {int, float}
    for filters in ({"number": "+13027430863"}, {"extension": "101"}, {"withheld": True}, {"unconfirmed": True}):
        found[repr(filters)] = await queries.calls(engine, CallFilter(**filters), limit=5)
    return found


async def test_every_story_is_told_alike_by_both(tmp_path):
    """Each story is an account of its own, so that one pair of databases serves them all."""
    one = await Ledger.open(server().url())
    other = await Ledger.open(migrated(tmp_path / "r.db"))
    try:
        for number, path in enumerate(STORIES):
            for changes, twin in zip(changes_of(load_story(path)), changes_of(load_story(path)), strict=True):
                await one.commit(changes, now_ms=T0 + number)
                await other.commit(twin, now_ms=T0 + number)
        assert await answers(one.reader) == await answers(other.reader)
    finally:
        await one.close()
        await other.close()


async def test_the_rights_of_the_page_are_enough_and_no_more(pytestconfig):
    """docs/postgresql.md: the writer makes everything, the reader sees it, also after the views were made anew."""
    page = (pytestconfig.rootpath / "docs" / "postgresql.md").read_text()
    roles, rights = (
        page.split(f"<!-- {name} -->")[1].split("```")[1].removeprefix("sql\n") for name in ("roles", "rights")
    )
    where = server()
    for statement in roles.split(";")[:3]:
        where.execute("postgres", f"{statement};", "SELECT 1")
    where.execute("ringledger", rights, "SELECT 1")
    writes = where.address("ringledger").replace(f"{where.name}@", "ringledger@")
    reads = where.address("ringledger").replace(f"{where.name}@", "ringledger_reader@")
    for zone in (ZoneInfo("Europe/Berlin"), UTC):
        upgrade(writes, zone=zone)
        writer = await Ledger.open(writes)
        await writer.checkpoint(truncate=True)
        reader = await Ledger.open(reads, read_only=True)
        assert await answers(reader.reader)
        await reader.close()
        await writer.close()
    with pytest.raises(DatabaseForbidden):
        await Ledger.open(reads)
