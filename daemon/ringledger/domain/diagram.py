"""The state diagram of a leg, drawn from the transition table so that it cannot disagree with it.

``python -m ringledger.domain.diagram ARCHITECTURE.md`` puts the current diagram between the two marks of that file.
Nothing in here runs in the daemon.
"""

import sys
from pathlib import Path
from typing import Final

from ringledger.domain.status import LEG_TRANSITIONS, LegChange, TelephonyStatus

MARK: Final = "<!-- state diagram -->"


def mermaid() -> str:
    """The table as a Mermaid state diagram. Repetitions change nothing and are left out."""
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {_state(before)} --> {told.value}: {change.value}"
        for (before, told), change in LEG_TRANSITIONS.items()
        if change is not LegChange.REPEATED
    ]
    return "\n".join(lines)


def refreshed(text: str) -> str:
    """``text`` with the current diagram between its two marks. Raises ``ValueError`` when there are not two."""
    before, _, after = _parts(text)
    return f"{before}{MARK}\n```mermaid\n{mermaid()}\n```\n{MARK}{after}"


def _parts(text: str) -> tuple[str, str, str]:
    parts = text.split(MARK)
    if len(parts) != 3:
        raise ValueError(f"there must be two lines {MARK}, there are {len(parts) - 1}")
    return parts[0], parts[1], parts[2]


def _state(status: TelephonyStatus | None) -> str:
    return "[*]" if status is None else status.value


def main(name: str) -> None:
    """Refresh the file of that name."""
    path = Path(name)
    path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
