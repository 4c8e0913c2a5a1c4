"""What the tests of the ledger on a server share."""

import os

import pytest

from ringledger.cli import main


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command over the database at ``url``: exit code, standard output, standard error."""
    for name in [name for name in os.environ if name.startswith("RINGLEDGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGLEDGER_CONFIG", os.devnull)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("RINGLEDGER_DATABASE__DIRECTORY", str(tmp_path))

    def ask(url, command):
        monkeypatch.setenv("RINGLEDGER_DATABASE__URL", url)
        capsys.readouterr()
        code = main(command.split())
        told = capsys.readouterr()
        return code, told.out, told.err

    return ask
