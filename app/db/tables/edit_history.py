"""The triggers that record each edit of a table that people edit with plain SQL, one row of its history an edit.

They also write `updated_at` and `updated_by` of the row, and keep the history append-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import JSON, Boolean, Table

from app.db.tables.base import SQLITE_NOW

_EDITOR = "(SELECT {column} FROM rule_editor ORDER BY id DESC LIMIT 1)"
_NAME_OF_EDITOR = _EDITOR.format(column="name")
_BY_INSERT = f"coalesce({_NAME_OF_EDITOR}, NEW.updated_by, 'sql')"
_BY_UPDATE = (
    f"coalesce({_NAME_OF_EDITOR}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')"
)


@dataclass(frozen=True, slots=True)
class EditHistory:
    """A table and its history. `noun` names one row of the table in the names of functions."""

    noun: str
    table: Table
    changes: Table
    columns: Sequence[str]
    """What is recorded, on SQLite; on PostgreSQL it is the whole row without `stamps`."""
    stamps: Sequence[str] = ("created_at", "updated_at", "updated_by")
    key: str = "id"
    reference: str = ""
    """The column of `changes` that holds the key; empty for `<noun>_id`."""
    stamped_by: str = ""
    """The function on PostgreSQL that writes the stamps; empty for one of its own."""

    @property
    def _reference(self) -> str:
        return self.reference or f"{self.noun}_id"

    def _record(self, columns: str) -> str:
        names = f"{self._reference}, change, {columns}, changed_at, changed_by, change_set, why"
        return f"INSERT INTO {self.changes.name} ({names})"

    def triggers(self, dialect: str) -> list[str]:
        """Return the statements that create the triggers and, on PostgreSQL, their functions."""
        return self._postgresql() if dialect == "postgresql" else self._sqlite()

    def _sqlite(self) -> list[str]:
        table, key = self.table.name, self.key
        old, new = self._document("OLD"), self._document("NEW")
        record, reasons = self._record('"before", "after"'), self._reasons_on_sqlite()
        watched = ", ".join(f'"{column}"' for column in self.columns)
        return [
            self._inserted_by_name(record, new) if key == "id" else self._inserted_by_key(record, new),
            f"""CREATE TRIGGER {table}_updated AFTER UPDATE OF {watched} ON {table} WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.{key}, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({_NAME_OF_EDITOR}, 'sql'){reasons}
              WHERE OLD.{key} <> NEW.{key};
            {record} VALUES (
                NEW.{key}, CASE WHEN OLD.{key} = NEW.{key} THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.{key} = NEW.{key} THEN {old} END, {new}, {SQLITE_NOW}, {_BY_UPDATE}{reasons});
            {self._stamp(_BY_UPDATE)}
        END""",
            f"""CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN
            {record} VALUES (
                OLD.{key}, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({_NAME_OF_EDITOR}, 'sql'){reasons});
        END""",
            *(append_only_on_sqlite(self.changes.name, change) for change in ("UPDATE", "DELETE")),
        ]

    def _inserted_by_name(self, record: str, new: str) -> str:
        """Return the trigger of a table whose key the database gives.

        REPLACE fires no delete trigger, so this one also records the removal of a row that had the same name.
        """
        table, changes, alias = self.table.name, self.changes.name, self.table.name[0]
        reference, reasons = self._reference, self._reasons_on_sqlite()
        return f"""CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN
            {record}
            SELECT c.{reference}, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({_NAME_OF_EDITOR}, 'sql'){reasons}
              FROM {changes} c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.{reference} <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.id = c.{reference})
               AND NOT EXISTS (
                   SELECT 1 FROM {changes} later WHERE later.{reference} = c.{reference} AND later.id > c.id);
            {record} VALUES (
                NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, {_BY_INSERT}{reasons});
            {self._stamp(_BY_INSERT)}
        END"""  # noqa: S608 - made of names in the schema

    def _inserted_by_key(self, record: str, new: str) -> str:
        """Return the trigger of a table whose key people give.

        REPLACE fires no delete trigger, so what the row replaces is taken from the history.
        """
        table, key, changes, reference = self.table.name, self.key, self.changes.name, self._reference
        latest = f'SELECT "after" FROM {changes} WHERE {reference} = NEW.{key} ORDER BY id DESC LIMIT 1'  # noqa: S608
        return f"""CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN
            {record} SELECT NEW.{key}, CASE WHEN ({latest}) IS NULL THEN 'insert' ELSE 'update' END, ({latest}),
                {new}, {SQLITE_NOW}, {_BY_INSERT}{self._reasons_on_sqlite()};
            {self._stamp(_BY_INSERT)}
        END"""

    def _stamp(self, by: str) -> str:
        table, key = self.table.name, self.key
        return f"UPDATE {table} SET updated_at = {SQLITE_NOW}, updated_by = {by} WHERE {key} = NEW.{key};"  # noqa: S608

    def _reasons_on_sqlite(self) -> str:
        made_with = f"coalesce({_EDITOR.format(column='change_set')}, lower(hex(randomblob(16))))"
        return f", {made_with}, {_EDITOR.format(column='why')}"

    def _document(self, row: str) -> str:
        """Return the SQL of a row as a JSON object.

        It has text that is not JSON under `$not_json`, which no column of a rule takes: as a JSON string, the text
        would be a template.
        """
        parts = []
        for column in self.columns:
            value = f'{row}."{column}"'
            kind = self.table.columns[column].type
            if isinstance(kind, Boolean):
                value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
            elif isinstance(kind, JSON):
                apart = f"WHEN {value} IS NOT NULL THEN json_object('$not_json', {value})"
                value = f"CASE WHEN json_valid({value}) THEN json({value}) {apart} END"
            parts.append(f"'{column}', {value}")
        return f"json_object({', '.join(parts)})"

    def _postgresql(self) -> list[str]:
        table, changes, noun = self.table.name, self.changes.name, self.noun
        stamp = self.stamped_by or f"usher_stamp_{noun}"
        return [
            *([] if self.stamped_by else [self._stamping(stamp)]),
            self._recording(),
            self._truncating(),
            f"""CREATE TRIGGER {table}_stamped BEFORE INSERT OR UPDATE ON {table}
       FOR EACH ROW EXECUTE FUNCTION {stamp}()""",
            f"""CREATE TRIGGER {table}_recorded AFTER INSERT OR UPDATE OR DELETE ON {table}
       FOR EACH ROW EXECUTE FUNCTION usher_record_{noun}_change()""",
            f"""CREATE TRIGGER {table}_truncated BEFORE TRUNCATE ON {table}
       FOR EACH STATEMENT EXECUTE FUNCTION usher_{noun}s_truncated()""",
            f"""CREATE TRIGGER {changes}_refused BEFORE UPDATE OR DELETE ON {changes}
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()""",
        ]

    def _stamping(self, name: str) -> str:
        # Where there is no `created_at`, `updated_at` says when the row was inserted, whatever the INSERT says.
        at_insert = "" if "created_at" in self.stamps else "NEW.updated_at := clock_timestamp();"
        return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := {_NAME_OF_EDITOR};
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {at_insert}
            NEW.updated_by := coalesce(editor, NEW.updated_by, 'sql:' || session_user);
        ELSIF to_jsonb(NEW) - 'updated_at' - 'updated_by'
              IS DISTINCT FROM to_jsonb(OLD) - 'updated_at' - 'updated_by' THEN
            NEW.updated_at := clock_timestamp();
            NEW.updated_by := coalesce(
                editor, CASE WHEN NEW.updated_by IS DISTINCT FROM OLD.updated_by THEN NEW.updated_by END,
                'sql:' || session_user);
        END IF;
        RETURN NEW;
    END $$"""

    def _recording(self) -> str:
        # The advisory lock makes ids of the history visible in their order: without it, readers that follow max(id)
        # would miss a slower transaction with a smaller id. Rows of rule_editor are deleted before commit, so those of
        # other transactions are never visible here.
        key, without = self.key, "".join(f" - '{stamp}'" for stamp in self.stamps)
        change_set = f"coalesce({_EDITOR.format(column='change_set')}, pg_current_xact_id()::text)"
        return f"""CREATE FUNCTION usher_record_{self.noun}_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := {_NAME_OF_EDITOR};
        made_with text := {change_set};
        reason text := {_EDITOR.format(column="why")};
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD){without} END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW){without} END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.{self.changes.name}'));
        IF TG_OP = 'UPDATE' AND OLD.{key} <> NEW.{key} THEN
            {self._record("before")}
            VALUES (OLD.{key}, 'delete', was, clock_timestamp(), NEW.updated_by, made_with, reason);
            {self._record("after")}
            VALUES (NEW.{key}, 'insert', is_now, clock_timestamp(), NEW.updated_by, made_with, reason);
        ELSIF TG_OP = 'DELETE' THEN
            {self._record("before")}
            VALUES (OLD.{key}, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user),
                    made_with, reason);
        ELSE
            {self._record("before, after")}
            VALUES (NEW.{key}, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by, made_with, reason);
        END IF;
        RETURN NULL;
    END $$"""

    def _truncating(self) -> str:
        table, key, alias = self.table.name, self.key, self.table.name[0]
        without = "".join(f" - '{stamp}'" for stamp in self.stamps)
        return f"""CREATE FUNCTION usher_{self.noun}s_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.{self.changes.name}'));
        {self._record("before")}
        SELECT {key}, 'delete', to_jsonb({alias}){without}, clock_timestamp(), 'sql:' || session_user,
               pg_current_xact_id()::text, NULL
          FROM {table} {alias} ORDER BY {key};
        RETURN NULL;
    END $$"""  # noqa: S608 - made of names in the schema


def append_only_on_sqlite(table: str, change: str) -> str:
    """Return the trigger that refuses `change` (UPDATE, DELETE) of a row of `table`."""
    return f"""CREATE TRIGGER {table}_{change}_refused BEFORE {change} ON {table} BEGIN
        SELECT raise(ABORT, '{table} is append-only'); END"""
