import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from ringledger.cli.manual import pages
from ringledger.config.model import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(pages()))
def test_what_is_generated_is_fresh(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages()[name], "make generate"


def test_nothing_old_lies_about():
    found = {path.relative_to(ROOT / "docs").as_posix() for kind in ("man", "completions")
             for path in (ROOT / "docs" / kind).iterdir()}  # fmt: skip
    assert found == pages().keys()


def test_the_list_of_parts_is_fresh():
    module = runpy.run_path(str(ROOT / ".ci" / "sbom.py"))
    made = module["sbom"]((ROOT / "requirements.lock").read_text())
    assert (ROOT / "docs" / "sbom.cdx.json").read_text() == made, "make generate"


def test_every_key_and_command_has_its_place():
    page = pages()["man/ringledger.toml.5"]
    for one in Settings().sources():
        assert re.search(rf"^\.B {re.escape(one.key.partition('.')[2])}\b", page, re.MULTILINE), one.key
    page = pages()["man/ringledger.8"]
    for words in ("ringledger run", "ringledger doctor", "ringledger db backup", "ringledger calls show"):
        assert f".SS {words}" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", [name for name in pages() if name.startswith("man/")])
def test_a_formatter_has_nothing_to_complain_about(name):
    command = ["groff", "-man", "-Tutf8", "-ww", "-z", str(ROOT / "docs" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
