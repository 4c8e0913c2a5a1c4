import csv
import json

from ringledger.cli.output import CALL_COLUMNS


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
