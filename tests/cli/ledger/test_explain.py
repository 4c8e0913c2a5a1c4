"""`calls show`: the figures of a row and where they come from."""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from ringledger.domain.tracker import CallTracker
from ringledger.ledger.write.store import Ledger
from tests.builders import SESSION, T0, item, presence
from tests.template import migrated


@pytest.fixture
def late_hold(tmp_path, clean):
    """One call, the hold of which was told after its end."""
    path = tmp_path / "ringledger.db"
    url = migrated(path)

    async def write():
        ledger, tracker = await Ledger.open(url), CallTracker()
        told = {
            1: (0, "Ringing"),
            2: (4, "CallConnected"),
            4: (12, "CallConnected"),
            5: (20, "NoCall"),
            3: (9, "OnHold"),
        }
        for sequence, (at, status) in told.items():
            tracker.take(presence(101, sequence, T0 + at * 1000, item(status)), T0 / 1000 + 20)
        tracker.advance(T0 / 1000 + 60)
        await ledger.commit(tracker.drain(), now_ms=T0 + 60_000)
        await ledger.close()

    asyncio.run(write())
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    return path


def test_every_figure_is_explained(cli, database):
    ended = cli("calls", "show", "67029198021")
    assert ended.code == 0
    for figure in ("= 31.554 s", "= 15.141 s", "2 legs", "inbound and connected", "first ring"):
        assert figure in ended.out
    assert "13027430863" not in ended.out


def test_events_are_listed_with_the_reason_they_were_ignored_for(cli, database):
    out = cli("calls", "show", "67029198021").out
    assert "accepted" in out
    assert "duplicate" in out


def test_as_json_it_has_the_rows_and_the_sentences(cli, database):
    story = cli("calls", "show", "67029198021", "--json").data
    assert {"call", "legs", "transitions", "events", "sources", "parts", "explanation"} <= story.keys()
    assert story["call"]["from_number"] == "+*******0863"
    assert {row["outcome"] for row in story["events"]} == {"accepted", "ignored"}
    assert [row["to_status"] for row in story["transitions"]] == [
        "Ringing", "NoCall", "Ringing", "CallConnected", "NoCall",
    ]  # fmt: skip


def test_a_call_that_goes_on(cli, database):
    out = cli("calls", "show", "900000099001").out
    assert "The call is open: CallConnected" in out


def test_an_unknown_call_is_one_line_and_1(cli, database):
    ended = cli("calls", "show", "12345")
    assert (ended.code, ended.out) == (1, "")
    assert "no call 12345" in ended.err


def test_each_figure_names_the_fact_it_comes_from(cli, database):
    story = cli("calls", "show", "67029198021", "--json").data
    found = {row["figure"]: row for row in story["figures"]}
    assert (found["answered_at"]["says"], found["answered_at"]["sequence"]) == ("CallConnected", 133942)
    assert found["answered_at"]["value"] == story["call"]["answered_at"]
    assert found["ring_seconds"]["value"] == story["call"]["ring_seconds"]
    assert found["from_number"]["value"] is None
    assert "where each figure comes from" in cli("calls", "show", "67029198021").out


def test_what_came_late_is_told_in_the_order_of_arrival(cli, late_hold):
    story = cli("calls", "show", SESSION, "--json").data
    (late,) = story["late"]
    assert (late["says"], late["behind_seconds"]) == ("OnHold", 11.0)
    assert {"figure": "hold_seconds", "before": 0.0, "after": 3.0} in late["changed"]
    assert [row["status"] for row in story["events"]] == [
        "Ringing",
        "CallConnected",
        "OnHold",
        "CallConnected",
        "NoCall",
    ]
    out = cli("calls", "show", SESSION).out
    assert "what came late, in the order of arrival" in out
    assert "hold_seconds 0.000 s → 3.000 s" in out


def test_on_a_narrow_terminal_no_line_is_wider(cli, late_hold, clean):
    clean.setenv("COLUMNS", "80")
    clean.setenv("FORCE_COLOR", "1")
    out = re.sub(r"\x1b\[[\d;]*m", "", cli("calls", "show", SESSION).out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


def test_a_call_whose_facts_are_gone_says_so(cli, late_hold):
    with closing(sqlite3.connect(late_hold)) as database, database:
        database.execute("DELETE FROM fact")
    story = cli("calls", "show", SESSION, "--json").data
    assert (story["figures"], story["untold"]) == ([], "its facts are no longer kept")
    assert "its facts are no longer kept" in cli("calls", "show", SESSION).out


@pytest.mark.slow
def test_a_call_with_more_facts_than_are_traced_says_that(cli, late_hold):
    with closing(sqlite3.connect(late_hold)) as database, database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(fact)") if name != "id"]
        named = ", ".join(columns)
        for _ in range(8):  # 5 facts, doubled eight times: 1,280
            database.execute(f"INSERT INTO fact ({named}) SELECT {named} FROM fact WHERE body IS NOT NULL")
    assert "more than 1,000 facts" in cli("calls", "show", SESSION, "--json").data["untold"]
    out = " ".join(cli("calls", "show", SESSION).out.split())
    assert "it has more than 1,000 facts, too many to trace while somebody waits" in out
    assert "no longer kept" not in out


def test_a_call_whose_facts_are_traced_lacks_nothing(cli, late_hold):
    assert cli("calls", "show", SESSION, "--json").data["untold"] is None


def test_each_leg_has_the_name_of_its_extension(cli, database, tmp_path, clean):
    copy = tmp_path / "named.db"
    shutil.copyfile(database, copy)
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{copy}")
    leg = cli("calls", "show", "67029198021", "--json").data["legs"][0]["extension_id"]
    with closing(sqlite3.connect(copy)) as connection, connection:
        named = "UPDATE extension SET extension_number = '106', name = 'Émile' WHERE extension_id = ?"
        assert connection.execute(named, [leg]).rowcount == 1
    lines = cli("calls", "show", "67029198021").out.split("\nlegs\n")[1].split("\n\n")[0].splitlines()
    assert "name" in lines[0].split()
    assert any("106 Émile" in line for line in lines)
