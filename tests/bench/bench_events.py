"""What the daemon carries, measured: `python tests/bench/bench_events.py [result.json] [runs]`, or `make bench`.

Every figure is the median of so many runs (3), each in a fresh process on one processor; the daemon, and what it is
compared with, run in turn, so that a busy machine troubles both. Nothing is asserted: the goals are printed beside.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

#: name: (script and arguments, what it is)
MEASURES = {
    "reference": ("feeds.py reference 1500", "SDK listener, a commit per event by ORM"),
    "feed": ("feeds.py daemon 20000 warning", "the daemon through the SDK, over loopback"),
    "feed, log.level info": ("feeds.py daemon 10000 info", "... with a log line for each step of a call"),
    "batches of 100": ("pipeline.py rate 30000 100 warning", "in process: payload to committed row"),
    "batches of 500": ("pipeline.py rate 30000 500 warning", "..."),
    "batches of 500, log.level info": ("pipeline.py rate 15000 500 info", "..."),
    "stages of 100": ("pipeline.py stages 20000 100 info", ""),
    "stages of 500": ("pipeline.py stages 20000 500 info", ""),
    "latency": ("pipeline.py latency 10000 1000 info", "1,000 events/s for 10 s, event to commit"),
    "memory": ("pipeline.py memory 10000", "10,000 calls open"),
}


def measured(runs: int) -> dict[str, dict[str, Any]]:
    """Median of each figure by measure."""
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in MEASURES}
    for _ in range(runs):
        for name, (command, _) in MEASURES.items():
            taken[name].append(_run(command))
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return {name: _medians(results) for name, results in taken.items()}


def _run(command: str) -> dict[str, Any]:
    script, *arguments = command.split()
    done = subprocess.run([sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _medians(results: list[dict[str, Any]]) -> dict[str, Any]:
    first = results[0]
    return {
        name: _medians([result[name] for result in results])
        if isinstance(value, dict)
        else statistics.median(result[name] for result in results)
        for name, value in first.items()
    }


def report(figures: dict[str, dict[str, Any]]) -> None:
    """The table."""
    base = figures["reference"]["events_per_second"]
    print(f"{'':32}{'events/s':>10}{'per CPU s':>11}{'ratio':>8}")
    for name, (_, what) in MEASURES.items():
        if "events_per_second" in (row := figures[name]):
            rate, cpu = row["events_per_second"], row["events_per_cpu_second"]
            print(f"{name:32}{rate:10,.0f}{cpu:11,.0f}{rate / base:8.1f}  {what}")
    print("goals: 20,000 events/s in process; 25 times the reference\n")
    sizes = (100, 500)
    print(f"{'us of CPU an event, batches of':32}" + "".join(f"{size:>10}" for size in sizes))
    columns = [figures[f"stages of {size}"]["stages"] for size in sizes]
    for stage in columns[0]:
        print(f"{stage:32}" + "".join(f"{column[stage]:10.1f}" for column in columns))
    print(f"{'all':32}" + "".join(f"{sum(column.values()):10.1f}" for column in columns) + "\n")
    wait, room = figures["latency"], figures["memory"]
    print(f"at 1,000 events/s: median {wait['median_ms']:.1f} ms, p99 {wait['p99_ms']:.1f} ms (goal: median 30 ms)")
    print(
        f"with {room['open_calls']:,.0f} calls open: {room['rss_mib']:.0f} MiB, "
        f"of which {room['rss_mib_before']:.0f} before the first (goal: 128 MiB)"
    )


def main() -> None:
    path, runs = (sys.argv[1:] + ["", "3"][len(sys.argv) - 1 :])[:2]
    figures = measured(int(runs))
    report(figures)
    if path:
        Path(path).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
