"""Where a database's tables are not the program's, as Alembic finds it, in words a person can act on."""

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, MetaData


class SchemaDifference(NamedTuple):
    """What would have to be done (Alembic's word, ``add_column``), to what (``call.reason``), and ``how`` it differs,
    if it is there."""

    kind: str
    name: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f": {self.how}" if self.how else "")


def differences(connection: Connection, wanted: MetaData) -> list[SchemaDifference]:
    """What Alembic would have to change to make the database's tables equal to the program's."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - an up-to-date database needs none of it
    from alembic.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    with warnings.catch_warnings():  # of an index on an expression, which neither library can read back
        warnings.filterwarnings("ignore", message=".*expression-based index")
        return list(_told(compare_metadata(context, wanted)))


def _told(found: Iterable[Any]) -> Iterable[SchemaDifference]:
    """Alembic gives what differs of one column as a list of its own, the column's name last but three."""
    for one in found:
        if isinstance(one, list):
            yield from _told(one)
            continue
        kind, *rest = one
        if kind.startswith("modify_"):
            _, table, column, _, there, ours = rest
            yield SchemaDifference(kind, f"{table}.{column}", f"{there!r}, not {ours!r}")
        elif kind.endswith("_column"):
            _, table, column = rest
            yield SchemaDifference(kind, f"{table}.{column.name}")
        else:
            yield SchemaDifference(kind, str(rest[0].name))
