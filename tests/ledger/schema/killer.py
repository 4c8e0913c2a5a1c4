"""Upgrades again and again, each time killed so many statements of SQL later than the last, whichever connection begins
them, until one ends by itself. A line for each, and a pause in which the files can be looked at.

Arguments: the database's URL, the first statement, the step.
"""

import os
import signal
import sqlite3
import sys
from typing import Any

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.script  # noqa: F401 - once, not after each fork

from ringledger.ledger.schema.migrate import upgrade

plain = sqlite3.connect
left = 0


def tick(_: str) -> None:
    global left  # noqa: PLW0603
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


def traced(*args: Any, **options: Any) -> sqlite3.Connection:
    connection = plain(*args, **options)
    connection.set_trace_callback(tick)
    return connection


def measure_nothing() -> None:
    """Who is killed tells of no line that it ran, and each copy would begin to measure for itself."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    if (coverage := sys.modules.get("coverage")) and (measuring := coverage.Coverage.current()):
        measuring.stop()


if __name__ == "__main__":
    measure_nothing()
    url, first, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    setattr(sqlite3, "connect", traced)  # noqa: B010 - its type has many forms
    for number in range(first, 10_000, step):
        child = os.fork()
        if not child:
            left = number
            upgrade(url)
            left = 0  # no statement is counted any more, for coverage writes its file with the same library
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)
        if code != -signal.SIGKILL:
            break
        sys.stdin.readline()
