"""`audit` and `backfill` together: what is lacking is named and written, with a daemon and without."""

import sqlite3
import stat
from contextlib import closing

import pytest

from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
from ringledger.simulator import Options
from tests.until import eventually

SINCE = ("--since", "2h")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "r.db"


@pytest.fixture
def sim(platform):
    sim = platform()
    for n in range(5):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    return sim


def query(database, sql, *values):
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def delete_by_hand(database, session):
    for table in ("call", "call_leg"):
        query(database, f"DELETE FROM {table} WHERE session_id = ?", session)


def named(cli):
    """What audit finds: the exit code, and kind and session of each difference."""
    ended = cli("audit", *SINCE, "--json")
    return ended.code, [(one["kind"], one["session_id"]) for one in ended.data["differences"]]


def test_without_a_daemon_and_without_a_database(cli, sim, database):
    assert cli("audit", *SINCE).code == 74
    ended = cli("backfill", *SINCE, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.data == {"by": "command", "records": 5, "written": 5, "healed": 0}
    assert named(cli) == (0, [])
    assert cli("backfill", *SINCE, "--json").data["written"] == 0


def test_a_row_deleted_by_hand_without_a_daemon(cli, sim, database):
    cli("backfill", *SINCE)
    before = cli("calls", "--json").data
    delete_by_hand(database, "900000003")
    assert named(cli) == (1, [("missing_in_ledger", "900000003")])
    assert "900000003" in cli("audit", *SINCE).out
    out = cli("backfill", *SINCE).out
    assert "1 call written" in out
    assert named(cli) == (0, [])
    after = cli("calls", "--json").data
    told = ("session_id", "started_at", "ended_at", "disposition", "duration_seconds", "from_number", "to_number")
    assert [[row[name] for name in told] for row in after] == [[row[name] for name in told] for row in before]


def test_a_period_the_log_is_not_complete_for_yet_heals_nothing(cli, sim, database):
    cli("backfill", *SINCE)
    hole = "('1001', '2020-01-01T00:00:00.000Z', '2099-01-01T00:00:00.000Z', 'doubtful', 'silence', 0)"
    query(database, f"INSERT INTO coverage_span VALUES {hole}")
    ended = cli("backfill", "--since", "1m", "--json")
    assert (ended.code, ended.data["healed"]) == (0, 0)


def test_what_was_over_before_the_period_does_not_come_back(cli, sim, database):
    """The log is asked from some time before, for calls that had begun then; who was erased meanwhile stays so."""
    cli("backfill", *SINCE)
    assert cli("purge", "--yes", "--number", "(415) 555-0100", "--json").data["purged"] == 1
    assert cli("backfill", "--since", "58m", "--json").data["written"] == 0
    assert len(cli("calls", "--json").data) == 4


def test_a_row_deleted_by_hand_while_the_daemon_runs(cli, sim, database):
    sim.daemon(database)
    eventually(lambda: len(query(database, "SELECT 1 FROM calls")) == 5)
    eventually(lambda: named(cli) == (0, []))
    delete_by_hand(database, "900000003")
    assert named(cli) == (1, [("missing_in_ledger", "900000003")])
    ended = cli("backfill", *SINCE, "--json")
    assert ended.code == 0
    assert (ended.data["by"], ended.data["written"]) == ("daemon", 1)
    assert named(cli) == (0, [])
    sim.stop_daemon()
    assert named(cli) == (0, [])


def test_a_call_the_daemon_left_open_is_ended(cli, sim, database):
    """Killed in the middle of a call: the log knows the end."""
    cli("backfill", *SINCE)
    start = sim.past_call("900000009", minutes=30)
    cli("backfill", *SINCE)
    assert query(database, "SELECT kind FROM fact WHERE session_id = '900000009'")
    assert start
    assert cli("active", "--json").data == []


def test_holes_of_the_period_are_healed(cli, sim, database):
    url = f"sqlite+aiosqlite:///{database}"
    upgrade(url)
    now = sim.sim.clock.now_ms()
    hole = ("1001", iso(now - 5_400_000), iso(now - 1_800_000), "blind", "network", 0)
    query(database, "INSERT INTO coverage_span VALUES (?, ?, ?, ?, ?, ?)", *hole)
    assert cli("coverage", "--since", "80m", "--until", "40m").code == 1
    assert cli("backfill", *SINCE, "--json").data["healed"] == 1
    (row,) = cli("coverage", "--since", "80m", "--until", "40m", "--json").data
    assert (row["state"], row["recovered_calls"], row["cause"]) == ("healed", 5, "network, healed by back-fill")


def iso(ms):
    from ringledger.ledger.times import to_text

    return to_text(ms)


def test_a_writer_without_an_ear_is_75(cli, sim, database):
    upgrade(f"sqlite+aiosqlite:///{database}")
    with DaemonLock(database):
        ended = cli("backfill", *SINCE)
    assert ended.code == 75
    assert "stop that one first" in ended.err
    assert ended.err.count("\n") == 1


def test_the_socket_is_for_owner_and_group(cli, sim, database):
    sim.daemon(database)
    path = database.with_suffix(".sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    sim.stop_daemon()
    assert not path.exists()


def test_a_period_that_makes_no_sense_is_64(cli, sim):
    cli("backfill", *SINCE)
    later = ["--since", "1h", "--until", "2h"]
    for words in (["backfill"], ["audit"], ["backfill", *later], ["audit", *later]):
        ended = cli(*words)
        assert (ended.code, ended.err.count("\n")) == (64, 1), words


@pytest.mark.parametrize("command", ["audit", "backfill"])
def test_failures_of_the_platform(cli, sim, clean, database, command):
    upgrade(f"sqlite+aiosqlite:///{database}")
    sim.do(lambda: sim.sim.permissions.missing.add("ReadCallLog"))
    ended = cli(command, *SINCE)
    assert ended.code == 77
    assert "ReadCallLog" in ended.err
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    assert cli(command, *SINCE).code == 69


def test_the_daemons_troubles_are_the_commands(cli, sim, database):
    sim.daemon(database)
    sim.do(lambda: sim.sim.permissions.missing.add("ReadCallLog"))
    ended = cli("backfill", *SINCE)
    assert ended.code == 77
    assert "ReadCallLog" in ended.err
    assert ended.err.count("\n") == 1


def test_a_log_cut_in_the_middle_is_no_proof(cli, platform, database):
    sim = platform(Options(faults=("page-fails=1",)))
    for n in range(1100):
        sim.past_call(f"7{n:05d}", minutes=60 + n / 1000)
    ended = cli("audit", *SINCE)
    assert ended.code == 74
    upgrade(f"sqlite+aiosqlite:///{database}")
    ended = cli("audit", *SINCE)
    assert (ended.code, ended.out) == (69, "")
