"""Alembic's entry point: runs the revisions on the connection that `app.db.schema` opened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from alembic import context
from alembic.migration import MigrationContext

from app.db.migration.compatibility import record_oldest
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
        on_version_apply=_record_oldest,
    )
    with context.begin_transaction():
        context.run_migrations()


def _record_oldest(ctx: MigrationContext, step: Any, heads: Collection[Any], run_args: Any) -> None:  # noqa: ARG001
    """Write which code works with the schema, in the transaction of the revision."""
    if ctx.connection is not None:
        record_oldest(ctx.connection, context.script, max(heads, default=None))


run()
