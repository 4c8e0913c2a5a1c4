"""`purge` through the command line: what was understood, the question, what goes and what stays away."""

import os
import pty
from contextlib import suppress
from pathlib import Path

import pytest

from ringledger.ledger.file.lock import DaemonLock
from tests.cli.conftest import count, traces
from tests.forked import Process
from tests.terminal import written
from tests.until import PATIENCE, eventually


def test_a_number_leaves_no_trace(cli, own):
    number = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'")
    assert traces(own, number.strip("+")) > 0
    before = count(own)
    ended = cli("purge", "--yes", "--number", number, "--json")
    assert ended.code == 0
    assert ended.data["purged"] > 0
    assert count(own) == before - ended.data["purged"]
    assert traces(own, number.strip("+")) == 0


def test_a_number_as_people_write_it_is_the_one_that_is_kept(cli, own):
    """As `calls --number` finds it: without its country, with brackets and dashes."""
    digits = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'").removeprefix("+1")
    listed = cli("calls", "--number", digits, "--json").data
    assert listed
    ended = cli("purge", "--yes", "--number", f"({digits[:3]}) {digits[3:6]}-{digits[6:]}", "--json")
    assert (ended.code, ended.data["purged"], ended.data["number"]) == (0, len(listed), f"+1{digits}")
    assert ended.data["found"] is True
    assert traces(own, digits) == 0


def test_a_number_nobody_knows_is_not_told_as_erased(cli, own):
    calls, events = count(own), count(own, "SELECT count(*) FROM fact")
    known = count(own, "SELECT from_number FROM calls WHERE direction = 'Inbound'")
    other = f"+4{known[2:]}"  # its digits occur in what is kept
    ended = cli("purge", "--yes", "--number", other)
    assert ended.code == 1
    assert f"nothing of {other} was found" in ended.out
    assert "deleted by" not in ended.out
    ended = cli("purge", "--yes", "--number", known[2:-1], "--json")
    assert ended.code == 1
    assert (ended.data["found"], ended.data["purged"], ended.data["traceless"]) == (False, 0, None)
    assert (count(own), count(own, "SELECT count(*) FROM fact")) == (calls, events)


def test_the_daemon_erases_a_number_as_people_write_it(cli, platform, tmp_path):
    sim, database = platform(), tmp_path / "r.db"
    for n in range(2):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    assert cli("backfill", "--since", "2h").code == 0
    sim.daemon(database)
    ended = cli("purge", "--yes", "--number", "4155550100", "--json")
    assert (ended.code, ended.data["by"], ended.data["found"], ended.data["purged"]) == (0, "daemon", True, 1)
    assert ended.data["traceless"] is True
    assert count(database) == 1
    assert "nothing of +14155550100 was found" in cli("purge", "--yes", "--number", "4155550100").out


def test_by_age(cli, own):
    assert cli("purge", "--older-than", "2010-01-01", "--json").data["purged"] == 0
    assert count(own) > 0
    assert cli("purge", "--yes", "--older-than", "0d", "--json").data["purged"] > 0
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
    ended = cli("purge", "--yes", "--older-than", "0d")
    told = [line for line in ended.out.splitlines() if line.startswith("a copy may still hold them: ")]
    assert {line.partition(": ")[2] for line in told} == {str(path) for path in made}
    assert set(cli("purge", "--yes", "--number", "+14155550199", "--json").data["copies"]) == {
        str(path) for path in made
    }


def test_it_does_not_work_beside_a_running_daemon(cli, own):
    with DaemonLock(own):
        ended = cli("purge", "--older-than", "90d")
    assert ended.code == 75
    assert "stop that one first" in ended.err
    assert ended.err.count("\n") == 1


def test_nor_when_somebody_has_removed_its_lock_file(cli, own, clean, process):
    """A second one started then, and both wrote."""
    for name in ("CLIENT_ID", "CLIENT_SECRET", "JWT"):
        clean.setenv(f"RINGLEDGER_CREDENTIALS__{name}", "x")
    with DaemonLock(own) as held:
        held.path.unlink()
        for words in (["purge", "--older-than", "90d"], ["db", "upgrade"]):
            ended = cli(*words)
            assert (ended.code, ended.err.count("\n")) == (75, 1), words
            assert "another process writes to it" in ended.err
        second = process("run")
        _, told = second.communicate(PATIENCE)
        assert second.returncode == 75
        assert "another process writes to it" in told


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


# -- the question ----------------------------------------------------------------------------------------------------


def answered(answer, *words):
    """Run a command on a terminal, answer its question; its exit code and all it wrote."""
    master, slave = pty.openpty()
    child = Process(*words, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    text = b""
    with suppress(OSError):  # it ended without a question
        while b"[y/N]" not in text:
            text += os.read(master, 4096)
        os.write(master, answer)
    text += written(master)
    os.close(master)
    return child.wait(), text.decode()


def test_a_person_is_asked_and_told_how_the_number_was_read(own):
    """Read as New Zealand's, it deleted somebody else's call and left the one that was meant."""
    before = count(own)
    code, text = answered(b"\n", "purge", "--number", "3027430863")
    words = " ".join(text.split())  # a terminal's lines
    assert "'3027430863' is read as +13027430863, a number of US: 1 call would be deleted for good. Delete?" in words
    assert (code, count(own)) == (1, before)
    assert "nothing was deleted" in text
    code, text = answered(b"y\n", "purge", "--number", "3027430863")
    assert (code, count(own)) == (0, before - 1)
    assert "1 call deleted" in text


def test_where_nobody_can_be_asked_nothing_is_deleted_without_yes(cli, own):
    before = count(own)
    for words in (["--number", "3027430863"], ["--older-than", "0d"], ["--older-than", "3h"]):
        ended = cli("purge", *words)
        assert (ended.code, ended.out, ended.err.count("\n")) == (64, "", 1)
        assert "would be deleted for good; add --yes" in ended.err
    assert count(own) == before
    assert "is read as +13027430863, a number of US" in cli("purge", "--number", "3027430863", "--yes").out


def test_a_number_of_ten_digits_is_the_american_one(cli, own):
    """The number of the found case: of the two calls it is New York's that goes."""
    rows = {"6465550123": "+16465550123", "+6465550123": "+6465550123"}
    for typed, meant in rows.items():
        ended = cli("purge", "--number", typed)
        assert f"is read as {meant}," in ended.err


# -- what was purged stays away --------------------------------------------------------------------------------------


def test_no_back_fill_brings_a_purged_call_back(cli, platform, tmp_path):
    sim, database = platform(), tmp_path / "r.db"
    for n in range(3):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    assert cli("backfill", "--since", "2h").code == 0
    assert count(database) == 3
    assert cli("purge", "--yes", "--number", "4155550100", "--json").data["purged"] == 1
    assert cli("backfill", "--since", "2h", "--json").data["written"] == 0
    assert cli("audit", "--since", "2h").code == 0
    sim.daemon(database)  # whose start reads the log of the last days
    eventually(lambda: cli("coverage", "--since", "2h").code in {0, 1})
    ended = cli("backfill", "--since", "2h", "--json")
    assert (ended.data["by"], ended.data["records"], ended.data["written"]) == ("daemon", 3, 0)
    assert cli("purge", "--yes", "--number", "4155550101", "--json").data["by"] == "daemon"
    assert cli("backfill", "--since", "2h", "--json").data["written"] == 0
    assert count(database) == 1
    assert traces(database, "4155550100") == traces(database, "4155550101") == 0
