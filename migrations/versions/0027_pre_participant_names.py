"""Keep the names of participants beside the bodies of webhooks, which are compressed from now on.

Rows of before keep their names in their bodies, which stay as they are. Code of earlier revisions goes on to accept
webhooks, but cannot show or sweep what newer code has stored: none of it was released since 0008.

Locks on PostgreSQL: ACCESS EXCLUSIVE on events for milliseconds (a column that may be null). The index of names is
built anew while webhooks go on, which takes some minutes with ten million joins of callers; until then names are
searched slowly.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

NAME = "ix_events_searched_name"
IS_CALL = "type = 'participant_joined' AND outcome IN ('planned', 'served', 'no_match')"
IN_SQLITE = "CASE WHEN json_valid(body) THEN json_extract(body, '$.participant.name') END"
IN_POSTGRESQL = "body #>> '{participant,name}'"


def upgrade() -> None:
    op.add_column("events", sa.Column("participant_name", sa.Text()))
    make_index(f"coalesce(participant_name, {IN_SQLITE})", f"coalesce(participant_name, {IN_POSTGRESQL})")


def downgrade() -> None:
    make_index(IN_SQLITE, IN_POSTGRESQL)
    op.drop_column("events", "participant_name")


def make_index(in_sqlite: str, in_postgresql: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute(f"DROP INDEX {NAME}")
        # The driver's statement: a colon in a path of JSON is no parameter.
        op.get_bind().exec_driver_sql(
            f"CREATE INDEX {NAME} ON events (lower(substr({in_sqlite}, 1, 100)), id) WHERE {IS_CALL}"
        )
        return
    searched = f'lower(substr({in_postgresql}, 1, 100) COLLATE "C")'
    with op.get_context().autocommit_block():
        op.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}"))
        op.execute(sa.text(f"CREATE INDEX CONCURRENTLY {NAME} ON events ({searched}, id) WHERE {IS_CALL}"))
