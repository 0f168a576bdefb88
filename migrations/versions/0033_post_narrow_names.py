"""Index names of events with the minute in place of the id, and no outcome that every answered call has.

Events of one call have equal entries then, which PostgreSQL stores once. Code of earlier revisions works, with slower
lists of the events of a room or an identity.

Locks on PostgreSQL: none for long; the indexes are built while webhooks go on, which takes some minutes for each with
ten million calls.
"""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
works_with = "0016"

NEW = (
    ("ix_events_identity_minute", "participant_identity, substr(id, 1, 8)", "participant_identity <> ''"),
    ("ix_events_room_minute", "room_name, substr(id, 1, 8)", ""),
    ("ix_events_unusual_outcome", "outcome, id", "outcome NOT IN ('ignored', 'planned')"),
)
OLD = (
    ("ix_events_participant_identity", "participant_identity, id", "participant_identity <> ''"),
    ("ix_events_room_name_id", "room_name, id", ""),
    ("ix_events_rare_outcome", "outcome, id", "outcome <> 'ignored'"),
)


def upgrade() -> None:
    replace(OLD, NEW)


def downgrade() -> None:
    replace(NEW, OLD)


def replace(old: tuple[tuple[str, str, str], ...], new: tuple[tuple[str, str, str], ...]) -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        for name, columns, condition in new:
            where = f" WHERE {condition}" if condition else ""
            op.execute(f"DROP INDEX{how} IF EXISTS {name}")
            op.execute(f"CREATE INDEX{how} {name} ON events ({columns}){where}")
        for name, *_ in old:
            op.execute(f"DROP INDEX{how} IF EXISTS {name}")
