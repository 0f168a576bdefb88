"""Give dispatches a cause, and each meaning of must_look a column of its own.

An Usher from before the first release writes must_look in other states too, which the new CHECK refuses: stop it first.
0010 fills the causes of the rows that exist, and validates the CHECKs.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches for milliseconds (columns with constant defaults, CHECKs that are
not validated). The UPDATE touches live dispatches only.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CAUSES = (
    "rule_matched", "promised", "agent_may_return", "replaces_agent", "template_failed",
    "over_budget", "claimed", "sender_lost",
    "caller_present", "waits_for_limit", "accepted", "adopted", "late_answer", "refused", "livekit_unreachable",
    "outcome_unknown", "livekit_recovered", "agent_overdue", "no_agent", "fallback", "clock_step", "process_restarted",
    "agent_joined", "agent_reconnected", "agent_not_ours", "agent_left",
    "agent_left_early", "callers_left", "caller_left", "room_closed", "room_lost",
    "cancelled_by_hand", "redriven", "room_restarted", "room_unlisted", "room_found", "agent_lost",
    "handover", "handed_over", "handover_failed",
)  # fmt: skip
CHECKS = {
    "cause": "cause IN (" + ", ".join(f"'{cause}'" for cause in CAUSES) + ")",
    "must_look": "NOT must_look OR status IN ('pending', 'sending')",
    "deletion_announced_at": "deletion_announced_at IS NULL OR status = 'dispatched'",
    "is_sent_away": "NOT is_sent_away OR status = 'joined'",
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE dispatches ADD COLUMN deletion_announced_at TIMESTAMP WITH TIME ZONE")
        op.execute("ALTER TABLE dispatches ADD COLUMN is_sent_away BOOLEAN DEFAULT false NOT NULL")
        op.execute("ALTER TABLE dispatches ADD COLUMN cause TEXT DEFAULT 'rule_matched' NOT NULL")
        split_must_look()
        for name, check in CHECKS.items():
            op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_{name} CHECK ({check}) NOT VALID")
    else:  # which takes a CHECK only with a new column
        add("deletion_announced_at TEXT", "deletion_announced_at")
        add("is_sent_away BOOLEAN DEFAULT 0 NOT NULL", "is_sent_away")
        split_must_look()
        add("cause TEXT DEFAULT 'rule_matched' NOT NULL", "cause", "must_look")


def downgrade() -> None:
    op.drop_index("ix_dispatches_lost_room", table_name="dispatches", if_exists=True)
    if op.get_bind().dialect.name == "postgresql":
        for name in CHECKS:
            op.execute(f"ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_{name}")
    op.drop_column("dispatches", "cause")
    op.execute("UPDATE dispatches SET must_look = true WHERE is_sent_away OR deletion_announced_at IS NOT NULL")
    op.drop_column("dispatches", "is_sent_away")
    op.drop_column("dispatches", "deletion_announced_at")
    op.execute("CREATE INDEX ix_dispatches_lost_room ON dispatches (room_name) WHERE reason = 'the room is gone'")


def add(column: str, *checks: str) -> None:
    constraints = "".join(f" CONSTRAINT ck_dispatches_{name} CHECK ({CHECKS[name]})" for name in checks)
    op.execute(f"ALTER TABLE dispatches ADD COLUMN {column}{constraints}")


def split_must_look() -> None:
    """Carry must_look over into the column that says what it means in the dispatch's state."""
    op.execute(
        "UPDATE dispatches SET deletion_announced_at = coalesce(answer_deadline, dispatched_at, created_at)"
        " WHERE must_look AND status = 'dispatched'"
    )
    op.execute("UPDATE dispatches SET is_sent_away = true WHERE must_look AND status = 'joined'")
    op.execute("UPDATE dispatches SET must_look = false WHERE must_look AND status NOT IN ('pending', 'sending')")
