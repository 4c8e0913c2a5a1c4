import asyncio
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ringledger.cli.operate.doctor import exit_code
from ringledger.config.model import load_settings
from ringledger.ringcentral.auth.permissions import judged
from ringledger.service.health.checklist import CHECKS, examine
from ringledger.service.health.checks import CheckFacts, Finding, ProblemDelay, Severity
from ringledger.service.health.diagnosis import machine_facts
from ringledger.simulator import Options, Simulator
from tests import standing
from tests.needs import needs


@contextlib.contextmanager
def simulated(options=None):
    """A simulated platform on a thread of its own: the command line has its own event loop."""
    started, sim = threading.Event(), Simulator(options=options)
    loop = asyncio.new_event_loop()

    async def start():
        await sim.start()
        started.set()

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield sim
    finally:
        asyncio.run_coroutine_threadsafe(sim.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def configured(clean, tmp_path):
    def write(sim, **more):
        credentials = sim.options.credentials
        lines = [
            f'[platform]\nserver_url = "{sim.url}"',
            f'[credentials]\nclient_id = "{credentials.client_id}"\nclient_secret = "{credentials.client_secret}"',
            f'jwt = "{more.get("jwt", credentials.jwt)}"',
            f'[database]\nurl = "sqlite+aiosqlite:///{tmp_path}/r.db"',
            "[retention]\ncalls_days = 90",
        ]
        path = tmp_path / "r.toml"
        path.write_text("\n".join(lines))
        path.chmod(0o600)
        clean.setenv("RINGLEDGER_CONFIG", str(path))
        return path

    return write


def codes(ended):
    return {one["code"]: one for one in ended.data}


def test_all_is_well_but_what_python_cannot_do(cli, configured):
    with simulated() as sim:
        configured(sim)
        cli("db", "upgrade")
        cli("db", "backup")
        ended = cli("doctor", "--json")
    found = codes(ended)
    bad = {code for code, one in found.items() if one["severity"] != "ok"}
    assert bad <= {"daemon", "disk"}
    assert ended.code == (1 if bad else 0)
    assert {"integrity", "permissions", "clock", "schema", "sqlite", "unconfirmed-calls"} <= found.keys()
    assert found["platform"]["found"] == "answers"


def test_for_people_it_says_what_to_type(cli, configured):
    with simulated() as sim:
        path = configured(sim)
        path.chmod(0o644)
        ended = cli("doctor")
    assert ended.code == 1
    assert f"chmod 0600 {path}" in ended.out
    assert "why it matters:" in ended.out
    assert sim.options.credentials.client_secret not in ended.out


def test_rejected_credentials_are_77(cli, configured):
    with simulated() as sim:
        configured(sim, jwt="stolen")
        ended = cli("doctor", "--json")
        online = cli("check-config", "--online")
    assert ended.code == online.code == 77
    assert codes(ended)["credentials"]["severity"] == "failure"
    assert online.err.count("\n") == 1
    assert "stolen" not in online.err + ended.out


def test_a_platform_that_is_down_is_69(cli, configured):
    with simulated() as sim:
        configured(sim)
    ended = cli("doctor", "--json")
    assert ended.code == cli("check-config", "--online").code == 69
    assert codes(ended)["platform"]["severity"] == "failure"


def test_the_configuration_is_accepted(cli, configured):
    with simulated() as sim:
        configured(sim)
        ended = cli("check-config", "--online")
    assert ended.code == 0
    assert "the platform accepts it" in ended.out


def test_a_missing_permission_is_named(cli, configured):
    with simulated(Options(missing_permissions=frozenset({"ReadCallLog"}))) as sim:
        configured(sim)
        ended = cli("check-config", "--online")
    assert ended.code == 77
    assert "ReadCallLog" in ended.err


def test_a_damaged_database_is_65(cli, configured, tmp_path):
    with simulated() as sim:
        configured(sim)
        cli("db", "upgrade")
        with (tmp_path / "r.db").open("r+b") as file:
            file.seek(4096 + 64)
            file.write(b"\xff" * 4096)
        ended = cli("doctor", "--offline", "--json")
    assert ended.code == 65
    assert "backup" in json.dumps(ended.data) if ended.out else "backup" in ended.err


@pytest.fixture
def alone(clean, tmp_path):
    """Nothing is configured but where the database is."""

    def at(path):
        clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{path}")
        return path

    return at


def told(ended, code):
    """What was found, and what to type, of one check; the others have been made all the same."""
    found = codes(ended)
    assert {"sqlite", "retention", "login"} <= found.keys()
    assert found[code]["cure"]
    return found[code]


def test_nothing_to_log_in_with_is_78_and_hides_no_other_problem(cli, alone, tmp_path):
    alone(tmp_path / "none.db")
    ended = cli("doctor", "--json")
    assert ended.code == 78
    assert "credentials.client_id" in told(ended, "login")["found"]
    missing = told(ended, "database")
    assert missing["severity"] == "warning"
    assert f"{tmp_path}/none.db: no such database (database.url, RINGLEDGER_DATABASE__URL)" in missing["found"]
    assert "platform" not in codes(ended), "there is nothing to ask it with"


def test_a_missing_database_alone_is_a_warning(cli, configured):
    with simulated() as sim:
        configured(sim)
        ended = cli("doctor", "--json")
    assert ended.code == 1
    assert codes(ended)["database"]["severity"] == "warning"
    assert codes(ended)["platform"]["severity"] == "ok"


def test_another_programs_database_is_65_and_the_rest_is_looked_at(cli, alone, tmp_path):
    with contextlib.closing(sqlite3.connect(alone(tmp_path / "other.db"))) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    ended = cli("doctor", "--offline", "--json")
    assert ended.code == 65
    assert "belongs to another program" in told(ended, "database-owner")["found"]
    assert not {"readers", "database-file"} & codes(ended).keys(), "it is not ours to mend"
    alone(tmp_path / "text.db").write_text("no database at all " * 100)
    ended = cli("doctor", "--offline", "--json")
    assert (ended.code, told(ended, "database-owner")["severity"]) == (65, "failure")


def test_no_place_for_a_database_is_78(cli, alone, tmp_path):
    (tmp_path / "file").touch()
    for path, words in ((tmp_path, "is a directory"), (tmp_path / "file" / "r.db", "is no directory")):
        alone(path)
        ended = cli("doctor", "--offline", "--json")
        assert ended.code == 78
        assert words in told(ended, "database")["found"]


def test_a_missing_directory_is_74(cli, alone, tmp_path):
    alone(tmp_path / "no" / "r.db")
    ended = cli("doctor", "--offline", "--json")
    assert ended.code == 74
    assert "no such directory (database.url, RINGLEDGER" in told(ended, "database-directory")["found"]


def test_a_database_of_a_newer_program_is_78(cli, alone, tmp_path):
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    ended = cli("doctor", "--offline", "--json")
    assert ended.code == 78
    assert "newer" in told(ended, "schema")["found"]


def test_dead_letters_and_old_ones_are_told(cli, alone, tmp_path):
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    assert codes(cli("doctor", "--offline", "--json"))["webhooks"]["found"] == "nothing waits"
    letter = "INSERT INTO outbox VALUES (NULL, 'k', '1', '2', ?, 'call.finished', '{}', ?, 1, 'no', ?)"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(letter, ("a", "2026-03-02T09:00:00.000Z", None))
    assert "waited for" in told(cli("doctor", "--offline", "--json"), "webhooks")["found"]
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(letter, ("b", "2026-03-02T09:00:00.000Z", "2026-03-03T09:00:00.000Z"))
    found = told(cli("doctor", "--offline", "--json"), "webhooks")
    assert (found["found"], found["severity"]) == ("1 event was given up", "warning")
    assert "webhooks retry" in found["cure"]


def test_permissions_by_name():
    assert judged("ReadPresence ReadCallLog SubscriptionWebSocket", "websocket") == ((), ())
    assert judged("ReadPresence", "pubnub") == (("ReadCallLog",), ())
    missing, excess = judged("ReadPresence ReadCallLog EditAccounts", "websocket")
    assert (missing, excess) == (("WebSocketsSubscription",), ("EditAccounts",))


def test_an_installed_unit_that_differs(tmp_path, monkeypatch):
    ours = tmp_path / "prefix" / "lib" / "systemd" / "system"
    ours.mkdir(parents=True)
    (ours / "ringledger.service").write_text("new")
    theirs = tmp_path / "etc"
    theirs.mkdir()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    settings = load_settings(None, {}, {})
    assert machine_facts(settings, (str(theirs),)).unit_drift is None
    (theirs / "ringledger.service").write_text("old")
    assert machine_facts(settings, (str(theirs),)).unit_drift == (str(theirs / "ringledger.service"),)
    (theirs / "ringledger.service").write_text("new")
    assert machine_facts(settings, (str(theirs),)).unit_drift == ()


def test_a_configuration_with_secrets_is_looked_at_wherever_it_is_named_from(clean, tmp_path):
    clean.chdir(tmp_path)
    named = Path("own.toml")
    named.write_text('[credentials]\nclient_secret = "a"\njwt = "b"\n')
    for mode, found in ((0o644, (str(named),)), (0o600, ())):
        named.chmod(mode)
        for path in (named, named.absolute()):
            seen = machine_facts(load_settings(path)).open_secrets
            assert [Path(one).name for one in seen] == [Path(one).name for one in found]


def test_codes_are_unique_and_nothing_is_judged_without_facts():
    assert len({one.code for one in CHECKS}) == len(CHECKS)
    assert list(examine(CheckFacts())) == []


BAD = CheckFacts(
    ready=False, starting_for=700, stuck=("poll",), account_state="rejected", feed_down=5, poll_age=900,
    poll_interval=180, store_trouble="full", disk_free=0,
    open_secrets=("/x",), open_database="/x", readers_locked_out=True, unit_drift=("/x",), retention_set=False,
    schema=(1, 2), damage="page 3", journal_mode="delete", log_bytes=(9, 8), oldest_open=1e6, stale_after=14400,
    unconfirmed=3,
    last_event=1e6, platform_error="down", credentials_error="no", missing_permissions=("ReadPresence",),
    clock_offset=99, subscription_error="no", login_missing="no", misplaced="/x", foreign="/x", elsewhere=7,
    letters_dead=1, daemon="no daemon runs", no_access="/x: Permission denied", no_directory="/x",
    writers=("root", ("a group",)),
    backups=(0, 1e9, ()), saved_copies=("/x.saved-1",), listens="0.0.0.0:9464", plain_receivers=("crm",),
    unheard=(("7", 2),), server_trouble="no server answers", leases=("", ("acme",)),
    standby_behind=61.0, server_clock=-6.0,
)  # fmt: skip


def test_every_problem_has_a_reason_and_a_cure():
    findings = list(examine(BAD))
    assert {one.code for one in findings} | {"sqlite", "tracker", "lease"} == {one.code for one in CHECKS}
    for one in findings:
        assert one.bad, one.code
        assert one.why
        assert one.cure


def test_what_a_database_server_may_be_like():
    """Each of its checks, at its bounds."""
    bounds = [
        ("database-server", CheckFacts(server=("PostgreSQL 15.1", 15)), "ok"),
        ("database-server", CheckFacts(server=("PostgreSQL 14.9", 14)), "warning"),
        ("database-standby", CheckFacts(standby_behind=60.0), "ok"),
        ("database-standby", CheckFacts(standby_behind=61.0), "warning"),
        ("database-standby", CheckFacts(standby_behind=0.0, daemon_expected=True), "failure"),
        ("database-clock", CheckFacts(server_clock=5.0), "ok"),
        ("database-clock", CheckFacts(server_clock=-5.1), "warning"),
        ("database-clock", CheckFacts(server_clock=61.0), "failure"),
    ]
    for code, facts, severity in bounds:
        (one,) = examine(facts)
        assert (one.code, one.severity) == (code, severity)
    (ahead,) = examine(CheckFacts(server_clock=-6.0))
    assert ahead.found.startswith("+6.0 s from the database server's"), "this machine is ahead"


def test_a_daemon_that_has_only_just_started_is_a_warning():
    young = list(examine(CheckFacts(ready=False, starting_for=590, feed_down=590, feed_cause="token")))
    assert [(one.code, one.severity) for one in young] == [("started", "warning"), ("feed", "warning")]
    assert young[0].found == "still starting, for 10 min now"
    assert exit_code(young) == 1
    old = list(examine(CheckFacts(ready=False, starting_for=610, feed_down=610)))
    assert {one.severity for one in old} == {"failure"}
    (down,) = examine(CheckFacts(feed_down=30))
    assert down.severity == "failure", "it has been ready"


def test_a_simulated_platforms_clock_is_its_own():
    (one,) = examine(CheckFacts(clock_offset=3600, simulated=True))
    assert one.severity == "ok"
    assert one.found.startswith("+3600.0 s from the simulated platform's")
    (one,) = examine(CheckFacts(clock_offset=3600))
    assert one.severity == "failure"


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_credentials_that_only_root_may_read_are_no_failure_of_the_service(cli, clean, public_folder):
    """As the unit of the timer sees them, whose user is the daemon's."""
    public = public_folder
    secret, file, path = public / "client_id", public / "ringledger.toml", public / "state" / "r.db"
    secret.write_text("id")
    secret.chmod(0o600)
    url = f"sqlite+aiosqlite:///{path}"
    file.write_text(f'[credentials]\nclient_id_file = "{secret}"\n\n[database]\nurl = "{url}"\n')
    clean.setenv("RINGLEDGER_CONFIG", str(file))
    path.parent.mkdir()
    cli("db", "upgrade")
    cli("doctor", "--offline")  # the other user cannot import what has not been imported
    for one in (path.parent, *path.parent.iterdir()):
        os.chown(one, 54321, 54321)
    os.seteuid(54321)
    try:
        ended = cli("doctor", "--offline", "--expect-running", "--json")
    finally:
        os.seteuid(0)
    assert "login" not in codes(ended)
    assert (ended.code, codes(ended)["daemon"]["severity"]) == (75, "failure")


def test_refused_extensions_are_named_and_many_are_counted():
    (one,) = examine(CheckFacts(subscription_error="", refused=(("7", "SUB-408"), ("8", ""))))
    assert (one.code, one.severity, one.found) == (
        "subscription",
        "warning",
        "not granted for extension 7 (SUB-408), 8",
    )
    (one,) = examine(CheckFacts(subscription_error="", refused=tuple((str(n), "") for n in range(8))))
    assert one.found == "not granted for extension 0, 1, 2, 3, 4 and 3 more"
    (one,) = examine(CheckFacts(subscription_error="", refused=()))
    assert (one.severity, one.found) == ("ok", "granted")


def test_a_daemon_that_never_polled_has_no_last_poll():
    (one,) = examine(CheckFacts(poll_age=14, poll_interval=180, polled=False))
    assert (one.severity, one.found) == ("ok", "none since the start 14 s ago")
    (one,) = examine(CheckFacts(poll_age=900, poll_interval=180, polled=False))
    assert (one.severity, one.found) == ("warning", "none since the start 900 s ago")
    (one,) = examine(CheckFacts(poll_age=14, poll_interval=180))
    assert (one.severity, one.found) == ("ok", "last one 14 s ago")


TRANSPORTS = ["websocket", "pubnub"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_without_a_daemon_a_subscription_is_tried_and_deleted(cli, configured, clean, transport):
    with simulated() as sim:
        configured(sim)
        clean.setenv("RINGLEDGER_FEED__TRANSPORT", transport)
        assert codes(cli("doctor", "--json"))["subscription"]["found"] == "granted"
        clean.setenv("RINGLEDGER_PLATFORM__EXTENSIONS", "2001,~,9999")
        found = codes(cli("doctor", "--json"))["subscription"]
        assert (found["severity"], found["found"]) == ("warning", "not granted for extension 9999 (SUB-408)")
        clean.setenv("RINGLEDGER_PLATFORM__EXTENSIONS", "9999")
        ended = cli("doctor", "--json")
        assert ended.code == 69
        assert codes(ended)["subscription"]["severity"] == "failure"
        assert codes(ended)["platform"]["found"] == "answers"
        assert "subscription" not in codes(cli("doctor", "--json", "--offline"))
        assert sim.subscriptions.alive() == []
        assert sim.subscriptions.opened == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_running_daemon_is_asked(cli, platform, clean, tmp_path, transport):
    sim, database = platform(), tmp_path / "r.db"
    sim.daemon(database, transport=transport, platform__extensions=["2001", "9999"])
    opened = sim.do(lambda: sim.sim.subscriptions.opened)
    found = codes(cli("doctor", "--json"))
    assert found["subscription"]["found"] == "not granted for extension 9999 (SUB-408), 1 of 2 are served"
    assert {"started", "loops", "feed", "poll", "store", "integrity", "platform"} <= found.keys()
    assert found["started"]["found"] == "ready"
    assert list(found) == [one.code for one in CHECKS if one.code in found]
    assert "subscription" in codes(cli("doctor", "--json", "--offline"))
    assert sim.do(lambda: sim.sim.subscriptions.opened) == opened


def test_a_young_problem_is_not_shown_yet():
    now = [0.0]
    delay = ProblemDelay(lambda: now[0], CHECKS)
    findings = list(examine(CheckFacts(feed_down=1.0)))
    assert not delay.shown(findings)[0].bad
    now[0] = 59
    assert not delay.shown(findings)[0].bad
    now[0] = 60
    assert delay.shown(findings)[0].bad
    delay.shown(list(examine(CheckFacts(feed_down=0.0))))
    assert not delay.shown(findings)[0].bad


def test_the_gravest_failure_has_the_exit_code():
    def bad(code, severity=Severity.FAILURE):
        return Finding(code, severity, "", "", "x")

    assert exit_code([bad("platform"), bad("integrity")]) == 65
    assert exit_code([bad("loops")]) == 70
    assert exit_code([bad("retention", Severity.WARNING)]) == 1
    assert exit_code([]) == 0


def test_of_a_database_nobody_can_read_it_is_not_said_that_it_is_empty(cli, configured, tmp_path):
    with simulated() as sim:
        configured(sim)
        (tmp_path / "r.db").write_text("Dear diary, " * 1_000)
        ended = cli("doctor")
        assert ended.out.split("\n")[0] == "no daemon runs, and the database cannot be read"


def test_the_first_line_says_whether_a_daemon_runs(cli, configured, tmp_path):
    with simulated() as sim:
        configured(sim)
        cli("db", "upgrade")
        ended = cli("doctor")
        assert (ended.code, ended.out.split("\n")[0]) == (1, "no daemon runs, and none has recorded anything yet")
        assert cli("doctor", "--expect-running").code == 75
        with standing.says(tmp_path / "r.db"):
            first = cli("doctor", "--expect-running").out.split("\n")[0]
            found = cli("doctor", "--expect-running", "--json").data[0]
    assert re.fullmatch(r"the daemon runs since .* \(process \d+\), feed connected since .*", first)
    assert (found["code"], found["severity"]) == ("daemon", "ok")


def test_who_has_no_credentials_hears_of_the_daemons_login(cli, configured, clean, tmp_path):
    """An analyst on a healthy service: nothing to log in with is no fault of the service."""
    with simulated() as sim:
        configured(sim)
        cli("db", "upgrade")
        cli("db", "backup")
        clean.setenv("RINGLEDGER_CONFIG", os.devnull)
        clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/r.db")
        assert cli("doctor").code == 78
        with standing.says(tmp_path / "r.db"):
            ended = cli("doctor", "--json")
    assert ended.code in {0, 1}
    assert codes(ended)["login"]["found"] == "the running daemon is logged in"
    assert codes(ended)["permissions"]["severity"] == "ok"
    assert codes(ended)["platform"]["found"] == "answers"


def test_who_may_write_the_database(cli, alone, tmp_path):
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    assert codes(cli("doctor", "--offline", "--json"))["database-writers"]["severity"] == "ok"
    path.chmod(0o660)
    assert f"a group may write {path}" in told(cli("doctor", "--offline", "--json"), "database-writers")["found"]
    path.chmod(0o640)
    tmp_path.chmod(0o777)
    assert f"everybody may write {tmp_path}" in told(cli("doctor", "--offline", "--json"), "database-writers")["found"]


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_files_of_another_user_are_named(cli, alone, tmp_path):
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    cli("db", "backup")
    os.chown(path, 54321, 54321)
    found = codes(cli("doctor", "--offline", "--json"))
    assert f"{path}.lock belongs to root, the database to user 54321" in found["database-writers"]["found"]
    assert f"not the database owner's: {tmp_path}/backups" in found["backups"]["found"]
    assert "chown" in found["backups"]["cure"]


def test_copies_old_and_saved_ones(cli, alone, tmp_path):
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    assert told(cli("doctor", "--offline", "--json"), "backups")["found"] == "none"
    cli("db", "backup")
    (copy,) = (tmp_path / "backups").iterdir()
    found = codes(cli("doctor", "--offline", "--json"))
    assert found["backups"]["found"] == "1 copy, the newest 0 s old"
    assert found["saved-copies"]["severity"] == "ok"
    os.utime(copy, (time.time() - 5 * 86_400,) * 2)
    saved = path.with_name("r.db.saved-20260302T090000Z")
    saved.touch()
    ended = cli("doctor", "--offline", "--json")
    assert told(ended, "backups")["severity"] == "warning"
    assert str(saved) in told(ended, "saved-copies")["found"]
    path.unlink()  # what was saved is named by whoever finds none
    ended = cli("doctor", "--offline", "--json")
    assert str(saved) in told(ended, "saved-copies")["found"]
    assert f"ringledger db restore {saved}" in cli("calls").err


@pytest.mark.parametrize(
    ("listen", "severity"),
    [("", "ok"), ("127.0.0.1:9464", "ok"), ("0.0.0.0:9464", "warning"), ("[::]:9464", "warning")],
)
def test_who_is_listened_to(cli, alone, clean, tmp_path, listen, severity):
    alone(tmp_path / "r.db")
    clean.setenv("RINGLEDGER_HTTP__LISTEN", listen)
    assert codes(cli("doctor", "--offline", "--json"))["listen"]["severity"] == severity


def test_receivers_over_plain_http_are_named(cli, alone, clean, tmp_path):
    alone(tmp_path / "r.db")
    hooks = [
        {"url": url} for url in ("http://crm.example.com/x", "https://crm.example.com/x", "http://127.0.0.1:8099/")
    ]
    clean.setenv("RINGLEDGER_WEBHOOKS", json.dumps(hooks))
    assert told(cli("doctor", "--offline", "--json"), "webhook-transport")["found"] == "plain HTTP to crm.example.com"


@pytest.mark.slow
@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_who_is_not_in_the_group_is_told_so(cli, alone, tmp_path):
    """The check itself; that it comes out as 74 is the table's."""
    path = alone(tmp_path / "r.db")
    cli("db", "upgrade")
    program = """
import os, sys
from ringledger.service.health.diagnosis import database_facts
from ringledger.service.health.checks import CheckFacts
from ringledger.config.model import load_settings
settings = load_settings(None, {}, {"database.url": "sqlite+aiosqlite:///" + sys.argv[1]})
os.setgroups([]); os.setgid(54322); os.setuid(54322)
print(database_facts(settings, CheckFacts()).no_access)
"""
    path.chmod(0o640)
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path}: only root may read it"), "its directory, here"


def test_fewer_filters_than_were_asked_for_are_a_warning():
    (one,) = examine(CheckFacts(subscription_error="", filters=(3, 5)))
    assert (one.severity, one.found) == ("warning", "carries 3 of 5 filters that were asked for")
    (one,) = examine(CheckFacts(subscription_error="", filters=(5, 5)))
    assert (one.severity, one.found) == ("ok", "granted, 5 of 5 filters")
