"""Let a rule say how many of its callers are to have their agent, and how soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from alembic import op

from app.db.types import Quantity
from migrations.rule_triggers import SQLITE_RULE_TRIGGERS, sqlite_rule_triggers

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = (
    "id", "name", "description", "enabled", "priority", "pattern", "agent_name", "metadata", "attributes",
    "deployment", "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays",
    "answer_timeout_s", "max_attempts", "fallback_agent_name", "recover", "withdraw",
)  # fmt: skip
ADDED = ("objective_percent", "objective_s")
HAVING_ONE = sa.text("objective_s IS NOT NULL")
CHECK = (
    "(objective_percent IS NULL AND objective_s IS NULL) OR (objective_percent IS NOT NULL AND objective_s IS NOT NULL"
    " AND objective_percent >= 1 AND objective_percent < 100 AND objective_s >= 0.1 AND objective_s <= 3600)"
)


def upgrade() -> None:
    replace_triggers((*COLUMNS, *ADDED), add_columns)


def downgrade() -> None:
    replace_triggers(COLUMNS, drop_columns)


def add_columns() -> None:
    op.add_column("routing_rules", sa.Column("objective_percent", Quantity))
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("routing_rules", sa.Column("objective_s", Quantity))
        op.create_check_constraint(op.f("ck_routing_rules_objective"), "routing_rules", CHECK)
    else:  # which adds constraints to columns only
        column = f"objective_s NUMERIC CONSTRAINT ck_routing_rules_objective CHECK ({CHECK})"
        op.execute(f"ALTER TABLE routing_rules ADD COLUMN {column}")
    op.create_index(
        "ix_routing_rules_objective", "routing_rules", ["id"], sqlite_where=HAVING_ONE, postgresql_where=HAVING_ONE
    )


def drop_columns() -> None:
    op.drop_index("ix_routing_rules_objective", table_name="routing_rules")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_routing_rules_objective"), "routing_rules")
    op.drop_column("routing_rules", "objective_s")
    op.drop_column("routing_rules", "objective_percent")


def replace_triggers(columns: Sequence[str], change: Callable[[], None]) -> None:
    """Change the table while no trigger names its columns, then let triggers record `columns`."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in SQLITE_RULE_TRIGGERS if on_sqlite else ():
        op.execute(f"DROP TRIGGER {name}")
    change()
    for statement in sqlite_rule_triggers(columns) if on_sqlite else ():
        op.get_bind().exec_driver_sql(statement)
