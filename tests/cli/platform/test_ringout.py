"""`ringout`: placed, followed to its row in the ledger, asked for, cancelled; and when it is over already."""

import json

import pytest

from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.times import to_text
from ringledger.service.commands.ringout import Placing, fitting
from ringledger.simulator import Options
from tests.until import eventually

SPEED = 40.0
OWN, OTHER = "+16505551001", "+14155550150"


@pytest.fixture
def sim(platform):
    sim = platform(Options(real_lifetimes=True), speed=SPEED)
    sim.do(lambda: setattr(sim.sim.ring_outs.options, "forgotten_seconds", SPEED))  # a second of ours
    return sim


def place(cli, *words):
    return cli("ringout", OWN, OTHER, "--speed", SPEED, *words)


def test_placing_prints_the_id(cli, sim):
    ended = cli("ringout", "650-555-1001", "(415) 555-0150", "--json", "--full-numbers")
    assert (ended.code, ended.err) == (0, "")
    assert ended.data == {
        "id": "RO-1", "call_status": "InProgress", "caller_status": "InProgress", "callee_status": "InProgress",
        "over": False, "known": True, "from_number": OWN, "to_number": OTHER,
    }  # fmt: skip
    assert cli("ringout", "place", OWN, OTHER, "--no-prompt", "--caller-id", OWN).code == 0
    assert "RO-2" in sim.sim.ring_outs.records


@pytest.mark.parametrize(
    ("outcome", "words", "disposition"),
    [
        ("answered", ["InProgress", "Success", "Finished"], "answered"),
        ("no-answer", ["InProgress", "Success", "NoAnswer"], "no_answer"),
        ("busy", ["InProgress", "Success", "Busy"], "busy"),
        ("own-phone", ["InProgress", "NoAnswer"], "no_answer"),
    ],
)
def test_the_commands_story_and_the_ledgers_row_agree(cli, sim, tmp_path, outcome, words, disposition):
    sim.do(lambda: sim.sim.ring_outs.options.outcomes.update({OTHER: outcome}))
    sim.daemon(tmp_path / "r.db")
    ended = place(cli, "--follow", "--json")
    assert ended.code == 0
    told = [word for line in ended.data["story"] for word in (line["caller_status"], line["callee_status"])]
    assert [word for word in words if word not in told] == []
    assert ended.data["over"] is True
    row = ended.data["call"]
    assert (row["disposition"], row["to_number"], row["session_id"]) == (disposition, "+*******0150", "950000010000")
    assert row["confirmed_at"] is not None


def test_a_follower_sees_a_line_for_each_change_and_the_row(cli, sim, tmp_path):
    sim.daemon(tmp_path / "r.db")
    out = place(cli, "--follow").out
    assert "RingOut RO-1: +*******1001 rings first, then +*******0150" in out
    assert out.index("own phone InProgress") < out.index("own phone Success") < out.index("it is over")
    assert "950000010000" in out


def test_without_a_ledger_the_story_is_told_all_the_same(cli, sim, tmp_path):
    sim.do(lambda: sim.sim.ring_outs.options.outcomes.update({OTHER: "busy"}))
    ended = place(cli, "--follow")
    assert ended.code == 75
    assert "Busy" in ended.out
    assert "the call's row was not seen" in ended.err
    assert not (tmp_path / "r.db").exists()


PLACED = 1_772_442_000_000


def finished(session, at, direction="Outbound"):
    ends = {"from_number": OWN, "to_number": OTHER.removeprefix("+")}
    return ends | {"session_id": session, "started_at": to_text(at), "direction": direction}


@pytest.mark.parametrize(
    ("rows", "known", "found"),
    [
        ([("1", -40_000), ("2", -500)], [], "2"),  # a retry: the first call began before it was asked for
        ([("1", -3_000), ("2", 400)], ["1"], "2"),  # the first one was in the ledger already
        ([("1", -3_000)], ["1"], None),
        ([("1", -40_000)], [], None),
        ([("1", 300), ("2", 30_000)], [], "1"),
    ],
)
def test_the_row_that_fits_is_the_placed_calls(rows, known, found):
    placing = Placing((OWN, OTHER), PLACED - 200, PLACED, frozenset(known))
    row = fitting([finished(session, PLACED + at) for session, at in rows], placing)
    assert (row and row["session_id"]) == found


def test_a_retry_within_a_minute_shows_its_own_row(cli, sim, tmp_path):
    sim.daemon(tmp_path / "r.db")
    first, second = (place(cli, "--follow", "--json").data["call"] for _ in range(2))
    assert first["session_id"] != second["session_id"]
    assert first["started_at"] < second["started_at"]


def test_nothing_is_written_by_the_command(cli, sim, tmp_path):
    upgrade(f"sqlite+aiosqlite:///{tmp_path}/r.db")
    before = (tmp_path / "r.db").read_bytes()
    assert cli("ringout", OWN, OTHER, "--follow", "--speed", SPEED * 10).code == 75
    assert (tmp_path / "r.db").read_bytes() == before


def test_status_while_it_lasts_and_after(cli, sim):
    place(cli)
    found = cli("ringout", "status", "RO-1", "--json").data
    assert (found["id"], found["over"]) == ("RO-1", False)
    eventually(lambda: cli("ringout", "status", "RO-1", "--json").data["call_status"] is None)
    ended = cli("ringout", "status", "RO-1")
    assert (ended.code, ended.err) == (1, "")
    assert "RingOut RO-1: not known (any more): it has ended, or was never placed" in ended.out


def test_one_that_never_was_looks_like_one_that_has_ended(cli, sim):
    ended = cli("ringout", "status", "RO-404", "--json")
    assert (ended.code, ended.data["known"], ended.data["over"]) == (1, False, True)
    assert "not known (any more)" in cli("ringout", "status", "RO-404").out


def test_cancelled_in_time(cli, platform):
    sim = platform()
    cli("ringout", OWN, OTHER)
    ended = cli("ringout", "cancel", "RO-1")
    assert (ended.code, ended.out) == (0, "RingOut RO-1: cancelled\n")
    assert not sim.sim.pbx.open_calls()
    assert cli("ringout", "status", "RO-1", "--json").data["over"] is True


def test_too_late_to_cancel_is_1(cli, sim):
    place(cli)
    eventually(lambda: sim.sim.ring_outs.records["RO-1"].caller_status == "Success")
    ended = cli("ringout", "cancel", "RO-1")
    assert ended.code == 1
    assert "too late" in ended.err or "nothing to cancel" in ended.err
    eventually(lambda: cli("ringout", "status", "RO-1", "--json").data["call_status"] is None)
    ended = cli("ringout", "cancel", "RO-1", "--json")
    assert (ended.code, ended.data["cancelled"]) == (1, False)
    assert "nothing to cancel" in cli("ringout", "cancel", "RO-1").err


@pytest.mark.parametrize("words", [["nobody", OTHER], [OWN, ""], [OWN], [OWN, OTHER, "--caller-id", "x"], ["status"]])
def test_what_was_typed_wrong_is_64(cli, sim, words):
    ended = cli("ringout", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (64, "", 1)
    assert sim.sim.ring_outs.records == {}


def test_a_missing_permission_is_named_and_77(cli, sim):
    sim.do(lambda: sim.sim.permissions.missing.add("RingOut"))
    for words in ([OWN, OTHER], ["status", "RO-1"], ["cancel", "RO-1"]):
        ended = cli("ringout", *words)
        assert ended.code == 77
        assert "permission RingOut is missing" in ended.err


def test_a_platform_that_is_down_is_69(cli, sim, clean):
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    for words in ([OWN, OTHER], ["status", "RO-1"], ["cancel", "RO-1"]):
        assert cli("ringout", *words).code == 69


def test_throttled(cli, platform):
    platform(Options(rate_limits={"heavy": 1}, rate_window_seconds=60.0, rate_real_time=True))
    assert cli("ringout", OWN, OTHER).code == 0
    assert cli("ringout", OWN, OTHER, "--max-wait", "1").code == 75


def test_polling_is_paced(cli, platform):
    sim = platform(Options(rate_limits="default", real_lifetimes=True), speed=SPEED)
    ended = place(cli, "--follow", "--json")
    assert json.loads(ended.out)["over"] is True
    assert sim.sim.limits.violations == 0
    assert sim.sim.limits.usage()["light"] <= 26
