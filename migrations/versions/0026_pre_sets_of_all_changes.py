"""Record which changes of lookups and agents were made together, and why, as those of rules are.

Changes that were recorded before belong to no set. A replica of the release before goes on: what it writes gets its set
from the triggers.

Locks on PostgreSQL: ACCESS EXCLUSIVE on lookup_changes and agent_changes for milliseconds (columns that may be null).
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
FLAGS = frozenset({"enabled"})
DOCUMENTS = frozenset({"pattern", "headers", "on_error"})
EDITOR = "(SELECT {column} FROM rule_editor ORDER BY id DESC LIMIT 1)"
NAME = EDITOR.format(column="name")
BY_INSERT = f"coalesce({NAME}, NEW.updated_by, 'sql')"
BY_UPDATE = f"coalesce({NAME}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')"
BY_DELETE = f"coalesce({NAME}, 'sql')"


class Edited(NamedTuple):
    noun: str
    key: str
    reference: str
    stamps: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def table(self) -> str:
        return f"{self.noun}s"

    @property
    def changes(self) -> str:
        return f"{self.noun}_changes"


TABLES = (
    Edited(
        "lookup", "id", "lookup_id", ("created_at", "updated_at", "updated_by"),
        ("id", "name", "enabled", "pattern", "url", "headers", "timeout_ms", "cache_s", "on_error"),
    ),
    Edited(
        "agent", "agent_name", "agent_name", ("updated_at", "updated_by"),
        ("agent_name", "max_calls", "starts_per_second", "out_of_service_until", "substitute_agent_name", "note"),
    ),
)  # fmt: skip


def upgrade() -> None:
    for edited in TABLES:
        for column in ("change_set", "why"):
            op.execute(f"ALTER TABLE {edited.changes} ADD COLUMN {column} TEXT")
    remake_triggers(with_set=True)


def downgrade() -> None:
    remake_triggers(with_set=False)
    for edited in TABLES:
        for column in ("change_set", "why"):
            op.drop_column(edited.changes, column)


def remake_triggers(*, with_set: bool) -> None:
    cursor = op.get_bind().connection.cursor()  # op.execute takes the `:%f` of SQLite's time for a parameter
    for edited in TABLES:
        if op.get_bind().dialect.name == "postgresql":
            statements = postgresql(edited, with_set=with_set)
        else:
            dropped = [f"DROP TRIGGER {edited.table}_{change}" for change in ("inserted", "updated", "deleted")]
            statements = dropped + sqlite(edited, with_set=with_set)
        for statement in statements:
            cursor.execute(statement)
    cursor.close()


def postgresql(edited: Edited, *, with_set: bool) -> list[str]:
    key, without = edited.key, "".join(f" - '{stamp}'" for stamp in edited.stamps)
    declared = names = values = removed = ""
    if with_set:
        declared = f"""
        made_with text := coalesce({EDITOR.format(column="change_set")}, pg_current_xact_id()::text);
        reason text := {EDITOR.format(column="why")};"""
        names, values, removed = ", change_set, why", ", made_with, reason", ", pg_current_xact_id()::text, NULL"
    record = f"INSERT INTO {edited.changes} ({edited.reference}, change, {{}}, changed_at, changed_by{names})"
    return [
        f"""CREATE OR REPLACE FUNCTION usher_record_{edited.noun}_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := {NAME};{declared}
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD){without} END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW){without} END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.{edited.changes}'));
        IF TG_OP = 'UPDATE' AND OLD.{key} <> NEW.{key} THEN
            {record.format("before")}
            VALUES (OLD.{key}, 'delete', was, clock_timestamp(), NEW.updated_by{values});
            {record.format("after")}
            VALUES (NEW.{key}, 'insert', is_now, clock_timestamp(), NEW.updated_by{values});
        ELSIF TG_OP = 'DELETE' THEN
            {record.format("before")}
            VALUES (OLD.{key}, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user){values});
        ELSE
            {record.format("before, after")}
            VALUES (NEW.{key}, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by{values});
        END IF;
        RETURN NULL;
    END $$""",
        f"""CREATE OR REPLACE FUNCTION usher_{edited.noun}s_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.{edited.changes}'));
        {record.format("before")}
        SELECT {key}, 'delete', to_jsonb({edited.noun[0]}){without}, clock_timestamp(),
               'sql:' || session_user{removed}
          FROM {edited.table} {edited.noun[0]} ORDER BY {key};
        RETURN NULL;
    END $$""",
    ]


def sqlite(edited: Edited, *, with_set: bool) -> list[str]:
    table, key, old, new = edited.table, edited.key, document("OLD", edited.columns), document("NEW", edited.columns)
    names = values = ""
    if with_set:
        names = ", change_set, why"
        made_with = f"coalesce({EDITOR.format(column='change_set')}, lower(hex(randomblob(16))))"
        values = f", {made_with}, {EDITOR.format(column='why')}"
    columns = f'{edited.reference}, change, "before", "after", changed_at, changed_by{names}'
    record = f"INSERT INTO {edited.changes} ({columns})"
    stamp = f"UPDATE {table} SET updated_at = {SQLITE_NOW}, updated_by ="
    watched = ", ".join(f'"{column}"' for column in edited.columns)
    inserted = by_name(edited, record, new, values) if key == "id" else by_key(edited, record, new, values)
    return [
        f"""CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN
            {inserted}
            {stamp} {BY_INSERT} WHERE {key} = NEW.{key};
        END""",
        f"""CREATE TRIGGER {table}_updated AFTER UPDATE OF {watched} ON {table} WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.{key}, 'delete', {old}, NULL, {SQLITE_NOW}, {BY_DELETE}{values}
              WHERE OLD.{key} <> NEW.{key};
            {record} VALUES (
                NEW.{key}, CASE WHEN OLD.{key} = NEW.{key} THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.{key} = NEW.{key} THEN {old} END, {new}, {SQLITE_NOW}, {BY_UPDATE}{values});
            {stamp} {BY_UPDATE} WHERE {key} = NEW.{key};
        END""",
        f"""CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN
            {record} VALUES (
                OLD.{key}, 'delete', {old}, NULL, {SQLITE_NOW}, {BY_DELETE}{values});
        END""",
    ]


def by_name(edited: Edited, record: str, new: str, values: str) -> str:
    table, changes, reference, alias = edited.table, edited.changes, edited.reference, edited.noun[0]
    return f"""{record}
            SELECT c.{reference}, 'delete', c."after", NULL, {SQLITE_NOW}, {BY_DELETE}{values}
              FROM {changes} c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.{reference} <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.id = c.{reference})
               AND NOT EXISTS (
                   SELECT 1 FROM {changes} later WHERE later.{reference} = c.{reference} AND later.id > c.id);
            {record} VALUES (
                NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, {BY_INSERT}{values});"""


def by_key(edited: Edited, record: str, new: str, values: str) -> str:
    key = edited.key
    latest = f'SELECT "after" FROM {edited.changes} WHERE {edited.reference} = NEW.{key} ORDER BY id DESC LIMIT 1'
    return f"""{record} SELECT NEW.{key}, CASE WHEN ({latest}) IS NULL THEN 'insert' ELSE 'update' END, ({latest}),
                {new}, {SQLITE_NOW}, {BY_INSERT}{values};"""


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
