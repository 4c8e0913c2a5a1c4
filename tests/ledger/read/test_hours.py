"""Calls added up by the hour and by extension: the same as counting them one by one, and from an index alone."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ringledger.ledger.file.sqlite import reader_engine
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.read.groups import By
from ringledger.ledger.read.hours import _question, hours_and_extensions
from ringledger.ledger.read.stats import stats
from tests import office

FIRST = datetime(2026, 3, 5, tzinfo=UTC)
PERIOD = {"since": office.ms_of(FIRST + timedelta(hours=31, minutes=20)), "until": office.ms_of(FIRST + timedelta(8))}
FILTERS = [{}, {"direction": "Inbound"}, {"disposition": "missed"}, {"account_id": "1001"}, {"extension": "103"},
           {"number": "+14155550123"}, {"withheld": True}, {"unconfirmed": True}]  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("hours") / "r.db"
    office.prepared(path)
    office.insert(path, "extension", [office.extension(n, "NoCall", 0) for n in range(8)])
    office.insert(path, "call", office.days(4, FIRST, 12, 150))
    return path


def ask(path, question):
    async def asked():
        engine = reader_engine(f"sqlite+aiosqlite:///{path}")
        try:
            return await question(engine)
        finally:
            await engine.dispose()

    return asyncio.run(asked())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_each_call_counts_in_its_hour(database, zone):
    zone = ZoneInfo(zone)
    found, _ = ask(database, lambda engine: hours_and_extensions(engine, CallFilter(**PERIOD), zone=zone))
    with closing(sqlite3.connect(database)) as connection:
        calls = connection.execute("SELECT started_at, talk_seconds FROM calls").fetchall()
    first, last = (datetime.fromtimestamp(PERIOD[name] / 1000, UTC) for name in ("since", "until"))
    wanted, talk = Counter(), Counter()
    for text, seconds in calls:
        if first <= (moment := datetime.fromisoformat(text)) < last:
            hour = moment.astimezone(zone).replace(minute=0, second=0, microsecond=0)
            wanted[hour] += 1
            talk[hour] += seconds
    assert {hour: figures.calls for hour, figures in found.items()} == wanted
    assert {hour: figures.talk for hour, figures in found.items()} == pytest.approx(talk)
    assert list(found) == sorted(wanted)


@pytest.mark.parametrize("values", FILTERS, ids=str)
def test_extensions_are_those_of_stats(database, values):
    wanted = CallFilter(**values, **PERIOD)
    found, rows = ask(database, lambda engine: hours_and_extensions(engine, wanted))
    expected, whole = ask(database, lambda engine: stats(engine, wanted, By.EXTENSION))
    assert rows == expected
    assert sum(figures.calls for figures in found.values()) == whole["calls"] > 0


@pytest.mark.parametrize("values", FILTERS[:4], ids=str)
def test_a_month_is_read_from_the_index_alone(database, values):
    from sqlalchemy.dialects import sqlite

    question = _question(CallFilter(**values, **PERIOD), UTC)
    sql = str(question.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with closing(sqlite3.connect(database)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    looked = [line for line in plan if line.startswith(("SEARCH call", "SCAN call"))]
    assert looked
    assert all("COVERING INDEX ix_call_daily (<expr>>? AND <expr><?)" in line for line in looked), plan
    after = plan[plan.index(looked[0]) + 1]
    assert after == "SCAN pieces", "groups come in the index's order: nothing is sorted"
