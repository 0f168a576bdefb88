"""The triggers that record every edit of a rule on SQLite, where they must name each column.

A migration that adds a column to `routing_rules` drops `SQLITE_RULE_TRIGGERS` and makes them anew. PostgreSQL's take
the row as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
SQLITE_RULE_TRIGGERS = ("routing_rules_inserted", "routing_rules_updated", "routing_rules_deleted")

_BOOLEANS = ("enabled", "recover", "withdraw")
_DOCUMENTS = ("pattern", "metadata", "attributes")


def sqlite_rule_triggers(columns: Sequence[str]) -> list[str]:
    """Return the triggers that write `rule_changes` on SQLite, which record these columns.

    REPLACE removes the old row without firing a delete trigger, so an insert also records the removal of a rule that
    had the new one's name and is gone.
    """
    old, new = _document("OLD", columns), _document("NEW", columns)
    editor = "(SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1)"
    record = 'INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)'
    stamp = f"UPDATE routing_rules SET updated_at = {SQLITE_NOW}, updated_by = "
    watched = ", ".join(f'"{column}"' for column in columns)
    return [
        f"""CREATE TRIGGER routing_rules_inserted AFTER INSERT ON routing_rules BEGIN
            {record}
            SELECT c.rule_id, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({editor}, 'sql')
              FROM rule_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.rule_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM routing_rules r WHERE r.id = c.rule_id)
               AND NOT EXISTS (SELECT 1 FROM rule_changes later WHERE later.rule_id = c.rule_id AND later.id > c.id);
            {record} VALUES (NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, coalesce({editor}, NEW.updated_by, 'sql'));
            {stamp} coalesce({editor}, NEW.updated_by, 'sql') WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_updated AFTER UPDATE OF {watched} ON routing_rules
            WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql')
              WHERE OLD.id <> NEW.id;
            {record} VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN {old} END, {new}, {SQLITE_NOW},
                coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql'));
            {stamp} coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
              WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules BEGIN
            {record} VALUES (OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'));
        END""",
    ]


def _document(row: str, columns: Sequence[str]) -> str:
    """Return the SQL of one rule as a JSON object; text that is not JSON stays text, so a bad row can be recorded."""
    parts = []
    for column in columns:
        value = f'{row}."{column}"'
        if column in _BOOLEANS:
            value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
        elif column in _DOCUMENTS:
            value = f"CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
        parts.append(f"'{column}', {value}")
    return f"json_object({', '.join(parts)})"
