"""Find dispatches by room session in any state, and by room name those that live or whose room vanished.

A room name may have had thousands of sessions: neither may be searched among them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

LIVE = sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')")

LOST = sa.text("reason = 'the room is gone'")


def upgrade() -> None:
    op.drop_index("ix_dispatches_live_room", table_name="dispatches")
    op.create_index("ix_dispatches_live_room", "dispatches", ["room_name"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_index(op.f("ix_dispatches_room_sid"), "dispatches", ["room_sid"])
    op.create_index("ix_dispatches_lost_room", "dispatches", ["room_name"], sqlite_where=LOST, postgresql_where=LOST)


def downgrade() -> None:
    op.drop_index("ix_dispatches_lost_room", table_name="dispatches")
    op.drop_index(op.f("ix_dispatches_room_sid"), table_name="dispatches")
    op.drop_index("ix_dispatches_live_room", table_name="dispatches")
    op.create_index("ix_dispatches_live_room", "dispatches", ["room_sid"], sqlite_where=LIVE, postgresql_where=LIVE)
