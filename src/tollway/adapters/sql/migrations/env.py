"""Alembic's entry: runs the revisions on the connection and in the transaction of `migrate.py`."""

from alembic import context

from tollway.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column: Alembic copies the table
)
with context.begin_transaction():
    context.run_migrations()
