"""Alembic's entry point: runs the revisions on the connection that `app.db.schema` opened."""

from __future__ import annotations

from alembic import context

from app.db.tables import metadata


def run() -> None:
    """Run the revisions: each in a transaction of its own on PostgreSQL, all in one on SQLite."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
