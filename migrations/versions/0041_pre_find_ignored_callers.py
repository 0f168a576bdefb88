"""Find callers who were ignored as other callers are found, and by the rule that ignored them.

The release before goes on to find them by their whole names. As expressions, the indexes need nothing to be filled in.

Locks on PostgreSQL: none for long; the indexes are built while webhooks go on, each in one reading of `events`.
"""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

IS_IGNORED_CALLER = "type = 'participant_joined' AND outcome = 'ignored' AND participant_role IN ('callee', 'caller')"
HAS_NUMBER = f"phone_number IS NOT NULL AND {IS_IGNORED_CALLER}"
HAS_TRUNK_NUMBER = f"trunk_number IS NOT NULL AND {IS_IGNORED_CALLER}"
CUT, CUT_RULE = 100, 500
DIGITS = 15


def definitions() -> dict[str, tuple[str, str]]:
    """Return the columns and the condition of each index, by its name."""
    if op.get_bind().dialect.name == "postgresql":
        identity = lowered("participant_identity", ' COLLATE "C"')
        room = lowered("room_name", ' COLLATE "C"')
        name = lowered("coalesce(participant_name, body #>> '{participant,name}')", ' COLLATE "C"')
        rule = f"substr(decision #>> '{{matched,0,rule}}', 1, {CUT_RULE})"
    else:
        of_body = "CASE WHEN json_valid(body) THEN json_extract(body, '$.participant.name') END"
        identity, room = lowered("participant_identity"), lowered("room_name")
        name = lowered(f"coalesce(participant_name, {of_body})")
        rule = f"substr(json_extract(decision, '$.matched[0].rule'), 1, {CUT_RULE})"
    return {
        "ix_events_ignored_identity": (f"{identity}, id", IS_IGNORED_CALLER),
        "ix_events_ignored_room": (f"{room}, id", IS_IGNORED_CALLER),
        "ix_events_ignored_name": (f"{name}, id", IS_IGNORED_CALLER),
        "ix_events_ignored_digits": (f"{reversed_digits('phone_number')}, id", HAS_NUMBER),
        "ix_events_ignored_trunk_digits": (f"{reversed_digits('trunk_number')}, substr(id, 1, 8)", HAS_TRUNK_NUMBER),
        "ix_events_ignoring_rule": (f"{rule}, id", IS_IGNORED_CALLER),
    }


def lowered(text: str, collation: str = "") -> str:
    return f"lower(substr({text}, 1, {CUT}){collation})"


def reversed_digits(column: str) -> str:
    """Return the last digits of a column, the last one first."""
    if op.get_bind().dialect.name == "postgresql":
        digits = f"regexp_replace(split_part({column}, '@', 1), '[^0-9]', '', 'g')"
        return f'(reverse(right({digits}, {DIGITS})) COLLATE "C")'
    digits = f"substr({column}, 1, instr({column} || '@', '@') - 1)"
    for separator in ("+", " ", "-", "(", ")", ".", "/"):
        digits = f"replace({digits}, '{separator}', '')"
    return "(" + " || ".join(f"substr({digits}, -{place}, 1)" for place in range(1, DIGITS + 1)) + ")"


def upgrade() -> None:
    for name, (columns, condition) in definitions().items():
        if op.get_bind().dialect.name != "postgresql":
            op.get_bind().exec_driver_sql(f"CREATE INDEX {name} ON events ({columns}) WHERE {condition}")
            continue
        with op.get_context().autocommit_block():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON events ({columns}) WHERE {condition}")


def downgrade() -> None:
    for name in definitions():
        op.drop_index(name, table_name="events")
