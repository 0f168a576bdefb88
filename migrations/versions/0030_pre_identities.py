"""Record as whom a user logs in at an OpenID Connect provider.

Users of a replica of the release before go on: both columns may be null.

Locks on PostgreSQL: ACCESS EXCLUSIVE on users for milliseconds (two columns and an index of a small table).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

COLUMNS = ("identity_issuer", "identity_subject")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("users", sa.Column(column, sa.Text()))
    op.create_index("uq_users_identity", "users", COLUMNS, unique=True)


def downgrade() -> None:
    op.drop_index("uq_users_identity", table_name="users")
    for column in COLUMNS:
        op.drop_column("users", column)
