"""Alembic's environment. It has one entrance: ringledger.ledger.schema.migrate hands over an open transaction.

The transaction is begun, checked and committed there, so a revision killed half way leaves the old schema whole.
"""

from alembic import context

from ringledger.ledger.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
