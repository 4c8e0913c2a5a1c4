"""docs/analysis.md and config/datasette.yml: what they name exists, and every question runs."""

import asyncio
import json
import os
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from ringledger.cli import main
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.schema.tables import metadata
from ringledger.ledger.schema.views import VIEWS
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.simulator import load_story
from tests import office

ROOT = Path(__file__).parents[1]
SCENARIOS = Path(__file__).parent / "scenarios"
PAGE = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
METADATA = yaml.safe_load((ROOT / "config" / "datasette.yml").read_text(encoding="utf-8"))["databases"]["ringledger"]
TABLES, QUERIES = METADATA["tables"], METADATA["queries"]
PERIOD = {"since": "2026-03-01", "until": "2026-04-01", "number": "+14155550101"}


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    path = tmp_path_factory.mktemp("books") / "ringledger.db"
    office.prepared(path)
    office.insert(path, "call", office.days(7, office.utc("2026-03-02"), 10, 60))
    office.insert(path, "extension", [office.extension(n, "NoCall", 1_772_442_000_000) for n in range(8)])
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_every_table_is_hidden_and_every_view_that_is_described_exists():
    hidden = {name for name, one in TABLES.items() if one.get("hidden")}
    assert metadata.tables.keys() <= hidden
    assert TABLES.keys() - hidden <= VIEWS.keys()


def test_facets_and_columns_are_columns_of_their_view(books):
    for view, one in TABLES.items():
        if view not in VIEWS:
            continue
        names = {row[1] for row in books.execute(f"PRAGMA table_info({view})")}
        wanted = {*one.get("facets", ()), *one.get("columns", ()), *(one[k] for k in ("sort", "sort_desc") if k in one)}
        assert wanted <= names, view


@pytest.mark.parametrize("name", QUERIES)
def test_every_question_has_an_answer(books, name):
    sql = QUERIES[name]["sql"]
    rows = books.execute(sql, {word: PERIOD[word] for word in re.findall(r":(\w+)", sql)}).fetchall()
    assert rows or name == "is_it_complete"


@pytest.mark.parametrize("line", re.findall(r"^\| [^|]+ \| `ringledger ([^`]+)` \|$", PAGE, re.MULTILINE))
def test_the_eleven_questions_can_be_typed(line, books, tmp_path, monkeypatch, capsys):
    path = books.execute("PRAGMA database_list").fetchone()[2]
    line = line.replace(" P", " --since 2026-03 --until 2026-04").replace("2026-09", "2026-03")
    line = line.replace("october.csv", str(tmp_path / "october.csv"))
    monkeypatch.setenv("RINGLEDGER_CONFIG", os.devnull)
    monkeypatch.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    assert main(shlex.split(line)) == 0
    assert capsys.readouterr().err == ""


def test_there_are_eleven_of_them():
    assert len(re.findall(r"^\| [^|]+ \| `ringledger ", PAGE, re.MULTILINE)) == 11


async def written(path, *names):
    """The calls of these stories in a ledger."""
    ledger = await Ledger.open(office.prepared(path))
    tracker, now = CallTracker(), 0.0
    try:
        for delivery in (one for name in names for one in load_story(SCENARIOS / f"{name}.story").deliveries):
            text = json.dumps(delivery.envelope)
            seen = decode_notification(text, account_id="1001", default_region="US", received_at=delivery.at)
            now = max(now, seen.at / 1000)
            tracker.take(seen, now)
        tracker.advance(now + 60)
        await ledger.commit(tracker.drain(), now_ms=round(now * 1000))
    finally:
        await ledger.close()


def test_a_transfer_is_found_and_no_other_call_with_several_legs(tmp_path):
    path = tmp_path / "r.db"
    asyncio.run(written(path, "blind_transfer", "internal_call", "queue_ring_all", "hold_and_resume"))
    (sql,) = re.findall(r"(?s)```sql\n(SELECT a\.session_id.*?)```", PAGE)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() >= (4,)
        rows = connection.execute(sql, {"since": "2020", "until": "2100"}).fetchall()
        (transferred,) = [row[0] for row in rows]
        legs = "SELECT extension_id FROM call_legs WHERE session_id = ? ORDER BY answered_at"
        assert len(connection.execute(legs, [transferred]).fetchall()) == 2
    story = (SCENARIOS / "blind_transfer.story").read_text(encoding="utf-8")
    assert f"session={transferred}" in story
