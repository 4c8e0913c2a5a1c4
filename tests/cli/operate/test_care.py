import shutil
import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.tables import SCHEMA_VERSION
from tests.cli.conftest import count
from tests.older import older


def test_a_backup_is_whole_and_named_by_itself(cli, own):
    with DaemonLock(own):  # a running daemon is no obstacle
        ended = cli("db", "backup", "--json")
    assert ended.code == 0
    made = own.parent / "backups"
    (copy,) = made.iterdir()
    assert ended.data["path"] == str(copy)
    assert count(copy) == count(own)
    assert count(copy, "PRAGMA journal_mode") == "delete"


@pytest.mark.parametrize("place", [(), ("copy.db",)])
def test_a_damaged_database_gives_no_copy_and_takes_none_away(cli, own, tmp_path, place):
    """Damage further down, which opening does not meet: the copy is read before it gets its name."""
    target = [tmp_path / name for name in place]
    for path in target:
        shutil.copy(own, path)
    older_ones = [path.read_bytes() for path in target]
    with own.open("r+b") as file:
        file.seek(4096 * (count(own, "SELECT rootpage FROM sqlite_master WHERE name = 'call'") - 1))
        file.write(b"\xff" * 4096)
    ended = cli("db", "backup", *target)
    assert ended.code == 65
    assert "does not verify" in ended.err
    assert ended.err.count("\n") == 1
    assert [path.read_bytes() for path in target] == older_ones
    beside = [path for path in own.parent.rglob("*") if path.is_file() and not path.name.startswith(own.name)]
    assert beside == target


def test_only_its_own_copies_are_removed_and_the_newest_stay(cli, own):
    made = own.parent / "backups"
    made.mkdir()
    names = [f"ringledger-2026010{day}T000000Z.db" for day in range(1, 6)]
    for name in [*names, "precious.db"]:
        (made / name).touch()
    ended = cli("db", "backup", "--keep", "3", "--json")
    assert [path.rpartition("/")[2] for path in ended.data["removed"]] == names[:3]
    left = {path.name for path in made.iterdir()}
    assert {"precious.db", *names[3:]} < left
    assert len(left) == 4


def test_a_backup_to_a_place_of_choice(cli, own, tmp_path):
    assert cli("db", "backup", tmp_path / "copy.db").code == 0
    assert count(tmp_path / "copy.db") == count(own)
    assert cli("db", "backup", tmp_path / "no" / "such" / "copy.db").code == 74
    assert cli("db", "backup", tmp_path / "copy.db", "--keep", "3").code == 64


def test_a_copy_replaces_an_older_copy_and_nothing_else(cli, own, tmp_path):
    notes, theirs = tmp_path / "notes.txt", tmp_path / "theirs.db"
    notes.write_text("hello")
    with closing(sqlite3.connect(theirs)) as connection:
        connection.execute("CREATE TABLE x (y)")
    before = theirs.read_bytes()
    for place in (notes, theirs):
        ended = cli("db", "backup", place)
        assert (ended.code, "no copy of a ledger" in ended.err) == (64, True)
    assert (notes.read_text(), theirs.read_bytes()) == ("hello", before)
    assert [cli("db", "backup", tmp_path / "copy.db").code for _ in range(2)] == [0, 0]


def test_a_backup_does_not_take_the_place_of_the_database(cli, own, tmp_path):
    before = own.stat().st_ino
    (tmp_path / "link.db").symlink_to(own)
    (tmp_path / "twin.db").hardlink_to(own)
    for place in (own, tmp_path / "link.db", tmp_path / "twin.db", tmp_path / "ringledger.db-wal", tmp_path):
        ended = cli("db", "backup", place)
        assert ended.code == 64, place
        assert ended.err.count("\n") == 1
    assert own.stat().st_ino == before


def test_the_file_of_another_program_is_not_copied(cli, clean, tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE a (b)")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/other.db")
    assert cli("db", "backup", tmp_path / "copy.db").code == 65
    assert not (tmp_path / "copy.db").exists()


def test_without_a_database_there_is_nothing_to_care_for(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    for words in (["db", "backup"], ["db", "downgrade"], ["purge", "--older-than", "90d"]):
        ended = cli(*words)
        assert ended.code == 74
        assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_going_back_says_what_is_lost_and_wants_a_yes(cli, clean, tmp_path):
    database = tmp_path / "r.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{database}")
    older(database, 2)
    assert cli("db", "upgrade").code == 0
    asked = cli("db", "downgrade")
    assert (asked.code, count(database, "PRAGMA user_version")) == (64, SCHEMA_VERSION)
    assert "to 2 with" in asked.err
    assert "0 calls written or corrected since will be missing; add --yes" in asked.err
    done = cli("db", "downgrade", "--yes", "--json")
    assert (done.code, done.data["after"], done.data["later"]) == (0, 2, 0)
    assert count(database, "PRAGMA user_version") == 2


def test_without_a_copy_of_an_older_schema_there_is_no_going_back(cli, own):
    ended = cli("db", "downgrade", "--yes")
    assert ended.code == 74
    assert "no copy of an older schema" in ended.err


def test_a_read_only_directory_is_74(cli, own, tmp_path):
    blocker = tmp_path / "file"
    shutil.copy(own, blocker)
    assert cli("db", "backup", blocker / "copy.db").code == 74
