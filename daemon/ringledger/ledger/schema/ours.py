"""Whether a database's schema is one this program has made, before anything of it is used.

A database may come from a stranger: from a bug report, a restored backup, a directory others may write to. A view of
the right name can ask for anything, endlessly; a trigger can change or refuse whatever is written. What must stay true:
a command reads views whose text is this program's, over tables that are tables, and writes where nothing is triggered.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from ringledger.ledger.schema import tables
from ringledger.ledger.schema.views import VIEWS, create_view

#: What to ask a database for.
SCHEMA: Final = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view', 'trigger')"
#: The text of one entry is looked at no further than this, characters; none of ours is as long.
_LONGEST: Final = 100_000

#: The one view that differs: by the zone in which days are counted.
_DAILY: Final = "daily_calls"
_DAY: Final = r"strftime\('%Y-%m-%d', started_at, (?:CASE|WHEN|THEN|ELSE|END|started_at|seconds|[ '<0-9TZ:.+-])+?\)"
_ZONE: Final = r"[A-Za-z0-9_+/-]+"
_OURS: Final[dict[str, str]] = {name: create_view(name) for name in VIEWS}
_DAILY_IN_A_ZONE: Final = re.compile(
    re.escape(_OURS[_DAILY])
    .replace(re.escape("substr(started_at, 1, 10)"), _DAY)
    .replace(re.escape("'UTC' AS time_zone"), f"'{_ZONE}' AS time_zone")
)
_TABLES: Final = frozenset(tables.metadata.tables)
_GENERATED: Final = re.compile(r"\bGENERATED\s+ALWAYS\b|\bAS\s*\(", re.IGNORECASE)


def missing_table(schema: Iterable[tuple[Any, ...]]) -> str:
    """Return the first of this program's tables that a database of its version lacks; empty: it has all of them."""
    return min(_TABLES - {name for kind, name, _ in schema if kind == "table"}, default="")


def outdated_view(schema: Iterable[tuple[Any, ...]]) -> str:
    """The first view that is not this program's, or is missing; empty when there is none. ``schema``: of ``SCHEMA``."""
    made = {name: sql or "" for kind, name, sql in schema if kind == "view"}
    return next((name for name in VIEWS if not _is_ours(name, made.get(name, ""))), "")


def _is_ours(name: str, sql: str) -> bool:
    if len(sql) <= _LONGEST and sql.split() == _OURS[name].split():  # an earlier one broke its lines elsewhere
        return True
    return name == _DAILY and len(sql) <= _LONGEST and _DAILY_IN_A_ZONE.fullmatch(sql) is not None


def foreign_part(schema: Iterable[tuple[Any, ...]], *, writing: bool) -> str:
    """What nobody but a stranger can have made, in words; empty when there is nothing.

    ``writing``: whether it is to be written to, when a trigger matters too.
    """
    for kind, name, sql in schema:
        if kind == "trigger" and writing:
            return f"a trigger ({name[:64]})"
        if name in _TABLES:
            text = sql or ""
            if kind == "view" or text[:12].upper() != "CREATE TABLE":
                return f"{name}, which is no table"
            if _GENERATED.search(text):
                return f"generated columns in {name}"
            if not text.rstrip().upper().endswith("STRICT"):
                return f"{name}, which takes values of any kind"
    return ""
