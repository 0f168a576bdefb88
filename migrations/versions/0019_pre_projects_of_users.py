"""Let users and tokens be restricted to LiveKit projects, and let a token be for `/api/v1/decide` alone.

Locks on PostgreSQL: ACCESS EXCLUSIVE on users and api_tokens for milliseconds (columns and CHECKs of small tables).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = ("users", "api_tokens")
REWRITE = "UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = :name"
BEFORE = "role IN ('viewer', 'editor', 'admin')"
AFTER = "role IN ('viewer', 'editor', 'admin', 'decider')"


def upgrade() -> None:
    kind = JSONB() if op.get_bind().dialect.name == "postgresql" else sa.JSON()
    for table in TABLES:
        op.add_column(table, sa.Column("projects", kind))
    change_checks(BEFORE, AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM api_tokens WHERE role = 'decider'")
    op.execute("UPDATE users SET role = 'viewer', disabled = true WHERE role = 'decider'")
    # Users that were restricted must not see all the projects.
    op.execute("UPDATE users SET disabled = true WHERE projects IS NOT NULL")
    op.execute("DELETE FROM api_tokens WHERE projects IS NOT NULL")
    change_checks(AFTER, BEFORE)
    for table in TABLES:
        op.drop_column(table, "projects")


def change_checks(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_role")
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_role CHECK ({after})")
        return
    # As https://sqlite.org/lang_altertable.html says for CHECKs: to drop the table `users` would delete its tokens.
    op.execute("PRAGMA writable_schema = ON")
    for table in TABLES:
        named = {"before": before, "after": after, "name": table}
        op.get_bind().execute(sa.text(REWRITE), named)
    op.execute("PRAGMA writable_schema = RESET")
