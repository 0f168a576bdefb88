"""Let rules be paused until a moment, and record which changes of rules were made together, and why.

Changes that were recorded before belong to no set. A replica of the release before goes on: it pauses nothing, and what
it writes gets its set from the triggers.

Locks on PostgreSQL: ACCESS EXCLUSIVE on routing_rules, rule_changes and rule_editor for milliseconds (columns that may
be null), and SHARE on rule_changes while an index of no rows is built.
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
BEFORE = (
    "id", "name", "description", "enabled", "priority", "pattern", "action", "agent_name", "metadata", "attributes",
    "deployment", "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays",
)  # fmt: skip
AFTER = (
    "answer_timeout_s", "max_attempts", "fallbacks", "on_no_show", "transfer_to", "min_stay_s", "recover", "withdraw",
    "max_calls", "queue_timeout_s", "queue_priority", "announce", "objective_percent", "objective_s",
)  # fmt: skip
FLAGS = frozenset({"enabled", "withdraw", "announce"})
DOCUMENTS = frozenset({"pattern", "metadata", "attributes", "fallbacks"})
EDITOR = "(SELECT {column} FROM rule_editor ORDER BY id DESC LIMIT 1)"


def upgrade() -> None:
    added = [("routing_rules", "paused_until"), ("rule_changes", "change_set"), ("rule_changes", "why")]
    added += [("rule_editor", "change_set"), ("rule_editor", "why")]
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table, column in added:
        kind = "TIMESTAMP WITH TIME ZONE" if is_postgresql and column == "paused_until" else "TEXT"
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    if is_postgresql:
        run(postgresql(with_set=True))
    else:
        remake_triggers((*BEFORE, "paused_until", *AFTER), with_set=True)
    op.execute("CREATE INDEX ix_rule_changes_change_set ON rule_changes (change_set) WHERE change_set IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX ix_rule_changes_change_set")
    if op.get_bind().dialect.name == "postgresql":
        run(postgresql(with_set=False))
    else:
        remake_triggers((*BEFORE, *AFTER), with_set=False)
    op.drop_column("routing_rules", "paused_until")
    for table in ("rule_changes", "rule_editor"):
        op.drop_column(table, "change_set")
        op.drop_column(table, "why")


def run(statements: list[str]) -> None:
    cursor = op.get_bind().connection.cursor()  # op.execute takes the `:%f` of SQLite's time for a parameter
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


def postgresql(*, with_set: bool) -> list[str]:
    declared = """editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
"""
    names = values = removed = ""
    if with_set:
        declared += """        made_with text := coalesce((SELECT change_set FROM rule_editor ORDER BY id DESC LIMIT 1),
            pg_current_xact_id()::text);
        reason text := (SELECT why FROM rule_editor ORDER BY id DESC LIMIT 1);
"""
        names, values = ", change_set, why", ", made_with, reason"
        removed = ", pg_current_xact_id()::text, NULL"
    return [
        f"""CREATE OR REPLACE FUNCTION usher_record_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        {declared}        was jsonb := CASE WHEN TG_OP <> 'INSERT'
            THEN to_jsonb(OLD) - 'created_at' - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'created_at' - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by{names})
            VALUES (OLD.id, 'delete', was, clock_timestamp(), NEW.updated_by{values});
            INSERT INTO rule_changes (rule_id, change, after, changed_at, changed_by{names})
            VALUES (NEW.id, 'insert', is_now, clock_timestamp(), NEW.updated_by{values});
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by{names})
            VALUES (OLD.id, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user){values});
        ELSE
            INSERT INTO rule_changes (rule_id, change, before, after, changed_at, changed_by{names})
            VALUES (NEW.id, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by{values});
        END IF;
        RETURN NULL;
    END $$""",
        f"""CREATE OR REPLACE FUNCTION usher_rules_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by{names})
        SELECT id, 'delete', to_jsonb(r) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user{removed}
          FROM routing_rules r ORDER BY id;
        RETURN NULL;
    END $$""",
    ]


# SQLite, whose triggers name each column


def remake_triggers(columns: tuple[str, ...], *, with_set: bool) -> None:
    for change in ("inserted", "updated", "deleted"):
        op.execute(f"DROP TRIGGER routing_rules_{change}")
    run(triggers(columns, with_set=with_set))


def triggers(columns: tuple[str, ...], *, with_set: bool) -> list[str]:
    """Return the triggers that write `rule_changes`, as 0024 left them, for these columns."""
    old, new = document("OLD", columns), document("NEW", columns)
    editor = EDITOR.format(column="name")
    names = values = ""
    if with_set:
        made_with, why = EDITOR.format(column="change_set"), EDITOR.format(column="why")
        names = ", change_set, why"
        values = f", coalesce({made_with}, lower(hex(randomblob(16)))), {why}"
    record = f'INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by{names})'
    stamp = f"UPDATE routing_rules SET updated_at = {SQLITE_NOW}, updated_by = "
    watched = ", ".join(f'"{column}"' for column in columns)
    return [
        f"""CREATE TRIGGER routing_rules_inserted AFTER INSERT ON routing_rules BEGIN
            {record}
            SELECT c.rule_id, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'){values}
              FROM rule_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.rule_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM routing_rules r WHERE r.id = c.rule_id)
               AND NOT EXISTS (SELECT 1 FROM rule_changes later WHERE later.rule_id = c.rule_id AND later.id > c.id);
            {record} VALUES (
                NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, coalesce({editor}, NEW.updated_by, 'sql'){values});
            {stamp} coalesce({editor}, NEW.updated_by, 'sql') WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_updated AFTER UPDATE OF {watched} ON routing_rules
            WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'){values}
              WHERE OLD.id <> NEW.id;
            {record} VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN {old} END, {new}, {SQLITE_NOW},
                coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
                {values});
            {stamp} coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
              WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules BEGIN
            {record} VALUES (OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'){values});
        END""",
    ]


def document(row: str, columns: tuple[str, ...]) -> str:
    parts = []
    for column in columns:
        value = f'{row}."{column}"'
        if column in FLAGS:
            value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
        elif column in DOCUMENTS:
            value = f"CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
        parts.append(f"'{column}', {value}")
    return f"json_object({', '.join(parts)})"
