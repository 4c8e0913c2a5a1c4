"""Prints how much of each room the suite covers, lines and branches, and fails where it is less than the room's floor.

Processes that tests start are counted, unless they are killed. PostgreSQL's half of `ledger` has its tests in `make
postgresql`, which is not counted.

Usage: floors.py COVERAGE_JSON
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

#: The least that may be covered of each room, percent of lines and branches: as measured, rounded down. What is no room
#: is a leaf.
FLOORS = {
    "domain": 98,
    "ringcentral": 95,
    "ledger": 80,
    "service": 90,
    "web": 80,
    "cli": 87,
    "simulator": 97,
    "leaves": 95,
}
PACKAGE = "ringledger"


def room_of(path: str) -> str:
    """The room of a module, by its path."""
    parts = Path(path).parts
    below = parts[parts.index(PACKAGE) + 1 :]
    return below[0] if below[0] in FLOORS else "leaves"


def covered(report: dict[str, dict[str, dict[str, dict[str, int]]]]) -> dict[str, float]:
    """Percent of lines and branches covered, by room."""
    there: dict[str, int] = defaultdict(int)
    all_of_it: dict[str, int] = defaultdict(int)
    for path, file in report["files"].items():
        figures, room = file["summary"], room_of(path)
        there[room] += figures["covered_lines"] + figures.get("covered_branches", 0)
        all_of_it[room] += figures["num_statements"] + figures.get("num_branches", 0)
    return {room: 100 * there[room] / all_of_it[room] for room in all_of_it}


def main(path: str) -> int:
    """Print the table; 1 when a room is below its floor or not there."""
    found = covered(json.loads(Path(path).read_text()))
    low = [room for room, floor in FLOORS.items() if found.get(room, 0.0) < floor]
    for room, floor in FLOORS.items():
        verdict = "below its floor" if room in low else ""
        print(f"{room:12} {found.get(room, 0.0):6.1f} %  floor {floor}  {verdict}".rstrip())
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
