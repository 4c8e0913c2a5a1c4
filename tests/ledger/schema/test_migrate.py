import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ringledger.exits import Exit
from ringledger.ledger.errors import (
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    LedgerBusy,
    LedgerLocked,
)
from ringledger.ledger.file.downgrade import go_back, way_back
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import MIGRATIONS, check, upgrade, version_of
from ringledger.ledger.schema.tables import SCHEMA_VERSION
from ringledger.ledger.schema.views import VIEWS
from tests.forked import Process
from tests.ledger.conftest import url_of
from tests.older import older

NEXT = SCHEMA_VERSION + 1
#: The first schema that keeps facts, instead of a document for each open call.
FACTS = 8
REVISION = f"""
import os, signal
import sqlalchemy as sa
from alembic import op
revision = "{NEXT:04d}"
down_revision = "{SCHEMA_VERSION:04d}"

def upgrade():
    op.create_table("novelty", sa.Column("x", sa.Integer(), nullable=False))
    with op.batch_alter_table("call") as batch:
        batch.add_column(sa.Column("colour", sa.Text(), nullable=True))
        batch.alter_column("result", new_column_name="verdict")
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)

def downgrade():
    with op.batch_alter_table("call") as batch:
        batch.alter_column("verdict", new_column_name="result")
        batch.drop_column("colour")
    op.drop_table("novelty")
"""
UPGRADE = """
import sys
from pathlib import Path
from ringledger.ledger.schema.migrate import upgrade
upgrade(sys.argv[1], scripts=Path(sys.argv[2]))
"""


@pytest.fixture
def future(tmp_path):
    """The migrations of a program one revision newer, which rebuilds the busiest table."""
    scripts = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / f"{NEXT:04d}_future.py").write_text(REVISION)
    return scripts


def look(path, question):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


def schema_of(path):
    return look(path, "SELECT name, sql FROM sqlite_master ORDER BY name")


def put_a_call(path, *sessions):
    """A finished call each; of old versions only what every version had."""
    row = {
        "account_id": "a", "session_id": "1", "direction": "Inbound", "internal": 0, "queue_call": 0,
        "extension_id": "7", "started_at": "2026-03-02T09:00:00.000Z", "ended_at": "2026-03-02T09:00:05.000Z",
        "end_estimated": 0, "ring_ms": 5000, "talk_ms": 0, "hold_ms": 0, "duration_ms": 0, "disposition": "missed",
        "result": "Missed", "result_source": "presence", "end_source": "presence", "leg_count": 1, "events_accepted": 2,
        "events_ignored": 0, "revision": 1, "updated_at": "2026-03-02T09:00:16.000Z",
    }  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        there = {column[1] for column in connection.execute("PRAGMA table_info(call)")}
        row |= {name: 0 for name in ("answer_estimated", "publication") if name in there}
        names = ", ".join(row)
        connection.execute("BEGIN")
        insert = f"INSERT INTO call ({names}) VALUES ({', '.join('?' * len(row))})"
        rows = [row | {"session_id": one} for one in sessions or ["1"]]
        connection.executemany(insert, [tuple(one.values()) for one in rows])
        connection.execute("COMMIT")


def put_an_open_call(path):
    """As its version remembers it: before facts were kept, one document."""
    state = (
        '{"account_id":"a","session_id":"2","phase":"open","status":"Ringing","opened_by":"presence","discovered_at":0,'
        '"last_seen_at":1000,"started_at":0,"first_rung_at":0,"events_accepted":1,"marks":{"7":[0,3,1000]},"legs":[{'
        '"number":1,"leg_id":"x","extension_id":"7","direction":"Inbound","status":"Ringing","live":true,'
        '"source":"presence","started_at":0,"from_party":["+1",null,"1"],"to_party":[null,null,null]}]}'
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'live_call'").fetchone():
            connection.execute(
                "INSERT INTO live_call (account_id, session_id, settling, status, started_at, suspect, last_seen_at) "
                "VALUES ('a', '2', 0, 'Ringing', '1970-01-01T00:00:00.000Z', 0, '1970-01-01T00:00:01.000Z')"
            )
            return
        connection.execute(
            "INSERT INTO call_state (account_id, session_id, phase, status, started_at, suspect, last_seen_at, state) "
            "VALUES ('a', '2', 'open', 'Ringing', '1970-01-01T00:00:00.000Z', 0, '1970-01-01T00:00:01.000Z', ?)",
            (state,),
        )


def test_a_new_database_is_made_and_made_once(path):
    first = upgrade(url_of(path))
    assert (first.before, first.after, first.backup) == (0, SCHEMA_VERSION, None)
    again = upgrade(url_of(path))
    assert (again.before, again.after, again.backup) == (SCHEMA_VERSION, SCHEMA_VERSION, None)
    assert check(url_of(path)).problems == ()


def test_an_older_database_is_copied_first_and_then_upgraded(url, path, future):
    put_a_call(path)
    report = upgrade(url, scripts=future)
    assert (report.before, report.after) == (SCHEMA_VERSION, NEXT)
    assert look(report.backup, "SELECT session_id, result FROM calls") == [("1", "Missed")]
    assert look(path, "SELECT session_id, verdict, colour FROM call") == [("1", "Missed", None)]
    assert "STRICT" in dict(schema_of(path))["call"]
    assert "ck_call_disposition" in dict(schema_of(path))["call"]


def test_copies_from_before_upgrades_expire_and_no_others(url, path, future):
    put_a_call(path)
    old = [path.with_name(f"{path.name}.schema{n}.2026010{n}T000000Z.backup") for n in range(1, 6)]
    others = [
        path.with_name(f"{path.name}.saved-20260101T000000Z"),
        path.with_name("x.schema1.20260101T000000Z.backup"),
    ]
    for one in [*old, *others]:
        one.touch()
    report = upgrade(url, scripts=future)
    left = {one for one in path.parent.iterdir() if one.name.endswith(".backup") or ".saved-" in one.name}
    assert left == {report.backup, *old[-2:], *others}


def test_killed_in_the_middle_the_old_schema_is_whole_and_the_next_start_upgrades(url, path, future):
    put_a_call(path)
    before = schema_of(path)
    killed = subprocess.run(
        [sys.executable, "-c", UPGRADE, url, str(future)], env={**os.environ, "DIE": "1"}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert schema_of(path) == before
    assert check(url).problems == ()
    assert upgrade(url, scripts=future).after == NEXT
    assert look(path, "SELECT count(*) FROM call") == [(1,)]


#: The suite kills each statement of the newest step, of longer ways each eighth, beginning with another one from each
#: version; `make slow` kills each.
KILLS = [
    (SCHEMA_VERSION - 1, 1),
    *((version, 8) for version in range(SCHEMA_VERSION - 1)),
    *(pytest.param(version, 1, marks=pytest.mark.slow) for version in range(SCHEMA_VERSION - 1)),
]


@pytest.mark.parametrize(("version", "every"), KILLS)
def test_killed_at_any_statement_the_next_start_goes_on(tmp_path, url, path, version, every):
    """From every released version, and from nothing. Each start meets what the one before was killed over."""
    older(path, version)
    if version:
        put_a_call(path)
        put_an_open_call(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE VIEW calls AS SELECT session_id FROM call")
    old = look(path, "SELECT name, sql FROM sqlite_master ORDER BY name")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    kills, new = 0, None
    with Process(url, 1 + version % every, every, module="tests.ledger.schema.killer", **pipes) as child:
        assert child.stdin
        assert child.stdout
        while (code := int(child.stdout.readline())) == -signal.SIGKILL:
            kills += 1
            found = schema_of(path)
            if found != old:  # nothing in between, and nothing that comes and goes
                assert look(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
                assert found == (new or found)
                new = found
            else:
                assert new is None
            child.stdin.write("\n")
            child.stdin.flush()
    assert code == 0
    assert kills > 20 // every
    assert check(url).problems == ()
    assert new in (None, schema_of(path))
    if version:
        assert look(path, "SELECT session_id FROM calls") == [("1",)]
        assert look(path, "SELECT session_id, status FROM active_calls") == [("2", "Ringing")]
        assert look(path, "SELECT session_id, kind FROM fact") == ([("2", "summary")] if version < FACTS else [])
        made = list(tmp_path.glob("*.backup"))
        assert made
        assert not list(tmp_path.glob(".*.partial"))
        for copy in made:
            assert look(copy, "PRAGMA user_version") == [(version,)]
            assert look(copy, "SELECT session_id FROM call") == [("1",)]
    else:
        assert not list(tmp_path.glob("*.backup"))


def test_the_way_back_is_the_copy_and_says_what_it_loses(path):
    older(path, SCHEMA_VERSION - 1)
    put_a_call(path)
    put_a_call(path, "2")
    report = upgrade(url_of(path))
    put_a_call(path, "3")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE call SET revision = 2 WHERE session_id = '2'")
    way = way_back(url_of(path))
    assert (way.before, way.after, way.copy, way.later) == (SCHEMA_VERSION, SCHEMA_VERSION - 1, report.backup, 2)
    done = go_back(url_of(path), way)
    assert done.version == SCHEMA_VERSION - 1
    assert look(path, "SELECT session_id, revision FROM call ORDER BY session_id") == [("1", 1), ("2", 1)]
    assert look(done.kept, "SELECT count(*) FROM calls") == [(3,)]
    assert upgrade(url_of(path)).after == SCHEMA_VERSION


def test_without_a_copy_there_is_no_way_back(url):
    with pytest.raises(DatabaseMissing, match="db restore"):
        way_back(url)


def test_views_that_differ_are_made_anew(url, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP VIEW calls")
        connection.execute("CREATE VIEW calls AS SELECT 1 AS one")
        connection.execute("DROP VIEW coverage")
    assert check(url).problems == ("schema: no view coverage",)
    upgrade(url)
    assert {name for name, sql in schema_of(path) if sql and sql.startswith("CREATE VIEW")} == VIEWS.keys()
    assert look(path, "SELECT * FROM calls") == []


def test_a_newer_database_is_refused(url, future):
    upgrade(url, scripts=future)
    for refused in (upgrade, check):
        with pytest.raises(DatabaseNewer, match="newer") as told:
            refused(url)
        assert told.value.exit_code == Exit.CONFIG


def test_another_programs_database_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(DatabaseForeign) as told:
        upgrade(url_of(path))
    assert told.value.exit_code == Exit.DATA
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone(path):
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(DatabaseForeign, match=str(path)):
        upgrade(url_of(path))
    assert path.read_text().startswith("Dear diary")


def test_damage_is_named(url, path):
    put_a_call(path, *map(str, range(400)))
    (size,) = look(path, "PRAGMA page_count")[0]
    with path.open("r+b") as file:
        file.seek(4096 * (size // 2))
        file.write(b"\xff" * 4096)
    assert version_of(url) == SCHEMA_VERSION  # the damage is further down
    with pytest.raises(DatabaseCorrupt, match="restore"):
        check(url)


def test_a_file_that_ends_too_early_is_corrupt(url, path):
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(DatabaseCorrupt, match="restore") as told:
        upgrade(url)
    assert told.value.exit_code == Exit.DATA


def test_a_running_daemon_is_not_upgraded_under_its_feet(url, path):
    with DaemonLock(path), pytest.raises(LedgerLocked):
        upgrade(url)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatabaseMissing, match="nowhere"):
        upgrade(url_of(tmp_path / "nowhere" / "ringledger.db"))
    with pytest.raises(DatabaseMissing):
        check(url_of(tmp_path / "ringledger.db"))


def test_a_percent_sign_in_the_path_of_the_scripts(tmp_path, path):
    scripts = tmp_path / "100% ours"
    shutil.copytree(MIGRATIONS, scripts)
    assert upgrade(url_of(path), scripts=scripts).after == SCHEMA_VERSION


def test_a_busy_database_is_told_as_busy(url, other, monkeypatch):
    from ringledger.ledger.file import sqlite

    monkeypatch.setattr(sqlite.connect, "__kwdefaults__", {"read_only": False, "busy_timeout_ms": 20})
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy):
        upgrade(url)


def test_what_differs_of_a_column_is_told_in_words(url, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE call ADD COLUMN strange TEXT")
        connection.execute("DROP INDEX ix_call_started_at")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'leg_count INTEGER NOT NULL', 'leg_count TEXT') "
            "WHERE name = 'call'"
        )
    assert sorted(check(url).problems) == [
        "schema: call.leg_count is of type TEXT, not INTEGER",
        "schema: call.leg_count may be null",
        "schema: no index ix_call_started_at",
        "schema: the column call.strange is not this program's",
    ]


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("call", "internal = 0 OR", "internal = 2 OR internal = 0 OR"),
        ("call", "leg_count INTEGER NOT NULL", "leg_count INTEGER NOT NULL DEFAULT 1"),
        ("ix_call_unconfirmed", "IS NULL", "IS NOT NULL"),
    ],
)
def test_what_was_declared_otherwise_is_told(url, path, table, old, new):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = ? AND sql LIKE '%' || ? || '%'",
            (old, new, table, old),
        )
        assert connection.execute("SELECT changes()").fetchone() == (1,)
    kind = "index" if table.startswith("ix_") else "table"
    assert check(url).problems == (f"schema: the {kind} {table} is not as this program makes it",)


def test_a_foreign_key_to_nowhere_is_told(url, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE call_source ADD COLUMN strange TEXT REFERENCES nowhere")
    compared, text = check(url).problems
    assert compared.startswith("schema: cannot be compared: ForeignKeyConstraint")
    assert text == "schema: the table call_source is not as this program makes it"


def test_a_database_that_lost_its_version_table_is_told(url, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
    assert check(url).problems == ("schema: no table alembic_version",)


def test_an_index_of_a_view_that_is_missing_is_told_and_made_at_the_next_start(url, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX ix_call_daily")
    assert check(url).problems == ("schema: no index ix_call_daily",)
    upgrade(url)
    assert check(url).problems == ()


def test_a_database_that_is_up_to_date_is_opened_without_alembic(url):
    upgrade(url)
    code = "import sys; from ringledger.ledger.schema.migrate import upgrade; upgrade(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "sqlalchemy.dialects.sqlite" in loaded
    assert not {"alembic", "sqlalchemy.dialects.postgresql"} & loaded
