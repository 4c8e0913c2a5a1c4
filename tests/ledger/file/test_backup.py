import sqlite3
import stat
from contextlib import closing

import pytest

from ringledger.ledger.errors import DatabaseForeign, LedgerFailing
from ringledger.ledger.file.backup import backup


def test_a_copy_is_whole_while_somebody_writes(url, path, other, tmp_path):
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO feed_position VALUES ('1', 'websocket', 'k', 't', '2026')")
    path.chmod(0o640)
    target = backup(path, tmp_path / "copy.db")
    other.execute("COMMIT")
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM feed_position").fetchone() == (0,)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert stat.S_IMODE(target.stat().st_mode) & 0o007 == 0
    assert not list(tmp_path.glob(".*partial*"))


def test_what_cannot_be_copied_leaves_nothing_behind(tmp_path, url, path):
    with pytest.raises(LedgerFailing, match="nowhere"):
        backup(path, tmp_path / "nowhere" / "copy.db")
    letter = tmp_path / "letter"
    letter.write_text("Dear diary, " * 100)
    with pytest.raises(DatabaseForeign):
        backup(letter, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    assert not list(tmp_path.glob(".*partial*"))
