"""Let rules say which agents they replace and how long an agent must stay, and record what was before an agent.

`recover` of rules, of their history and of dispatches was true or false: true becomes `lost`, false `never`. Rules that
exist keep their `withdraw`; rules that are made without one have true from now on.

An Usher from before the first release reads and writes `recover` as a boolean: stop it first.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches and dispatch_attempts for milliseconds (columns with constant
defaults, CHECKs that are not validated); row locks in batches of 5,000 dispatches, each committed; SHARE UPDATE
EXCLUSIVE while CHECKs are validated; at the end ACCESS EXCLUSIVE on routing_rules and rule_changes while they are
rewritten (a second for a hundred thousand rules). May be repeated after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BATCH = 5_000
RECOVER = "recover IN ('never', 'lost', 'always')"
OUTCOMES = "outcome IN ('accepted', 'rejected', 'unknown', 'adopted', 'no_show'{more})"
NEW_OUTCOMES, OLD_OUTCOMES = OUTCOMES.format(more=", 'left_early'"), OUTCOMES.format(more="")
SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
EDITOR = "(SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1)"


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


# PostgreSQL


def upgrade_postgresql() -> None:
    op.execute(
        "ALTER TABLE dispatches ADD COLUMN IF NOT EXISTS recover_kind TEXT DEFAULT 'never' NOT NULL,"
        " ADD COLUMN IF NOT EXISTS min_stay_s INTEGER DEFAULT '3' NOT NULL,"
        " ADD COLUMN IF NOT EXISTS previous JSONB, DROP CONSTRAINT IF EXISTS ck_dispatches_recover"
    )
    check = RECOVER.replace("recover", "recover_kind")
    op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_recover CHECK ({check}) NOT VALID")
    op.execute(
        "ALTER TABLE dispatch_attempts ADD COLUMN IF NOT EXISTS joined_at TIMESTAMP WITH TIME ZONE,"
        " ADD COLUMN IF NOT EXISTS left_at TIMESTAMP WITH TIME ZONE,"
        " DROP CONSTRAINT IF EXISTS ck_dispatch_attempts_outcome"
    )
    op.execute(
        f"ALTER TABLE dispatch_attempts ADD CONSTRAINT ck_dispatch_attempts_outcome CHECK ({NEW_OUTCOMES}) NOT VALID"
    )
    with op.get_context().autocommit_block():
        in_batches("UPDATE dispatches SET recover_kind = 'lost' WHERE recover AND recover_kind = 'never'")
        op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_recover")
        op.execute("ALTER TABLE dispatch_attempts VALIDATE CONSTRAINT ck_dispatch_attempts_outcome")
    op.execute("UPDATE dispatches SET recover_kind = 'lost' WHERE recover AND recover_kind = 'never'")
    op.execute("ALTER TABLE dispatches DROP COLUMN recover")
    op.execute("ALTER TABLE dispatches RENAME COLUMN recover_kind TO recover")
    op.execute(
        "ALTER TABLE routing_rules ALTER recover DROP DEFAULT,"
        " ALTER recover TYPE TEXT USING CASE WHEN recover THEN 'lost' ELSE 'never' END,"
        " ALTER recover SET DEFAULT 'never', ALTER withdraw SET DEFAULT true,"
        " ADD COLUMN min_stay_s INTEGER DEFAULT '3' NOT NULL,"
        f" ADD CONSTRAINT ck_routing_rules_recover CHECK ({RECOVER}),"
        " ADD CONSTRAINT ck_routing_rules_min_stay_s CHECK (min_stay_s BETWEEN 0 AND 3600)"
    )
    rewrite_history_postgresql("CASE WHEN ({side} ->> 'recover')::boolean THEN 'lost' ELSE 'never' END")


def downgrade_postgresql() -> None:
    rewrite_history_postgresql("{side} ->> 'recover' <> 'never'", also=" - 'min_stay_s'")
    op.execute(
        "ALTER TABLE routing_rules DROP CONSTRAINT ck_routing_rules_recover, DROP COLUMN min_stay_s,"
        " ALTER recover DROP DEFAULT, ALTER recover TYPE BOOLEAN USING recover <> 'never',"
        " ALTER recover SET DEFAULT false, ALTER withdraw SET DEFAULT false"
    )
    op.execute("UPDATE dispatch_attempts SET outcome = 'no_show' WHERE outcome = 'left_early'")
    op.execute(
        "ALTER TABLE dispatch_attempts DROP COLUMN joined_at, DROP COLUMN left_at,"
        f" DROP CONSTRAINT ck_dispatch_attempts_outcome, ADD CONSTRAINT ck_dispatch_attempts_outcome"
        f" CHECK ({OLD_OUTCOMES})"
    )
    op.execute(
        "ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_recover, DROP COLUMN min_stay_s, DROP COLUMN previous,"
        " ALTER recover DROP DEFAULT, ALTER recover TYPE BOOLEAN USING recover <> 'never'"
    )


def in_batches(update: str) -> None:
    connection, after = op.get_bind(), ""
    ids = f"SELECT id FROM dispatches WHERE id > :after ORDER BY id LIMIT {BATCH}"
    last = sa.text(f"SELECT max(id) FROM ({ids}) AS batch")
    while (end := connection.scalar(last, {"after": after})) is not None:
        connection.execute(sa.text(f"{update} AND id > :after AND id <= :end"), {"after": after, "end": end})
        after = end


def rewrite_history_postgresql(value: str, *, also: str = "") -> None:
    """Write `recover` of the recorded rules anew; the trigger that keeps history append-only is off meanwhile."""
    op.execute("ALTER TABLE rule_changes DISABLE TRIGGER USER")
    for side in ("before", "after"):
        column = f'"{side}"'
        replaced = f"jsonb_set({column}{also}, '{{recover}}', to_jsonb({value.format(side=column)}))"
        op.execute(f"UPDATE rule_changes SET {column} = {replaced} WHERE {column} ->> 'recover' IS NOT NULL")
    op.execute("ALTER TABLE rule_changes ENABLE TRIGGER USER")


# SQLite, which changes neither types, defaults nor CHECKs of a column: tables are made anew.

RULES = """
CREATE TABLE rules_anew (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    enabled BOOLEAN DEFAULT 1 NOT NULL,
    priority INTEGER DEFAULT '100' NOT NULL,
    pattern JSON NOT NULL,
    agent_name TEXT NOT NULL,
    metadata JSON,
    attributes JSON,
    deployment TEXT,
    scope TEXT DEFAULT 'room' NOT NULL,
    on_match TEXT DEFAULT 'stop' NOT NULL,
    rollout_percent INTEGER DEFAULT '100' NOT NULL,
    rollout_key TEXT DEFAULT 'participant.identity' NOT NULL,
    active_hours TEXT,
    timezone TEXT DEFAULT 'UTC' NOT NULL,
    holidays TEXT,
    answer_timeout_s INTEGER DEFAULT '15' NOT NULL,
    max_attempts INTEGER DEFAULT '3' NOT NULL,
    fallback_agent_name TEXT,
    {leaving}
    objective_percent NUMERIC,
    objective_s NUMERIC,
    created_at TEXT DEFAULT {now} NOT NULL,
    updated_at TEXT DEFAULT {now} NOT NULL,
    updated_by TEXT,
    CONSTRAINT pk_routing_rules PRIMARY KEY (id),
    CONSTRAINT uq_routing_rules_name UNIQUE (name),
    CONSTRAINT ck_routing_rules_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_routing_rules_agent_name CHECK (length(agent_name) BETWEEN 1 AND 256),
    CONSTRAINT ck_routing_rules_priority CHECK (priority BETWEEN -1000000 AND 1000000),
    CONSTRAINT ck_routing_rules_rollout_percent CHECK (rollout_percent BETWEEN 0 AND 100),
    CONSTRAINT ck_routing_rules_answer_timeout_s CHECK (answer_timeout_s BETWEEN 1 AND 3600),
    CONSTRAINT ck_routing_rules_max_attempts CHECK (max_attempts BETWEEN 1 AND 100),
    CONSTRAINT ck_routing_rules_objective CHECK (
        (objective_percent IS NULL AND objective_s IS NULL)
        OR (objective_percent IS NOT NULL AND objective_s IS NOT NULL
            AND objective_percent >= 1 AND objective_percent < 100 AND objective_s >= 0.1 AND objective_s <= 3600)
    ),
    CONSTRAINT ck_routing_rules_scope CHECK (scope IN ('room', 'participant')),
    CONSTRAINT ck_routing_rules_on_match CHECK (on_match IN ('stop', 'continue')),
    {checks},
    CONSTRAINT ck_routing_rules_enabled CHECK (enabled IN (0, 1)),
    CONSTRAINT ck_routing_rules_withdraw CHECK (withdraw IN (0, 1))
)
"""
NEW_RULES = RULES.format(
    now=SQLITE_NOW,
    leaving="min_stay_s INTEGER DEFAULT '3' NOT NULL, recover TEXT DEFAULT 'never' NOT NULL,"
    " withdraw BOOLEAN DEFAULT 1 NOT NULL,",
    checks=f"CONSTRAINT ck_routing_rules_recover CHECK ({RECOVER}),"
    " CONSTRAINT ck_routing_rules_min_stay_s CHECK (min_stay_s BETWEEN 0 AND 3600)",
)
OLD_RULES = RULES.format(
    now=SQLITE_NOW,
    leaving="recover BOOLEAN DEFAULT 0 NOT NULL, withdraw BOOLEAN DEFAULT 0 NOT NULL,",
    checks="CONSTRAINT ck_routing_rules_recover CHECK (recover IN (0, 1))",
)
KEPT = (
    "id", "name", "description", "enabled", "priority", "pattern", "agent_name", "metadata", "attributes", "deployment",
    "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays", "answer_timeout_s",
    "max_attempts", "fallback_agent_name", "withdraw", "objective_percent", "objective_s", "created_at", "updated_at",
    "updated_by",
)  # fmt: skip
TRIGGERED = KEPT[: KEPT.index("withdraw")]
NEW_RECORDED = (*TRIGGERED, "min_stay_s", "recover", "withdraw", "objective_percent", "objective_s")
OLD_RECORDED = (*TRIGGERED, "recover", "withdraw", "objective_percent", "objective_s")
FLAGS = frozenset({"enabled", "withdraw"})
DOCUMENTS = frozenset({"pattern", "metadata", "attributes"})
REFUSED = """
CREATE TRIGGER rule_changes_UPDATE_refused BEFORE UPDATE ON rule_changes BEGIN
    SELECT raise(ABORT, 'rule_changes is append-only');
END
"""
ATTEMPTS = """
CREATE TABLE attempts_anew (
    dispatch_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    outcome TEXT,
    livekit_dispatch_id TEXT,
    job_id TEXT,
    error_code TEXT,
    error_text TEXT,
    {more}
    CONSTRAINT pk_dispatch_attempts PRIMARY KEY (dispatch_id, number),
    CONSTRAINT fk_dispatch_attempts_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES dispatches (id) ON DELETE CASCADE,
    CONSTRAINT ck_dispatch_attempts_outcome CHECK ({outcomes})
)
"""
OF_ATTEMPT = (
    "dispatch_id, number, agent_name, started_at, finished_at, {outcome}, livekit_dispatch_id, job_id, error_code,"
    " error_text"
)


def upgrade_sqlite() -> None:
    remake_rules(NEW_RULES, "CASE recover WHEN 0 THEN 'never' ELSE 'lost' END", flags=FLAGS, recorded=NEW_RECORDED)
    rewrite_history_sqlite("CASE json_extract({side}, '$.recover') WHEN 0 THEN 'never' ELSE 'lost' END", "{side}")
    op.execute("ALTER TABLE dispatches RENAME COLUMN recover TO recover_flag")
    add = "ALTER TABLE dispatches ADD COLUMN"
    op.execute(f"{add} recover TEXT DEFAULT 'never' NOT NULL CONSTRAINT ck_dispatches_recover CHECK ({RECOVER})")
    op.execute(f"{add} min_stay_s INTEGER DEFAULT '3' NOT NULL")
    op.execute(f"{add} previous JSON")
    op.execute("UPDATE dispatches SET recover = 'lost' WHERE recover_flag")
    op.execute("ALTER TABLE dispatches DROP COLUMN recover_flag")
    remake_attempts(ATTEMPTS.format(more="joined_at TEXT, left_at TEXT,", outcomes=NEW_OUTCOMES), "outcome")


def downgrade_sqlite() -> None:
    remake_rules(OLD_RULES, "recover <> 'never'", flags=FLAGS | {"recover"}, recorded=OLD_RECORDED)
    old = "json(CASE json_extract({side}, '$.recover') WHEN 'never' THEN 'false' ELSE 'true' END)"
    rewrite_history_sqlite(old, "json_remove({side}, '$.min_stay_s')")
    remake_attempts(
        ATTEMPTS.format(more="", outcomes=OLD_OUTCOMES),
        "CASE outcome WHEN 'left_early' THEN 'no_show' ELSE outcome END",
    )
    op.execute("ALTER TABLE dispatches ADD COLUMN recover_flag BOOLEAN DEFAULT 0 NOT NULL")
    op.execute("UPDATE dispatches SET recover_flag = 1 WHERE recover <> 'never'")
    for column in ("recover", "min_stay_s", "previous"):
        op.execute(f"ALTER TABLE dispatches DROP COLUMN {column}")
    op.execute("ALTER TABLE dispatches RENAME COLUMN recover_flag TO recover")


def remake_rules(table: str, recover: str, *, flags: frozenset[str], recorded: tuple[str, ...]) -> None:
    """Copy the rules into a new table, with its index and with triggers that name its columns."""
    columns = ", ".join(KEPT)
    op.execute(table)
    op.execute(f"INSERT INTO rules_anew ({columns}, recover) SELECT {columns}, {recover} FROM routing_rules")
    op.execute("DROP TABLE routing_rules")  # and its triggers and index
    op.execute("ALTER TABLE rules_anew RENAME TO routing_rules")
    op.execute("CREATE INDEX ix_routing_rules_objective ON routing_rules (id) WHERE objective_s IS NOT NULL")
    cursor = op.get_bind().connection.cursor()
    for trigger in triggers(recorded, flags):
        cursor.execute(trigger)
    cursor.close()


def rewrite_history_sqlite(value: str, document: str) -> None:
    """Write `recover` of the recorded rules anew; the trigger that keeps history append-only is off meanwhile."""
    op.execute("DROP TRIGGER rule_changes_UPDATE_refused")
    for side in ("before", "after"):
        column = f'"{side}"'
        replaced = f"json_set({document.format(side=column)}, '$.recover', {value.format(side=column)})"
        present = f"json_extract({column}, '$.recover') IS NOT NULL"
        op.execute(sa.text(f"UPDATE rule_changes SET {column} = {replaced} WHERE {present}"))
    op.execute(REFUSED)


def remake_attempts(table: str, outcome: str) -> None:
    plain, read = OF_ATTEMPT.format(outcome="outcome"), OF_ATTEMPT.format(outcome=outcome)
    op.execute(table)
    op.execute(f"INSERT INTO attempts_anew ({plain}) SELECT {read} FROM dispatch_attempts")
    op.execute("DROP TABLE dispatch_attempts")
    op.execute("ALTER TABLE attempts_anew RENAME TO dispatch_attempts")


def triggers(columns: tuple[str, ...], flags: frozenset[str]) -> list[str]:
    """Return the triggers that write `rule_changes`, as 0008 made them, for these columns."""
    old, new = document("OLD", columns, flags), document("NEW", columns, flags)
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


def document(row: str, columns: tuple[str, ...], flags: frozenset[str]) -> str:
    parts = []
    for column in columns:
        value = f'{row}."{column}"'
        if column in flags:
            value = f"json(CASE {value} WHEN 0 THEN 'false' ELSE 'true' END)"
        elif column in DOCUMENTS:
            value = f"CASE WHEN json_valid({value}) THEN json({value}) ELSE {value} END"
        parts.append(f"'{column}', {value}")
    return f"json_object({', '.join(parts)})"
