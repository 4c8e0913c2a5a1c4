from sqlalchemy.dialects import postgresql, sqlite

from ringledger.ledger.schema import metadata
from ringledger.ledger.statements import columns, compiled


def test_every_table_has_a_statement_with_its_columns_in_order():
    statements = compiled(sqlite.dialect())
    for name, table in metadata.tables.items():
        text = getattr(statements, name)
        assert text.replace('"', "").startswith(f"INSERT INTO {name} ({', '.join(columns(table))}) VALUES (?"), text


def test_what_has_a_key_is_replaced_and_journals_grow():
    statements = compiled(sqlite.dialect())
    assert "ON CONFLICT (account_id, session_id) DO UPDATE SET" in statements.call
    assert "ON CONFLICT" not in statements.call_event + statements.call_transition + statements.observation


def test_another_database_gets_its_own_dialect():
    text = compiled(postgresql.asyncpg.dialect()).call_leg
    assert "$1" in text
    assert "ON CONFLICT (account_id, session_id, leg_no) DO UPDATE" in text
