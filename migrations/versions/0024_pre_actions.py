"""Let rules ignore, remove or transfer callers, and let no-shows end in that; keep the actions on callers.

`agent_name` of rules may be null, for rules that dispatch no agent. A replica of the release before takes such a rule
for one that cannot be used: it skips it, says so, and goes on. It leaves callers waiting after a no-show, as before.

On the way down, rules with another action than `dispatch` stay, disabled, with an agent named after the action.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches for milliseconds (columns with constant defaults, a CHECK that is
not validated) and on routing_rules while its rows are checked (a second for a hundred thousand rules); SHARE UPDATE
EXCLUSIVE on dispatches while the CHECK is validated.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

NO_SHOW = "on_no_show IN ('wait', 'remove', 'transfer')"
CHECKS = {
    "action": "action IN ('dispatch', 'ignore', 'remove', 'transfer')",
    "on_no_show": NO_SHOW,
    "action_agent": "(action = 'dispatch') = (agent_name IS NOT NULL)",
    "action_transfer": "transfer_to IS NOT NULL OR (action <> 'transfer' AND on_no_show <> 'transfer')",
    "action_on_match": "on_match = 'stop' OR action IN ('dispatch', 'transfer')",
    "action_on_no_show": "on_no_show = 'wait' OR action = 'dispatch'",
    "transfer_to": "length(transfer_to) BETWEEN 1 AND 500",
    "transfer_to_scheme": "substr(transfer_to, 1, 4) IN ('tel:', 'sip:')",
}
COLUMNS = {
    "action": "TEXT DEFAULT 'dispatch' NOT NULL",
    "on_no_show": "TEXT DEFAULT 'wait' NOT NULL",
    "transfer_to": "TEXT",
}
AFTER = {"action": "pattern", "on_no_show": "fallbacks", "transfer_to": "on_no_show"}
"""After which column each is recorded in `rule_changes`."""
CAUSES = (
    "'rule_matched', 'no_agent', 'claimed', 'sender_lost', 'refused', 'livekit_unreachable',"
    " 'outcome_unknown', 'not_answered', 'accepted', 'caller_gone', 'caller_left', 'served_again', 'no_phone_call'"
)


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        added = [f"ADD COLUMN {name} {kind}" for name, kind in COLUMNS.items()]
        added += [f"ADD CONSTRAINT ck_routing_rules_{name} CHECK ({check})" for name, check in CHECKS.items()]
        op.execute("ALTER TABLE routing_rules ALTER agent_name DROP NOT NULL, " + ", ".join(added))
        op.execute(
            "ALTER TABLE dispatches ADD COLUMN IF NOT EXISTS on_no_show TEXT DEFAULT 'wait' NOT NULL,"
            " ADD COLUMN IF NOT EXISTS transfer_to TEXT, DROP CONSTRAINT IF EXISTS ck_dispatches_on_no_show"
        )
        op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_on_no_show CHECK ({NO_SHOW}) NOT VALID")
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_on_no_show")
    else:
        checks = "".join(f", CONSTRAINT ck_routing_rules_{name} CHECK ({check})" for name, check in CHECKS.items())
        columns = "".join(f"{name} {kind}, " for name, kind in COLUMNS.items())
        remake_rules(
            [
                ("agent_name TEXT NOT NULL", "agent_name TEXT"),
                ("CONSTRAINT pk_routing_rules", f"{columns}CONSTRAINT pk_routing_rules"),
                (" CHECK (length(name) BETWEEN 1 AND 200)", f" CHECK (length(name) BETWEEN 1 AND 200){checks}"),
            ],
            added=AFTER,
        )
        add = "ALTER TABLE dispatches ADD COLUMN"
        op.execute(
            f"{add} on_no_show TEXT DEFAULT 'wait' NOT NULL CONSTRAINT ck_dispatches_on_no_show CHECK ({NO_SHOW})"
        )
        op.execute(f"{add} transfer_to TEXT")
    create_actions(TIMESTAMP(timezone=True) if dialect == "postgresql" else sa.Text())


def downgrade() -> None:
    op.drop_table("caller_actions")
    op.execute(
        "UPDATE routing_rules SET enabled = false, agent_name = 'action-' || action, action = 'dispatch'"
        " WHERE action <> 'dispatch'"
    )
    op.execute("UPDATE routing_rules SET on_no_show = 'wait' WHERE on_no_show <> 'wait'")
    if op.get_bind().dialect.name == "postgresql":
        dropped = [f"DROP CONSTRAINT ck_routing_rules_{name}" for name in CHECKS]
        dropped += [f"DROP COLUMN {name}" for name in COLUMNS]
        op.execute("ALTER TABLE routing_rules ALTER agent_name SET NOT NULL, " + ", ".join(dropped))
        op.execute("ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_on_no_show")
    else:
        checks = [(f", CONSTRAINT ck_routing_rules_{name} CHECK ({check})", "") for name, check in CHECKS.items()]
        columns = [(f"{name} {kind}, ", "") for name, kind in COLUMNS.items()]
        remake_rules([("agent_name TEXT", "agent_name TEXT NOT NULL"), *checks, *columns], removed=AFTER)
    op.drop_column("dispatches", "on_no_show")
    op.drop_column("dispatches", "transfer_to")


def create_actions(instant: sa.Text | TIMESTAMP) -> None:
    op.create_table(
        "caller_actions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("dispatch_id", sa.Text()),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("room_sid", sa.Text(), nullable=False),
        sa.Column("participant_identity", sa.Text(), nullable=False),
        sa.Column("participant_sid", sa.Text(), nullable=False),
        sa.Column("participant_kind", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("transfer_to", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("must_check", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("next_attempt_at", instant),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", instant),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("called_at", instant),
        sa.Column("ended_at", instant),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller_actions")),
        sa.CheckConstraint("kind IN ('remove', 'transfer')", name=op.f("ck_caller_actions_kind")),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'done', 'failed', 'cancelled')", name=op.f("ck_caller_actions_status")
        ),
        sa.CheckConstraint(f"cause IN ({CAUSES})", name=op.f("ck_caller_actions_cause")),
        sa.CheckConstraint(
            "(kind = 'transfer') = (transfer_to IS NOT NULL)", name=op.f("ck_caller_actions_transfer_to")
        ),
    )
    live = sa.text("status IN ('pending', 'sending')")
    once = sa.text("status IN ('pending', 'sending', 'done')")
    op.create_index(
        "ix_caller_actions_due", "caller_actions", ["next_attempt_at"], sqlite_where=live, postgresql_where=live
    )
    op.create_index(
        "uq_caller_actions_once",
        "caller_actions",
        ["project", "participant_sid", "kind"],
        unique=True,
        sqlite_where=once,
        postgresql_where=once,
    )
    for columns in (
        ["event_id"],
        ["dispatch_id"],
        ["participant_sid"],
        ["room_sid"],
        ["participant_identity", "id"],
    ):
        op.create_index(f"ix_caller_actions_{'_'.join(columns)}", "caller_actions", columns)


# SQLite changes no NOT NULL and no CHECK of a column: the table is made anew, from its own definition.


def remake_rules(
    edits: list[tuple[str, str]], *, added: dict[str, str] | None = None, removed: dict[str, str] | None = None
) -> None:
    """Copy the rules into a table whose definition has these edits, and its triggers with columns added or removed."""
    connection = op.get_bind()
    found = sa.text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'routing_rules' AND sql IS NOT NULL")
    parts = {(kind, name): sql for kind, name, sql in connection.execute(found)}
    table = edited(parts.pop(("table", "routing_rules")), edits)
    kept = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(routing_rules)")]
    kept = [name for name in kept if name not in (removed or {})]
    columns = ", ".join(f'"{name}"' for name in kept)
    cursor = connection.connection.cursor()  # op.execute takes the `:%f` of a default for a parameter
    cursor.execute(table.replace("routing_rules", "rules_anew", 1))
    cursor.execute(f"INSERT INTO rules_anew ({columns}) SELECT {columns} FROM routing_rules")
    cursor.execute("DROP TABLE routing_rules")  # and its triggers and indexes
    cursor.execute("ALTER TABLE rules_anew RENAME TO routing_rules")
    for (kind, _), sql in parts.items():
        cursor.execute(sql if kind != "trigger" else with_columns(sql, added or {}, removed or {}))
    cursor.close()


def edited(sql: str, edits: list[tuple[str, str]]) -> str:
    for old, new in edits:
        if sql.count(old) != 1:
            raise RuntimeError(f"the table routing_rules is not as expected: {old!r} in {sql}")
        sql = sql.replace(old, new)
    return sql


def with_columns(trigger: str, added: dict[str, str], removed: dict[str, str]) -> str:
    for name, before in added.items():
        for row in ("OLD", "NEW"):
            value = end_of(trigger, row, before)
            trigger = trigger.replace(value, f"{value}, '{name}', {row}.\"{name}\"")
        trigger = trigger.replace(f', "{before}"', f', "{before}", "{name}"', 1)
    for name in removed:
        for row in ("OLD", "NEW"):
            trigger = trigger.replace(f", '{name}', {row}.\"{name}\"", "")
        trigger = trigger.replace(f', "{name}"', "", 1)
    return trigger


def end_of(trigger: str, row: str, column: str) -> str:
    """Return how a trigger records a column: as it is or, if it holds JSON, as a document."""
    value = f'{row}."{column}"'
    document = f"'{column}', CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
    return document if document in trigger else f"'{column}', {value}"
