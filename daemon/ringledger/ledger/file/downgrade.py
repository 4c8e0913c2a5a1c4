"""The way back to the program before: the copy that was made before the upgrade, in the database's place.

What must stay true: what is lost is counted and said before; what was there is kept beside.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from ringledger.ledger.errors import DatabaseMissing, classified
from ringledger.ledger.file.restore import RestoreReport, restore
from ringledger.ledger.file.sqlite import connect, path_of
from ringledger.ledger.schema.migrate import version_of

_COPY: Final = re.compile(r"\.schema(\d+)\.\d{8}T\d{6}Z\.backup")


@dataclass(frozen=True, slots=True)
class WayBack:
    """``before``, ``after``: versions of the schema; ``later``: calls that were written or corrected since the copy was
    made and are not in it.
    """

    before: int
    after: int
    copy: Path
    later: int


def way_back(url: str | URL) -> WayBack:
    """What a downgrade would do. Raises ``DatabaseMissing``: no copy of an older schema lies beside the database."""
    path = path_of(url)
    before = version_of(url)
    found = [(one, match) for one in path.parent.iterdir() if (match := _COPY.fullmatch(one.name[len(path.name) :]))
             and one.name.startswith(path.name) and int(match[1]) < before]  # fmt: skip
    if not found:
        raise DatabaseMissing(
            f"{path}: no copy of an older schema lies beside it; `ringledger db restore FILE` takes one from elsewhere"
        )
    copy, match = max(found, key=lambda pair: pair[0].name.rpartition(".schema")[2].partition(".")[2])
    return WayBack(before, int(match[1]), copy, _later(path, copy))


def _later(path: Path, copy: Path) -> int:
    question = "SELECT account_id, session_id, revision FROM call"
    try:
        with closing(connect(copy, read_only=True)) as old, closing(connect(path, read_only=True)) as new:
            known = {(account, session): revision for account, session, revision in old.execute(question)}
            return sum(known.get((account, session)) != rev for account, session, rev in new.execute(question))
    except sqlite3.Error as error:
        raise classified(error) from error


def go_back(url: str | URL, way: WayBack) -> RestoreReport:
    """Put the copy in the database's place. Raises as :func:`~ringledger.ledger.file.restore.restore` does."""
    return restore(url, way.copy)
