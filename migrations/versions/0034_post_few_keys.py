"""Index room sessions without the type of their events, and callers by their SID alone.

PostgreSQL stores a session's SID once for all its events then; the begin and the end of sessions have an index of their
own, so that a big room is not read for them. The join of a caller is found by the caller's SID. Code of earlier
revisions works, with slower pages of calls and slower pruning.

Locks on PostgreSQL: none for long; the indexes are built while webhooks go on, which takes some minutes for each with
ten million calls.
"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
works_with = "0016"

NEW = (
    ("ix_events_room_sid", "events", "room_sid", ""),
    ("ix_events_of_room", "events", "room_sid", "type IN ('room_finished', 'room_started')"),
)
OLD = (
    ("ix_events_room_sid_type", "events", "room_sid, type", ""),
    ("ix_dispatch_callers_event_id", "dispatch_callers", "event_id", ""),
)


def upgrade() -> None:
    replace(OLD, NEW)


def downgrade() -> None:
    replace(NEW, OLD)


def replace(old: tuple[tuple[str, ...], ...], new: tuple[tuple[str, ...], ...]) -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        for name, table, columns, condition in new:
            where = f" WHERE {condition}" if condition else ""
            op.execute(f"DROP INDEX{how} IF EXISTS {name}")
            op.execute(f"CREATE INDEX{how} {name} ON {table} ({columns}){where}")
        for name, *_ in old:
            op.execute(f"DROP INDEX{how} IF EXISTS {name}")
