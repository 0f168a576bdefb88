"""Find calls by the begin of a name, the end of a phone number, and LiveKit's ids of jobs and dispatches.

Locks on PostgreSQL: none; the indexes are built while webhooks go on. With ten million joins of callers (sixty million
events) each takes some minutes. They are expressions, so that nothing has to be filled in: rows that replicas of the
release before write meanwhile are found, too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

IS_CALL = "type = 'participant_joined' AND outcome IN ('planned', 'served', 'no_match')"
HAS_NUMBER = f"phone_number IS NOT NULL AND {IS_CALL}"
CUT = 100
DIGITS = 15

EVENTS = ("identity", "room", "name", "number")
IDS = (("dispatches", "job_id"), ("dispatch_attempts", "livekit_dispatch_id"))


def expressions() -> dict[str, str]:
    """Return what each index of events holds."""
    if op.get_bind().dialect.name == "postgresql":
        number = f"reverse(right(regexp_replace(split_part(phone_number, '@', 1), '[^0-9]', '', 'g'), {DIGITS}))"
        return {
            "identity": f'lower(substr(participant_identity, 1, {CUT}) COLLATE "C")',
            "room": f'lower(substr(room_name, 1, {CUT}) COLLATE "C")',
            "name": f"lower(substr(body #>> '{{participant,name}}', 1, {CUT}) COLLATE \"C\")",
            "number": f'({number} COLLATE "C")',
        }
    digits = "substr(phone_number, 1, instr(phone_number || '@', '@') - 1)"
    for separator in ("+", " ", "-", "(", ")", ".", "/"):
        digits = f"replace({digits}, '{separator}', '')"
    name = "CASE WHEN json_valid(body) THEN json_extract(body, '$.participant.name') END"
    return {
        "identity": f"lower(substr(participant_identity, 1, {CUT}))",
        "room": f"lower(substr(room_name, 1, {CUT}))",
        "name": f"lower(substr({name}, 1, {CUT}))",
        "number": "(" + " || ".join(f"substr({digits}, -{place}, 1)" for place in range(1, DIGITS + 1)) + ")",
    }


def upgrade() -> None:
    for key, expression in expressions().items():
        condition = HAS_NUMBER if key == "number" else IS_CALL
        create(name_of(key), "events", f"{expression}, id", condition)
    for table, column in IDS:
        create(f"ix_{table}_{column}", table, column, f"{column} IS NOT NULL")


def downgrade() -> None:
    for key in EVENTS:
        op.drop_index(name_of(key), table_name="events")
    for table, column in IDS:
        op.drop_index(f"ix_{table}_{column}", table_name=table)


def name_of(key: str) -> str:
    return "ix_events_reversed_digits" if key == "number" else f"ix_events_searched_{key}"


def create(name: str, table: str, columns: str, condition: str) -> None:
    if op.get_bind().dialect.name != "postgresql":
        # The driver's statement: a colon in a path of JSON is no parameter.
        op.get_bind().exec_driver_sql(f"CREATE INDEX {name} ON {table} ({columns}) WHERE {condition}")
        return
    with op.get_context().autocommit_block():
        op.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        op.execute(sa.text(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}) WHERE {condition}"))
