"""Who may not read the database is told by every command, in one line, who may and how to become one of them."""

import json
import os
import pwd
import subprocess
import sys

import pytest
import typer

from ringledger.cli.app import app
from ringledger.cli.status import sentence
from ringledger.ledger.file.sqlite import keep_readable
from ringledger.service.health.status import DaemonStatus, Life
from tests.needs import needs
from tests.template import migrated

OWNER, GROUP, MEMBER, STRANGER = 54321, 54321, 54322, 54323

pytestmark = needs(os.geteuid() == 0, "root", "run the tests as root")

#: What is typed for each command that needs the database.
COMMANDS = {
    "run": "", "calls": "", "calls show": "900000000001", "active": "", "presence": "", "top": "--once",
    "coverage": "", "stats": "", "export": "--format csv", "audit": "--since 1d", "backfill": "--since 1d",
    "db upgrade": "", "db check": "", "db copy": "--to sqlite+aiosqlite:////nowhere/r.db", "db backup": "",
    "db restore": "/etc/passwd", "db downgrade": "", "purge": "--older-than 90d --yes", "webhooks list": "",
    "webhooks retry": "--all", "quarantine list": "", "quarantine show": "1", "quarantine retry": "--all",
    "replay": "--journal --since 1d",
}  # fmt: skip
#: What does without, or goes on: the doctor has it among its findings, `serve` waits for better days.
APART = {
    "demo", "simulate", "serve", "doctor", "check-config", "completion", "webhooks test", "sms", "pager",
    "ringout place", "ringout status", "ringout cancel", "auth status", "auth login", "auth refresh", "auth logout",
    "platform active-calls", "platform call-log",
}  # fmt: skip
#: Everything is imported before, for the other user may not see the interpreter's files. Each order is a copy's.
AS_SOMEBODY = """
import contextlib, encodings.ascii, encodings.idna, importlib, io, json, os, pkgutil, sys
import aiosqlite, concurrent.futures.thread, rich.pretty, sqlalchemy.dialects.sqlite.aiosqlite
import ringledger
from ringledger.cli.app import main
for one in pkgutil.walk_packages(ringledger.__path__, "ringledger."):
    if not one.name.endswith("__main__"):
        with contextlib.suppress(ImportError):
            importlib.import_module(one.name)
for order in sys.stdin:
    url, uid, gid, lines = json.loads(order)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    os.environ["RINGLEDGER_DATABASE__URL"] = url
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
    os.chdir("/")
    ended = {}
    for line in lines:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(line.split())
        ended[line] = code, out.getvalue(), err.getvalue()
    print(json.dumps(ended), flush=True)
    os._exit(0)
"""


def commands(of=app, before=""):
    """The names of all commands."""
    for one in of.registered_commands:
        yield f"{before}{one.name or one.callback.__name__}"
    for group in of.registered_groups:
        made = group.typer_instance
        if made.registered_callback and made.registered_callback.invoke_without_command:
            yield group.name
        yield from commands(made, f"{group.name} ")


@pytest.fixture(scope="module")
def as_somebody():
    """Runs command lines as another user: ``as_somebody(database, user, group, lines)`` is code, output and errors of
    each."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
    variables["RINGLEDGER_CONFIG"] = os.devnull
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", AS_SOMEBODY], env=variables, text=True, **pipes) as process:

        def ask(path, uid, gid, lines):
            process.stdin.write(json.dumps([f"sqlite+aiosqlite:///{path}", uid, gid, lines]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture
def state(public_folder):
    """A state directory as the unit makes it, where other users can get at it."""
    directory = public_folder / "ringledger"
    directory.mkdir()
    migrated(directory / "r.db")
    keep_readable(directory / "r.db")
    for one in (*directory.iterdir(), directory):
        os.chown(one, OWNER, GROUP)
    directory.chmod(0o750)
    return directory


def test_no_command_is_forgotten():
    assert isinstance(app, typer.Typer)
    assert set(commands()) == COMMANDS.keys() | APART


def test_every_command_tells_an_outsider_who_may_read_and_how_to_get_there(state, as_somebody):
    path = state / "r.db"
    lines = [f"{name} {more}".strip() for name, more in COMMANDS.items()]
    said = (
        f"ringledger: {path}: only user {OWNER} and the members of the group {GROUP} may read it; "
        f"let root type `usermod --append --groups {GROUP} NAME`, then log in again\n"
    )
    for line, (code, out, err) in as_somebody(path, STRANGER, STRANGER, lines).items():
        told = json.loads(err)["reason"] if line == "run" else err  # its log is JSON
        assert (line, code, out) == (line, 74, "")
        assert told.strip() == (said if line != "run" else said.removeprefix("ringledger: ")).strip(), line


def test_a_missing_directory_is_74_in_every_command(cli, clean, tmp_path):
    path = tmp_path / "nowhere" / "r.db"
    for name, text in {
        "DATABASE__URL": f"sqlite+aiosqlite:///{path}", "PLATFORM__SERVER_URL": "http://127.0.0.1:9",
        "CREDENTIALS__CLIENT_ID": "id", "CREDENTIALS__JWT": "jwt", "LOG__FORMAT": "console",
    }.items():  # fmt: skip
        clean.setenv(f"RINGLEDGER_{name}", text)
    for name, more in COMMANDS.items():
        ended = cli(*name.split(), *more.split())
        assert (name, ended.code) == (name, 74), ended.err
        line = [one for one in ended.err.splitlines() if "service.started" not in one]
        assert len(line) == 1, ended.err
        assert line[0].startswith(f"ringledger: {path.parent}"), ended.err
        if name in {"calls", "db check", "db backup", "purge"}:
            assert "no such directory (database.url, RINGLEDGER_DATABASE__URL); create it" in line[0]


def test_the_doctor_has_it_among_its_findings(state, as_somebody):
    path = state / "r.db"
    (code, out, _), *_ = as_somebody(path, STRANGER, STRANGER, ["doctor --offline --expect-running --json"]).values()
    found = {one["code"]: one for one in json.loads(out)}
    assert code == 74
    assert f"only user {OWNER} and the members of the group {GROUP} may read it" in found["database-access"]["found"]
    assert found["daemon"]["severity"] == "warning", "one may run"
    assert found["daemon"]["cure"].startswith("look as root")
    assert found["daemon"]["found"] == "whether a daemon runs cannot be told: the database cannot be read"


def test_how_the_feed_is_is_not_guessed():
    """A daemon that refuses to answer runs, and that is all that is known."""
    unread = DaemonStatus(at=0, life=Life.RUNNING, unread=True)
    assert sentence(unread) == "the daemon runs, how its feed is cannot be told: the database cannot be read"


def test_who_has_a_name_is_named_and_a_closed_file_is_told_as_well(state, as_somebody):
    path = state / "r.db"
    known = pwd.getpwnam("nobody")
    (_, _, err), *_ = as_somebody(path, known.pw_uid, STRANGER, ["calls"]).values()
    assert f"`usermod --append --groups {GROUP} nobody`" in err
    state.chmod(0o755)
    path.chmod(0o600)
    (code, _, err), *_ = as_somebody(path, STRANGER, STRANGER, ["calls"]).values()
    line = f"ringledger: {path}: only user {OWNER} may read it; run this as root or user {OWNER} (sudo)\n"
    assert (code, err) == (74, line)
    os.chown(path, 0, 0)
    (code, _, err), *_ = as_somebody(path, STRANGER, STRANGER, ["calls"]).values()
    assert (code, err) == (74, f"ringledger: {path}: only root may read it; run this as root (sudo)\n")


def test_a_closed_configuration_is_told_alike(state, as_somebody):
    file = state.parent / "ringledger.toml"
    file.write_text("")
    os.chown(file, 0, GROUP)
    file.chmod(0o640)
    (code, _, err), *_ = as_somebody(state / "r.db", STRANGER, STRANGER, [f"calls --config {file}"]).values()
    assert code == 78
    assert err.startswith(f"ringledger: {file}: only root and the members of the group {GROUP} may read it; let root")
    assert err.count("\n") == 1


def test_any_file_that_is_closed_is_74_and_says_who_may_read_it(state, as_somebody):
    file = state.parent / "recording.jsonl"
    file.write_text("{}")
    file.chmod(0o600)
    (code, _, err), *_ = as_somebody(state / "r.db", STRANGER, STRANGER, [f"replay {file}"]).values()
    assert (code, err) == (74, f"ringledger: {file}: only root may read it; run this as root (sudo)\n")


@pytest.mark.slow
def test_a_member_reads_and_is_told_who_writes(state, as_somebody):
    path = state / "r.db"
    reads, writes = ("calls", "coverage", "webhooks list"), ("db upgrade", "webhooks retry --all")
    ended = as_somebody(path, MEMBER, GROUP, [*reads, *writes, "db backup"])
    code, _, err = ended["db backup"]
    assert code == 74
    assert err.endswith(f"root and user {OWNER} alone may; run this as root, or name a FILE of your own\n"), err
    for line in reads:
        assert ended[line][0] in {0, 1}, ended[line]
    for line in writes:
        code, _, err = ended[line]
        assert code == 74
        assert err.endswith(f"root and user {OWNER} alone may; run this as root\n"), err


@pytest.mark.slow
def test_a_member_is_told_what_keeps_the_file_from_being_read(state, as_somebody):
    path = state / "r.db"
    path.with_name("r.db-wal").unlink()
    path.with_name("r.db-shm").unlink()
    (code, _, err), *_ = as_somebody(path, MEMBER, GROUP, ["calls"]).values()
    line = (
        f"ringledger: {path}: cannot be read without the files -wal and -shm beside it, which only who may write there "
        "can make; start the daemon, or run this as root\n"
    )
    assert (code, err) == (74, line)
