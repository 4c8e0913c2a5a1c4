"""`platform active-calls` and `platform call-log` against a simulated platform, and what goes wrong with it."""

import re

import pytest

from ringledger.cli.platform import query
from ringledger.simulator import Options
from ringledger.simulator.rest.permissions import ADMIN

COLUMNS = [
    "record_id", "leg_of", "session_id", "telephony_session_id", "direction", "extension_id", "from_number",
    "from_name", "to_number", "to_name", "started_at", "duration_seconds", "action", "result", "running",
]  # fmt: skip


@pytest.fixture
def sim(platform):
    sim = platform()
    for n in range(5):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    return sim


def test_the_log_comes_whole_newest_first(cli, sim):
    ended = cli("platform", "call-log", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert list(ended.data[0]) == COLUMNS
    assert [row["session_id"] for row in ended.data] == [f"90000000{n}" for n in range(5)]
    assert ended.data[0]["from_number"] == "+*******0100"
    assert "+14155550100" in cli("platform", "call-log", "--full-numbers").out


def test_every_page_is_read(cli, sim):
    for n in range(1100):
        sim.past_call(f"7{n:05d}", minutes=300 + n / 10)
    rows = cli("platform", "call-log", "--json").data
    assert len({row["session_id"] for row in rows}) == len(rows) == 1105


def test_filters(cli, sim):
    def sessions(*words):
        return [row["session_id"] for row in cli("platform", "call-log", "--json", *words).data]

    assert sessions("--limit", "2") == ["900000000", "900000001"]
    assert sessions("--number", "4155550102") == ["900000002"]
    assert sessions("--direction", "out") == []
    assert len(sessions("--direction", "in", "--extension", "101")) == 5
    assert sessions("--extension", "102") == []
    assert sessions("--since", "10m") == []
    assert sessions("--type", "Fax") == []
    assert len(sessions("--extension", "~")) == 5
    legs = cli("platform", "call-log", "--view", "detailed", "--limit", "2", "--json").data
    assert [row["leg_of"] is None for row in legs] == [True, False, True, False]


def test_without_an_administrator_ones_own_log_is_read(cli, sim, clean):
    clean.setenv("RINGLEDGER_PLATFORM__EXTENSIONS", "~,2002")
    sim.do(lambda: sim.sim.permissions.missing.add(ADMIN))
    assert len(cli("platform", "call-log", "--json").data) == 5


def test_active_calls_are_those_just_ended_too(cli, sim):
    assert cli("platform", "active-calls").out == "the platform has no such record\n"
    sim.past_call("800000001", minutes=1.6)
    (row,) = cli("platform", "active-calls", "--json").data
    assert (row["session_id"], row["result"], row["running"]) == ("800000001", "Accepted", False)
    assert cli("platform", "active-calls", "--direction", "out", "--json").data == []
    assert cli("platform", "active-calls", "--number", "+14155559999", "--json").data == []


def test_what_was_typed_wrong_is_64(cli, sim):
    for words in (["--extension", "999"], ["--number", "nobody"], ["--type", "Telex"], ["--view", "wide"]):
        ended = cli("platform", "call-log", *words)
        assert (ended.code, ended.out, ended.err.count("\n")) == (64, "", 1), words


def test_a_missing_permission_is_named_and_77(cli, sim):
    sim.do(lambda: sim.sim.permissions.missing.add("ReadCallLog"))
    ended = cli("platform", "call-log")
    assert ended.code == 77
    assert "ReadCallLog" in ended.err
    assert ended.err.count("\n") == 1


def test_a_platform_that_is_down_is_69_at_once(cli, sim, clean):
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    ended = cli("platform", "active-calls")
    assert (ended.code, ended.out, ended.err.count("\n")) == (69, "", 1)


def test_half_a_listing_is_none(cli, platform):
    sim = platform(Options(faults=("page-fails=1",)))
    for n in range(3):
        sim.past_call(f"90000000{n}")
    assert cli("platform", "call-log", "--json").code == 0
    for n in range(1100):
        sim.past_call(f"7{n:05d}")
    ended = cli("platform", "call-log", "--json")
    assert (ended.code, ended.out) == (69, "")


def test_a_penalty_is_waited_for_and_told(cli, platform):
    sim = platform(Options(rate_limits={"heavy": 1}, rate_window_seconds=2.0, rate_real_time=True))
    sim.past_call("900000001")
    assert cli("platform", "call-log").code == 0
    ended = cli("platform", "call-log", "--json")  # the platform still counts the request of the command before
    assert (ended.code, len(ended.data)) == (0, 1)
    assert ended.err.startswith("ringledger: waiting 2 s: Heavy group's ")
    assert sim.sim.limits.violations == 0


def test_a_penalty_longer_than_ones_patience_is_75(cli, platform):
    platform(Options(rate_limits={"heavy": 1}, rate_window_seconds=60.0, rate_real_time=True))
    assert cli("platform", "call-log").code == 0
    ended = cli("platform", "call-log", "--max-wait", "5")
    assert ended.code == 75
    assert "--max-wait 5" in ended.err
    assert ended.err.count("\n") == 1


def test_credentials_that_are_refused_are_77_and_not_shown(cli, sim, clean):
    clean.setenv("RINGLEDGER_CREDENTIALS__JWT", "stolen-jwt-1234")
    ended = cli("platform", "active-calls")
    assert ended.code == 77
    assert "stolen" not in ended.err
    clean.delenv("RINGLEDGER_CREDENTIALS__JWT")
    assert cli("platform", "active-calls").code == 78


def test_any_record_fits_80_columns(clean, capsys):
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "80")
    row = {
        "leg_of": None, "started_at": "2026-03-02T09:30:12.000Z", "direction": "Outbound",
        "from_number": "+16505551001",
        "to_number": "+441632960961", "extension_id": "2001", "duration_seconds": 45.5, "action": "RingOut Web",
        "running": False, "session_id": "900000320497",
    }  # fmt: skip
    for result in ("Call connected", "Answered Elsewhere", "Hang Up"):
        query.print_records([{**row, "result": result}])
        lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
        assert max(len(line.rstrip()) for line in lines) <= 80
