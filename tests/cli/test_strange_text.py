"""Names that strangers chose, through the commands, on a real terminal and into a spreadsheet's file."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import termios
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ledger.file.backup import backup
from ringledger.text import inert, json_text, restored, visible
from tests.forked import Process
from tests.terminal import written

NAMES = Path(__file__).parents[1] / "data" / "names.jsonl"
TITLE, FORMULA = "x\x1b]0;TITLE\x07\x1b[2Jy", '=HYPERLINK("http://example.invalid","x")'
STRANGE = ["Sales [west] desk", "Anna Bauer [/] Zentrale", TITLE, FORMULA]
#: What this program itself sends: colours, the cursor, the second screen of `top`, the size asked for.
OURS = re.compile(r"\x1b\[[\d;]*[mHJK]|\x1b\[\?(?:25|1049)[hl]")


def on_a_terminal(*arguments, columns=200):
    """Everything a command writes to a real terminal, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    child = Process(
        *arguments, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=kept | {"TERM": "xterm-256color"}
    )
    os.close(slave)
    text = written(master)
    os.close(master)
    return child.wait(), text.decode()


def unobeyed(text):
    """The text without our own codes; nothing a terminal obeys may be left."""
    rest = OURS.sub("", text).replace("\r\n", "\n")
    assert visible(rest, kept="\n\t") == rest
    return rest


@pytest.fixture
def strange(recorded, tmp_path, clean):
    """A ledger in which names and numbers of every table are what strangers chose."""
    path = backup(recorded, tmp_path / "strange.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("call", "live_call", "extension", "call_leg"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for name in {"from_name", "to_name", "name"} & set(columns):
                connection.execute(f"UPDATE {table} SET {name} = ?", (" ".join(STRANGE),))
            for name in {"from_number", "result", "extension_number"} & set(columns):
                connection.execute(f"UPDATE {table} SET {name} = ?", ("[/x]\x9b2J\u202e",))
        connection.execute("UPDATE extension SET presence_status = '[red]\x1b[2J', user_status = '[/]\x1b]0;z\x07'")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("calls",),
        ("calls", "--json"),
        ("calls", "--csv"),
        ("active",),
        ("presence",),
        ("stats", "--by", "number"),
        ("top", "--once"),
        ("export", "--format", "csv"),
        ("export", "--format", "jsonl"),
        ("calls", "show", "67029198021"),
        ("calls", "show", "67029198021", "--json"),
        ("calls", "show", "900000099001"),
    ],
    ids=" ".join,
)
def test_no_command_sends_a_strangers_text_to_a_terminal(strange, words):
    code, text = on_a_terminal(*words, "--full-numbers") if words[0] != "presence" else on_a_terminal(*words)
    assert code == 0
    rest = unobeyed(text)
    assert "[/x]" in rest or words[0] in {"presence", "top"} or words[1:2] == ("show",), rest
    assert words[:2] != ("calls", "show") or "Sales [west] desk" in rest


@pytest.mark.parametrize(
    "words",
    [
        ("calls", "--number", TITLE),
        ("calls", "show", TITLE),
        ("calls", "--since", TITLE),
        (TITLE,),
        (f"--{TITLE}",),
        ("--config", TITLE, "calls"),
        ("replay", TITLE),
        ("db", "check", TITLE),
    ],
)
def test_an_error_does_not_repeat_what_a_terminal_obeys(database, words):
    code, text = on_a_terminal(*words)
    rest = unobeyed(text)
    assert code in {0, 1, 64, 74, 78}
    assert "Traceback" not in rest
    assert len(rest.strip().splitlines()) == 1


def test_the_found_names_are_shown_as_text(clean, tmp_path):
    code, text = on_a_terminal("replay", str(NAMES), "--full-numbers")
    assert code == 0
    assert "8203" in unobeyed(text)
    code, text = on_a_terminal("replay", str(NAMES), "--json")
    assert [row["from_name"] for row in json.loads(text)] == STRANGE[::-1]


@pytest.mark.parametrize("words", [("export", "--format", "csv"), ("calls", "--csv")])
def test_a_name_is_no_formula_and_can_be_restored(cli, clean, recorded, tmp_path, words):
    path = backup(recorded, tmp_path / "formulas.db")
    names = [FORMULA, "+49 (0) 30", "-1+1", "@SUM(A1)", "\tx", "\r=1", "'quoted", "a;=1", "Ann", "－1"]
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
    for name in names:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE call SET from_name = ?", (name,))
        rows = list(csv.DictReader(io.StringIO(cli(*words, "--full-numbers").out, newline="")))
        assert rows
        for row in rows:
            assert row["from_name"][0] not in "=+-@\t\r－"
            assert restored(row["from_name"]) == name
            assert row["from_number"].startswith("+1")  # a telephone number is one


@given(st.text())
def test_what_is_shown_is_obeyed_by_no_terminal(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", shown)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_means_the_same(text):
    document = json.dumps({text: [text]}, ensure_ascii=False)
    shown = json_text(document)
    assert json.loads(shown) == {text: [text]}
    assert visible(shown) == shown


@given(st.text("=+-@\t\r\n;' a1\uff1d"))
def test_a_cell_is_inert_and_gives_its_text_back(text):
    cell = inert(text)
    assert restored(cell) == text
    assert not any(part[:1] in tuple("=+-@\uff1d") and part for part in re.split("[;\t\r\n]", cell)) or cell == text
