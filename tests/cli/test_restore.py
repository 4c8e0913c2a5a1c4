"""`db restore`, and whose the files are that root makes."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.ledger.file.lock import DaemonLock
from tests import office
from tests.needs import needs

THEIRS = 54_321
ANALYST = 54_322
#: Reads as somebody of the group, who may write neither file nor directory.
READS = """
import os, sqlite3, sys
os.setgroups([]); os.setgid(54321); os.setuid(54322)
print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT count(*) FROM calls").fetchone()[0])
"""


@pytest.fixture
def ledger(tmp_path, clean):
    path = tmp_path / "r.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(path))
    mark(path, "before")
    return path


def mark(path, word):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO feed_position VALUES (?1, 'x', ?1, 'x', '2026')", (word,))


def marks(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM feed_position ORDER BY key")]


def test_a_copy_is_put_back_and_what_was_there_is_kept(cli, ledger, tmp_path):
    copy = tmp_path / "copy.db"
    assert cli("db", "backup", copy).code == 0
    mark(ledger, "after")
    ended = cli("db", "restore", copy, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert marks(ledger) == ["before"]
    assert marks(ended.data["kept"]) == ["after", "before"]
    assert copy.exists()
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]
    assert cli("db", "check").code == 0
    assert "start the daemon" in cli("db", "restore", copy).out


def test_an_old_log_is_not_mixed_into_the_new_file(cli, ledger, tmp_path):
    copy = tmp_path / "copy.db"
    cli("db", "backup", copy)
    with closing(sqlite3.connect(ledger)) as reader:  # keeps the log from being emptied and removed
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM feed_position").fetchone()
        mark(ledger, "after")
        assert ledger.with_name("r.db-wal").stat().st_size
        assert cli("db", "restore", copy).code == 0
        reader.execute("ROLLBACK")
    assert marks(ledger) == ["before"]


def test_under_a_running_daemon_it_is_refused(cli, ledger, tmp_path):
    copy = tmp_path / "copy.db"
    cli("db", "backup", copy)
    mark(ledger, "after")
    with DaemonLock(ledger):
        ended = cli("db", "restore", copy)
    assert ended.code == 75
    assert f"process {os.getpid()}" in ended.err
    assert marks(ledger) == ["after", "before"]


def test_a_damaged_database_is_moved_away(cli, ledger, tmp_path):
    copy = tmp_path / "copy.db"
    cli("db", "backup", copy)
    ledger.write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    ended = cli("db", "restore", copy, "--json")
    assert ended.code == 0
    assert marks(ledger) == ["before"]
    assert "damaged" in ended.data["kept"]
    assert Path(ended.data["kept"]).stat().st_size == 8208


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda copy: copy.write_text("no database at all " * 100), 65),
        (lambda copy: copy.write_bytes(b""), 65),
        (lambda copy: closing(sqlite3.connect(copy)).__enter__().execute("PRAGMA user_version = 999").close(), 78),
        (lambda copy: copy.unlink(), 74),
        (lambda copy: (copy.unlink(), copy.mkdir()), 64),
    ],
)
def test_what_is_no_sound_copy_changes_nothing(cli, ledger, tmp_path, spoil, code):
    copy = tmp_path / "copy.db"
    cli("db", "backup", copy)
    spoil(copy)
    ended = cli("db", "restore", copy)
    assert (ended.code, ended.err.count("\n")) == (code, 1)
    assert marks(ledger) == ["before"]
    assert cli("db", "restore", ledger).code == 78


@pytest.fixture
def service(clean, public_folder):
    """A database that belongs to the service's user, in a directory the group may read; we are root."""
    os.chown(public_folder, THEIRS, THEIRS)
    public_folder.chmod(0o750)
    path = public_folder / "r.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    return path


def owners(folder):
    return {one: (one.stat().st_uid, one.stat().st_gid) for one in [folder, *folder.rglob("*")]}


def reads(path):
    done = subprocess.run([sys.executable, "-c", READS, str(path)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_what_root_makes_belongs_to_the_databases_owner(cli, service):
    for words in (("db", "upgrade"), ("db", "backup"), ("db", "upgrade"), ("db", "check")):
        assert cli(*words).code == 0, words
        assert reads(service) == "0" or "no such table" in reads(service), words  # the older schema has no views
    (copy,) = (service.parent / "backups").iterdir()
    assert cli("db", "restore", copy).code == 0
    assert reads(service) == "0"
    found = owners(service.parent)
    assert len(found) > 5
    assert set(found.values()) == {(THEIRS, THEIRS)}, found
    assert stat.S_IMODE(service.stat().st_mode) == 0o640


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_a_check_needs_no_right_to_write(cli, service):
    cli("db", "upgrade")
    before = {one.name for one in service.parent.iterdir()}
    os.setegid(THEIRS)
    os.seteuid(ANALYST)
    try:
        ended = cli("db", "check")
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert (ended.code, ended.err) == (0, "")
    assert {one.name for one in service.parent.iterdir()} == before


def test_a_file_that_is_no_ledger_is_named_as_that(cli, ledger, tmp_path):
    other = tmp_path / "hostname"
    other.write_text("some-machine\n")
    ended = cli("db", "restore", other)
    assert (ended.code, ended.out) == (65, "")
    assert ended.err == f"ringledger: {other}: is no copy of a ledger; name one that db backup has made\n"
    assert marks(ledger) == ["before"]
