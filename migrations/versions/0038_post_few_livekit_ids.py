"""Index LiveKit's ids of events only where the dedupe key does not say them.

A webhook of the project `default` has the key `default/EV_…`, which is unique and so indexed anyway; joins and the
events of other projects have other keys. Code of earlier revisions works, but reads the whole table for an id of
LiveKit's, up to its timeout of 30 s.

Locks on PostgreSQL: none for long; the index is built while webhooks go on, which takes some minutes with ten million
calls.
"""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
works_with = "0016"

NEW = ("ix_events_other_livekit_id", " WHERE dedupe_key <> 'default/' || livekit_id")
OLD = ("ix_events_livekit_id", "")


def upgrade() -> None:
    replace(OLD, NEW)


def downgrade() -> None:
    replace(NEW, OLD)


def replace(old: tuple[str, str], new: tuple[str, str]) -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        op.execute(f"DROP INDEX{how} IF EXISTS {new[0]}")
        op.execute(f"CREATE INDEX{how} {new[0]} ON events (livekit_id){new[1]}")
        op.execute(f"DROP INDEX{how} IF EXISTS {old[0]}")
