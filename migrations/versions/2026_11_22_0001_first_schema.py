"""The first schema: rules, events, dispatches, their attempts and audit, people.

The triggers record every edit of `routing_rules`, by whatever door it comes, and keep the append-only tables so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Json, Timestamp
from migrations.rule_triggers import SQLITE_NOW, sqlite_rule_triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = (
    "id", "name", "description", "enabled", "priority", "pattern", "agent_name", "metadata", "attributes",
    "deployment", "scope", "on_match", "rollout_percent", "rollout_key", "active_hours", "timezone", "holidays",
    "answer_timeout_s", "max_attempts", "fallback_agent_name", "recover", "withdraw",
)  # fmt: skip


def now() -> sa.TextClause:
    return sa.text("now()" if op.get_bind().dialect.name == "postgresql" else SQLITE_NOW)


def upgrade() -> None:
    create_tables()
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRES_TRIGGERS:
            op.execute(sa.text(statement))
    else:
        # Serves the look-up for REPLACE in the trigger.
        op.execute("""CREATE INDEX ix_rule_changes_replaced ON rule_changes (json_extract("after", '$.name'))""")
        for statement in (*sqlite_rule_triggers(COLUMNS), *SQLITE_APPEND_ONLY):
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    drop_tables()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "DROP FUNCTION usher_record_rule_change, usher_stamp_rule, usher_refuse_change, usher_rules_truncated"
        )


SQLITE_APPEND_ONLY = tuple(
    f"""CREATE TRIGGER {table}_{change}_refused BEFORE {change} ON {table} BEGIN
        SELECT raise(ABORT, '{table} is append-only'); END"""
    for table, change in (("rule_changes", "UPDATE"), ("rule_changes", "DELETE"), ("audit_log", "UPDATE"))
)


# The advisory lock makes ids of rule_changes visible in their order: without it a slower transaction with a smaller
# id would be missed by those who follow max(id). `rule_editor` rows of other transactions are never visible here.
POSTGRES_TRIGGERS = (
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
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'created_at' - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'created_at' - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), NEW.updated_by);
            INSERT INTO rule_changes (rule_id, change, after, changed_at, changed_by)
            VALUES (NEW.id, 'insert', is_now, clock_timestamp(), NEW.updated_by);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user));
        ELSE
            INSERT INTO rule_changes (rule_id, change, before, after, changed_at, changed_by)
            VALUES (NEW.id, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by);
        END IF;
        RETURN NULL;
    END $$""",
    """CREATE FUNCTION usher_rules_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by)
        SELECT id, 'delete', to_jsonb(r) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user
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


def create_tables() -> None:
    op.create_table(
        "agent_limits",
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("max_active", sa.Integer(), nullable=True),
        sa.Column("starts_per_second", sa.Integer(), nullable=True),
        sa.CheckConstraint("max_active IS NULL OR max_active >= 0", name=op.f("ck_agent_limits_max_active")),
        sa.CheckConstraint(
            "starts_per_second IS NULL OR starts_per_second >= 1", name=op.f("ck_agent_limits_starts_per_second")
        ),
        sa.PrimaryKeyConstraint("agent_name", name=op.f("pk_agent_limits")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", Serial, nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", Timestamp(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_log_changed_at"), "audit_log", ["changed_at"], unique=False)
    op.create_index(op.f("ix_audit_log_entity_id_id"), "audit_log", ["entity_id", "id"], unique=False)
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("room_sid", sa.Text(), nullable=False),
        sa.Column("participant_identity", sa.Text(), nullable=False),
        sa.Column("participant_sid", sa.Text(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("intent_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("answer_timeout_s", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("fallback_agent_name", sa.Text(), nullable=True),
        sa.Column("recover", sa.Boolean(), nullable=False),
        sa.Column("withdraw", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("counted_attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asked_agent_name", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", Timestamp(), nullable=True),
        sa.Column("must_look", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", Timestamp(), nullable=True),
        sa.Column("answer_deadline", Timestamp(), nullable=True),
        sa.Column("livekit_dispatch_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("agent_identity", sa.Text(), nullable=True),
        sa.Column("agent_sid", sa.Text(), nullable=True),
        sa.Column("recovers", sa.Text(), nullable=True),
        sa.Column("recoveries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("dispatched_at", Timestamp(), nullable=True),
        sa.Column("joined_at", Timestamp(), nullable=True),
        sa.Column("ended_at", Timestamp(), nullable=True),
        sa.CheckConstraint("scope IN ('room', 'participant')", name=op.f("ck_dispatches_scope")),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'dispatched', 'joined', 'ended', 'no_show', 'failed', 'cancelled')",
            name=op.f("ck_dispatches_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatches")),
    )
    op.create_index(op.f("ix_dispatches_agent_name_id"), "dispatches", ["agent_name", "id"], unique=False)
    op.create_index(
        "ix_dispatches_agent_sid",
        "dispatches",
        ["agent_sid"],
        unique=False,
        sqlite_where=sa.text("agent_sid IS NOT NULL"),
        postgresql_where=sa.text("agent_sid IS NOT NULL"),
    )
    op.create_index(
        "ix_dispatches_due",
        "dispatches",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'sending')"),
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.create_index(op.f("ix_dispatches_event_id"), "dispatches", ["event_id"], unique=False)
    op.create_index(
        "ix_dispatches_live_room",
        "dispatches",
        ["room_sid"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
        postgresql_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
    )
    op.create_index(
        op.f("ix_dispatches_participant_identity_id"), "dispatches", ["participant_identity", "id"], unique=False
    )
    op.create_index(op.f("ix_dispatches_room_name_id"), "dispatches", ["room_name", "id"], unique=False)
    op.create_index(op.f("ix_dispatches_rule_name_id"), "dispatches", ["rule_name", "id"], unique=False)
    op.create_index(op.f("ix_dispatches_status_id"), "dispatches", ["status", "id"], unique=False)
    op.create_index(
        "ix_dispatches_unanswered",
        "dispatches",
        ["answer_deadline"],
        unique=False,
        sqlite_where=sa.text("status IN ('dispatched')"),
        postgresql_where=sa.text("status IN ('dispatched')"),
    )
    op.create_index(
        "uq_dispatches_live_intent",
        "dispatches",
        ["intent_key"],
        unique=True,
        sqlite_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
        postgresql_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("livekit_id", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("room_sid", sa.Text(), nullable=False),
        sa.Column("participant_identity", sa.Text(), nullable=False),
        sa.Column("participant_sid", sa.Text(), nullable=False),
        sa.Column("participant_kind", sa.Text(), nullable=False),
        sa.Column("phone_number", sa.Text(), nullable=True),
        sa.Column("occurred_at", Timestamp(), nullable=False),
        sa.Column("received_at", Timestamp(), nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("decision", Json, nullable=True),
        sa.CheckConstraint("outcome IN ('planned', 'served', 'no_match', 'ignored')", name=op.f("ck_events_outcome")),
        sa.CheckConstraint("source IN ('webhook', 'sweep', 'replay')", name=op.f("ck_events_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_events_dedupe_key")),
    )
    op.create_index(op.f("ix_events_livekit_id"), "events", ["livekit_id"], unique=False)
    op.create_index(op.f("ix_events_outcome_id"), "events", ["outcome", "id"], unique=False)
    op.create_index(op.f("ix_events_participant_identity_id"), "events", ["participant_identity", "id"], unique=False)
    op.create_index(op.f("ix_events_participant_sid"), "events", ["participant_sid"], unique=False)
    op.create_index(
        "ix_events_phone_number",
        "events",
        ["phone_number", "id"],
        unique=False,
        sqlite_where=sa.text("phone_number IS NOT NULL"),
        postgresql_where=sa.text("phone_number IS NOT NULL"),
    )
    op.create_index(op.f("ix_events_room_name_id"), "events", ["room_name", "id"], unique=False)
    op.create_index(op.f("ix_events_room_sid"), "events", ["room_sid"], unique=False)
    op.create_index(op.f("ix_events_type_id"), "events", ["type", "id"], unique=False)
    op.create_table(
        "heartbeats",
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("replica", sa.Text(), nullable=False),
        sa.Column("beat_at", Timestamp(), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("component", "replica", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "probes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("started_at", Timestamp(), nullable=False),
        sa.Column("finished_at", Timestamp(), nullable=True),
        sa.Column("arrived", sa.Boolean(), nullable=True),
        sa.Column("milliseconds_to_agent", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probes")),
    )
    op.create_index(op.f("ix_probes_agent_name_id"), "probes", ["agent_name", "id"], unique=False)
    op.create_table(
        "routing_rules",
        sa.Column("id", Serial, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "enabled", sa.Boolean(create_constraint=True, name="enabled"), server_default=sa.true(), nullable=False
        ),
        sa.Column("priority", sa.Integer(), server_default="100", nullable=False),
        sa.Column("pattern", Json, nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("metadata", Json, nullable=True),
        sa.Column("attributes", Json, nullable=True),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), server_default="room", nullable=False),
        sa.Column("on_match", sa.Text(), server_default="stop", nullable=False),
        sa.Column("rollout_percent", sa.Integer(), server_default="100", nullable=False),
        sa.Column("rollout_key", sa.Text(), server_default="participant.identity", nullable=False),
        sa.Column("active_hours", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("holidays", sa.Text(), nullable=True),
        sa.Column("answer_timeout_s", sa.Integer(), server_default="15", nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default="3", nullable=False),
        sa.Column("fallback_agent_name", sa.Text(), nullable=True),
        sa.Column(
            "recover", sa.Boolean(create_constraint=True, name="recover"), server_default=sa.false(), nullable=False
        ),
        sa.Column(
            "withdraw", sa.Boolean(create_constraint=True, name="withdraw"), server_default=sa.false(), nullable=False
        ),
        sa.Column("created_at", Timestamp(), server_default=now(), nullable=False),
        sa.Column("updated_at", Timestamp(), server_default=now(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.CheckConstraint("on_match IN ('stop', 'continue')", name=op.f("ck_routing_rules_on_match")),
        sa.CheckConstraint("scope IN ('room', 'participant')", name=op.f("ck_routing_rules_scope")),
        sa.CheckConstraint("answer_timeout_s BETWEEN 1 AND 3600", name=op.f("ck_routing_rules_answer_timeout_s")),
        sa.CheckConstraint("length(agent_name) BETWEEN 1 AND 256", name=op.f("ck_routing_rules_agent_name")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_routing_rules_name")),
        sa.CheckConstraint("max_attempts BETWEEN 1 AND 100", name=op.f("ck_routing_rules_max_attempts")),
        sa.CheckConstraint("priority BETWEEN -1000000 AND 1000000", name=op.f("ck_routing_rules_priority")),
        sa.CheckConstraint("rollout_percent BETWEEN 0 AND 100", name=op.f("ck_routing_rules_rollout_percent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_rules")),
        sa.UniqueConstraint("name", name=op.f("uq_routing_rules_name")),
    )
    op.create_table(
        "rule_changes",
        sa.Column("id", Serial, nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("before", Json, nullable=True),
        sa.Column("after", Json, nullable=True),
        sa.Column("changed_at", Timestamp(), server_default=now(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("change IN ('insert', 'update', 'delete')", name=op.f("ck_rule_changes_change")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_rule_changes_rule_id_id"), "rule_changes", ["rule_id", "id"], unique=False)
    op.create_table(
        "rule_editor",
        sa.Column("id", Serial, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_editor")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", Timestamp(), server_default=now(), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", Timestamp(), server_default=now(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=True),
        sa.Column("revoked_at", Timestamp(), nullable=True),
        sa.Column("last_used_at", Timestamp(), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name=op.f("ck_api_tokens_role")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_table(
        "dispatch_attempts",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("started_at", Timestamp(), nullable=False),
        sa.Column("finished_at", Timestamp(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("livekit_dispatch_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'rejected', 'unknown', 'adopted', 'no_show')",
            name=op.f("ck_dispatch_attempts_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatches.id"], name=op.f("fk_dispatch_attempts_dispatch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "number", name=op.f("pk_dispatch_attempts")),
    )
    op.create_table(
        "dispatch_callers",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("participant_sid", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("participant_identity", sa.Text(), nullable=False),
        sa.Column("left_at", Timestamp(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatches.id"], name=op.f("fk_dispatch_callers_dispatch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "participant_sid", name=op.f("pk_dispatch_callers")),
    )
    op.create_index(op.f("ix_dispatch_callers_event_id"), "dispatch_callers", ["event_id"], unique=False)
    op.create_index(op.f("ix_dispatch_callers_participant_sid"), "dispatch_callers", ["participant_sid"], unique=False)


def drop_tables() -> None:

    op.drop_index(op.f("ix_dispatch_callers_participant_sid"), table_name="dispatch_callers")
    op.drop_index(op.f("ix_dispatch_callers_event_id"), table_name="dispatch_callers")
    op.drop_table("dispatch_callers")
    op.drop_table("dispatch_attempts")
    op.drop_table("api_tokens")
    op.drop_table("users")
    op.drop_table("rule_editor")
    op.drop_index(op.f("ix_rule_changes_rule_id_id"), table_name="rule_changes")
    op.drop_table("rule_changes")
    op.drop_table("routing_rules")
    op.drop_index(op.f("ix_probes_agent_name_id"), table_name="probes")
    op.drop_table("probes")
    op.drop_table("heartbeats")
    op.drop_index(op.f("ix_events_type_id"), table_name="events")
    op.drop_index(op.f("ix_events_room_sid"), table_name="events")
    op.drop_index(op.f("ix_events_room_name_id"), table_name="events")
    op.drop_index(
        "ix_events_phone_number",
        table_name="events",
        sqlite_where=sa.text("phone_number IS NOT NULL"),
        postgresql_where=sa.text("phone_number IS NOT NULL"),
    )
    op.drop_index(op.f("ix_events_participant_sid"), table_name="events")
    op.drop_index(op.f("ix_events_participant_identity_id"), table_name="events")
    op.drop_index(op.f("ix_events_outcome_id"), table_name="events")
    op.drop_index(op.f("ix_events_livekit_id"), table_name="events")
    op.drop_table("events")
    op.drop_index(
        "uq_dispatches_live_intent",
        table_name="dispatches",
        sqlite_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
        postgresql_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
    )
    op.drop_index(
        "ix_dispatches_unanswered",
        table_name="dispatches",
        sqlite_where=sa.text("status IN ('dispatched')"),
        postgresql_where=sa.text("status IN ('dispatched')"),
    )
    op.drop_index(op.f("ix_dispatches_status_id"), table_name="dispatches")
    op.drop_index(op.f("ix_dispatches_rule_name_id"), table_name="dispatches")
    op.drop_index(op.f("ix_dispatches_room_name_id"), table_name="dispatches")
    op.drop_index(op.f("ix_dispatches_participant_identity_id"), table_name="dispatches")
    op.drop_index(
        "ix_dispatches_live_room",
        table_name="dispatches",
        sqlite_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
        postgresql_where=sa.text("status IN ('pending', 'sending', 'dispatched', 'joined')"),
    )
    op.drop_index(op.f("ix_dispatches_event_id"), table_name="dispatches")
    op.drop_index(
        "ix_dispatches_due",
        table_name="dispatches",
        sqlite_where=sa.text("status IN ('pending', 'sending')"),
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.drop_index(
        "ix_dispatches_agent_sid",
        table_name="dispatches",
        sqlite_where=sa.text("agent_sid IS NOT NULL"),
        postgresql_where=sa.text("agent_sid IS NOT NULL"),
    )
    op.drop_index(op.f("ix_dispatches_agent_name_id"), table_name="dispatches")
    op.drop_table("dispatches")
    op.drop_index(op.f("ix_audit_log_entity_id_id"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_changed_at"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_table("agent_limits")
