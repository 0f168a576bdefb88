"""Fill the causes of dispatches that exist, from what their reasons used to say.

Locks on PostgreSQL: rows, in batches of 5,000 that are committed one by one (ten million rows take some minutes, while
Usher goes on); SHARE UPDATE EXCLUSIVE while CHECKs are validated and the index is built, which lets writers go on. May
be repeated after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BATCH = 5_000
CHECKS = ("cause", "must_look", "deletion_announced_at", "is_sent_away")
LOST_ROOM = "ON dispatches (room_name) WHERE status = 'ended' AND cause = 'room_lost'"

# The beginning or end of a reason, as releases before wrote it; the first that fits counts.
BY_REASON = (
    ("the caller gave up%", "caller_left"),
    ("the room is gone%", "room_lost"),
    ("the room was closed%", "room_closed"),
    ("cancelled by hand%", "cancelled_by_hand"),
    ("the agent has reconnected%", "agent_reconnected"),
    ("the agent left%", "agent_left"),
    ("the agent is gone%", "agent_left"),
    ("%came by another dispatch, says%", "agent_not_ours"),
    ("%; asking again", "no_agent"),
    ("%; asking % instead", "fallback"),
    ("%; nobody else to ask", "no_agent"),
    ("LiveKit could not be reached: outcome unknown%", "outcome_unknown"),
    ("LiveKit could not be reached%", "livekit_unreachable"),
    ("LiveKit cannot be asked%", "livekit_unreachable"),
    ("LiveKit refused%", "refused"),
    ("LiveKit had taken%", "adopted"),
    ("LiveKit took the dispatch%", "adopted"),
    ("LiveKit wrote the dispatch down%", "accepted"),
    ("LiveKit has it after all%", "late_answer"),
    ("LiveKit answers again%", "livekit_recovered"),
    ("LiveKit does not have it%", "caller_present"),
    ("the caller is waiting%", "caller_present"),
    ("its sender stopped%", "sender_lost"),
    ("its turn%", "claimed"),
    ("looking whether LiveKit has it%", "claimed"),
    ("waiting: the limit of%", "waits_for_limit"),
    ("the clock was set%", "clock_step"),
    ("its agent is overdue%", "agent_overdue"),
    ("its agent did not come%", "agent_overdue"),
    ("it cannot be told yet%", "agent_overdue"),
    ("the dead dispatch is still listed%", "agent_overdue"),
    ("promised to the token server%", "promised"),
    ("replaces the agent of dispatch%", "replaces_agent"),
    ("redriven by hand%", "redriven"),
    ("%may come back by itself", "agent_may_return"),
    ("rule %matched", "rule_matched"),
)
# For reasons that no release wrote.
BY_STATUS = (
    ("failed", "template_failed"),
    ("joined", "agent_joined"),
    ("ended", "agent_left"),
    ("no_show", "no_agent"),
    ("cancelled", "room_closed"),
    ("dispatched", "accepted"),
    ("sending", "claimed"),
)


def upgrade() -> None:
    fill = f"UPDATE dispatches SET cause = {cause_of()}"
    if op.get_bind().dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            fill_in_batches(fill)
            for name in CHECKS:
                op.execute(f"ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_{name}")
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dispatches_lost_room")
            op.execute(f"CREATE INDEX CONCURRENTLY ix_dispatches_lost_room {LOST_ROOM}")
    else:
        op.execute(fill)
        op.execute("DROP INDEX ix_dispatches_lost_room")
        op.execute(f"CREATE INDEX ix_dispatches_lost_room {LOST_ROOM}")


def downgrade() -> None:
    pass  # 0009 drops the column, and makes the index that it replaces


def cause_of() -> str:
    """Return the expression of a row's cause."""
    # A failed dispatch of another reason carries the text of a template's error, which can be anything.
    lines = ["WHEN status = 'failed' AND reason NOT LIKE 'LiveKit %' THEN 'template_failed'"]
    lines += [f"WHEN reason LIKE '{pattern}' THEN '{cause}'" for pattern, cause in BY_REASON]
    lines += [f"WHEN status = '{status}' THEN '{cause}'" for status, cause in BY_STATUS]
    return f"CASE {' '.join(lines)} ELSE 'rule_matched' END"


def fill_in_batches(fill: str) -> None:
    connection, after = op.get_bind(), ""
    ids = f"SELECT id FROM dispatches WHERE id > :after ORDER BY id LIMIT {BATCH}"
    last = sa.text(f"SELECT max(id) FROM ({ids}) AS batch")
    while (end := connection.scalar(last, {"after": after})) is not None:
        connection.execute(sa.text(f"{fill} WHERE id > :after AND id <= :end"), {"after": after, "end": end})
        after = end
