"""The triggers of `agents`: they write `agent_changes`, `updated_at` and `updated_by` for every edit."""

from __future__ import annotations

from app.db.tables.agents import RECORDED_OF_AGENTS
from app.db.tables.base import SQLITE_NOW


def agent_triggers(dialect: str) -> list[str]:
    """Return the statements that create the triggers of `agents`."""
    return list(_POSTGRESQL) if dialect == "postgresql" else _sqlite()


def _sqlite() -> list[str]:
    """Return the triggers for SQLite.

    REPLACE removes the old row without firing a delete trigger, so the insert trigger takes what is there already from
    the history.
    """
    old, new = _document("OLD"), _document("NEW")
    editor = "(SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1)"
    record = 'INSERT INTO agent_changes (agent_name, change, "before", "after", changed_at, changed_by)'
    stamp = f"UPDATE agents SET updated_at = {SQLITE_NOW}, updated_by = "  # noqa: S608 - of constants
    latest = 'SELECT "after" FROM agent_changes WHERE agent_name = NEW.agent_name ORDER BY id DESC LIMIT 1'
    watched = ", ".join(RECORDED_OF_AGENTS)
    by_update = f"coalesce({editor}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')"
    return [
        f"""CREATE TRIGGER agents_inserted AFTER INSERT ON agents BEGIN
            {record} SELECT NEW.agent_name, CASE WHEN ({latest}) IS NULL THEN 'insert' ELSE 'update' END, ({latest}),
                {new}, {SQLITE_NOW}, coalesce({editor}, NEW.updated_by, 'sql');
            {stamp} coalesce({editor}, NEW.updated_by, 'sql') WHERE agent_name = NEW.agent_name;
        END""",
        f"""CREATE TRIGGER agents_updated AFTER UPDATE OF {watched} ON agents WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.agent_name, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql')
              WHERE OLD.agent_name <> NEW.agent_name;
            {record} VALUES (
                NEW.agent_name, CASE WHEN OLD.agent_name = NEW.agent_name THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.agent_name = NEW.agent_name THEN {old} END, {new}, {SQLITE_NOW}, {by_update});
            {stamp} {by_update} WHERE agent_name = NEW.agent_name;
        END""",
        f"""CREATE TRIGGER agents_deleted AFTER DELETE ON agents BEGIN
            {record} VALUES (OLD.agent_name, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({editor}, 'sql'));
        END""",
        *(
            f"""CREATE TRIGGER agent_changes_{change}_refused BEFORE {change} ON agent_changes BEGIN
            SELECT raise(ABORT, 'agent_changes is append-only'); END"""
            for change in ("UPDATE", "DELETE")
        ),
    ]


def _document(row: str) -> str:
    return "json_object(" + ", ".join(f"'{name}', {row}.{name}" for name in RECORDED_OF_AGENTS) + ")"


# The advisory lock makes ids of agent_changes visible in their order, as that of rule_changes does.
_POSTGRESQL = (
    """CREATE FUNCTION usher_stamp_agent() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.updated_at := clock_timestamp();
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
    """CREATE FUNCTION usher_record_agent_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.agent_changes'));
        IF TG_OP = 'UPDATE' AND OLD.agent_name <> NEW.agent_name THEN
            INSERT INTO agent_changes (agent_name, change, before, changed_at, changed_by)
            VALUES (OLD.agent_name, 'delete', was, clock_timestamp(), NEW.updated_by);
            INSERT INTO agent_changes (agent_name, change, after, changed_at, changed_by)
            VALUES (NEW.agent_name, 'insert', is_now, clock_timestamp(), NEW.updated_by);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO agent_changes (agent_name, change, before, changed_at, changed_by)
            VALUES (OLD.agent_name, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user));
        ELSE
            INSERT INTO agent_changes (agent_name, change, before, after, changed_at, changed_by)
            VALUES (NEW.agent_name, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by);
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION usher_agents_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.agent_changes'));
        INSERT INTO agent_changes (agent_name, change, before, changed_at, changed_by)
        SELECT agent_name, 'delete', to_jsonb(a) - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user
          FROM agents a ORDER BY agent_name;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER agents_stamped BEFORE INSERT OR UPDATE ON agents
       FOR EACH ROW EXECUTE FUNCTION usher_stamp_agent()""",
    """CREATE TRIGGER agents_recorded AFTER INSERT OR UPDATE OR DELETE ON agents
       FOR EACH ROW EXECUTE FUNCTION usher_record_agent_change()""",
    """CREATE TRIGGER agents_truncated BEFORE TRUNCATE ON agents
       FOR EACH STATEMENT EXECUTE FUNCTION usher_agents_truncated()""",
    """CREATE TRIGGER agent_changes_refused BEFORE UPDATE OR DELETE ON agent_changes
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()""",
)
