"""Find the rare events among many: the end of a crowded room session, what did not come by webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RARE = sa.text("source <> 'webhook'")


def upgrade() -> None:
    op.drop_index(op.f("ix_events_room_sid"), table_name="events")
    op.create_index(op.f("ix_events_room_sid_type"), "events", ["room_sid", "type"])
    op.create_index("ix_events_source", "events", ["source", "id"], sqlite_where=RARE, postgresql_where=RARE)


def downgrade() -> None:
    op.drop_index("ix_events_source", table_name="events")
    op.drop_index(op.f("ix_events_room_sid_type"), table_name="events")
    op.create_index(op.f("ix_events_room_sid"), "events", ["room_sid"])
