"""This tree against an older version of it, in one run: `python tests/bench/compare.py BASE [--runs N] [--short]`.

BASE is a commit. A work tree of it is made in `build/base`, with no packages of its own: both use this tree's. All
sides take turns, measure by measure, each in a fresh process on one processor, so that a busy machine troubles all of
them; where batches are measured they take turns batch by batch, since a neighbour may come and go between two
processes. What is printed are medians and their ratios. ``now`` is this tree as it is, ``compiled`` the wheel in
`build/installed` where `make test-compiled` has made one (``--compiled`` without it is an error). Nothing is asserted
but that it runs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSTALLED = ROOT / "build" / "installed"

Figures = dict[str, float]


class Side(NamedTuple):
    """A version under measure: where its package and its own benches are."""

    name: str
    package: Path
    tree: Path

    def _how(self, command: str) -> tuple[list[str], dict[str, str]]:
        script, *arguments = command.split()
        env = os.environ | {"PYTHONPATH": str(self.package), "BENCH_TREE": str(self.tree)}
        return [sys.executable, str(HERE / script), *arguments], env

    def start(self, command: str) -> "subprocess.Popen[str]":
        """A process that waits for its turns."""
        words, env = self._how(command)
        return subprocess.Popen(words, env=env, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, command: str) -> Figures:
        words, env = self._how(command)
        done = subprocess.run(words, env=env, cwd=HERE, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            print(f"{self.name}: {command}: ended with {done.returncode}", file=sys.stderr)
            return {}
        told: Figures = json.loads(done.stdout.splitlines()[-1])
        return told


class Measure(NamedTuple):
    """``sides``: which are measured. ``figures``: what is shown of the answer, and in which unit. ``warm``: the sides
    take turns batch by batch (``measures.py turns``), and so many of them are not counted.
    """

    name: str
    command: str
    figures: dict[str, str]
    sides: tuple[str, ...] = ("base", "now", "compiled")
    warm: int = 0


def measures(*, short: bool) -> list[Measure]:
    """What is measured; ``short``: on few events, to see that it works."""
    n, few, many = (2_000, 1_000, "1000") if short else (20_000, 10_000, "100000")
    cost = {"us": "µs an event"}
    alone = cost | {"us_alone": "µs, telephony session alone"}
    grows = {"rows": "rows an event", "bytes": "bytes of values an event", "file_bytes": "bytes of file an event"}
    waits = {"median_ms": "ms median", "p99_ms": "ms p99"}
    through = {"us": "µs an event", "events_per_cpu_second": "events a CPU second"}
    return [
        Measure("floor of the machine", f"measures.py floor warning {n}", cost, ("now",)),
        *[
            Measure(f"batches of {size}, {level}", f"measures.py turns {level} {size} {n}", cost, warm=1000 // size)
            for size in (500, 100, 20) for level in ("warning", "info")
        ],
        Measure("SDK listener", f"feeds.py reference {few // 5}", through, ("now",)),
        Measure("through the SDK, warning", f"feeds.py daemon {few} warning", through),
        Measure("through the SDK, info", f"feeds.py daemon {few} info", through),
        Measure("WebSocket, warning", f"feeds.py websocket {few} warning", through),
        Measure("WebSocket, info", f"feeds.py websocket {few} info", through),
        Measure("100 calls open", "measures.py crowded warning 100", alone),
        Measure(
            f"{int(many):,} calls open", f"measures.py crowded warning {many}",
            alone,
        ),
        Measure("queue call of 300 reversed", "measures.py backwards warning 300", cost),
        Measure(
            "written", f"measures.py written warning {few}",
            grows,
        ),
        Measure("1,000 events/s", f"measures.py latency info {few} 1000", waits),
        Measure(
            f"{few:,} calls open", f"measures.py memory warning {few}",
            {"rss_mib": "MiB resident", "rss_mib_before": "MiB before"},
        ),
        *[Measure(f"stages, batches of {size}", f"measures.py stages info {size} {few}", {}) for size in (500, 100)],
    ]  # fmt: skip


def sides(base: str, *, compiled: bool) -> list[Side]:
    """The versions; the older one gets a work tree."""
    tree = ROOT / "build" / "base"
    if not tree.exists():
        tree.parent.mkdir(exist_ok=True)
        subprocess.run(["git", "worktree", "add", "--detach", "--force", str(tree), base], cwd=ROOT, check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", base], cwd=tree, check=True)
    found = [Side("base", tree / "daemon", tree), Side("now", ROOT / "daemon", ROOT)]
    found += [Side("compiled", INSTALLED, ROOT)] if compiled else []
    for side in found:  # as an installed daemon's: compiling takes memory that is measured
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(side.package)], check=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--compiled", action="store_true", help="an installed compiled wheel has to be there")
    parser.add_argument("--only", default="", help="measures whose name has this")
    asked = parser.parse_args()
    if asked.compiled and not INSTALLED.exists():
        sys.exit("there is no build/installed: make test-compiled makes it")
    versions = sides(asked.base, compiled=INSTALLED.exists())
    wanted = [one for one in measures(short=asked.short) if asked.only in one.name]
    taken: dict[tuple[str, str], list[Figures]] = {}
    for run in range(asked.runs):
        for measure in wanted:
            asked_now = [side for side in (versions if run % 2 else versions[::-1]) if side.name in measure.sides]
            told = in_turn(measure, asked_now) if measure.warm else {s.name: s.run(measure.command) for s in asked_now}
            for name, figures in told.items():
                taken.setdefault((measure.name, name), []).append(figures)
                print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    report(wanted, [side.name for side in versions], {key: _medians(some) for key, some in taken.items()})


def in_turn(measure: Measure, versions: list[Side]) -> dict[str, Figures]:
    """What a batch costs each side. Each has the first turn as often as the others."""
    works = {side.name: side.start(measure.command) for side in versions}
    spent: dict[str, list[float]] = {name: [] for name in works}
    try:
        batches = min(int(_told(work)) for work in works.values())
        for batch in range(batches):
            names = list(works)
            for name in names[batch % len(names) :] + names[: batch % len(names)]:
                _tell(works[name])
                spent[name].append(float(_told(works[name])))
    finally:
        for work in works.values():
            work.communicate()
    return {name: {"us": statistics.median(took[measure.warm :])} for name, took in spent.items()}


def _tell(work: "subprocess.Popen[str]") -> None:
    assert work.stdin
    work.stdin.write("\n")
    work.stdin.flush()


def _told(work: "subprocess.Popen[str]") -> str:
    assert work.stdout
    return work.stdout.readline()


def _medians(results: list[Figures]) -> Figures:
    """Of each figure, among the runs that gave one."""
    names = {name: None for one in results for name in one}
    return {name: statistics.median(one[name] for one in results if name in one) for name in names}


def report(wanted: list[Measure], names: list[str], medians: dict[tuple[str, str], Figures]) -> None:
    """The table: each side's figure, and each one's ratio to the base."""
    others = names[1:]
    print(f"{'':62}" + "".join(f"{name:>12}" for name in names) + "".join(f"{f'{name}/base':>15}" for name in others))
    for measure in wanted:
        told: dict[str, Any] = {name: medians.get((measure.name, name), {}) for name in names}
        shown = measure.figures or {stage: "µs" for side in told.values() for stage in side}
        for figure, unit in shown.items():
            row = {name: told[name].get(figure) for name in names}
            _line(f"{measure.name}: {unit if measure.figures else f'{figure}, {unit}'}", row, others)
        if not measure.figures:
            _line(f"{measure.name}: all, µs", {name: sum(told[name].values()) for name in names}, others)


def _line(label: str, row: dict[str, float | None], others: list[str]) -> None:
    base = row.get("base")
    ratios = [(row[name] or 0) / base if base and row[name] is not None else None for name in others]
    cells = [f"{'' if value is None else f'{value:,.1f}':>12}" for value in row.values()]
    print(f"{label:62}" + "".join(cells) + "".join(f"{'' if one is None else f'{one:.2f}':>15}" for one in ratios))


if __name__ == "__main__":
    main()
