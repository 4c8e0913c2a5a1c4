"""The command line: one file per family of commands, and nothing in it that another room needs.

What must stay true: a message to a person is one line on standard error (what, where, what to do), never a traceback;
the exit code is one of :class:`~ringledger.exits.Exit`, or 130 after Ctrl-C; readers open the database read-only.
"""

from collections.abc import Sequence
from typing import Final

__all__ = ["INTERRUPTED", "main"]

#: As shells have it: 128 and the number of SIGINT.
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Ctrl-C ends it quietly, also while it is still being loaded."""
    try:
        from ringledger.cli.app import main as run

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
