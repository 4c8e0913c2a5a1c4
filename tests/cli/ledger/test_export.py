import csv
import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from itertools import islice

import pytest
from pyarrow import parquet

from ringledger.ledger.schema.calls import CALL_COLUMNS
from tests import office
from tests.cli.conftest import command

FIRST = "67029198021"


def test_jsonl_is_one_object_a_line_oldest_first(cli, database):
    lines = [json.loads(line) for line in cli("export", "--format", "jsonl").out.splitlines()]
    assert [line["session_id"] for line in lines] == ["67029198021", "915021981016"]
    assert list(lines[0]) == list(CALL_COLUMNS)


def test_csv_into_a_file(cli, database, tmp_path):
    assert cli("export", "--format", "csv", "--full-numbers", "-o", tmp_path / "calls.csv") == (0, "", "")
    with (tmp_path / "calls.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["from_number"] == "+13027430863"


def test_a_file_that_cannot_be_written_is_74(cli, database, tmp_path):
    ended = cli("export", "--format", "csv", "-o", tmp_path / "none" / "calls.csv")
    assert ended.code == 74
    assert "calls.csv: No such file" in ended.err


def test_parquet_has_types(cli, database, tmp_path):
    assert cli("export", "--format", "parquet", "-o", tmp_path / "calls.parquet") == (0, "", "")
    table = parquet.read_table(tmp_path / "calls.parquet")
    assert table.column_names == list(CALL_COLUMNS)
    row = table.to_pylist()[0]
    text = json.loads(cli("export", "--format", "jsonl").out.splitlines()[0])
    assert row["session_id"] == FIRST
    assert row["from_number"] == "+*******0863"
    assert row["internal"] is False
    assert row["started_at"] == datetime.fromisoformat(text["started_at"])
    assert row["started_at"].tzinfo is not None
    assert row["answered_at"].astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z" == text["answered_at"]
    assert (row["ring_seconds"], row["leg_count"]) == (text["ring_seconds"], text["leg_count"])


@pytest.fixture
def without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)


def test_parquet_without_its_library_names_what_to_install(cli, database, tmp_path, without_pyarrow):
    ended = cli("export", "--format", "parquet", "-o", tmp_path / "calls.parquet")
    assert (ended.code, ended.out) == (64, "")
    assert "pip install 'ringledger[parquet]'" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "calls.parquet").exists()


def test_a_ledger_without_calls(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(tmp_path / "ringledger.db"))
    assert cli("export", "--format", "csv").out == ",".join(CALL_COLUMNS) + "\n"
    assert cli("export", "--format", "jsonl").out == ""
    assert cli("export", "--format", "parquet", "-o", tmp_path / "calls.parquet").code == 0
    assert parquet.read_table(tmp_path / "calls.parquet").num_rows == 0


#: A process counts the memory of the one that started it as its own until it has become another program: a small one
#: starts the command.
SMALL_PARENT = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def kibibytes(*arguments):
    """The most memory the command took."""
    small = [sys.executable, "-I", "-S", "-c", SMALL_PARENT]
    return int(subprocess.run([*small, *command(*arguments)], stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_ledger(clean, tmp_path, form):
    taken = []
    for count in (100, 20_000):
        path = tmp_path / f"{count}.db"
        clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(path))
        office.insert(path, "call", islice(office.days(3, office.utc("2026-01-01"), 400, 300), count))
        taken.append(kibibytes("export", "--format", form))
    assert taken[1] < taken[0] + 16_384, "20,000 rows of 30 columns take five times that when all are held"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_another_form_and_json_exclude_each_other(cli, database, form):
    ended = cli("export", "--format", form, "--json")
    assert (ended.code, ended.out) == (64, "")
    assert "exclude each other" in ended.err


@pytest.mark.slow
def test_it_ends_when_nobody_reads_any_more_or_there_is_no_room(tmp_path, clean):
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(tmp_path / "many.db"))
    office.insert(
        tmp_path / "many.db", "call", (office.call(random.Random(n), n, 1_700_000_000_000) for n in range(3_000))
    )
    words = f"{sys.executable} -m ringledger export --format csv"
    done = subprocess.run(["sh", "-c", f"{words} | head -1"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    full = subprocess.run([*words.split(), "-o", "/dev/full"], capture_output=True, text=True, check=False, timeout=60)
    assert (full.returncode, full.stderr) == (74, "ringledger: No space left on device\n")
