import re
import sqlite3
from contextlib import closing

from sqlalchemy import create_engine

from ringledger.ledger.schema.difference import differences
from ringledger.ledger.schema.migrate import MIGRATIONS
from ringledger.ledger.schema.tables import APPLICATION_ID, SCHEMA_VERSION, metadata
from ringledger.ledger.schema.views import INDEXES


def normalised(rows):
    """Each CREATE statement as the set of its lines: Alembic writes constraints in another order, and the name of a
    table that was made anew under another one stands in quotes.
    """
    return {name: {_line(line) for line in sql.splitlines() if line.strip()} for name, sql in rows}


def _line(text):
    return re.sub(r'^CREATE TABLE "(\w+)"', r"CREATE TABLE \1", re.sub(r"\s+", " ", text).strip(" ,"))


SCHEMA = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"


def test_the_migrations_lead_to_the_models(url, path):
    """Alembic's own comparison overlooks CHECK constraints and STRICT, so the statements are compared."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        wanted = normalised(tuple(row) for row in connection.exec_driver_sql(SCHEMA))
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        found = normalised(connection.execute(SCHEMA))
    found.pop("alembic_version")
    assert {name: found.pop(name) for name in INDEXES} == normalised(INDEXES.items())
    assert found == wanted


def test_alembic_would_change_nothing(url, path):
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert differences(connection, metadata) == []
    engine.dispose()


def test_every_table_is_strict_and_every_constraint_has_a_name(url, path):
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("PRAGMA table_list").fetchall()
        texts = [sql for _, sql in connection.execute(SCHEMA)]
    ours = {table[1]: table[5] for table in tables if table[1] in metadata.tables}
    assert ours == dict.fromkeys(metadata.tables, 1)
    assert not [text for text in texts if re.search(r"(?m)^\s*(CHECK|PRIMARY KEY|UNIQUE|FOREIGN KEY)", text)
                and "alembic_version" not in text]  # fmt: skip


def test_the_version_is_the_number_of_revisions(url, path):
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    assert len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) == SCHEMA_VERSION
