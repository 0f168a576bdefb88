"""Alembic's entry point: runs on the connection that `app.db.schema` hands over."""

from __future__ import annotations

from alembic import context

from app.db.tables import metadata


def run() -> None:
    """Run the migrations in one transaction per revision."""
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
