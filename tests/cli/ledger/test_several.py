"""Several accounts in one ledger: every table says whose a row is, unless one account was named."""

import json
import random
import re
import time

import pytest

from tests import office

NAMES = {"1001": "acme", "1002": "beta"}


@pytest.fixture
def several(tmp_path, clean):
    """Two accounts with the same extensions, of which the second one's have other names; a third is in no
    configuration."""
    path = tmp_path / "ringledger.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(path))
    clean.setenv("RINGLEDGER_ACCOUNTS", json.dumps([{"name": name} for name in NAMES.values()]))
    now = time.time_ns() // 1_000_000
    for one, name in NAMES.items():
        office.insert(path, "account", [{"name": name, "account_id": one, "seen_at": "2026-01-01T00:00:00.000Z"}])
    for n, account in enumerate((*NAMES, "1003")):
        whose = {"account_id": account}
        number = {"extension_number": f"{n + 1}01"}
        office.insert(path, "extension", [office.extension(0, "CallConnected", now) | whose | number])
        office.insert(path, "live_call", [office.open_call(0, "CallConnected", now, now) | whose])
        office.insert(path, "call", [office.call(random.Random(1), 1, now - 60_000) | whose])
    return path


@pytest.mark.parametrize("words", [("active",), ("presence",), ("calls",)])
def test_tables_name_the_account_of_each_row(cli, several, words):
    lines = cli(*words).out.splitlines()
    assert lines[0].startswith("account ")
    assert sorted(line.split()[0] for line in lines[1:4]) == ["1003", "acme", "beta"]
    assert {row["account_id"]: row["account"] for row in cli(*words, "--json").data} == {**NAMES, "1003": "1003"}


@pytest.mark.parametrize("words", [("active",), ("presence",), ("calls",)])
def test_of_one_account_nobody_has_to_be_told_whose_it_is(cli, several, words):
    lines = cli(*words, "--account", "beta").out.splitlines()
    assert not lines[0].startswith("account ")
    (row,) = cli(*words, "--account", "beta", "--json").data
    assert row["account_id"] == "1002"
    assert "account" not in row


def test_top_tells_accounts_apart(cli, several):
    frame = cli("top", "--once", "--size", "160x40").out
    for account, number in (("acme", "101"), ("beta", "201"), ("1003", "301")):
        (line,) = (line for line in frame.splitlines() if re.search(rf"│ {account} +0:", line))
        assert f" {number} " in line.partition("│")[2].partition("│")[0]  # its own extension's number
        assert re.search(rf"{number} +{account} ", frame)  # and its tile
    assert "acme" not in cli("top", "--once", "--size", "160x40", "--account", "beta").out
