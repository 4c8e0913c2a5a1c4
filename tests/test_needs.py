"""What a machine lacks: a reason to skip a test, but not in CI."""

import os
import subprocess
import sys

import pytest

from tests.needs import lacking, needs


def test_it_is_skipped_and_in_ci_it_fails(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="lacks teeth"):
        lacking("teeth", "grow some")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="lacks teeth: grow some"):
        lacking("teeth", "grow some")


@needs(there=True, what="patience", cure="wait")
def test_what_is_there_is_no_reason():
    pass


@pytest.mark.parametrize(("where", "code", "outcome"), [({}, 0, "1 skipped"), ({"CI": "true"}, 1, "1 error")])
def test_the_mark_is_heeded(tmp_path, root, where, code, outcome):
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_setup\n")
    test = "from tests.needs import needs\n\n@needs(False, 'teeth', 'grow some')\ndef test_it():\n    pass\n"
    (tmp_path / "test_it.py").write_text(test)
    environment = {name: text for name, text in os.environ.items() if name != "CI"} | where
    environment["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "daemon")])
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        "-c",
        os.devnull,
    ]
    done = subprocess.run([*command, tmp_path], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, outcome in done.stdout) == (code, True), done.stdout
