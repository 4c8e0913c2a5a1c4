import os
import subprocess

import pytest

from tests.cli.conftest import command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_calls_the_program(cli, shell):
    ended = cli("completion", shell)
    assert ended.code == 0
    assert "_RINGLEDGER_COMPLETE" in ended.out


def test_bash_gets_the_commands(clean):
    asked = {"_RINGLEDGER_COMPLETE": "complete_bash", "COMP_WORDS": "ringledger co", "COMP_CWORD": "1"}
    done = subprocess.run(command(), env=os.environ | asked, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == {"completion", "coverage"}
    assert done.stderr == ""
