"""Every exit code of the contract from a real command: one line on standard error, never a traceback."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ringledger.exits import Exit
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
from tests.ending import ended
from tests.ops.conftest import environment, ringledger
from tests.ports import free_port
from tests.until import PATIENCE

NOBODY = "http://127.0.0.1:9"


def run(settings, *words):
    command = [sys.executable, "-m", "ringledger", *words]
    return subprocess.run(
        command, env=environment(settings), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def told(done, code):
    """The one line a person sees; of the daemon it is the last of its log, which is JSON and tells the code as well."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    if "run" in done.args[3:4]:
        assert lines == [], done.stderr
        last = json.loads(done.stderr.splitlines()[-1])
        assert (last["event"], last["level"], last["exit_code"]) == ("service.failed", "error", code)
        return last["reason"]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("ringledger: ")
    return lines[0]


@pytest.fixture
def given(tmp_path):
    """Settings without a platform; the database is there."""
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    upgrade(url)
    return {
        "database.url": url,
        "platform.server_url": NOBODY,
        "credentials.client_id": "app",
        "credentials.jwt": "planted-jwt",
        "log.format": "json",
    }


def test_0_done(given):
    done = run(given, "calls")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_0_stopped_by_a_signal(platform, tmp_path, number):
    with ringledger(platform.settings(tmp_path / "r.db")) as daemon:
        daemon.ready()
        daemon.process.send_signal(number)
        assert daemon.wait() == 0
    assert daemon.events[-1]["event"] == "service.stopped"


def test_1_differences(given):
    assert run(given, "coverage", "--since", "2h").returncode == Exit.DIFFERENCES


def test_64_usage(given):
    told(run(given, "calls", "--since", "whenever"), Exit.USAGE)


def test_65_not_ours(given, tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    given["database.url"] = f"sqlite+aiosqlite:///{tmp_path}/other.db"
    told(run(given, "run"), Exit.DATA)


def test_65_damaged(given, tmp_path):
    with (tmp_path / "r.db").open("r+b") as file:
        file.seek(4096 + 64)
        file.write(b"\xff" * 8192)
    assert "backup" in told(run(given, "run"), Exit.DATA)


def test_69_the_platform_does_not_answer(given):
    told(run(given, "check-config", "--online"), Exit.UNAVAILABLE)


def test_70_a_bug(given, tmp_path):
    # A module of the same name that fails stands for a bug in the program.
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import ringledger.ledger.read.queries as queries\n"
        "async def calls(*_, **__):\n    raise ZeroDivisionError('oops')\n"
        "queries.calls = calls\n"
    )
    command = [sys.executable, "-m", "ringledger", "calls"]
    env = environment(given) | {"PYTHONPATH": str(tmp_path / "broken")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "this is a bug" in told(done, Exit.INTERNAL)


def test_74_input_output(given, tmp_path):
    given["database.url"] = f"sqlite+aiosqlite:///{tmp_path}/no/such/r.db"
    assert f"{tmp_path}/no/such: no such directory; create it" in told(run(given, "run"), Exit.IO)


def test_74_a_directory_that_cannot_be_written_to(given):
    given["database.url"] = "sqlite+aiosqlite:////proc/r.db"  # nobody can, whoever runs this
    assert "/proc: cannot be written to" in told(run(given, "run"), Exit.IO)


def test_74_an_address_in_use(given, platform, tmp_path):
    given["http.listen"] = address = platform.sim.url.removeprefix("http://")
    assert f"http.listen {address}: Address already in use" in told(run(given, "run"), Exit.IO)


def test_74_an_address_that_is_none(given):
    given["http.listen"] = "no.such.host.invalid:80"
    assert "http.listen no.such.host.invalid: " in told(run(given, "run"), Exit.IO)


def test_75_try_again(given, tmp_path):
    with DaemonLock(tmp_path / "r.db"):
        for words in (("db", "upgrade"), ("run",)):
            line = told(run(given, *words), Exit.TRY_AGAIN)
            assert f"process {os.getpid()} " in line
            assert "stop that one first" in line


@pytest.mark.parametrize("listen", ["", "127.0.0.1:0"])
def test_75_a_second_daemon_says_who_writes(platform, tmp_path, listen):
    """Also where both want the same address."""
    settings = platform.settings(tmp_path / "r.db", http__listen=listen and f"127.0.0.1:{free_port()}")
    with ringledger(settings, "run") as first:
        first.ready()
        line = told(run(settings, "run"), Exit.TRY_AGAIN)
        assert re.search(rf"process {first.process.pid} \(ringledger run, user \w+\) writes to it since ", line)


def test_77_credentials_rejected(platform, tmp_path):
    settings = platform.settings(tmp_path / "r.db", credentials__jwt="planted-jwt")
    done = run(settings, "run")
    told(done, Exit.CREDENTIALS)
    assert "planted-jwt" not in done.stderr


ASKS = [
    ("run",),
    ("check-config", "--online"),
    ("auth", "status"),
    ("platform", "active-calls"),
    ("audit", "--since", "1h"),
    ("backfill", "--since", "1h"),
    ("ringout", "101", "102"),
    ("ringout", "status", "s1"),
    ("sms", "+16505551001", "+16505551002", "hello"),
    ("pager", "101", "hello"),
]


@pytest.mark.parametrize("words", ASKS, ids=" ".join)
@pytest.mark.parametrize("key", ["credentials.jwt", "credentials.client_id"])
def test_78_no_credentials_at_all(given, words, key):
    del given[key]
    done = run(given, *words)
    assert key in told(done, Exit.CONFIG)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1), "nothing is logged before it"


def test_78_a_database_that_is_a_directory(given, tmp_path):
    given["database.url"] = f"sqlite+aiosqlite:///{tmp_path}"
    for words in (
        ["run"],
        ["calls"],
        ["db", "upgrade"],
        ["db", "check"],
        ["db", "backup"],
        ["purge", "--yes", "--number", "1"],
    ):
        line = told(run(given, *words), Exit.CONFIG)
        assert f"{tmp_path}: is a directory; database.url" in line


def test_78_configuration_wrong(given):
    assert "calls.settle_secs" in told(run(given | {"calls.settle_secs": "1"}, "run"), Exit.CONFIG)


def test_78_database_newer_than_the_program(given, tmp_path):
    with closing(sqlite3.connect(tmp_path / "r.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    assert "newer" in told(run(given, "run"), Exit.CONFIG)


#: Ctrl-C while a module is being loaded: the signal comes when it is looked for.
INTERRUPTED_AT = """
import os, runpy, signal, sys

wanted = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
runpy.run_module("ringledger", run_name="__main__", alter_sys=True)
"""


def interrupted_at(module, given, *words):
    command = [sys.executable, "-c", INTERRUPTED_AT, module, *words]
    return subprocess.run(
        command, env=environment(given), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_130_interrupted(platform, given):
    """A command that waits for the platform; and one that has not even been loaded."""
    gate = platform.do(held(platform.sim, "/oauth/token"))
    settings = given | {"platform.server_url": platform.sim.url}
    command = [sys.executable, "-m", "ringledger", "auth", "login"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(settings), **pipes) as child, ended(child):
        platform.do(asyncio.wait_for(gate.reached.wait(), PATIENCE))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (130, b"", b"")
    done = interrupted_at("ringledger.cli.app", given, "calls")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


async def held(sim, path):
    return sim.gates.hold(path)


def test_0_what_goes_on_until_somebody_ends_it(given):
    command = [sys.executable, "-m", "ringledger", "simulate"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(given), **pipes) as child, ended(child):
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, err) == (0, b"")
    done = interrupted_at("ringledger.service", given, "run")  # which has begun nothing yet
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_sighup_reloads_and_does_not_end_it(platform, tmp_path):
    config = tmp_path / "r.toml"
    config.write_text("[retention]\ncalls_days = 30\n")
    settings = platform.settings(tmp_path / "r.db")
    with ringledger(settings, "run", "--config", str(config)) as daemon:
        daemon.ready()
        config.write_text("[retention]\ncalls_days = 60\n[journal]\ndays = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        (line,) = daemon.until(lambda: daemon.named("config.reloaded"))
        assert (line["keys"], line["restart_needed"]) == (["retention.calls_days"], ["journal.days"])
        config.write_text("[retention]\ncalls_days = -1\n")
        os.kill(daemon.process.pid, signal.SIGHUP)
        (line,) = daemon.until(lambda: daemon.named("config.rejected"))
        assert f"{config}:2" in line["problems"][0]
        config.write_text('[log]\nlevel = "debug"\n')
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.until(lambda: len(daemon.named("config.reloaded")) == 2)
        daemon.process.terminate()
        assert daemon.wait() == 0
