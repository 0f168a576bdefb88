"""The triggers that belong to the tables: they record every edit of a rule and keep history append-only.

`metadata.create_all` makes them as well, so that it gives the whole schema. Databases that exist get them from
`migrations/`, where each revision has their text as it was then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, MetaData, event

from app.db.rule_columns import RECORDED_COLUMNS
from app.db.tables.agent_triggers import agent_triggers
from app.db.tables.base import SQLITE_NOW, metadata
from app.db.tables.lookups import lookup_triggers
from app.db.tables.rules import routing_rules


def triggers(dialect: str) -> list[str]:
    """Return the statements that create all triggers; those on SQLite name each column of a rule."""
    own = _POSTGRESQL if dialect == "postgresql" else (*_record_rules(RECORDED_COLUMNS), *_SQLITE_APPEND_ONLY)
    return [*own, *lookup_triggers(dialect), *agent_triggers(dialect)]


@event.listens_for(metadata, "after_create")
def _create_triggers(_metadata: MetaData, connection: Connection, **_: Any) -> None:
    # The driver's cursor: the text is no template, so a percent sign in it is one.
    cursor = connection.connection.cursor()
    for statement in triggers(connection.dialect.name):
        cursor.execute(statement)
    cursor.close()


def _record_rules(columns: Sequence[str]) -> list[str]:
    """Return the triggers that write `rule_changes` on SQLite.

    REPLACE removes the old row without firing a delete trigger, so the insert trigger also records the removal of a
    rule that had the same name and no longer exists.
    """
    old, new = _document("OLD", columns), _document("NEW", columns)
    of_editor = "(SELECT {column} FROM rule_editor ORDER BY id DESC LIMIT 1)"
    editor = of_editor.format(column="name")
    made_with = f"coalesce({of_editor.format(column='change_set')}, lower(hex(randomblob(16))))"
    together = f"{made_with}, {of_editor.format(column='why')}"
    record = 'INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by, change_set, why)'
    stamp = f"UPDATE routing_rules SET updated_at = {SQLITE_NOW}, updated_by = "  # noqa: S608 - of constants
    watched = ", ".join(f'"{column}"' for column in columns)
    return [
        f"""CREATE TRIGGER routing_rules_inserted AFTER INSERT ON routing_rules BEGIN
            {record}
            SELECT c.rule_id, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'), {together}
              FROM rule_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.rule_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM routing_rules r WHERE r.id = c.rule_id)
               AND NOT EXISTS (SELECT 1 FROM rule_changes later WHERE later.rule_id = c.rule_id AND later.id > c.id);
            {record} VALUES (
                NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, coalesce({editor}, NEW.updated_by, 'sql'), {together});
            {stamp} coalesce({editor}, NEW.updated_by, 'sql') WHERE id = NEW.id;
        END""",  # noqa: S608 - made of column names
        f"""CREATE TRIGGER routing_rules_updated AFTER UPDATE OF {watched} ON routing_rules
            WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'), {together}
              WHERE OLD.id <> NEW.id;
            {record} VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN {old} END, {new}, {SQLITE_NOW},
                coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql'),
                {together});
            {stamp} coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
              WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules BEGIN
            {record} VALUES (OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'), {together});
        END""",
    ]


def _document(row: str, columns: Sequence[str]) -> str:
    """Return the SQL of one rule as a JSON object; text that is not JSON stays text, so a bad row can be recorded."""
    parts = []
    for column in columns:
        value = f'{row}."{column}"'
        kind = routing_rules.columns[column].type
        if isinstance(kind, Boolean):
            value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
        elif isinstance(kind, JSON):
            value = f"CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
        parts.append(f"'{column}', {value}")
    return f"json_object({', '.join(parts)})"


_SQLITE_APPEND_ONLY = tuple(
    f"""CREATE TRIGGER {table}_{change}_refused BEFORE {change} ON {table} BEGIN
        SELECT raise(ABORT, '{table} is append-only'); END"""
    for table, change in (("rule_changes", "UPDATE"), ("rule_changes", "DELETE"), ("audit_log", "UPDATE"))
)

# The advisory lock makes ids of rule_changes visible in their order: without it, readers that follow max(id) would miss
# a slower transaction with a smaller id. Rows of rule_editor are deleted before commit, so those of other transactions
# are never visible here.
_POSTGRESQL = (
    """CREATE FUNCTION usher_stamp_rule() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.updated_by := coalesce(editor, NEW.updated_by, 'sql:' || session_user);
        ELSIF to_jsonb(NEW) - 'updated_at' - 'updated_by'
              IS DISTINCT FROM to_jsonb(OLD) - 'updated_at' - 'updated_by' THEN
            NEW.updated_at := clock_timestamp();
            NEW.updated_by := coalesce(
                editor, CASE WHEN NEW.updated_by IS DISTINCT FROM OLD.updated_by THEN NEW.updated_by END,
                'sql:' || session_user);
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE FUNCTION usher_record_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
        made_with text := coalesce((SELECT change_set FROM rule_editor ORDER BY id DESC LIMIT 1),
            pg_current_xact_id()::text);
        reason text := (SELECT why FROM rule_editor ORDER BY id DESC LIMIT 1);
        was jsonb := CASE WHEN TG_OP <> 'INSERT'
            THEN to_jsonb(OLD) - 'created_at' - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'created_at' - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by, change_set, why)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), NEW.updated_by, made_with, reason);
            INSERT INTO rule_changes (rule_id, change, after, changed_at, changed_by, change_set, why)
            VALUES (NEW.id, 'insert', is_now, clock_timestamp(), NEW.updated_by, made_with, reason);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by, change_set, why)
            VALUES (OLD.id, 'delete', was, clock_timestamp(),
                    coalesce(editor, 'sql:' || session_user), made_with, reason);
        ELSE
            INSERT INTO rule_changes (rule_id, change, before, after, changed_at, changed_by, change_set, why)
            VALUES (NEW.id, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by, made_with, reason);
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION usher_rules_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by, change_set, why)
        SELECT id, 'delete', to_jsonb(r) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user, pg_current_xact_id()::text, NULL
          FROM routing_rules r ORDER BY id;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION usher_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$""",
    """CREATE TRIGGER routing_rules_stamped BEFORE INSERT OR UPDATE ON routing_rules
       FOR EACH ROW EXECUTE FUNCTION usher_stamp_rule()""",
    """CREATE TRIGGER routing_rules_recorded AFTER INSERT OR UPDATE OR DELETE ON routing_rules
       FOR EACH ROW EXECUTE FUNCTION usher_record_rule_change()""",
    """CREATE TRIGGER routing_rules_truncated BEFORE TRUNCATE ON routing_rules
       FOR EACH STATEMENT EXECUTE FUNCTION usher_rules_truncated()""",
    """CREATE TRIGGER rule_changes_refused BEFORE UPDATE OR DELETE ON rule_changes
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()""",
    """CREATE TRIGGER audit_log_refused BEFORE UPDATE ON audit_log
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()""",
)
