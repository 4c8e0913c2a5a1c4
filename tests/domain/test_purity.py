"""The domain asks no clock, no disk, no network (rule 4): it cannot, since it knows none."""

import ast
import sys
from pathlib import Path

import pytest

import ringledger.domain

MODULES = sorted(Path(ringledger.domain.__file__).parent.glob("*.py"))
FORBIDDEN = {"time", "datetime", "asyncio", "logging", "os", "io", "random", "socket", "threading", "sqlite3", "uuid"}


def imported(module: Path) -> set[str]:
    """The packages a module names in its imports."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_the_standard_library_and_its_room_only(module: Path) -> None:
    foreign = {name for name in imported(module) if not name.startswith("ringledger.domain")}
    assert {name.split(".")[0] for name in foreign} <= sys.stdlib_module_names - FORBIDDEN


def test_there_are_modules_to_look_at() -> None:
    assert {"tracker", "fold", "status"} <= {module.stem for module in MODULES}
