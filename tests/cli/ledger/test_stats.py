import csv
import io

import pytest

from ringledger.ledger.read.groups import FIGURES


def test_days_with_a_total(cli, database):
    rows = cli("stats", "--json").data
    assert [(row["day"], row["calls"], row["time_zone"]) for row in rows] == [
        ("2015-04-10", 1, "UTC"),
        ("2015-04-17", 1, "UTC"),
    ]
    head, *lines = cli("stats").out.splitlines()
    assert head.startswith("day (UTC)")
    assert [line.split()[:2] for line in lines] == [["2015-04-10", "1"], ["2015-04-17", "1"], ["total", "2"]]


def test_days_are_those_of_the_reports_zone(cli, clean, database):
    clean.setenv("RINGLEDGER_REPORT__TIMEZONE", "Pacific/Auckland")
    rows = cli("stats", "--json").data
    assert {row["time_zone"] for row in rows} == {"Pacific/Auckland"}
    assert [row["day"] for row in rows] == ["2015-04-11", "2015-04-18"]
    assert "day (Pacific/Auckland)" in cli("stats").out


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("hour", ["2015-04-10 18:00", "2015-04-17 19:00"]),
        ("week", ["2015-W15", "2015-W16"]),
        ("month", ["2015-04"]),
        ("direction", ["Inbound", "Outbound"]),
        ("disposition", ["answered"]),
        ("extension", ["255537016", "607457016"]),
        ("number", ["+*******0863", "+*******8440"]),
    ],
)
def test_what_it_counts_by(cli, database, by, keys):
    rows = cli("stats", "--by", by, "--json").data
    assert [row[by] for row in rows] == keys
    assert sum(row["calls"] for row in rows) == 2


def test_filters_are_those_of_calls(cli, database):
    def count(*arguments):
        return sum(row["calls"] for row in cli("stats", "--json", *arguments).data)

    assert count("--until", "2015-04-12") == count("--direction", "Inbound") == count("--extension", "607457016") == 1
    assert count("--number", "+16502008440") == 1
    assert count("--disposition", "missed") == 0
    assert count("--unconfirmed") == 2


def test_csv_has_the_figures_of_each_group(cli, database):
    rows = list(csv.DictReader(io.StringIO(cli("stats", "--csv").out)))
    assert list(rows[0]) == ["day", *FIGURES, "time_zone"]
    assert [row["answer_rate"] for row in rows] == ["1.0", ""]
    assert cli("stats", "--csv", "--json").code == 64


def test_bars_and_no_call(cli, database):
    assert "█" in cli("stats", "--by", "extension").out
    assert cli("stats", "--since", "today").out == "no call in this time\n"
    assert cli("stats", "--since", "today", "--json").data == []
    assert "13027430863" not in cli("stats", "--by", "number").out
    assert "13027430863" in cli("stats", "--by", "number", "--full-numbers").out
