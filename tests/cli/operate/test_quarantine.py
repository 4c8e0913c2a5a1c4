"""`quarantine`: what was put aside is shown, and taken when it can be read after all."""

import json
import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.schema.migrate import upgrade
from ringledger.simulator import Options, load_story
from ringledger.simulator.faults.poison import notifications
from tests.cli.conftest import SCENARIOS
from tests.until import eventually

NUMBER = "+14155550123"
INSERT = "INSERT INTO quarantined (account_id, received_at, source, reason, kind, body) VALUES (?, ?, ?, ?, ?, ?)"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "r.db"


def put_aside(database, kind, source, body, account="1001"):
    """As an older version would have done that could not read it."""
    with closing(sqlite3.connect(database)) as connection, connection:
        row = (account, "2026-01-05T10:00:00.000Z", source, "wrong_shape", kind, body)
        return connection.execute(INSERT, row).lastrowid


def payloads():
    return [one.envelope for one in load_story(SCENARIOS / "answered.story").deliveries]


def record(**fields):
    return json.dumps(
        {
            "id": "R1", "sessionId": "4711", "startTime": "2026-01-05T09:00:00.000Z", "duration": 30, "type": "Voice",
            "direction": "Inbound", "action": "Phone Call", "result": "Accepted", "extension": {"id": 2002},
            "from": {"phoneNumber": NUMBER}, "to": {"phoneNumber": "+16505551002", "extensionId": "2002"}, **fields,
        }
    )  # fmt: skip


def test_nothing_was_put_aside(cli, platform, database):
    platform()
    upgrade(f"sqlite+aiosqlite:///{database}")
    assert cli("quarantine", "list").out == "nothing was put aside\n"
    assert cli("quarantine", "list", "--json").data == []
    ended = cli("quarantine", "show", "7")
    assert (ended.code, ended.err.count("\n")) == (64, 1)
    assert "no entry 7" in ended.err
    assert cli("quarantine", "retry", "--all", "--json").data == {"tried": 0, "taken": 0}


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("one",)])
def test_what_is_to_be_retried_has_to_be_said(cli, platform, arguments):
    platform()
    assert cli("quarantine", "retry", *arguments).code == 64


def test_numbers_are_masked_and_controls_are_not_obeyed(cli, platform, database):
    platform()
    upgrade(f"sqlite+aiosqlite:///{database}")
    put_aside(database, "payload", "presence", f'{{"from": "{NUMBER}", "fromName": "\x1b[2J"}}')
    for words in (("list",), ("show", "1"), ("list", "--json"), ("show", "1", "--json")):
        shown = cli("quarantine", *words).out
        assert NUMBER not in shown, words
        assert "\x1b" not in shown, words
        assert NUMBER in cli("quarantine", *words, "--full-numbers").out
    assert "reason: wrong_shape" in cli("quarantine", "show", "1").out


@pytest.mark.parametrize("by", ["daemon", "command"])
def test_what_can_be_read_is_taken_and_the_rest_stays(cli, platform, database, by):
    sim = platform(Options(real_lifetimes=True))
    if by == "daemon":
        rig = sim.daemon(database, calls__settle_seconds=0.1)
    else:
        upgrade(f"sqlite+aiosqlite:///{database}")
    for envelope in payloads():
        put_aside(database, "payload", "presence", json.dumps(envelope))
    put_aside(database, "record", "call-log", record())
    bad = put_aside(database, "record", "call-log", record(startTime="9999-12-31T23:59:59.999Z"))
    other = put_aside(database, "record", "call-log", record(id="R2"), account="7")
    ended = cli("quarantine", "retry", "--all", "--json")
    assert ended.data == {"tried": len(payloads()) + 2, "taken": len(payloads()) + 1}
    assert ended.code == 1
    assert [row["id"] for row in cli("quarantine", "list", "--json").data] == [other, bad]
    if by == "daemon":
        eventually(lambda: len(rig.query("SELECT 1 FROM calls")) == 2)
    answered, logged = sorted(cli("calls", "--json").data, key=lambda row: row["session_id"] == "4711")
    assert answered["disposition"] == logged["disposition"] == "answered"
    assert logged["duration_seconds"] == 30
    assert cli("quarantine", "retry", str(bad)).out == "0 entries taken, 1 still cannot be read or stored\n"


def test_what_a_daemon_meets_is_listed(cli, platform, database):
    sim = platform(Options(real_lifetimes=True))
    rig = sim.daemon(database)
    poisoned = next(iter(notifications(payloads()[0])))
    sim.do(lambda: sim.sim.publish_envelope(poisoned, forced=True))
    eventually(lambda: rig.query("SELECT 1 FROM quarantine"))
    (row,) = cli("quarantine", "list", "--json", "--full-numbers").data
    assert (row["source"], row["reason"], row["kind"]) == ("presence", "bad_timestamp", "payload")
    assert json.loads(row["body"])["uuid"] == poisoned["uuid"]
    assert "bad_timestamp" in cli("quarantine", "list").out
