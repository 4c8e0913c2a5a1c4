"""Where a database's tables are not the program's, in words a person can act on."""

import warnings
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Dialect, MetaData, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

#: How a person says what Alembic would do about it.
_WORDS: Final = {
    "add_table": "no table {}",
    "remove_table": "the table {} is not this program's",
    "add_column": "no column {}",
    "remove_column": "the column {} is not this program's",
    "add_index": "no index {}",
    "remove_index": "the index {} is not this program's",
    "add_constraint": "no constraint {}",
    "remove_constraint": "the constraint {} is not this program's",
    "add_fk": "no foreign key {}",
    "remove_fk": "the foreign key {} is not this program's",
    "modify_type": "{} is of type {}",
    "modify_nullable": "{} {}",
    "table": "the table {} is not as this program makes it",
    "index": "the index {} is not as this program makes it",
    "unreadable": "cannot be compared: {}",
}


class SchemaDifference(NamedTuple):
    """What differs (Alembic's word for what would have to be done, or one of our three), of what (``call.reason``), and
    how it is there, where the kind does not say it.
    """

    kind: str
    name: str
    how: str = ""

    def __str__(self) -> str:
        return _WORDS.get(self.kind, f"{self.kind} {{}}").format(self.name, self.how).strip()


def differences(connection: Connection, wanted: MetaData) -> list[SchemaDifference]:
    """Where the database's tables are not the program's; what Alembic does not compare is compared by its text."""
    found = list(_by_alembic(connection, wanted))
    if connection.dialect.name == "sqlite":
        told = {name.split(".")[0] for _, name, _ in found}
        found += [one for one in _by_text(connection, wanted) if one.name not in told]
    return found


def _by_alembic(connection: Connection, wanted: MetaData) -> Iterable[SchemaDifference]:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - an up-to-date database needs none of it
    from alembic.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    try:
        with warnings.catch_warnings():  # of an index on an expression, which neither library can read back
            warnings.filterwarnings("ignore", message=".*expression-based index")
            return list(_told(compare_metadata(context, wanted), connection.dialect))
    except DBAPIError:
        raise
    except SQLAlchemyError as error:  # a foreign key to nowhere
        return [SchemaDifference("unreadable", str(error))]


def _by_text(connection: Connection, wanted: MetaData) -> Iterable[SchemaDifference]:
    """What of SQLite was declared otherwise: a default, a check, a key, an index of other rows."""
    there = _declared(connection)
    engine = create_engine("sqlite://")
    with engine.begin() as blank:
        wanted.create_all(blank)
        made = _declared(blank)
    engine.dispose()
    for (kind, name), text in made.items():
        if (kind, name) in there and there[kind, name] != text:
            yield SchemaDifference(kind, name)
    if ("table", "alembic_version") not in there:
        yield SchemaDifference("add_table", "alembic_version")


def _declared(connection: Connection) -> dict[tuple[str, str], list[str]]:
    """Tables and indexes, each as what stands between its commas, in any order: what came later stands elsewhere."""
    rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    return {(kind, name): _parts(sql) for kind, name, sql in rows if kind in {"table", "index"}}


def _parts(sql: str) -> list[str]:
    words = " ".join(sql.replace('"', "").replace("(", " ( ").replace(")", " ) ").split())
    parts, _, options = words.partition("(")[2].rpartition(")")
    return [*sorted(part.strip() for part in parts.split(",")), options]


def _told(found: Iterable[Any], dialect: Dialect) -> Iterable[SchemaDifference]:
    """Alembic gives what differs of one column as a list of its own, the column's name last but three."""
    for one in found:
        if isinstance(one, list):
            yield from _told(one, dialect)
            continue
        kind, *rest = one
        if kind == "modify_nullable":
            _, table, column, _, there, _ = rest
            yield SchemaDifference(kind, f"{table}.{column}", "may be null" if there else "may not be null")
        elif kind == "modify_type":
            _, table, column, _, *types = rest
            there, ours = (one.compile(dialect=dialect) for one in types)
            yield SchemaDifference(kind, f"{table}.{column}", f"{there}, not {ours}")
        elif kind.startswith("modify_"):
            yield SchemaDifference(kind, f"{rest[1]}.{rest[2]}")
        elif kind.endswith("_column"):
            _, table, column = rest
            yield SchemaDifference(kind, f"{table}.{column.name}")
        elif kind.endswith(("_fk", "_constraint")):
            named = rest[0].name or "(" + ", ".join(column.name for column in rest[0].columns) + ")"
            yield SchemaDifference(kind, f"{rest[0].table.name}.{named}")
        else:
            yield SchemaDifference(kind, str(rest[0].name))
