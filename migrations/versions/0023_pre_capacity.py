"""Give agents a table of their own, and rules and dispatches a queue.

`agents` takes the place of `agent_limits`, with a history that triggers write.

An Usher from before this revision reads `agent_limits`: stop it first.

Locks on PostgreSQL: ACCESS EXCLUSIVE on routing_rules and dispatches for milliseconds (columns with constant defaults,
CHECKs that are not validated); SHARE UPDATE EXCLUSIVE on dispatches while the CHECKs are validated and the indexes are
built, which lets writers go on. May be repeated after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CAUSES = (
    "rule_matched", "promised", "agent_may_return", "replaces_agent", "template_failed",
    "over_budget", "claimed", "sender_lost",
    "caller_present", "waits_for_limit", "accepted", "adopted", "late_answer", "refused", "livekit_unreachable",
    "outcome_unknown", "livekit_recovered", "agent_overdue", "no_agent", "fallback", "clock_step", "process_restarted",
    "agent_joined", "agent_reconnected", "agent_not_ours", "agent_left",
    "agent_left_early", "callers_left", "caller_left", "room_closed", "room_lost",
    "cancelled_by_hand", "redriven", "room_restarted", "room_unlisted", "room_found", "agent_lost",
    "handover", "handed_over", "handover_failed",
)  # fmt: skip
NEW_CAUSES = ("queued", "queue_timeout", "substitute", "out_of_service")
QUEUED_AT = "queued_at IS NULL OR status = 'pending'"
RULE_CHECKS = {
    "max_calls": "max_calls BETWEEN 0 AND 1000000",
    "queue_timeout_s": "queue_timeout_s BETWEEN 0 AND 86400",
    "queue_priority": "queue_priority BETWEEN -1000000 AND 1000000",
}
INDEXES = {
    "queue": "(project, coalesce(asked_agent_name, agent_name), rule_id, queue_priority, queued_at, id)"
    " WHERE queued_at IS NOT NULL",
    "place_kept": "(placed_at) WHERE status = 'pending' AND placed_at IS NOT NULL",
    "announced": "(id) WHERE announce AND status IN ('pending', 'sending', 'dispatched', 'joined')",
}
AGENT_CHECKS = """
    CONSTRAINT ck_agents_agent_name CHECK (length(agent_name) BETWEEN 1 AND 256),
    CONSTRAINT ck_agents_max_calls CHECK (max_calls BETWEEN 0 AND 1000000),
    CONSTRAINT ck_agents_starts_per_second CHECK (starts_per_second BETWEEN 1 AND 10000),
    CONSTRAINT ck_agents_substitute_agent_name CHECK (
        length(substitute_agent_name) BETWEEN 1 AND 256 AND substitute_agent_name <> agent_name),
    CONSTRAINT ck_agents_note CHECK (length(note) <= 10000)
"""
LIMITED = (
    "CREATE INDEX ix_agents_limited ON agents (agent_name) WHERE max_calls IS NOT NULL OR starts_per_second IS NOT NULL"
    " OR out_of_service_until IS NOT NULL"
)
OF_CHANGES = "CREATE INDEX ix_agent_changes_agent_name_id ON agent_changes (agent_name, id)"
COPY = (
    "INSERT INTO agents (agent_name, max_calls, starts_per_second, updated_by) SELECT agent_name,"
    " CASE WHEN max_active > 1000000 THEN 1000000 ELSE max_active END,"
    " CASE WHEN starts_per_second > 10000 THEN 10000 ELSE starts_per_second END, 'usher migrate' FROM agent_limits"
    " WHERE length(agent_name) BETWEEN 1 AND 256"
)
COPY_BACK = (
    "INSERT INTO agent_limits (agent_name, max_active, starts_per_second) SELECT agent_name, max_calls,"
    " starts_per_second FROM agents WHERE max_calls IS NOT NULL OR starts_per_second IS NOT NULL"
)
OLD_CAUSES = (
    "UPDATE dispatches SET cause = CASE cause WHEN 'queued' THEN 'waits_for_limit' WHEN 'substitute' THEN 'fallback'"
    " ELSE 'no_agent' END WHERE cause IN ('queued', 'queue_timeout', 'substitute', 'out_of_service')"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        upgrade_postgresql()
    else:
        upgrade_sqlite()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        downgrade_postgresql()
    else:
        downgrade_sqlite()


def cause_check(causes: tuple[str, ...]) -> str:
    return "cause IN (" + ", ".join(f"'{cause}'" for cause in causes) + ")"


def run_on_driver(*statements: str) -> None:
    # The text is no template, so a percent sign or a colon in it is one.
    cursor = op.get_bind().connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


# PostgreSQL


def upgrade_postgresql() -> None:
    op.execute(
        "ALTER TABLE dispatches ADD COLUMN IF NOT EXISTS max_calls INTEGER,"
        " ADD COLUMN IF NOT EXISTS queue_timeout_s INTEGER,"
        " ADD COLUMN IF NOT EXISTS queue_priority INTEGER DEFAULT '100' NOT NULL,"
        " ADD COLUMN IF NOT EXISTS announce BOOLEAN DEFAULT false NOT NULL,"
        " ADD COLUMN IF NOT EXISTS queued_at TIMESTAMP WITH TIME ZONE,"
        " ADD COLUMN IF NOT EXISTS placed_at TIMESTAMP WITH TIME ZONE,"
        " DROP CONSTRAINT IF EXISTS ck_dispatches_queued_at, DROP CONSTRAINT ck_dispatches_cause"
    )
    op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_queued_at CHECK ({QUEUED_AT}) NOT VALID")
    check = cause_check(CAUSES + NEW_CAUSES)
    op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_cause CHECK ({check}) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_queued_at")
        op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_cause")
        for name, rest in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_dispatches_{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY ix_dispatches_{name} ON dispatches {rest}")
    checks = "".join(f", ADD CONSTRAINT ck_routing_rules_{name} CHECK ({check})" for name, check in RULE_CHECKS.items())
    op.execute(
        "ALTER TABLE routing_rules ADD COLUMN max_calls INTEGER, ADD COLUMN queue_timeout_s INTEGER,"
        " ADD COLUMN queue_priority INTEGER DEFAULT '100' NOT NULL,"
        f" ADD COLUMN announce BOOLEAN DEFAULT false NOT NULL{checks}"
    )
    op.execute(
        "CREATE TABLE agents (agent_name TEXT NOT NULL, max_calls INTEGER, starts_per_second INTEGER,"
        " out_of_service_until TIMESTAMP WITH TIME ZONE, substitute_agent_name TEXT, note TEXT DEFAULT '' NOT NULL,"
        " updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, updated_by TEXT,"
        f" CONSTRAINT pk_agents PRIMARY KEY (agent_name), {AGENT_CHECKS})"
    )
    op.execute(LIMITED)
    op.execute(
        "CREATE TABLE agent_changes (id BIGSERIAL NOT NULL, agent_name TEXT NOT NULL, change TEXT NOT NULL,"
        " before JSONB, after JSONB, changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,"
        " changed_by TEXT NOT NULL, CONSTRAINT pk_agent_changes PRIMARY KEY (id),"
        " CONSTRAINT ck_agent_changes_change CHECK (change IN ('insert', 'update', 'delete')))"
    )
    op.execute(OF_CHANGES)
    run_on_driver(*POSTGRESQL_TRIGGERS)
    op.execute(COPY)
    op.execute("DROP TABLE agent_limits")


def downgrade_postgresql() -> None:
    op.execute(
        "CREATE TABLE agent_limits (agent_name TEXT NOT NULL, max_active INTEGER, starts_per_second INTEGER,"
        " CONSTRAINT pk_agent_limits PRIMARY KEY (agent_name),"
        " CONSTRAINT ck_agent_limits_max_active CHECK (max_active IS NULL OR max_active >= 0),"
        " CONSTRAINT ck_agent_limits_starts_per_second CHECK (starts_per_second IS NULL OR starts_per_second >= 1))"
    )
    op.execute(COPY_BACK)
    op.execute("DROP TABLE agents")
    op.execute("DROP TABLE agent_changes")
    op.execute("DROP FUNCTION usher_stamp_agent, usher_record_agent_change, usher_agents_truncated")
    leave_queues("now()")
    op.execute("ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_cause")
    op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_cause CHECK ({cause_check(CAUSES)})")
    forget_rules_postgresql()
    for table, columns in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} " + ", ".join(f"DROP COLUMN {column}" for column in columns))


def forget_rules_postgresql() -> None:
    """Take the columns out of the recorded rules; the trigger that keeps history append-only is off meanwhile."""
    op.execute("ALTER TABLE rule_changes DISABLE TRIGGER USER")
    without = "".join(f" - '{column}'" for column in COLUMNS["routing_rules"])
    for side in ('"before"', '"after"'):
        op.execute(f"UPDATE rule_changes SET {side} = {side}{without} WHERE {side} ? 'max_calls'")
    op.execute("ALTER TABLE rule_changes ENABLE TRIGGER USER")


COLUMNS = {
    "routing_rules": ("max_calls", "queue_timeout_s", "queue_priority", "announce"),
    "dispatches": ("max_calls", "queue_timeout_s", "queue_priority", "announce", "queued_at", "placed_at"),
}


def leave_queues(now: str) -> None:
    op.execute(f"UPDATE dispatches SET next_attempt_at = {now} WHERE queued_at IS NOT NULL")
    op.execute(OLD_CAUSES)
    for name in INDEXES:
        op.execute(f"DROP INDEX ix_dispatches_{name}")


POSTGRESQL_TRIGGERS = (
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


# SQLite

SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
EDITOR = "(SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1)"
BEFORE = (
    "id", "name", "description", "enabled", "priority", "pattern", "agent_name", "metadata", "attributes", "deployment",
    "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays", "answer_timeout_s",
    "max_attempts", "fallbacks", "min_stay_s", "recover", "withdraw", "objective_percent", "objective_s",
)  # fmt: skip
AFTER = (*BEFORE[:-2], *COLUMNS["routing_rules"], *BEFORE[-2:])
FLAGS = frozenset({"enabled", "withdraw", "announce"})
DOCUMENTS = frozenset({"pattern", "metadata", "attributes", "fallbacks"})
OF_AGENTS = (
    "agent_name", "max_calls", "starts_per_second", "out_of_service_until", "substitute_agent_name", "note",
)  # fmt: skip
REWRITE = "UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = 'dispatches'"
MORE_CAUSES = "".join(f", '{cause}'" for cause in NEW_CAUSES)
LAST_CAUSE = f"'{CAUSES[-1]}'"
REFUSED = """
CREATE TRIGGER rule_changes_UPDATE_refused BEFORE UPDATE ON rule_changes BEGIN
    SELECT raise(ABORT, 'rule_changes is append-only');
END
"""


def upgrade_sqlite() -> None:
    rewrite_causes(LAST_CAUSE, LAST_CAUSE + MORE_CAUSES)
    add = "ALTER TABLE dispatches ADD COLUMN"
    op.execute(f"{add} max_calls INTEGER")
    op.execute(f"{add} queue_timeout_s INTEGER")
    op.execute(f"{add} queue_priority INTEGER DEFAULT '100' NOT NULL")
    op.execute(f"{add} announce BOOLEAN DEFAULT 0 NOT NULL")
    op.execute(f"{add} queued_at TEXT CONSTRAINT ck_dispatches_queued_at CHECK ({QUEUED_AT})")
    op.execute(f"{add} placed_at TEXT")
    for name, rest in INDEXES.items():
        op.execute(f"CREATE INDEX ix_dispatches_{name} ON dispatches {rest}")
    drop_rule_triggers()
    add = "ALTER TABLE routing_rules ADD COLUMN"
    for name, kind in (("max_calls", ""), ("queue_timeout_s", ""), ("queue_priority", " DEFAULT '100' NOT NULL")):
        op.execute(f"{add} {name} INTEGER{kind} CONSTRAINT ck_routing_rules_{name} CHECK ({RULE_CHECKS[name]})")
    flag = "CONSTRAINT ck_routing_rules_announce CHECK (announce IN (0, 1))"
    op.execute(f"{add} announce BOOLEAN DEFAULT 0 NOT NULL {flag}")
    run_on_driver(*rule_triggers(AFTER))
    run_on_driver(
        "CREATE TABLE agents (agent_name TEXT NOT NULL, max_calls INTEGER, starts_per_second INTEGER,"
        " out_of_service_until TEXT, substitute_agent_name TEXT, note TEXT DEFAULT '' NOT NULL,"
        f" updated_at TEXT DEFAULT {SQLITE_NOW} NOT NULL, updated_by TEXT,"
        f" CONSTRAINT pk_agents PRIMARY KEY (agent_name), {AGENT_CHECKS},"
        " CONSTRAINT ck_agents_out_of_service_until CHECK ("
        " out_of_service_until GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        " AND julianday(out_of_service_until) > 0))",
        LIMITED,
        "CREATE TABLE agent_changes (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,"
        ' agent_name TEXT NOT NULL, change TEXT NOT NULL, "before" JSON, "after" JSON,'
        f" changed_at TEXT DEFAULT {SQLITE_NOW} NOT NULL, changed_by TEXT NOT NULL,"
        " CONSTRAINT ck_agent_changes_change CHECK (change IN ('insert', 'update', 'delete')))",
        OF_CHANGES,
        *agent_triggers(),
        COPY,
        "DROP TABLE agent_limits",
    )


def downgrade_sqlite() -> None:
    run_on_driver(
        "CREATE TABLE agent_limits (agent_name TEXT NOT NULL, max_active INTEGER, starts_per_second INTEGER,"
        " CONSTRAINT pk_agent_limits PRIMARY KEY (agent_name),"
        " CONSTRAINT ck_agent_limits_max_active CHECK (max_active IS NULL OR max_active >= 0),"
        " CONSTRAINT ck_agent_limits_starts_per_second CHECK (starts_per_second IS NULL OR starts_per_second >= 1))",
        COPY_BACK,
        "DROP TABLE agents",
        "DROP TABLE agent_changes",
    )
    run_on_driver(f"UPDATE dispatches SET next_attempt_at = {SQLITE_NOW} WHERE queued_at IS NOT NULL")
    op.execute(OLD_CAUSES)
    for name in INDEXES:
        op.execute(f"DROP INDEX ix_dispatches_{name}")
    for column in COLUMNS["dispatches"]:
        op.execute(f"ALTER TABLE dispatches DROP COLUMN {column}")
    rewrite_causes(LAST_CAUSE + MORE_CAUSES, LAST_CAUSE)
    forget_rules_sqlite()
    drop_rule_triggers()
    for column in COLUMNS["routing_rules"]:
        op.execute(f"ALTER TABLE routing_rules DROP COLUMN {column}")
    run_on_driver(*rule_triggers(BEFORE))


def rewrite_causes(before: str, after: str) -> None:
    """Change the CHECK in place, as https://sqlite.org/lang_altertable.html says."""
    op.execute("PRAGMA writable_schema = ON")
    op.get_bind().execute(sa.text(REWRITE), {"before": before, "after": after})
    op.execute("PRAGMA writable_schema = RESET")


def forget_rules_sqlite() -> None:
    """Take the columns out of the recorded rules; the trigger that keeps history append-only is off meanwhile."""
    paths = ", ".join(f"'$.{column}'" for column in COLUMNS["routing_rules"])
    run_on_driver(
        "DROP TRIGGER rule_changes_UPDATE_refused",
        *(
            f"UPDATE rule_changes SET {side} = json_remove({side}, {paths}) WHERE {side} IS NOT NULL"
            for side in ('"before"', '"after"')
        ),
        REFUSED,
    )


def drop_rule_triggers() -> None:
    for change in ("inserted", "updated", "deleted"):
        op.execute(f"DROP TRIGGER routing_rules_{change}")


def rule_triggers(columns: tuple[str, ...]) -> list[str]:
    """Return the triggers that write `rule_changes`, as 0014 made them, for these columns."""
    old, new = document("OLD", columns), document("NEW", columns)
    record = 'INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)'
    stamp = f"UPDATE routing_rules SET updated_at = {SQLITE_NOW}, updated_by = "
    watched = ", ".join(f'"{column}"' for column in columns)
    return [
        f"""CREATE TRIGGER routing_rules_inserted AFTER INSERT ON routing_rules BEGIN
            {record}
            SELECT c.rule_id, 'delete', c."after", NULL, {SQLITE_NOW}, coalesce({EDITOR}, 'sql')
              FROM rule_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.rule_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM routing_rules r WHERE r.id = c.rule_id)
               AND NOT EXISTS (SELECT 1 FROM rule_changes later WHERE later.rule_id = c.rule_id AND later.id > c.id);
            {record} VALUES (NEW.id, 'insert', NULL, {new}, {SQLITE_NOW}, coalesce({EDITOR}, NEW.updated_by, 'sql'));
            {stamp} coalesce({EDITOR}, NEW.updated_by, 'sql') WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_updated AFTER UPDATE OF {watched} ON routing_rules
            WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({EDITOR}, 'sql')
              WHERE OLD.id <> NEW.id;
            {record} VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN {old} END, {new}, {SQLITE_NOW},
                coalesce({EDITOR}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql'));
            {stamp} coalesce({EDITOR}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
              WHERE id = NEW.id;
        END""",
        f"""CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules BEGIN
            {record} VALUES (OLD.id, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({EDITOR}, 'sql'));
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


def agent_triggers() -> list[str]:
    """Return the triggers that write `agent_changes`."""
    old, new = agent_document("OLD"), agent_document("NEW")
    record = 'INSERT INTO agent_changes (agent_name, change, "before", "after", changed_at, changed_by)'
    stamp = f"UPDATE agents SET updated_at = {SQLITE_NOW}, updated_by = "
    latest = 'SELECT "after" FROM agent_changes WHERE agent_name = NEW.agent_name ORDER BY id DESC LIMIT 1'
    watched = ", ".join(OF_AGENTS)
    by_update = f"coalesce({EDITOR}, CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')"
    return [
        f"""CREATE TRIGGER agents_inserted AFTER INSERT ON agents BEGIN
            {record} SELECT NEW.agent_name, CASE WHEN ({latest}) IS NULL THEN 'insert' ELSE 'update' END, ({latest}),
                {new}, {SQLITE_NOW}, coalesce({EDITOR}, NEW.updated_by, 'sql');
            {stamp} coalesce({EDITOR}, NEW.updated_by, 'sql') WHERE agent_name = NEW.agent_name;
        END""",
        f"""CREATE TRIGGER agents_updated AFTER UPDATE OF {watched} ON agents WHEN {old} IS NOT {new} BEGIN
            {record} SELECT OLD.agent_name, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({EDITOR}, 'sql')
              WHERE OLD.agent_name <> NEW.agent_name;
            {record} VALUES (
                NEW.agent_name, CASE WHEN OLD.agent_name = NEW.agent_name THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.agent_name = NEW.agent_name THEN {old} END, {new}, {SQLITE_NOW}, {by_update});
            {stamp} {by_update} WHERE agent_name = NEW.agent_name;
        END""",
        f"""CREATE TRIGGER agents_deleted AFTER DELETE ON agents BEGIN
            {record} VALUES (OLD.agent_name, 'delete', {old}, NULL, {SQLITE_NOW}, coalesce({EDITOR}, 'sql'));
        END""",
        *(
            f"""CREATE TRIGGER agent_changes_{change}_refused BEFORE {change} ON agent_changes BEGIN
            SELECT raise(ABORT, 'agent_changes is append-only'); END"""
            for change in ("UPDATE", "DELETE")
        ),
    ]


def agent_document(row: str) -> str:
    return "json_object(" + ", ".join(f"'{name}', {row}.{name}" for name in OF_AGENTS) + ")"
