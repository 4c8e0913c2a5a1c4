import re

import pytest
from rich.text import Text

from ringledger.cli.frame import print_table
from ringledger.cli.output import table


@pytest.fixture
def terminal(clean, capsys):
    """Print a table on a terminal of so many columns; its lines, without colours."""

    def lines(made, width, **options):
        clean.setenv("FORCE_COLOR", "1")
        clean.setenv("COLUMNS", str(width))
        print_table(made, **options)
        return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()]

    return lines


def made():
    calls = table("started", "ring", "ext", "session", right=("ring",), gap=1)
    calls.add_row("11-23 19:12:43", Text("2.0 s"), "2005", "900000100607")
    return calls


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (80, "11-23 19:12:43 2.0 s 2005 900000100607"),
        (38, "11-23 19:12:43 2.0 s 2005 900000100607"),
        (37, "11-23 19:12:43 2005 900000100607"),
        (31, "11-23 19:12:43 900000100607"),
        (10, "11-23 19:12:43 900000100607"),
    ],
)
def test_a_narrow_terminal_loses_columns_but_no_part_of_a_cell(terminal, width, wanted):
    assert terminal(made(), width, spare=("ring", "ext"))[1] == wanted


def test_without_spare_columns_everything_is_shown(terminal):
    head, row = terminal(made(), 10)
    assert head.split() == ["started", "ring", "ext", "session"]
    assert row.endswith("2.0 s 2005 900000100607")


@pytest.mark.parametrize(
    "words", [("calls",), ("active",), ("presence",), ("platform", "call-log", "--help"), ("stats",)]
)
def test_answers_fit_80_columns_with_whole_sessions(cli, database, clean, words):
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "80")
    out = re.sub(r"\x1b\[[\d;]*m", "", cli(*words).out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out
