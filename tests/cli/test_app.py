import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ringledger import __version__, tracker_kind
from ringledger.cli.context import hoisted
from tests.cli.conftest import command
from tests.until import PATIENCE


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["nonsense"],
        ["calls", "--nonsense"],
        ["calls", "--limit", "0"],
        ["calls", "--limit", "many"],
        ["calls", "--since", "whenever"],
        ["calls", "--direction", "sideways"],
        ["calls", "--csv", "--json"],
        ["calls", "show"],
        ["completion", "tcsh"],
        ["export"],
        ["replay"],
        ["--config"],
        ["simulate", "--fault", "nonsense"],
        ["simulate", "--port", "70000"],
        ["demo", "--transport", "pigeon"],
    ],
)
def test_a_wrong_command_line_is_64_and_one_line(cli, database, arguments):
    ended = cli(*arguments)
    assert ended.code == 64
    assert ended.out == ""
    assert ended.err.startswith("ringledger: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("command", ["calls", "coverage", "platform call-log", "audit", "backfill"])
@pytest.mark.parametrize("until", ["2026-03-02", "2026-03-03"])
def test_a_period_that_ends_before_it_begins_is_64(cli, database, command, until):
    ended = cli(*command.split(), "--since", "2026-03-03", "--until", until)
    assert (ended.code, ended.out) == (64, "")
    assert "--since must lie before --until" in ended.err


def test_an_unknown_fault_is_answered_with_the_known_ones(cli):
    assert "status-503" in cli("simulate", "--fault", "nonsense").err


def test_version_and_help(cli):
    assert cli("--version") == (0, f"ringledger {__version__} (tracker: {tracker_kind()})\n", "")
    assert "calls" in cli("--help").out
    assert cli("calls", "-h").code == 0


def test_without_a_command_it_helps(cli):
    ended = cli()
    assert ended.code in {0, 64}
    assert "Usage" in ended.out + ended.err


def test_options_of_the_program_may_stand_anywhere():
    assert hoisted(["calls", "--json", "--config", "x.toml"]) == ["--json", "--config", "x.toml", "calls"]
    assert hoisted(["calls", "--config=x", "--limit", "3"]) == ["--config=x", "calls", "--limit", "3"]
    assert hoisted(["calls", "--", "--json"]) == ["calls", "--", "--json"]


def test_a_configuration_given_after_the_command_is_read(cli, recorded, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(f'[database]\nurl = "sqlite+aiosqlite:///{recorded}"\n')
    assert len(cli("calls", "--json", "--config", file).data) == 2
    assert len(cli("--json", "--config", file, "calls").data) == 2


def test_every_problem_of_a_configuration_is_a_line_and_the_code_78(cli, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('[log]\nlevel = "loud"\n[pol]\ninterval = 3\n')
    ended = cli("calls", "--config", file)
    assert ended.code == 78
    lines = ended.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"ringledger: {file}:") for line in lines)


def test_a_missing_configuration_file_is_78(cli, tmp_path):
    ended = cli("calls", "--config", tmp_path / "none.toml")
    assert ended.code == 78
    assert "none.toml" in ended.err


def test_a_missing_database_says_where_and_what_to_do(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    for words in (
        ["calls"],
        ["active"],
        ["presence"],
        ["coverage"],
        ["stats"],
        ["db", "check"],
        ["calls", "show", "1"],
    ):
        ended = cli(*words)
        assert ended.code == 74
        assert f"{tmp_path}/none.db: no such database" in ended.err
        assert "RINGLEDGER_DATABASE__URL" in ended.err
        assert ended.err.count("\n") == 1
        assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_65(cli, clean, tmp_path):
    (tmp_path / "text.db").write_text("this is a text and not a database at all\n" * 200)
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/text.db")
    assert cli("calls").code == 65
    assert cli("db", "upgrade").code == 65


def test_a_reader_that_goes_away_is_no_error(process, database):
    child = process("calls", "--csv")
    child.stdout.close()
    assert child.wait(PATIENCE) == 0
    assert child.stderr.read() == ""


def test_head_of_a_table_is_quiet(database):
    words = " ".join(f"'{word}'" for word in command("--help"))
    done = subprocess.run(["sh", "-c", f"{words} | head -1"], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_ctrl_c_ends_what_goes_on_until_then_with_0(process, tmp_path):
    child = process("simulate", "--calls-per-hour", "0", "--json")
    assert "simulated platform" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 0
    assert child.stderr.read() == ""


def test_the_installed_command_is_this_one():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"ringledger": "ringledger.cli:main"}


def test_help_and_completion_wait_for_no_database_and_no_network():
    heavy = ("sqlalchemy", "alembic", "aiohttp")
    program = f"import sys, ringledger.cli.app; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_closed_standard_output_is_no_error_of_ours(database, clean):
    words = shlex.join([sys.executable, "-m", "ringledger", "calls", "--json"])
    done = subprocess.run(["sh", "-c", f"{words} >&-"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
