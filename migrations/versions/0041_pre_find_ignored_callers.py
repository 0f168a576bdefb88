"""Find callers who were ignored as other callers are found, and by the rule that ignored them.

The indexes that find callers hold them, too. The release before goes on to work: what it asks for is in them.

Locks on PostgreSQL: none for long; each index is built anew, in one reading of `events` while webhooks go on, and then
takes the place of the one before.
"""

from __future__ import annotations

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

OF_CALL = "outcome IN ('planned', 'served', 'no_match')"
OF_IGNORED_CALLER = "outcome = 'ignored' AND participant_role IN ('callee', 'caller')"
IS_CALL = f"type = 'participant_joined' AND {OF_CALL}"
IS_IGNORED_CALLER = f"type = 'participant_joined' AND {OF_IGNORED_CALLER}"
IS_CALLER = f"type = 'participant_joined' AND ({OF_CALL} OR ({OF_IGNORED_CALLER}))"
CUT, CUT_RULE = 100, 500
DIGITS = 15
BY_RULE = "ix_events_ignoring_rule"


def is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def in_json(column: str, on_sqlite: str, on_postgresql: str) -> str:
    if is_postgresql():
        return f"{column} #>> '{on_postgresql}'"
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '{on_sqlite}') END"


def lowered(text: str) -> str:
    """Return the begin of a text in lower case."""
    collation = ' COLLATE "C"' if is_postgresql() else ""
    return f"lower(substr({text}, 1, {CUT}){collation})"


def reversed_digits(column: str) -> str:
    """Return the last digits of a column, the last one first."""
    if is_postgresql():
        digits = f"regexp_replace(split_part({column}, '@', 1), '[^0-9]', '', 'g')"
        return f'(reverse(right({digits}, {DIGITS})) COLLATE "C")'
    digits = f"substr({column}, 1, instr({column} || '@', '@') - 1)"
    for separator in ("+", " ", "-", "(", ")", ".", "/"):
        digits = f"replace({digits}, '{separator}', '')"
    return "(" + " || ".join(f"substr({digits}, -{place}, 1)" for place in range(1, DIGITS + 1)) + ")"


def definitions(condition: str) -> dict[str, tuple[str, str]]:
    """Return the columns and the condition of the indexes that find callers, by name."""
    name = f"coalesce(participant_name, {in_json('body', '$.participant.name', '{participant,name}')})"
    return {
        "ix_events_searched_identity": (f"{lowered('participant_identity')}, id", condition),
        "ix_events_searched_room": (f"{lowered('room_name')}, id", condition),
        "ix_events_searched_name": (f"{lowered(name)}, id", condition),
        "ix_events_reversed_digits": (
            f"{reversed_digits('phone_number')}, id",
            f"phone_number IS NOT NULL AND {condition}",
        ),
        "ix_events_reversed_trunk_digits": (
            f"{reversed_digits('trunk_number')}, substr(id, 1, 8)",
            f"trunk_number IS NOT NULL AND {condition}",
        ),
    }


def upgrade() -> None:
    rule = in_json("decision", "$.matched[0].rule", "{matched,0,rule}")
    create(BY_RULE, f"substr({rule}, 1, {CUT_RULE}), id", IS_IGNORED_CALLER)
    for name, (columns, condition) in definitions(IS_CALLER).items():
        replace(name, columns, condition)


def downgrade() -> None:
    for name, (columns, condition) in definitions(IS_CALL).items():
        replace(name, columns, condition)
    op.drop_index(BY_RULE, table_name="events")


def create(name: str, columns: str, condition: str) -> None:
    if not is_postgresql():
        # The driver's statement: a colon in a path of JSON is no parameter.
        op.get_bind().exec_driver_sql(f"CREATE INDEX {name} ON events ({columns}) WHERE {condition}")
        return
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON events ({columns}) WHERE {condition}")


def replace(name: str, columns: str, condition: str) -> None:
    """Make an index anew; on PostgreSQL the one before serves meanwhile."""
    if not is_postgresql():
        op.execute(f"DROP INDEX {name}")
        create(name, columns, condition)
        return
    create(f"{name}_anew", columns, condition)
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    op.execute(f"ALTER INDEX {name}_anew RENAME TO {name}")
