"""Let dispatches be in doubt while it is unclear whether their room or their agent still exists.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches for milliseconds (nullable columns, a CHECK that is not validated);
SHARE UPDATE EXCLUSIVE while the CHECK is validated and the indexes are built, which lets writers go on.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CHECK = "doubtful_until IS NULL OR status IN ('pending', 'sending', 'dispatched', 'joined')"
DOUBTFUL = "CREATE INDEX{how} ix_dispatches_doubtful_until ON dispatches (doubtful_until)"
DOUBTFUL += " WHERE doubtful_until IS NOT NULL"
LOST_ROOM = "CREATE INDEX{how} ix_dispatches_lost_room ON dispatches (room_name) WHERE {which}"
LOST, LOST_BEFORE = "cause = 'room_lost'", "status = 'ended' AND cause = 'room_lost'"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE dispatches ADD COLUMN doubtful_until TIMESTAMP WITH TIME ZONE")
        op.execute("ALTER TABLE dispatches ADD COLUMN unlisted_at TIMESTAMP WITH TIME ZONE")
        op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_doubtful_until CHECK ({CHECK}) NOT VALID")
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_doubtful_until")
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dispatches_doubtful_until")
            op.execute(DOUBTFUL.format(how=" CONCURRENTLY"))
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dispatches_lost_room")
            op.execute(LOST_ROOM.format(how=" CONCURRENTLY", which=LOST))
    else:
        constraint = f"CONSTRAINT ck_dispatches_doubtful_until CHECK ({CHECK})"
        op.execute(f"ALTER TABLE dispatches ADD COLUMN doubtful_until TEXT {constraint}")
        op.execute("ALTER TABLE dispatches ADD COLUMN unlisted_at TEXT")
        op.execute(DOUBTFUL.format(how=""))
        op.execute("DROP INDEX ix_dispatches_lost_room")
        op.execute(LOST_ROOM.format(how="", which=LOST))


def downgrade() -> None:
    op.execute("DROP INDEX ix_dispatches_lost_room")
    op.execute(LOST_ROOM.format(how="", which=LOST_BEFORE))
    op.execute("DROP INDEX ix_dispatches_doubtful_until")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_doubtful_until")
    op.drop_column("dispatches", "unlisted_at")
    op.drop_column("dispatches", "doubtful_until")
