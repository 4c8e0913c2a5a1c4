"""The house rules, as tests: what lies where, who imports what, and what must not be in any file."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringledger.observability.logging import Event

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "daemon" / "ringledger"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")

FOLDERS = {"daemon", "config", "migrations", "tests", "systemd", "docs", ".ci"}
PAGES = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"}
TOP = FOLDERS | PAGES | {"Makefile", "pyproject.toml", ".gitignore", *LOCKS}

# Written in pieces, so that this file does not hold what it forbids.
FORBIDDEN = [
    "python" + "hosted",
    "py" + r"pi\.org",
    "registry" + r"\.npmjs",
    "deb" + r"\.debian\.org",
    "/wo" + "rk/",
    "/ho" + r"me/\w",
    "/ro" + "ot/",
    "shared" + "/(design|reference|fixtures)",
    "bash" + "_jobs",
    "BEGIN [A-Z ]*PRIVATE " + "KEY",
]


def tracked() -> list[Path]:
    """Files git knows or would take; a source archive without git is looked at as it is."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).exists()]


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.relative_to(PACKAGE).parts)


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module, parsed once for all of these tests."""
    return ast.parse(path.read_text())


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """All of a module's tree."""
    return list(ast.walk(tree(path)))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """The trees of all modules are no burden for the tests of other files."""
    yield
    tree.cache_clear()
    nodes.cache_clear()


def imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "." * node.level


def test_the_top_level_holds_what_was_agreed():
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP


def test_daemon_holds_one_package():
    assert {path.relative_to(ROOT).parts[1] for path in tracked() if path.is_relative_to(ROOT / "daemon")} == {
        "ringledger"
    }


def test_no_registry_host_machine_path_or_key_in_any_file():
    pattern = re.compile("|".join(FORBIDDEN))
    found = []
    for path in tracked():
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "ignore")
            found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in pattern.finditer(text)]
    assert not found


def test_every_module_opens_with_a_docstring():
    assert not [str(path) for path in modules() if not ast.get_docstring(tree(path))]


def test_one_class_has_one_name():
    """The simulator has its own opinion of the platform and the same words for it; ``web/rows.py`` has the names of the
    public API's schemas."""
    names: dict[str, list[str]] = {}
    for path in modules():
        where = str(path.relative_to(PACKAGE))
        if where.startswith("simulator/") or where == "web/rows.py":
            continue
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                names.setdefault(node.name, []).append(where)
    assert {name: where for name, where in names.items() if len(where) > 1} == {}


def test_no_function_is_over_60_lines():
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    long = [
        f"{path.name}:{node.name} {length}"
        for path in modules()
        for node in nodes(path)
        if isinstance(node, functions) and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert not long


def test_no_error_is_raised_out_of_except_star():
    """Python wraps it in a group until 3.11.3, so that nobody who waits for that error sees it."""
    for path in modules():
        stars = [node for node in nodes(path) if isinstance(node, ast.TryStar)]
        assert not any(isinstance(inner, ast.Raise) for star in stars for inner in ast.walk(star)), path


def test_the_domain_imports_the_standard_library_only():
    allowed = set(sys.stdlib_module_names) - {"asyncio", "logging", "sqlite3", "socket", "threading", "time"}
    strangers = {
        f"{path.name}: {name}"
        for path in (PACKAGE / "domain").rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] not in allowed and not name.startswith(("ringledger.domain", "."))
    }
    assert not strangers


def test_only_the_command_line_imports_the_simulator():
    rooms = {
        path.relative_to(PACKAGE).parts[0]
        for path in modules()
        if any(name.startswith("ringledger.simulator") for name in imports(path))
    }
    assert rooms <= {"cli", "simulator"}


def test_sql_is_the_ledgers_and_pubnub_the_platforms():
    owners = {
        "sqlalchemy": "ledger",
        "aiosqlite": "ledger",
        "alembic": "ledger",
        "sqlite3": "ledger",
        "pubnub": "ringcentral",
    }
    strays = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in modules()
        for name in imports(path)
        if (owner := owners.get(name.split(".")[0])) and path.relative_to(PACKAGE).parts[0] != owner
    }
    assert not strays


def test_only_one_module_prints_to_a_terminal_and_one_writes_csv():
    """What strangers named themselves passes one place on its way to a terminal, one on its way to a spreadsheet."""
    owners = {"print": "cli/terminal.py", "Console": "cli/terminal.py", "from_markup": "", "csv": "text.py"}
    strays = []
    for path in (path for room in ("cli", "service", "ledger") for path in (PACKAGE / room).rglob("*.py")):
        calls = [node for node in nodes(path) if isinstance(node, ast.Call)]
        named = {getattr(call.func, "id", getattr(call.func, "attr", "")) for call in calls if _of_ours(call)}
        named |= {name for name in imports(path) if name == "csv"}
        here = str(path.relative_to(PACKAGE))
        strays += [f"{here}: {name}" for name in named & owners.keys() if owners[name] != here]
    assert not [stray for stray in strays if not stray.startswith(PRINTS_A_PAGE)]


#: Makes a page of the documents when run by itself.
PRINTS_A_PAGE = ("cli/reference.py: print", "cli/manual.py: print")


def _of_ours(call: ast.Call) -> bool:
    """Whether it is no method of some console, such as ``out.print``."""
    return isinstance(call.func, ast.Name) or getattr(call.func, "attr", "") in {"from_markup", "Console"}


def test_log_lines_use_the_closed_list_by_its_constants():
    """`LOG.info(Event.X)`: a name written as text would be found only when the line is reached."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    literal = [
        f"{path.name}:{node.lineno}"
        for path in modules()
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id.lower().strip("_") in {"log", "logger"}
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not literal


def test_every_event_named_in_code_exists():
    used = {name for path in modules() for name in re.findall(r"\bEvent\.([A-Z][A-Z_]+)\b", path.read_text())}
    assert used <= set(Event.__members__)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list) -> set[str]:
    return {
        re.split(r"[\[<>=~! ]", item)[0].lower().replace("_", "-") for item in requirements if isinstance(item, str)
    }


def locked(lock: str) -> dict[str, str]:
    pinned = r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==([^\s;]+)"
    return dict(re.findall(pinned, (ROOT / lock).read_text(), re.MULTILINE))


def test_every_direct_dependency_is_locked():
    data = project()
    runtime, groups = names(data["project"]["dependencies"]), data["dependency-groups"]
    assert runtime <= locked("requirements.lock").keys()
    assert names(groups["build"]) <= locked("requirements-build.lock").keys()
    assert runtime | names(groups["dev"]) | names(groups["build"]) <= locked("requirements-dev.lock").keys()


def test_the_locks_agree_have_hashes_and_no_addresses():
    dev = locked("requirements-dev.lock")
    for lock in LOCKS:
        text = (ROOT / lock).read_text()
        assert locked(lock).items() <= dev.items(), lock
        assert "://" not in text, lock
        assert len(re.findall(r"^\S+==.*\\\n +--hash=", text, re.MULTILINE)) == len(locked(lock)), lock


def test_pubnub_is_the_version_that_was_agreed():
    assert locked("requirements.lock")["pubnub"] == "10.8.0"


def test_make_lists_only_targets_that_exist():
    text = (ROOT / "Makefile").read_text()
    assert re.search(r"^\.DEFAULT_GOAL := help$", text, re.MULTILINE)
    assert {"demo", "test", "check", "build", "lock", "wheel", "clean"} <= set(
        re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    )


def test_ci_calls_what_people_call():
    text = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in text
    assert text.index("make test") < text.index("make check")
