"""The help of every command, as somebody reads it in a terminal of 80 columns."""

import re
from itertools import pairwise
from typing import Any

import pytest
import typer

from ringledger.cli.app import app
from ringledger.cli.help import ORDER, unwrapped


def words(group=None, path=()):
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        yield (*path, name)
        if hasattr(command, "commands"):
            yield from words(command, (*path, name))


@pytest.fixture(params=[(), *words()], ids=" ".join)
def read(request, cli, clean):
    clean.setenv("COLUMNS", "80")
    ended = cli(*request.param, "--help")
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_nothing_is_doubled_cut_or_of_the_librarys_own_words(read):
    assert "......" not in read
    assert "...]..." not in read
    assert "...}..." not in read
    assert "<bool>" not in read
    assert "…" not in read


def test_paragraphs_fill_the_line(read):
    prose = re.sub(r"[╭╰│].*", "", read)
    lines = [line.strip() for line in prose.splitlines()]
    for line, after in pairwise(lines):
        if line and after:  # the next word would not have fitted
            assert len(line) + 1 + len(after.split()[0]) > 76, line


def test_the_program_lists_its_commands_in_an_order_that_is_complete(cli):
    program: Any = typer.main.get_command(app)
    known = program.commands.keys()
    assert known == set(ORDER)
    out = cli("--help").out
    places = [re.search(rf"^│ {name} ", out, re.MULTILINE).start() for name in ORDER]
    assert places == sorted(places)


def test_paragraphs():
    assert unwrapped("one\n    two\n\n    three\n    four") == "one two\n\nthree four"
