"""Let rules name several fallbacks, and dispatches say which was asked and whose place they take.

`fallback_agent_name` of rules, of their history and of dispatches becomes a list of one; `recovers` becomes `replaces`.

An Usher from before the first release reads and writes the old columns: stop it first.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches for milliseconds (columns with constant defaults, a column renamed
and one dropped, a CHECK that is not validated); row locks in batches of 5,000 dispatches, each committed; SHARE UPDATE
EXCLUSIVE while the CHECK is validated and the index is built; at the end ACCESS EXCLUSIVE on routing_rules and
rule_changes while they are rewritten. May be repeated after an interruption.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BATCH = 5_000
KINDS = "replaces_kind IN ('recovery', 'handover', 'redrive')"
INDEX = "CREATE INDEX{how} ix_dispatches_asked_agent_name_id ON dispatches (asked_agent_name, id)"
INDEX += " WHERE asked_agent_name IS NOT NULL"
REQUESTS = "CREATE UNIQUE INDEX{how} uq_dispatches_request_key ON dispatches (request_key)"
REQUESTS += " WHERE request_key IS NOT NULL"
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
        "ALTER TABLE dispatches ADD COLUMN IF NOT EXISTS fallbacks JSONB,"
        " ADD COLUMN IF NOT EXISTS rung INTEGER DEFAULT '0' NOT NULL,"
        " ADD COLUMN IF NOT EXISTS replaces_kind TEXT, ADD COLUMN IF NOT EXISTS handed_to TEXT,"
        " ADD COLUMN IF NOT EXISTS request_key TEXT, DROP CONSTRAINT IF EXISTS ck_dispatches_replaces_kind"
    )
    op.execute(f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_replaces_kind CHECK ({KINDS}) NOT VALID")
    ladder = (
        "jsonb_build_array(jsonb_build_object('agent_name', fallback_agent_name, 'answer_timeout_s', answer_timeout_s,"
        " 'max_attempts', 1, 'rule_rung', 1))"
    )
    values = (
        f"fallbacks = CASE WHEN fallback_agent_name IS NOT NULL THEN {ladder} END,"
        " rung = CASE WHEN asked_agent_name = fallback_agent_name THEN 1 ELSE 0 END,"
        " replaces_kind = CASE WHEN recovers IS NOT NULL THEN 'recovery' END"
    )
    which = "(fallback_agent_name IS NOT NULL OR recovers IS NOT NULL)"
    with op.get_context().autocommit_block():
        in_batches(f"UPDATE dispatches SET {values} WHERE {which}")
        op.execute("ALTER TABLE dispatches VALIDATE CONSTRAINT ck_dispatches_replaces_kind")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dispatches_asked_agent_name_id")
        op.execute(INDEX.format(how=" CONCURRENTLY"))
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_dispatches_request_key")
        op.execute(REQUESTS.format(how=" CONCURRENTLY"))
    op.execute(f"UPDATE dispatches SET {values} WHERE {which} AND fallbacks IS NULL AND replaces_kind IS NULL")
    op.execute("ALTER TABLE dispatches DROP COLUMN fallback_agent_name")
    op.execute("ALTER TABLE dispatches RENAME COLUMN recovers TO replaces")
    op.execute("ALTER TABLE routing_rules DISABLE TRIGGER USER")
    op.execute("ALTER TABLE routing_rules ADD COLUMN fallbacks JSONB")
    op.execute(
        "UPDATE routing_rules SET fallbacks = jsonb_build_array(fallback_agent_name)"
        " WHERE fallback_agent_name IS NOT NULL"
    )
    op.execute("ALTER TABLE routing_rules ENABLE TRIGGER USER")
    op.execute("ALTER TABLE routing_rules DROP COLUMN fallback_agent_name")
    rewrite_history_postgresql(
        "jsonb_build_object('fallbacks', CASE WHEN {side} ->> 'fallback_agent_name' IS NOT NULL"
        " THEN jsonb_build_array({side} -> 'fallback_agent_name') END)",
        "fallback_agent_name",
    )


def downgrade_postgresql() -> None:
    rewrite_history_postgresql(
        "jsonb_build_object('fallback_agent_name', coalesce({side} -> 'fallbacks' -> 0 ->> 'agent_name',"
        " {side} -> 'fallbacks' ->> 0))",
        "fallbacks",
    )
    op.execute("ALTER TABLE routing_rules ADD COLUMN fallback_agent_name TEXT")
    op.execute("ALTER TABLE routing_rules DISABLE TRIGGER USER")
    op.execute(
        "UPDATE routing_rules SET fallback_agent_name = coalesce(fallbacks -> 0 ->> 'agent_name', fallbacks ->> 0)"
    )
    op.execute("ALTER TABLE routing_rules ENABLE TRIGGER USER")
    op.execute("ALTER TABLE routing_rules DROP COLUMN fallbacks")
    op.execute("DROP INDEX ix_dispatches_asked_agent_name_id")
    op.execute("DROP INDEX uq_dispatches_request_key")
    op.execute("ALTER TABLE dispatches ADD COLUMN fallback_agent_name TEXT")
    op.execute(
        "UPDATE dispatches SET fallback_agent_name = fallbacks -> 0 ->> 'agent_name' WHERE fallbacks IS NOT NULL"
    )
    op.execute("ALTER TABLE dispatches RENAME COLUMN replaces TO recovers")
    op.execute("UPDATE dispatches SET recovers = NULL WHERE replaces_kind <> 'recovery'")
    op.execute(
        "ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_replaces_kind, DROP COLUMN replaces_kind,"
        " DROP COLUMN rung, DROP COLUMN fallbacks, DROP COLUMN handed_to, DROP COLUMN request_key"
    )


def in_batches(update: str) -> None:
    connection, after = op.get_bind(), ""
    ids = "SELECT id FROM dispatches WHERE id > :after ORDER BY id LIMIT :batch"
    last = sa.text(f"SELECT max(id) FROM ({ids}) AS batch")
    while (end := connection.scalar(last, {"after": after, "batch": BATCH})) is not None:
        connection.execute(sa.text(f"{update} AND id > :after AND id <= :end"), {"after": after, "end": end})
        after = end


def rewrite_history_postgresql(added: str, removed: str) -> None:
    """Put `added` into the recorded rules that have `removed`; the trigger that keeps history append-only is off."""
    op.execute("ALTER TABLE rule_changes DISABLE TRIGGER USER")
    for side in ("before", "after"):
        column = f'"{side}"'
        op.execute(
            f"UPDATE rule_changes SET {column} = ({column} - '{removed}') || {added.format(side=column)}"
            f" WHERE {column} ? '{removed}'"
        )
    op.execute("ALTER TABLE rule_changes ENABLE TRIGGER USER")


# SQLite


RECORDED = (
    "id", "name", "description", "enabled", "priority", "pattern", "agent_name", "metadata", "attributes", "deployment",
    "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays", "answer_timeout_s",
    "max_attempts", "{fallbacks}", "min_stay_s", "recover", "withdraw", "objective_percent", "objective_s",
)  # fmt: skip
FLAGS = frozenset({"enabled", "withdraw"})
DOCUMENTS = frozenset({"pattern", "metadata", "attributes", "fallbacks"})
REFUSED = """
CREATE TRIGGER rule_changes_UPDATE_refused BEFORE UPDATE ON rule_changes BEGIN
    SELECT raise(ABORT, 'rule_changes is append-only');
END
"""


def upgrade_sqlite() -> None:
    add = "ALTER TABLE dispatches ADD COLUMN"
    op.execute(f"{add} fallbacks JSON")
    op.execute(f"{add} rung INTEGER DEFAULT '0' NOT NULL")
    op.execute("ALTER TABLE dispatches RENAME COLUMN recovers TO replaces")
    op.execute(f"{add} replaces_kind TEXT CONSTRAINT ck_dispatches_replaces_kind CHECK ({KINDS})")
    op.execute(
        "UPDATE dispatches SET rung = CASE WHEN asked_agent_name = fallback_agent_name THEN 1 ELSE 0 END,"
        " fallbacks = json_array(json_object('agent_name', fallback_agent_name, 'answer_timeout_s', answer_timeout_s,"
        " 'max_attempts', 1, 'rule_rung', 1)) WHERE fallback_agent_name IS NOT NULL"
    )
    op.execute("UPDATE dispatches SET replaces_kind = 'recovery' WHERE replaces IS NOT NULL")
    op.execute("ALTER TABLE dispatches DROP COLUMN fallback_agent_name")
    op.execute(f"{add} handed_to TEXT")
    op.execute(f"{add} request_key TEXT")
    op.execute(INDEX.format(how=""))
    op.execute(REQUESTS.format(how=""))
    drop_triggers()
    op.execute("ALTER TABLE routing_rules ADD COLUMN fallbacks JSON")
    op.execute(
        "UPDATE routing_rules SET fallbacks = json_array(fallback_agent_name) WHERE fallback_agent_name IS NOT NULL"
    )
    op.execute("ALTER TABLE routing_rules DROP COLUMN fallback_agent_name")
    create_triggers("fallbacks")
    rewrite_history_sqlite(
        "fallback_agent_name",
        "fallbacks",
        "CASE WHEN json_extract({side}, '$.fallback_agent_name') IS NULL THEN json('null')"
        " ELSE json_array(json_extract({side}, '$.fallback_agent_name')) END",
    )


def downgrade_sqlite() -> None:
    first = "coalesce(json_extract({side}, '$.fallbacks[0].agent_name'), json_extract({side}, '$.fallbacks[0]'))"
    rewrite_history_sqlite("fallbacks", "fallback_agent_name", first)
    drop_triggers()
    op.execute("ALTER TABLE routing_rules ADD COLUMN fallback_agent_name TEXT")
    op.execute(
        "UPDATE routing_rules SET fallback_agent_name = coalesce(json_extract(fallbacks, '$[0].agent_name'),"
        " json_extract(fallbacks, '$[0]')) WHERE json_valid(fallbacks)"
    )
    op.execute("ALTER TABLE routing_rules DROP COLUMN fallbacks")
    create_triggers("fallback_agent_name")
    op.execute("DROP INDEX ix_dispatches_asked_agent_name_id")
    op.execute("DROP INDEX uq_dispatches_request_key")
    op.execute("ALTER TABLE dispatches ADD COLUMN fallback_agent_name TEXT")
    op.execute("UPDATE dispatches SET fallback_agent_name = json_extract(fallbacks, '$[0].agent_name')")
    op.execute("UPDATE dispatches SET replaces = NULL WHERE replaces_kind <> 'recovery'")
    op.execute("ALTER TABLE dispatches RENAME COLUMN replaces TO recovers")
    for column in ("replaces_kind", "rung", "fallbacks", "handed_to", "request_key"):
        op.execute(f"ALTER TABLE dispatches DROP COLUMN {column}")


def rewrite_history_sqlite(removed: str, added: str, value: str) -> None:
    """Put `added` into the recorded rules that have `removed`; the trigger that keeps history append-only is off."""
    op.execute("DROP TRIGGER rule_changes_UPDATE_refused")
    for side in ("before", "after"):
        column = f'"{side}"'
        replaced = f"json_remove(json_set({column}, '$.{added}', {value.format(side=column)}), '$.{removed}')"
        present = f"json_type({column}, '$.{removed}') IS NOT NULL"
        op.execute(sa.text(f"UPDATE rule_changes SET {column} = {replaced} WHERE {present}"))
    op.execute(REFUSED)


def drop_triggers() -> None:
    for change in ("inserted", "updated", "deleted"):
        op.execute(f"DROP TRIGGER routing_rules_{change}")


def create_triggers(fallbacks: str) -> None:
    cursor = op.get_bind().connection.cursor()
    for trigger in triggers(tuple(name.format(fallbacks=fallbacks) for name in RECORDED)):
        cursor.execute(trigger)
    cursor.close()


def triggers(columns: tuple[str, ...]) -> list[str]:
    """Return the triggers that write `rule_changes`, as 0012 made them, for these columns."""
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
