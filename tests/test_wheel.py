"""The wheel, built as `make wheel` does: what an installation gets."""

import hashlib
import json
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
    own = f"ringledger-{__version__}"
    assert {name.split("/")[0] for name in names} == {"ringledger", f"{own}.dist-info", f"{own}.data"}
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


BROUGHT_ALONG = {
    "lib/systemd/system/ringledger.service": "systemd/ringledger.service",
    "lib/systemd/system/ringledger-backup.service": "systemd/ringledger-backup.service",
    "lib/systemd/system/ringledger-backup.timer": "systemd/ringledger-backup.timer",
    "lib/systemd/system/ringledger-doctor.service": "systemd/ringledger-doctor.service",
    "lib/systemd/system/ringledger-doctor.timer": "systemd/ringledger-doctor.timer",
    "lib/systemd/system/ringledger-web.service": "systemd/ringledger-web.service",
    "lib/systemd/system/ringledger@.service": "systemd/ringledger@.service",
    "lib/sysusers.d/ringledger.conf": "systemd/ringledger.sysusers",
    "share/ringledger/ringledger.toml": "config/ringledger.toml",
    "share/ringledger/ringledger.schema.json": "config/ringledger.schema.json",
    "share/ringledger/alerts.yml": "config/alerts.yml",
    "share/ringledger/dashboard.json": "config/dashboard.json",
    "share/ringledger/datasette.yml": "config/datasette.yml",
    "share/man/man8/ringledger.8": "docs/man/ringledger.8",
    "share/man/man5/ringledger.toml.5": "docs/man/ringledger.toml.5",
    "share/bash-completion/completions/ringledger": "docs/completions/ringledger.bash",
    "share/zsh/site-functions/_ringledger": "docs/completions/_ringledger",
    "share/fish/vendor_completions.d/ringledger.fish": "docs/completions/ringledger.fish",
}


def test_it_brings_along_what_the_system_needs(wheel):
    data = f"ringledger-{__version__}.data/data/"
    carried = {name.removeprefix(data) for name in wheel.namelist() if name.startswith(data)}
    assert carried == BROUGHT_ALONG.keys()
    for name, source in BROUGHT_ALONG.items():
        assert wheel.read(data + name) == (ROOT / source).read_bytes()


def test_it_carries_a_list_of_what_it_is_made_of(wheel):
    (name,) = [name for name in wheel.namelist() if "/sboms/" in name]
    found = {part["name"] for part in json.loads(wheel.read(name))["components"]}
    assert {"pubnub", "sqlalchemy", "aiohttp"} <= found


def test_two_builds_are_the_same_to_the_byte(tmp_path):
    digests = set()
    for name in ("one", "two"):
        out = tmp_path / name
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        digests.add(hashlib.sha256(next(out.glob("*.whl")).read_bytes()).hexdigest())
    assert len(digests) == 1
