import re

import pytest
import time_machine
from rich.text import Text

from ringledger.cli.context import print_table
from ringledger.cli.render import FOLDS, SPARE, calls_table, table


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


def test_what_a_narrow_terminal_does_without_is_told(terminal, cli, database, clean):
    assert "no room for: ring, ext (" in " ".join(terminal(made(), 31, spare=("ring", "ext")))
    assert len(terminal(made(), 38, spare=("ring", "ext"))) == 2
    clean.setenv("COLUMNS", "70")
    assert cli("calls").out.count("no room for: ") == 1
    assert cli("calls", "show", "67029198021").out.count("no room for: ") == 1


def test_without_spare_columns_everything_is_shown(terminal):
    head, row = terminal(made(), 10)
    assert head.split() == ["started", "ring", "ext", "session"]
    assert row.endswith("2.0 s 2005 900000100607")


@pytest.mark.parametrize(
    "words",
    [
        ("calls",), ("active",), ("presence",), ("platform", "call-log", "--help"), ("stats",), ("coverage",),
        ("stats", "--by", "extension"), ("calls", "show", "67029198021"), ("calls", "show", "900000099001"),
        ("doctor", "--offline"), ("check-config",), ("webhooks", "list"),
    ],
)  # fmt: skip
def test_answers_fit_80_columns_with_whole_sessions(cli, database, clean, words):
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "80")
    out = re.sub(r"\x1b\[[\d;]*m", "", cli(*words).out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in re.sub(r"\b[0-9a-f]{8}…", "", out)  # a leg's id, whole in --json


@pytest.mark.parametrize("words", [("calls",), ("active",), ("coverage",), ("doctor", "--offline")])
def test_answers_of_another_year_fit_too(cli, database, clean, words):
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "80")
    with time_machine.travel("2031-01-01T00:00:00Z"):
        out = re.sub(r"\x1b\[[\d;]*m", "", cli(*words).out)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out


@pytest.mark.parametrize(
    "words",
    [("calls",), ("active",), ("presence",), ("stats",), ("coverage",), ("calls", "show", "67029198021"),
     ("check-config",), ("doctor", "--offline")],
)  # fmt: skip
def test_lines_of_a_pipe_end_with_their_last_word(cli, database, words):
    lines = cli(*words).out.splitlines()
    assert lines
    assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize("disposition", ["answered_elsewhere", "answered", "no_answer"])
def test_any_call_fits_80_columns_with_its_session(terminal, disposition):
    row = {
        "started_at": "2026-03-02T09:30:12.000Z", "internal": 0, "direction": "Outbound", "from_number": "+16505551001",
        "to_number": "+441632960961", "extension_number": "101", "extension_id": "2001", "disposition": disposition,
        "confirmed_at": None, "ring_seconds": 45.0, "talk_seconds": 3725.0, "events_accepted": 3,
        "answered_at": "2026-03-02T09:30:57.000Z", "session_id": "900000100607123",
    }  # fmt: skip
    lines = terminal(calls_table([row]), 80, spare=SPARE, folds=FOLDS)
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[1:]).split().count("900000100607123") == 1


def test_cells_that_fold_go_on_in_the_next_line(terminal):
    calls = table("check", "found")
    calls.add_row("a-long-name-of-a-check", "and a sentence that is longer than the line")
    assert terminal(calls, 45, folds=("found",)) == [
        "check                   found",
        "a-long-name-of-a-check  and a sentence that",
        "                        is longer than the",
        "                        line",
    ]
