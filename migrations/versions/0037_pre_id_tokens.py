"""Keep the ID token of a login at the provider with its session: a logout there names it (`id_token_hint`).

Sessions that have begun before have none. A process of the release before reads and writes no such column.

Locks on PostgreSQL: `sessions`, ACCESS EXCLUSIVE, for milliseconds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("id_token", sa.Text()))


def downgrade() -> None:
    op.drop_column("sessions", "id_token")
