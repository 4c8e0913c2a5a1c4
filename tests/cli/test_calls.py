import csv
import io
import sqlite3

from ringledger.cli.calls import Disposition
from ringledger.cli.output import CALL_COLUMNS
from ringledger.domain.disposition import Disposition as Known


def test_json_has_the_columns_of_the_view_newest_first(cli, database):
    rows = cli("calls", "--json").data
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(calls)")]
    connection.close()
    assert list(rows[0]) == columns == list(CALL_COLUMNS)
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]


def test_the_tutorials_flows(cli, database):
    newest, oldest = cli("calls", "--json").data
    assert (oldest["disposition"], oldest["ring_seconds"], oldest["talk_seconds"]) == ("answered", 31.554, 15.141)
    assert (newest["direction"], newest["ring_seconds"], newest["talk_seconds"]) == ("Outbound", 13.232, 27.222)


def test_numbers_are_masked_unless_asked_for(cli, clean, database):
    assert cli("calls", "--json").data[1]["from_number"] == "+*******0863"
    assert "13027430863" not in cli("calls").out + cli("calls", "--csv").out
    assert cli("calls", "--json", "--full-numbers").data[1]["from_number"] == "+13027430863"
    clean.setenv("RINGLEDGER_LOG__NUMBERS", "full")
    assert "+13027430863" in cli("calls").out


def test_filters(cli, database):
    def sessions(*arguments):
        return [row["session_id"] for row in cli("calls", "--json", *arguments).data]

    assert sessions("--direction", "in") == ["67029198021"]
    assert sessions("--direction", "out") == ["915021981016"]
    assert sessions("--disposition", "missed") == []
    assert sessions("--number", "16502008440") == sessions("--number", "+16502008440") == ["915021981016"]
    assert sessions("--extension", "607457016") == ["67029198021"]
    assert sessions("--since", "2015-04-12T00:00Z") == ["915021981016"]
    assert sessions("--until", "2015-04-12T00:00Z") == ["67029198021"]
    assert len(sessions("--unconfirmed")) == 2
    assert sessions("--limit", "1") == ["915021981016"]
    assert sessions("--since", "today") == []


def test_csv_has_a_header_even_without_a_call(cli, database):
    rows = list(csv.DictReader(io.StringIO(cli("calls", "--csv").out)))
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]
    assert rows[0]["result"] == ""
    assert cli("calls", "--csv", "--since", "today").out == ",".join(CALL_COLUMNS) + "\n"


def test_the_table_says_what_is_not_confirmed(cli, database):
    out = cli("calls").out
    assert "answered ?" in out
    assert "67029198021" in out
    assert cli("calls", "--since", "today").out == "no such call\n"


def test_dispositions_are_those_of_the_domain():
    assert {one.value for one in Disposition} == {one.value for one in Known}
