"""What leaves to a terminal and what to a pipe."""

import os
import sys

import pytest

from ringledger.cli.terminal import say, wrapped
from tests.terminal import written

LONG = (
    "/var/lib/ringledger/ringledger.db: only ringledger and the members of the group ringledger may read it; let root "
    "type `usermod --append --groups ringledger ann`, then log in again"
)


@pytest.fixture
def said(monkeypatch):
    """What a line looks like on a terminal of 60 columns, or in a pipe."""

    def show(line, *, terminal=True, **options):
        reading, writing = os.openpty() if terminal else os.pipe()
        monkeypatch.setenv("COLUMNS", "60")
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            say(line, stderr=True, **options)
        text = written(reading).decode()
        os.close(reading)
        return text.replace("\r\n", "\n")

    return show


def test_a_long_line_is_broken_between_words_on_a_terminal_alone(said):
    lines = said(LONG).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 60
    assert " ".join(lines) == LONG
    assert said(LONG, terminal=False) == f"{LONG}\n"


def test_what_is_to_be_copied_stays_whole(said):
    assert "`usermod --append --groups ringledger ann`" in said(LONG)
    command = "  sqlite3 /var/lib/ringledger/ringledger.db 'select session_id, direction from calls'"
    assert said(command) == f"{command}\n"
    assert said('{"note": ' + '"one two" ' * 20, whole=True).count("\n") == 1


def test_a_word_that_is_longer_than_a_line_is_not_cut():
    assert wrapped(f"see {'x' * 30} there", 10).split() == ["see", "x" * 30, "there"]
