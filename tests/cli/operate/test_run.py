"""`run` as a process of its own, against a simulated platform in another."""

import json
import signal
import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
from tests.until import PATIENCE


@pytest.fixture
def platform(process, tmp_path, clean):
    """A simulated platform; its own configuration is what the daemon runs with."""
    child = process("simulate", "--calls-per-hour", "0")
    lines = []
    while not (lines and lines[-1].startswith("url = ")):  # the last key it prints
        lines.append(child.stdout.readline())
        assert child.poll() is None
    text = "".join(lines).replace("ringledger-sim.db", f"{tmp_path}/ringledger.db")
    (tmp_path / "sim.toml").write_text(text)
    return tmp_path / "sim.toml"


def until(child, name):
    """Read the daemon's log until an event; the lines so far."""
    events = []
    while line := child.stderr.readline():
        events.append(json.loads(line))
        if events[-1]["event"] == name:
            return events
    raise AssertionError(f"the daemon ended before {name}: {events}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order_with_0(process, platform, number):
    child = process("run", "--config", platform)
    until(child, "feed.connected")
    child.send_signal(number)
    rest = child.stderr.read().splitlines()
    assert child.wait(PATIENCE) == 0
    last = json.loads(rest[-1])
    assert (last["event"], last["reason"]) == ("service.stopped", number.name)


def test_before_the_platform_answers_a_signal_ends_it_too(process, clean, tmp_path):
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    clean.setenv("RINGLEDGER_CREDENTIALS__CLIENT_ID", "x")
    clean.setenv("RINGLEDGER_CREDENTIALS__JWT", "y")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/ringledger.db")
    child = process("run")
    until(child, "database.upgraded")
    child.terminate()
    assert child.wait(PATIENCE) == 0


def test_wrong_credentials_are_77_in_one_line(process, platform):
    platform.write_text(platform.read_text().replace('jwt = "sim-jwt"', 'jwt = "stolen-jwt-1234"'))
    child = process("run", "--config", platform)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 77
    told = [line for line in map(json.loads, err.splitlines()) if line["event"] == "service.failed"]
    assert len(told) == 1
    assert told[0]["reason"].startswith("the platform rejects the credentials")
    assert "stolen-jwt-1234" not in err
    assert "Traceback" not in err


def test_a_second_daemon_on_the_same_database_is_75(process, platform, tmp_path):
    upgrade(f"sqlite+aiosqlite:///{tmp_path}/ringledger.db")
    with DaemonLock(tmp_path / "ringledger.db"):
        child = process("run", "--config", platform)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 75
    assert "stop that one first" in err


def test_a_database_newer_than_the_program_is_78(process, platform, tmp_path):
    upgrade(f"sqlite+aiosqlite:///{tmp_path}/ringledger.db")
    with closing(sqlite3.connect(tmp_path / "ringledger.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    child = process("run", "--config", platform)
    child.communicate(timeout=PATIENCE)
    assert child.returncode == 78


def test_no_directory_for_the_database_is_one_line(process, platform):
    platform.write_text(platform.read_text().replace("/ringledger.db", "/none/ringledger.db"))
    child = process("run", "--config", platform)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 74
    assert "no such directory" in err.splitlines()[-1]


def test_a_second_signal_ends_it_at_once(process, platform):
    child = process("run", "--config", platform)
    until(child, "feed.connected")
    child.send_signal(signal.SIGSTOP)  # so that both arrive before it can act on the first
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGCONT)
    assert child.wait(PATIENCE) in {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert "service.stopped" not in child.stderr.read()
