"""Root in a directory of a lesser user, who has put links where our files are to be."""

import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.ledger.file.opening import acting_as_owner, replaced_file
from tests.forked import Process
from tests.until import PATIENCE

LESSER = 54_321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be lured")


@pytest.fixture
def top(public_folder):
    """A place every user may enter, root's."""
    return public_folder


@pytest.fixture
def state(top):
    """A directory of a lesser user, as the service's."""
    directory = top / "state"
    directory.mkdir(mode=0o750)
    os.chown(directory, LESSER, LESSER)
    return directory


@pytest.fixture
def precious(top):
    """A file of root's."""
    path = top / "precious"
    path.write_text("precious")
    path.chmod(0o600)
    return path


def given(path, target):
    """A link the lesser user has made."""
    path.symlink_to(target)
    os.chown(path, LESSER, LESSER, follow_symlinks=False)


def run(state, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGLEDGER_")}
    environment |= {
        "RINGLEDGER_CONFIG": os.devnull,
        "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{state}/ringledger.db",
    }
    with Process(*words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(PATIENCE)
        return subprocess.CompletedProcess(words, process.wait(), out, err)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ringledger.db.lock", ("db", "upgrade")),
        ("ringledger.db.lock", ("purge", "--older-than", "9d")),
        ("ringledger.db", ("db", "upgrade")),
        ("ringledger.db", ("calls",)),
        ("ringledger.db-wal", ("db", "check")),
        ("ringledger.db-journal", ("db", "upgrade")),
        ("backups", ("db", "backup")),
    ],
)
def test_root_follows_no_link_of_the_services_user(state, precious, top, name, words):
    if name not in {"ringledger.db", "ringledger.db-wal"}:
        assert run(state, "db", "upgrade").returncode == 0
        if (state / name).exists():
            (state / name).unlink()
    target = top / "folder" if name == "backups" else precious
    if name == "backups":
        target.mkdir()
    given(state / name, target)
    ended = run(state, *words)
    assert precious.read_text() == "precious"
    status = precious.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)
    assert name != "backups" or list(target.iterdir()) == []
    assert ended.returncode in {0, 1, 65, 74, 78}, ended.stderr
    assert len(ended.stderr.splitlines()) <= 1


def test_what_root_makes_there_belongs_to_the_directorys_owner(state):
    assert run(state, "db", "upgrade").returncode == 0
    made = json.loads(run(state, "db", "backup", "--json").stdout)["path"]
    assert run(state, "purge", "--older-than", "9d").returncode == 0
    assert run(state, "calls").returncode == 0
    for path in (*state.rglob("*"), Path(made)):
        assert (path.stat().st_uid, path.stat().st_gid) == (LESSER, LESSER), path


def test_a_copy_of_roots_choice_is_made_where_root_may_write(state, top):
    assert run(state, "db", "upgrade").returncode == 0
    assert run(state, "db", "backup", str(top / "copy.db")).returncode == 0
    with closing(sqlite3.connect(top / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_an_export_goes_where_root_may_write_and_through_no_link(state, precious, top):
    assert run(state, "db", "upgrade").returncode == 0
    assert run(state, "export", "--format", "csv", "-o", str(top / "out.csv")).returncode == 0
    assert (top / "out.csv").stat().st_uid == 0
    given(state / "out.csv", precious)
    assert run(state, "export", "--format", "csv", "-o", str(state / "out.csv")).returncode == 74
    assert precious.read_text() == "precious"


def test_whom_root_acts_as(state, top):
    with acting_as_owner(state / "x"):
        assert os.geteuid() == LESSER
        with replaced_file(top / "roots"):
            assert os.geteuid() == LESSER
    assert os.geteuid() == 0
    assert (top / "roots").stat().st_uid == 0
    with acting_as_owner(top / "x"):
        assert os.geteuid() == 0
    deeper = state / "roots"
    deeper.mkdir()
    with acting_as_owner(deeper / "x"):  # its name can be changed under root's hands
        assert os.geteuid() == LESSER
