"""The unit files: accepted by systemd, as closed as promised, and in step with the program."""

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from ringledger.admission import MOST
from ringledger.config.model import DEFAULT_PATH, Settings, load_settings
from ringledger.config.provenance import CREDENTIALS
from ringledger.exits import NO_RESTART, Exit
from ringledger.service import account, daemon
from ringledger.service.tasks import STOP_STAGES
from ringledger.web.server import MOST_CONNECTIONS
from tests.needs import needs

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
TEMPLATE = "ringledger@.service"
SERVICES = [
    "ringledger.service", TEMPLATE, "ringledger-backup.service", "ringledger-doctor.service", "ringledger-web.service",
]  # fmt: skip
TIMERS = ["ringledger-backup.timer", "ringledger-doctor.timer"]
UNITS = [*SERVICES, *TIMERS]

needs_analyze = needs(shutil.which("systemd-analyze"), "systemd-analyze", "apt-get install systemd")


def keys(unit: str, section: str = "Service") -> dict[str, list[str]]:
    """Every value of each key, in order."""
    found: dict[str, list[str]] = {}
    inside = ""
    for line in (SYSTEMD / unit).read_text().splitlines():
        if line.startswith("["):
            inside = line.strip("[]")
        elif "=" in line and not line.startswith("#") and inside == section:
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def one(unit: str, key: str, section: str = "Service") -> str:
    (value,) = keys(unit, section)[key]
    return value


@pytest.fixture
def installed(tmp_path):
    """The units as systemd would find them, with programs that exist here."""
    for unit in UNITS:
        text = (SYSTEMD / unit).read_text().replace("/opt/ringledger/bin/ringledger", shutil.which("true") or "")
        (tmp_path / unit).write_text(text)
    return tmp_path


@needs_analyze
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(unit, installed):
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(installed / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_that_check_notices_a_misspelt_key(installed):
    unit = installed / "ringledger.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES)
def test_its_exposure_is_at_most_one_point_two(unit):
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=12", "--no-pager", str(SYSTEMD / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]


def test_the_look_fails_when_no_daemon_runs_and_not_for_a_warning():
    assert one("ringledger-doctor.service", "ExecStart").split()[1:] == ["doctor", "--offline", "--expect-running"]
    assert int(one("ringledger-doctor.service", "SuccessExitStatus")) == Exit.DIFFERENCES


def test_the_package_knows_every_unit():
    started = {"ringledger-backup.service", "ringledger-doctor.service"}  # by their timers
    units = set(UNITS) - started - {TEMPLATE}
    for script in ("postinst", "prerm", "postrm"):
        text = (SYSTEMD / "debian" / script).read_text()
        assert {unit for unit in units if unit in text} == units, script
    for script in ("postinst", "prerm"):
        assert "'ringledger@*.service'" in (SYSTEMD / "debian" / script).read_text(), "whichever run"


def test_each_of_several_processes_is_the_daemon_with_a_directory_of_its_own():
    several, only = keys(TEMPLATE), keys("ringledger.service")
    assert several.pop("Environment") == ["RINGLEDGER_DATABASE__DIRECTORY=/var/lib/ringledger/%i"]
    assert several.pop("StateDirectory") == ["ringledger/%i"]
    assert only.pop("StateDirectory") == ["ringledger"]
    assert several == only
    one_of_them = load_settings(
        None, {"RINGLEDGER_DATABASE__DIRECTORY": "/var/lib/ringledger/one"}, {"database.url": "postgresql://a@/b"}
    )
    assert one_of_them.database.path.parent == Path("/var/lib/ringledger/one")


def test_codes_that_no_restart_can_cure():
    assert {int(code) for code in one("ringledger.service", "RestartPreventExitStatus").split()} == NO_RESTART


def test_the_page_runs_as_closed_as_the_daemon():
    own = {
        "LoadCredential",
        "SetCredential",
        "ExecStart",
        "MemoryHigh",
        "MemoryMax",
        "TimeoutStartSec",
        "TimeoutStopSec",
        "Nice",
        "CPUWeight",
        "IOWeight",
    }
    only = {
        "WatchdogSec",
        "ExecReload",
        "FileDescriptorStoreMax",
        "LogRateLimitIntervalSec",
    }  # of a process that has loops and a session
    page, daemon_ = keys("ringledger-web.service"), keys("ringledger.service")
    assert {name: values for name, values in daemon_.items() if name not in own | only} == {
        name: values for name, values in page.items() if name not in own
    }
    assert one("ringledger-web.service", "ExecStart").split()[1:] == ["serve"]
    assert int(one("ringledger-web.service", "CPUWeight")) < 100, "who looks gives way to who writes"


def test_systemd_waits_ten_seconds_longer_than_all_stages_of_a_stop():
    assert sum(STOP_STAGES.values()) + 10 <= int(one("ringledger.service", "TimeoutStopSec"))


def test_the_page_says_how_long_a_stop_may_take(root):
    page = (root / "docs" / "operations.md").read_text()
    (said,) = re.findall(r"^\| stop \|.* at most (\d+) s\.", page, re.MULTILINE)
    assert int(said) == sum(STOP_STAGES.values())


def test_each_stage_of_a_stop_is_used_once_so_that_their_sum_is_the_whole():
    source = "".join(Path(module.__file__).read_text() for module in (daemon, account))
    used = re.findall(r'STOP_STAGES\["(\w+)"\]', source)
    assert sorted(used) == sorted(STOP_STAGES)
    assert source.count("STOP_STAGES") == len(used) + 2  # and an import in each


def test_every_credential_the_program_reads_is_offered_and_none_is_required():
    unit = keys("ringledger.service")
    loaded = dict(text.split(":") for text in unit["LoadCredential"])
    assert loaded.pop("webhook") == str(DEFAULT_PATH.parent / "webhooks")  # a directory: webhook_NAME for each file
    assert loaded.pop("account") == str(DEFAULT_PATH.parent / "accounts")  # account_NAME_KEY for each file below it
    assert loaded == {name: str(DEFAULT_PATH.parent / name) for name in CREDENTIALS}
    assert sorted(unit["SetCredential"]) == sorted(f"{name}:\\n" for name in (*CREDENTIALS, "webhook", "account"))


def test_no_secret_comes_by_environment_or_command_line():
    unit = keys("ringledger.service")
    assert not {"Environment", "EnvironmentFile", "PassEnvironment"} & unit.keys()
    assert one("ringledger.service", "ExecStart").split()[1:] == ["run"]


@pytest.mark.parametrize("unit", SERVICES)
def test_state_is_readable_for_the_group_alone(unit):
    assert one(unit, "StateDirectoryMode") == "0750"
    assert one(unit, "UMask") == "0027"
    place = one(unit, "StateDirectory").removesuffix("/%i")
    assert Settings().database.path == Path("/var/lib") / place / "ringledger.db"


def test_a_reload_looks_at_the_configuration_first():
    check, hup = keys("ringledger.service")["ExecReload"]
    assert "check-config" in check
    assert hup == "/bin/kill -HUP $MAINPID"


def test_user_and_group_are_static():
    lines = [line for line in (SYSTEMD / "ringledger.sysusers").read_text().splitlines() if not line.startswith("#")]
    kind, name, identity = lines[0].split()[:3]
    assert (kind, name, identity) == ("u", "ringledger", "-")
    for unit in SERVICES:
        assert (one(unit, "User"), one(unit, "Group")) == (name, name)
        assert "DynamicUser" not in keys(unit)


@pytest.mark.parametrize("timer", TIMERS)
def test_the_timer_is_read_by_an_ordinary_parser(timer):
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SYSTEMD / timer)
    assert parser["Install"]["WantedBy"] == "timers.target"


@pytest.mark.parametrize(("name", "taken"), [("ringledger", 4 * 2 * MOST), ("ringledger-web", 2 * MOST_CONNECTIONS)])
def test_no_peer_can_exhaust_it(name, taken):
    """Descriptors, tasks and memory are limited, well above what the bounded sockets can take of them."""
    unit = (SYSTEMD / f"{name}.service").read_text()
    limits = dict(re.findall(r"(?m)^(LimitNOFILE|TasksMax|MemoryMax)=(\d+)", unit))
    assert set(limits) == {"LimitNOFILE", "TasksMax", "MemoryMax"}
    assert int(limits["LimitNOFILE"]) > taken


def test_the_doctor_looks_only_where_there_is_something_to_look_at():
    unit = "ringledger-doctor.service"
    looked_for = keys(unit, "Unit")["ConditionPathExists"] + keys(unit, "Unit")["ConditionPathExistsGlob"]
    assert all(one.startswith("|/") for one in looked_for), "one of them is enough"
    places = [one.removeprefix("|") for one in looked_for]
    assert str(DEFAULT_PATH.parent / "client_id") in places
    assert str(DEFAULT_PATH.parent / "accounts" / "*") in places
    assert str(Settings().database.path) in places
