"""The unit files: accepted by systemd, as closed as promised, and in step with the program."""

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from ringledger.exits import NO_RESTART
from ringledger.layers import CREDENTIALS
from ringledger.service import daemon
from ringledger.service.daemon import STOP_STAGES
from ringledger.settings import DEFAULT_PATH, Settings
from tests.needs import needs

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
SERVICES = ["ringledger.service", "ringledger-backup.service"]
UNITS = [*SERVICES, "ringledger-backup.timer"]

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


def test_codes_that_no_restart_can_cure():
    assert {int(code) for code in one("ringledger.service", "RestartPreventExitStatus").split()} == NO_RESTART


def test_systemd_waits_ten_seconds_longer_than_all_stages_of_a_stop():
    assert sum(STOP_STAGES.values()) + 10 <= int(one("ringledger.service", "TimeoutStopSec"))


def test_the_page_says_how_long_a_stop_may_take(root):
    page = (root / "docs" / "operations.md").read_text()
    (said,) = re.findall(r"^\| stop \|.* at most (\d+) s\.", page, re.MULTILINE)
    assert int(said) == sum(STOP_STAGES.values())


def test_each_stage_of_a_stop_is_used_once_so_that_their_sum_is_the_whole():
    source = Path(daemon.__file__).read_text()
    used = re.findall(r'STOP_STAGES\["(\w+)"\]', source)
    assert sorted(used) == sorted(STOP_STAGES)
    assert source.count("STOP_STAGES") == len(used) + 1  # and its definition


def test_every_credential_the_program_reads_is_offered_and_none_is_required():
    unit = keys("ringledger.service")
    assert [text.partition(":")[0] for text in unit["LoadCredential"]] == list(CREDENTIALS)
    assert {text.partition(":")[2] for text in unit["LoadCredential"]} == {
        str(DEFAULT_PATH.parent / name) for name in CREDENTIALS
    }
    assert unit["SetCredential"] == [f"{name}:\\n" for name in CREDENTIALS]


def test_no_secret_comes_by_environment_or_command_line():
    unit = keys("ringledger.service")
    assert not {"Environment", "EnvironmentFile", "PassEnvironment"} & unit.keys()
    assert one("ringledger.service", "ExecStart").split()[1:] == ["run"]


@pytest.mark.parametrize("unit", SERVICES)
def test_state_is_readable_for_the_group_alone(unit):
    assert one(unit, "StateDirectoryMode") == "0750"
    assert one(unit, "UMask") == "0027"
    assert Settings().database.path == Path("/var/lib") / one(unit, "StateDirectory") / "ringledger.db"


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


def test_the_timer_is_read_by_an_ordinary_parser():
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SYSTEMD / "ringledger-backup.timer")
    assert parser["Install"]["WantedBy"] == "timers.target"
