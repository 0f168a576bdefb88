"""Lookups and their history: HTTP questions about a caller that are asked before its rules are evaluated."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, text, true

from app.db.tables.base import SQLITE_NOW, Serial, current_instant, flag, metadata
from app.db.types import Json, Timestamp

MAX_TIMEOUT_MS: Final = 5000
"""Longest time that a caller waits for an answer: it hears the phone ring, or silence."""
MAX_CACHE_S: Final = 86_400
"""Longest time that an answer is kept in memory."""

# One row per lookup. Triggers write lookup_changes, updated_at and updated_by for every edit, by SQL or otherwise.
lookups = Table(
    "lookups",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),  # rules and templates read the answer at `lookup.<name>`
    Column("enabled", flag("enabled"), nullable=False, server_default=true()),
    Column("pattern", Json, nullable=False),  # which joins it is asked about
    Column("url", Text, nullable=False),
    Column("headers", Json),  # secrets as {"authorization": "env:CRM_TOKEN"}
    Column("timeout_ms", Integer, nullable=False, server_default="1500"),
    Column("cache_s", Integer, nullable=False, server_default="0"),  # how long an answer is used again
    Column("on_error", Json),  # what stands for the answer if none comes
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_by", Text),  # user, or `sql`
    UniqueConstraint("name"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint(f"timeout_ms BETWEEN 1 AND {MAX_TIMEOUT_MS}", name="timeout_ms"),
    CheckConstraint(f"cache_s BETWEEN 0 AND {MAX_CACHE_S}", name="cache_s"),
)

# Append-only, written by triggers. max(id) is the version of the lookups.
lookup_changes = Table(
    "lookup_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("lookup_id", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),  # the lookup as an object; NULL for an insert
    Column("after", Json),  # likewise; NULL for a delete
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", Text, nullable=False),
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "lookup_id", "id"),
    # For the SQLite trigger that looks for a removed lookup by its name.
    Index("ix_lookup_changes_replaced", text("json_extract(\"after\", '$.name')")).ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,
)

LOOKUP_COLUMNS: Final = ("name", "enabled", "pattern", "url", "headers", "timeout_ms", "cache_s", "on_error")
"""What people write, in the order of forms and answers."""
LOOKUP_STAMPS: Final = ("created_at", "updated_at", "updated_by")
"""Written by the database."""
LOOKUP_DOCUMENTS: Final = ("pattern", "headers", "on_error")
"""The columns that hold JSON."""


def lookup_triggers(dialect: str) -> list[str]:
    """Return the statements that create the triggers of lookups."""
    return list(_POSTGRESQL) if dialect == "postgresql" else _on_sqlite()


def _on_sqlite() -> list[str]:
    """Return the triggers on SQLite; REPLACE fires no delete trigger, so an insert records what it removed."""
    old, new = _document("OLD"), _document("NEW")
    editor = "(SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1)"
    record = 'INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by)'
    stamp = f"UPDATE lookups SET updated_at = {SQLITE_NOW}, updated_by = "  # noqa: S608 - of constants
    renamed_by = "CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END"
    watched = ", ".join(f'"{column}"' for column in ("id", *LOOKUP_COLUMNS))
    return [
        f"""CREATE TRIGGER lookups_inserted AFTER INSERT ON lookups BEGIN
            {record}
            SELECT c.lookup_id, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({editor}, 'sql')
              FROM lookup_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.lookup_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM lookups l WHERE l.id = c.lookup_id)
               AND NOT EXISTS
                   (SELECT 1 FROM lookup_changes later WHERE later.lookup_id = c.lookup_id AND later.id > c.id);
            {record} VALUES (NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, coalesce({editor}, NEW.updated_by, 'sql'));
            {stamp} coalesce({editor}, NEW.updated_by, 'sql') WHERE id = NEW.id;
        END""",  # noqa: S608 - made of column names
        f"""CREATE TRIGGER lookups_updated AFTER UPDATE OF {watched} ON lookups
            WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql')
              WHERE OLD.id <> NEW.id;
            {record} VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN {old} END, {new}, {SQLITE_NOW}, coalesce({editor}, {renamed_by}, 'sql'));
            {stamp} coalesce({editor}, {renamed_by}, 'sql') WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER lookups_deleted AFTER DELETE ON lookups BEGIN
            {record} VALUES (OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'));
        END""",
        *(
            f"""CREATE TRIGGER lookup_changes_{change}_refused BEFORE {change} ON lookup_changes BEGIN
        SELECT raise(ABORT, 'lookup_changes is append-only'); END"""
            for change in ("UPDATE", "DELETE")
        ),
    ]


def _document(row: str) -> str:
    """Return the SQL of one lookup as a JSON object; text that is not JSON stays text, so a bad row can be recorded."""
    parts = [f"'id', {row}.\"id\""]
    for column in LOOKUP_COLUMNS:
        value = f'{row}."{column}"'
        if column == "enabled":
            value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
        elif column in LOOKUP_DOCUMENTS:
            value = f"CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
        parts.append(f"'{column}', {value}")
    return f"json_object({', '.join(parts)})"


# The advisory lock makes ids visible in their order, as with rule_changes. `usher_stamp_rule` is the rules' function.
_POSTGRESQL = (
    """CREATE FUNCTION usher_record_lookup_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'created_at' - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'created_at' - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.lookup_changes'));
        IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
            INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), NEW.updated_by);
            INSERT INTO lookup_changes (lookup_id, change, after, changed_at, changed_by)
            VALUES (NEW.id, 'insert', is_now, clock_timestamp(), NEW.updated_by);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user));
        ELSE
            INSERT INTO lookup_changes (lookup_id, change, before, after, changed_at, changed_by)
            VALUES (NEW.id, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by);
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION usher_lookups_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.lookup_changes'));
        INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
        SELECT id, 'delete', to_jsonb(l) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user
          FROM lookups l ORDER BY id;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER lookups_stamped BEFORE INSERT OR UPDATE ON lookups
       FOR EACH ROW EXECUTE FUNCTION usher_stamp_rule()""",
    """CREATE TRIGGER lookups_recorded AFTER INSERT OR UPDATE OR DELETE ON lookups
       FOR EACH ROW EXECUTE FUNCTION usher_record_lookup_change()""",
    """CREATE TRIGGER lookups_truncated BEFORE TRUNCATE ON lookups
       FOR EACH STATEMENT EXECUTE FUNCTION usher_lookups_truncated()""",
    """CREATE TRIGGER lookup_changes_refused BEFORE UPDATE OR DELETE ON lookup_changes
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()""",
)
