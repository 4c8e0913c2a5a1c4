from sqlalchemy.dialects import postgresql, sqlite

from ringledger.ledger.schema.statements import columns, compiled
from ringledger.ledger.schema.tables import metadata


def test_every_table_has_a_statement_with_its_columns_in_order():
    statements = compiled(sqlite.dialect())
    for name, table in metadata.tables.items():
        if name in {"purged_call", "account"}:  # written by a purge and by a login, in transactions of their own
            continue
        text = getattr(statements, name)
        assert text.replace('"', "").startswith(f"INSERT INTO {name} ({', '.join(columns(table))}) VALUES (?"), text


def test_what_has_a_key_is_replaced_and_journals_grow():
    statements = compiled(sqlite.dialect())
    assert "ON CONFLICT (account_id, session_id) DO UPDATE SET" in statements.call
    assert "ON CONFLICT" not in statements.fact + statements.call_transition


def test_another_database_gets_its_own_dialect():
    text = compiled(postgresql.asyncpg.dialect()).call_leg
    assert "$1" in text
    assert "ON CONFLICT (account_id, session_id, leg_no) DO UPDATE" in text
