"""Alembic's entry point: runs on the connection that `app.db.schema` hands over."""

from __future__ import annotations

from alembic import context

from app.db.tables import metadata


def run() -> None:
    """Run the migrations in one transaction per revision."""
    connection = context.config.attributes["connection"]
    if connection.dialect.name == "postgresql":
        # A migration that cannot get its lock must give up, not queue behind a long read and block all webhooks.
        connection.exec_driver_sql("SET lock_timeout = '10s'")
        connection.commit()
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
