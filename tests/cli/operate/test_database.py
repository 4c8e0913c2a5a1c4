import sqlite3
from contextlib import closing

from ringledger.ledger.file.lock import DaemonLock


def test_upgrade_creates_and_then_has_nothing_to_do(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/new.db")
    assert "created with schema" in cli("db", "upgrade").out
    assert "nothing to do" in cli("db", "upgrade").out
    ended = cli("db", "check", "--json")
    assert (ended.code, ended.data["problems"]) == (0, [])


def test_a_database_newer_than_the_program_is_78(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/new.db")
    cli("db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    for words in (["calls"], ["db", "check"], ["db", "upgrade"]):
        ended = cli(*words)
        assert ended.code == 78
        assert "newer" in ended.err


def test_a_foreign_database_is_65(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/other.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert cli("db", "check").code == 65
    assert cli("calls").code == 65


def test_while_a_daemon_writes_an_upgrade_has_to_wait(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/held.db")
    with DaemonLock(tmp_path / "held.db"):
        ended = cli("db", "upgrade")
    assert ended.code == 75
    assert ended.err.count("\n") == 1


def test_a_missing_view_is_found(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/new.db")
    cli("db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        connection.execute("DROP VIEW calls")
    ended = cli("db", "check")
    assert ended.code == 1
    assert "no view calls" in ended.out
