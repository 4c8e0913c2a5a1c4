"""The wheel, built as `make wheel` does: what an installation gets."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ringledger import __version__

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        yield archive


def test_it_carries_every_module_once_and_nothing_else(wheel):
    names = wheel.namelist()
    shipped = sorted(name for name in names if name.endswith(".py") and "/migrations/" not in name)
    package = ROOT / "daemon" / "ringledger"
    modules = [p for p in package.rglob("*.py") if "migrations" not in p.relative_to(package).parts]
    assert shipped == sorted(path.relative_to(ROOT / "daemon").as_posix() for path in modules)
    assert len(names) == len(set(names))
    assert {name.split("/")[0] for name in names} == {"ringledger", f"ringledger-{__version__}.dist-info"}
    assert "ringledger/py.typed" in names


def test_it_carries_the_migrations_as_files(wheel):
    source = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / "migrations").rglob("*") if p.suffix in {".py", ".mako", ".ini"}
    }
    carried = {name.removeprefix("ringledger/") for name in wheel.namelist() if "/migrations/" in name}
    assert source <= carried
    for name in source:
        assert wheel.read(f"ringledger/{name}") == (ROOT / name).read_bytes()


def test_it_installs_the_command_and_the_licence(wheel):
    info = f"ringledger-{__version__}.dist-info"
    assert b"ringledger = ringledger.cli:main" in wheel.read(f"{info}/entry_points.txt")
    assert b"MIT License" in wheel.read(f"{info}/licenses/LICENSE")
    assert b"Requires-Dist: pubnub==10.8.0" in wheel.read(f"{info}/METADATA")
