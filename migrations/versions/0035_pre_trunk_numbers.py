"""Keep the number that a caller dialled beside the body of its join, and find calls by the end of it.

Rows of before have the number in their bodies only and are not found by it. Replicas of the release before leave the
column empty.

Locks on PostgreSQL: ACCESS EXCLUSIVE on events for milliseconds (a column that may be null). The index is empty at
first; building it reads the joins of callers while webhooks go on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

NAME = "ix_events_reversed_trunk_digits"
CONDITION = "trunk_number IS NOT NULL AND type = 'participant_joined' AND outcome IN ('planned', 'served', 'no_match')"
DIGITS = 15


def reversed_digits() -> str:
    """Return the last digits of the column, the last one first."""
    if op.get_bind().dialect.name == "postgresql":
        digits = "regexp_replace(split_part(trunk_number, '@', 1), '[^0-9]', '', 'g')"
        return f'(reverse(right({digits}, {DIGITS})) COLLATE "C")'
    digits = "substr(trunk_number, 1, instr(trunk_number || '@', '@') - 1)"
    for separator in ("+", " ", "-", "(", ")", ".", "/"):
        digits = f"replace({digits}, '{separator}', '')"
    return "(" + " || ".join(f"substr({digits}, -{place}, 1)" for place in range(1, DIGITS + 1)) + ")"


def upgrade() -> None:
    op.add_column("events", sa.Column("trunk_number", sa.Text()))
    definition = f"ON events ({reversed_digits()}, substr(id, 1, 8)) WHERE {CONDITION}"
    if op.get_bind().dialect.name != "postgresql":
        op.execute(f"CREATE INDEX {NAME} {definition}")
        return
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
        op.execute(f"CREATE INDEX CONCURRENTLY {NAME} {definition}")


def downgrade() -> None:
    op.drop_index(NAME, table_name="events")
    op.drop_column("events", "trunk_number")
