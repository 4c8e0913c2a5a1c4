"""The documented installation into an empty prefix: the commands are taken from docs/installation.md itself.

Slow, and needs the package index or a cache: `make install-test`.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ringledger import __version__

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "installation.md"


def commands() -> list[str]:
    """The five commands, in order."""
    block = re.search(r"```sh\n(# 1\..*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line and not line.startswith("#")]


def test_there_are_five():
    found = commands()
    assert len(found) == 5
    assert found[0].startswith("python3 -m venv /opt/ringledger")
    assert "--require-hashes" in found[1]
    assert "sysusers" in found[3]
    assert found[4].startswith("systemctl enable --now /opt/ringledger/lib/systemd/system/ringledger.service")


@pytest.mark.skipif("RINGLEDGER_INSTALL_TEST" not in os.environ, reason="slow: make install-test")
@pytest.mark.timeout(600)
def test_the_first_three_make_a_working_program(tmp_path):
    prefix = tmp_path / "opt"
    (tmp_path / "requirements.lock").write_bytes((ROOT / "requirements.lock").read_bytes())
    (wheel,) = (ROOT / "dist").glob("ringledger-*.whl")
    (tmp_path / wheel.name).write_bytes(wheel.read_bytes())
    for command in commands()[:3]:
        subprocess.run(command.replace("/opt/ringledger", str(prefix)), shell=True, cwd=tmp_path, check=True)
    program = prefix / "bin" / "ringledger"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"ringledger {__version__} (tracker: plain Python)\n"
    env = {"PATH": os.environ["PATH"], "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{tmp_path}/r.db"}
    env["RINGLEDGER_CONFIG"] = str(prefix / "share" / "ringledger" / "ringledger.toml")
    subprocess.run([program, "check-config"], env=env, check=True, capture_output=True)
    subprocess.run([program, "db", "upgrade"], env=env, check=True, capture_output=True)
    for path in (
        "lib/systemd/system/ringledger.service",
        "lib/sysusers.d/ringledger.conf",
        "share/man/man8/ringledger.8",
    ):
        assert (prefix / path).is_file()
