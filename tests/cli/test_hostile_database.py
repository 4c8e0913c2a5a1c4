"""A database made by a stranger, as it may come with a bug report: every command tells it in a line, or does its work.

The application's id and the schema's version are right. What must not happen: an end without a documented exit code, an
endless question, memory by the gigabyte, a trigger that is run.
"""

import os
import sqlite3
from contextlib import closing, suppress

import pytest

from ringledger.ledger.schema.ours import foreign_part, outdated_view
from ringledger.ledger.schema.views import VIEWS, create_view
from tests.cli.conftest import count
from tests.until import PATIENCE

READING = (
    ("calls",), ("calls", "--json"), ("calls", "show", "67029198021"), ("active",), ("presence",), ("coverage",),
    ("stats",), ("export", "--format", "csv"), ("export", "--format", "jsonl"), ("quarantine", "list"),
    ("replay", "--journal"), ("doctor",), ("db", "check"), ("webhooks", "list"),
)  # fmt: skip
WRITING = (("purge", "--older-than", "9000d", "--yes"), ("db", "upgrade"))
#: Done or not, with findings; the database is not ours; input and output; try again; configuration.
DOCUMENTED = {0, 1, 65, 74, 75, 78}
ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT {nulls} FROM x"
DAMAGED = (9e999, -9e999, 2**62, "abc", b"\xff\xfe\x00", "\x1b]0;x\x07", 1.5, "x" * 100_000, -1, "0001-01-01")


def columns(connection, name):
    return [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]


def endless_views(connection):
    """Each view of ours asks without end."""
    for name in VIEWS:
        nulls = ", ".join(f"NULL AS {one}" for one in columns(connection, name))
        connection.execute(f"DROP VIEW {name}")
        connection.execute(f"CREATE VIEW {name} AS {ENDLESS.format(nulls=nulls)}")


def endless_table(connection):
    """What our views read from is no table."""
    nulls = ", ".join(f"NULL AS {one}" for one in columns(connection, "call"))
    connection.execute("PRAGMA legacy_alter_table = ON")
    connection.execute("ALTER TABLE call RENAME TO other")
    connection.execute(f"CREATE VIEW call AS {ENDLESS.format(nulls=nulls)}")


def generated_column(connection):
    connection.execute("ALTER TABLE call ADD COLUMN extra TEXT GENERATED ALWAYS AS (hex(zeroblob(90000000)))")


def triggers(connection):
    """Whatever is written to, calls go."""
    for table in ("call", "fact", "coverage_span"):
        for when in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(f"CREATE TRIGGER t_{table}_{when} AFTER {when} ON {table} BEGIN DELETE FROM call; END")


def no_tables(connection):
    for name in ("coverage_span", "outbox", "quarantined"):
        connection.execute(f"DROP TABLE {name}")


def odd_values(connection, tables=("call", "call_leg", "call_transition", "extension", "coverage_span", "live_call")):
    """Each column holds what no column of ours does."""
    number = 0
    for table in tables:
        for name in set(columns(connection, table)) - {"session_id", "account_id"}:
            for (row,) in connection.execute(f"SELECT DISTINCT {name} FROM {table}").fetchall():
                number += 1
                with suppress(sqlite3.Error):  # a key
                    value = DAMAGED[number % len(DAMAGED)]
                    connection.execute(f"UPDATE {table} SET {name} = ? WHERE {name} IS ?", (value, row))


def times_beyond_the_years(connection):
    for table in ("call", "call_leg", "coverage_span", "fact"):
        for name in columns(connection, table):
            if name.endswith("_at") or name == "at":
                value = "99999-12-31T23:59:59.999Z" if len(name) % 2 else "-001-01-01T00:00:00.000Z"
                connection.execute(f"UPDATE OR IGNORE {table} SET {name} = ?", (value,))


def not_utf8(connection):
    for table, name in (("call", "from_name"), ("call", "result"), ("fact", "status"), ("coverage_span", "cause")):
        connection.execute(f"UPDATE {table} SET {name} = CAST(x'fffe41d800' AS TEXT)")


def a_giant(connection):
    """A value of 200 MB."""
    connection.execute("UPDATE call SET from_name = zeroblob(200000000) WHERE rowid = (SELECT min(rowid) FROM call)")


def odd_facts(connection):
    bodies = ["[" * 100_000, b"\xff\xfe", "{}", "[1, 2]", '["a"]', "null", "[[[[]]]]", "9" * 5_000]
    for number, (row,) in enumerate(connection.execute("SELECT id FROM fact").fetchall()):
        connection.execute("UPDATE fact SET body = ? WHERE id = ?", (bodies[number % len(bodies)], row))


MADE = (
    endless_views, endless_table, generated_column, triggers, no_tables, odd_values, times_beyond_the_years, not_utf8,
    a_giant, odd_facts,
)  # fmt: skip


#: What a file holds that was written by hand: no SQLite would have taken it.
BY_HAND = {odd_values, times_beyond_the_years, not_utf8, a_giant, odd_facts}


def marked(*slow):
    """All of them as parameters; those in ``slow`` are left to `make slow`."""
    return [pytest.param(one, marks=[pytest.mark.slow] * (one in slow), id=one.__name__) for one in MADE]


def given(path, change):
    if change in BY_HAND:
        put(path, replace(",\n STRICT", "/*1*/"), replace("\n STRICT", "/*2*/"))
    put(path, change)
    if change in BY_HAND:
        put(path, replace("/*1*/", ",\n STRICT"), replace("/*2*/", "\n STRICT"))


def put(path, *changes):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in ("ignore_check_constraints = ON", "writable_schema = ON"):
            connection.execute(f"PRAGMA {name}")
        for change in changes:
            change(connection)


def replace(old, new):
    sql = f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}') WHERE type = 'table'"
    return lambda connection: connection.execute(sql)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("change", marked(a_giant, odd_values))
def test_every_command_ends_as_documented(cli, own, change):
    given(own, change)
    for words in (*READING, *WRITING):
        ended = cli(*words)
        assert ended.code in DOCUMENTED, (words, ended.code, ended.err)
        assert ended.err.count("\n") <= 1 or "as of" in ended.err, (words, ended.err)
        assert "\x1b]0" not in ended.out + ended.err
    for file in own.parent.glob(f"{own.name}*"):
        file.unlink()


@pytest.mark.parametrize("change", [endless_views, endless_table, generated_column], ids=lambda one: one.__name__)
def test_what_is_not_ours_is_said_and_nothing_is_asked_of_it(cli, own, change):
    given(own, change)
    for words in (("calls",), ("export", "--format", "csv"), ("stats",), ("active",)):
        ended = cli(*words)
        assert ended.code in {65, 78}
        assert "not this program's" in ended.err


def test_an_upgrade_makes_views_anew(cli, own):
    before = cli("calls", "--json").out
    given(own, endless_views)
    assert "the view all_calls is not this program's" in cli("db", "check").out
    assert cli("db", "upgrade").code == 0
    assert cli("calls", "--json").out == before


def test_no_trigger_is_run(cli, own, clean, process):
    """It could delete what is there, or refuse what comes, so that it would all be put aside."""
    calls = count(own)
    given(own, triggers)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "JWT"):
        clean.setenv(f"RINGLEDGER_CREDENTIALS__{name}", "x")
    for words in WRITING:
        ended = cli(*words)
        assert ended.code == 65
        assert "holds a trigger" in ended.err
    daemon = process("run", env=dict(os.environ))
    _, text = daemon.communicate(PATIENCE)
    assert daemon.returncode == 65
    assert "holds a trigger" in text
    assert count(own) == calls


def test_the_view_that_counts_days_may_differ_by_its_zone_alone():
    from zoneinfo import ZoneInfo

    for zone in ("America/New_York", "Asia/Kathmandu", "Pacific/Apia"):
        text = create_view("daily_calls", ZoneInfo(zone))
        schema = [("view", name, text if name == "daily_calls" else create_view(name)) for name in VIEWS]
        assert outdated_view(schema) == ""
        changed = text.replace("'%Y-%m-%d', started_at", "'%Y-%m-%d', (SELECT max(n) FROM x)")
        assert outdated_view([*schema, ("view", "daily_calls", changed)]) == "daily_calls"
    assert outdated_view(schema[1:]) == schema[0][1]
    assert foreign_part([("table", "call", "CREATE VIRTUAL TABLE call USING x")], writing=False)
