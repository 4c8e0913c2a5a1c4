"""The state diagram of a leg, drawn from the transition table so that it cannot disagree with it.

``python -m ringledger.domain.diagram`` prints it as it stands in ARCHITECTURE.md. Nothing in here runs in the daemon.
"""

import sys
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


def section() -> str:
    """The diagram between its two marks, as a page of Markdown holds it."""
    return f"{MARK}\n```mermaid\n{mermaid()}\n```\n{MARK}"


def _state(status: TelephonyStatus | None) -> str:
    return "[*]" if status is None else status.value


if __name__ == "__main__":
    sys.stdout.write(f"{section()}\n")
