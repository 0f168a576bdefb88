"""Index what is rare: types and outcomes that not every call has, identities, and dispatches that did not end well.

Lists of common types, of ignored events and of ended dispatches are read by the primary key. `audit_log.changed_at` was
read by no statement. Code of earlier revisions works, with slower lists on PostgreSQL.

Locks on PostgreSQL: none for long; the indexes are built while webhooks go on, which takes some minutes for each with
ten million calls.
"""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
works_with = "0016"

RARE_TYPE = "type NOT IN ('participant_joined', 'participant_left', 'room_finished', 'room_started')"
NEW = (
    ("ix_events_rare_type", "events", "type, id", RARE_TYPE),
    ("ix_events_rare_outcome", "events", "outcome, id", "outcome <> 'ignored'"),
    ("ix_events_participant_identity", "events", "participant_identity, id", "participant_identity <> ''"),
    ("ix_dispatches_not_ended", "dispatches", "status, id", "status <> 'ended'"),
    ("ix_audit_log_entity_id", "audit_log", "entity_id", ""),
)
OLD = (
    ("ix_events_type_id", "events", "type, id", ""),
    ("ix_events_outcome_id", "events", "outcome, id", ""),
    ("ix_events_participant_identity_id", "events", "participant_identity, id", ""),
    ("ix_dispatches_status_id", "dispatches", "status, id", ""),
    ("ix_audit_log_entity_id_id", "audit_log", "entity_id, id", ""),
    ("ix_audit_log_changed_at", "audit_log", "changed_at", ""),
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
