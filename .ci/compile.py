"""Compiles the domain, and what makes rows of it, while a wheel is built: `make wheel`, mypyc, where that is wanted.

A build hook of hatchling, and as a program the compilation itself. The switch is ``RINGLEDGER_COMPILE``: ``1`` compiles
or fails, ``auto`` compiles where a C compiler and Python's headers are at hand, anything else builds a plain wheel. The
sources are in the wheel either way; where both are there, Python takes the compiled ones.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Where the compiled modules share what they have in common.
GROUP = "ringledger.domain.compiled"


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts compiled modules beside their sources: the domain's but for those that are ``plain``, and ``more``."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What an isolated build has to install for it."""
        typed = ["msgspec>=0.19", "sqlalchemy>=2.0.40"]  # mypy reads what the modules import
        return [] if _switch() == "0" else ["mypy>=1.16", "setuptools>=75", *typed]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say so in the wheel's name."""
        if version == "editable" or not _wanted():
            return
        root = Path(self.root)
        package = root / "daemon/ringledger"
        out = root / "build" / "compiled"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        plain = {f"{name}.py" for name in self.config["plain"]}
        sources = [path for path in sorted((package / "domain").rglob("*.py")) if path.name not in plain]
        sources += [package / name for name in self.config["more"]]
        names = [path.relative_to(package.parent).as_posix() for path in sources]
        subprocess.run([sys.executable, __file__, str(out), *names], cwd=root / "daemon", check=True)
        made = sorted((out / "lib").rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
        build_data["force_include"].update({str(path): path.relative_to(out / "lib").as_posix() for path in made})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _switch() -> str:
    return os.environ.get("RINGLEDGER_COMPILE", "0")


def _wanted() -> bool:
    if _switch() != "auto":
        return _switch() == "1"
    compiler = shutil.which(os.environ.get("CC") or (sysconfig.get_config_var("CC") or "cc").split()[0])
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    possible = bool(compiler and headers and find_spec("mypyc") and find_spec("setuptools"))
    if not possible:
        print("no C compiler, Python headers or mypyc at hand: a plain wheel", file=sys.stderr)
    return possible


def main() -> None:
    """Compile the modules named, relative to the working directory, into ``lib`` below the first argument."""
    from mypyc.build import mypycify  # noqa: PLC0415 - a plain wheel needs none of it
    from setuptools import Distribution  # noqa: PLC0415

    out, *names = sys.argv[1:]
    options = ["--config-file=", f"--cache-dir={out}/cache", "--strict", *names]
    extensions = mypycify(options, opt_level="3", debug_level="0", target_dir=f"{out}/c", group_name=GROUP)
    build = Distribution({"name": "ringledger", "ext_modules": extensions}).get_command_obj("build_ext")
    build.build_lib, build.build_temp = f"{out}/lib", f"{out}/temp"
    build.ensure_finalized()
    build.run()


if __name__ == "__main__":
    main()
