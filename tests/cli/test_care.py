import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.ledger.lock import DaemonLock


@pytest.fixture
def own(recorded, clean, tmp_path):
    """A database of one's own, to be changed."""
    path = tmp_path / "ringledger.db"
    with closing(sqlite3.connect(recorded)) as origin, closing(sqlite3.connect(path)) as copy:
        origin.backup(copy)
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    return path


def count(path, sql="SELECT count(*) FROM calls"):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchone()[0]


def traces(path, text):
    return sum(file.read_bytes().count(text.encode()) for file in path.parent.glob("ringledger.db*"))


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
        path.write_text("an older copy")
    with own.open("r+b") as file:
        file.seek(4096 * (count(own, "PRAGMA page_count") // 2))
        file.write(b"\xff" * 4096)
    ended = cli("db", "backup", *target)
    assert ended.code == 65
    assert "does not verify" in ended.err
    assert ended.err.count("\n") == 1
    assert [path.read_text() for path in target] == ["an older copy"] * len(target)
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


def test_there_is_nothing_below_the_first_schema(cli, own):
    if count(own, "PRAGMA user_version") > 1:
        ended = cli("db", "downgrade", "--json")
        assert (ended.code, ended.data["after"]) == (0, ended.data["before"] - 1)
    else:
        ended = cli("db", "downgrade")
        assert ended.code == 64
        assert "no older program" in ended.err


def test_a_number_leaves_no_trace(cli, own):
    number = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'")
    assert traces(own, number.strip("+")) > 0
    before = count(own)
    ended = cli("purge", "--number", number, "--json")
    assert ended.code == 0
    assert ended.data["purged"] > 0
    assert count(own) == before - ended.data["purged"]
    assert traces(own, number.strip("+")) == 0


def test_a_number_as_people_write_it_is_the_one_that_is_kept(cli, own):
    """As `calls --number` finds it: without its country, with brackets and dashes."""
    digits = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'").removeprefix("+1")
    listed = cli("calls", "--number", digits, "--json").data
    assert listed
    ended = cli("purge", "--number", f"({digits[:3]}) {digits[3:6]}-{digits[6:]}", "--json")
    assert (ended.code, ended.data["purged"], ended.data["number"]) == (0, len(listed), f"+1{digits}")
    assert ended.data["found"] is True
    assert traces(own, digits) == 0


def test_a_number_nobody_knows_is_not_told_as_erased(cli, own):
    calls, events = count(own), count(own, "SELECT count(*) FROM observation")
    known = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'")
    other = f"+4{known[2:]}"  # its digits occur in what is kept
    ended = cli("purge", "--number", other)
    assert ended.code == 0
    assert f"nothing of {other} was found" in ended.out
    assert "deleted by" not in ended.out
    ended = cli("purge", "--number", known[2:-1], "--json")
    assert (ended.data["found"], ended.data["purged"], ended.data["traceless"]) == (False, 0, None)
    assert (count(own), count(own, "SELECT count(*) FROM observation")) == (calls, events)


def test_the_daemon_erases_a_number_as_people_write_it(cli, platform, tmp_path):
    sim, database = platform(), tmp_path / "r.db"
    for n in range(2):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    assert cli("backfill", "--since", "2h").code == 0
    sim.daemon(database)
    ended = cli("purge", "--number", "4155550100", "--json")
    assert (ended.code, ended.data["by"], ended.data["found"], ended.data["purged"]) == (0, "daemon", True, 1)
    assert ended.data["traceless"] is True
    assert count(database) == 1
    assert "nothing of +14155550100 was found" in cli("purge", "--number", "4155550100").out


def test_by_age(cli, own):
    assert cli("purge", "--older-than", "2010-01-01", "--json").data["purged"] == 0
    assert count(own) > 0
    assert cli("purge", "--older-than", "0d", "--json").data["purged"] > 0
    assert count(own) == 0


def test_copies_that_may_still_hold_it_are_named(cli, own):
    made = [Path(cli("db", "backup", "--json").data["path"])]
    for ending in (".schema1.20260102T030405Z.backup", ".saved-20260102T030405Z"):
        made.append(own.with_name(f"{own.name}{ending}"))
    made.append(own.with_name(f".{own.name}.schema1.20260102T030405Z.backup.4711.partial"))
    for path in made[1:]:
        path.touch()
    for other in ("ringledger.db.toml", "other.db.saved-1", "ringledger.dbx.schema1.20260102T030405Z.backup"):
        own.with_name(other).touch()
    ended = cli("purge", "--older-than", "0d")
    told = [line for line in ended.out.splitlines() if line.startswith("a copy may still hold them: ")]
    assert {line.partition(": ")[2] for line in told} == {str(path) for path in made}
    assert set(cli("purge", "--number", "+14155550199", "--json").data["copies"]) == {str(path) for path in made}


def test_it_does_not_work_beside_a_running_daemon(cli, own):
    with DaemonLock(own):
        ended = cli("purge", "--older-than", "90d")
    assert ended.code == 75
    assert "stop that one first" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--older-than", "90d", "--number", "1"],
        ["--number", "nobody"],
        ["--number", "+1855201XXXX"],
        ["--older-than", "soon"],
    ],
)
def test_wrong_ways_to_ask(cli, own, words):
    assert cli("purge", *words).code == 64


def test_a_read_only_directory_is_74(cli, own, tmp_path):
    blocker = tmp_path / "file"
    shutil.copy(own, blocker)
    assert cli("db", "backup", blocker / "copy.db").code == 74
