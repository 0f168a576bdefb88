-- The first schema on PostgreSQL: rules and their history, events, dispatches, audit, accounts.
-- Frozen: databases that exist were made by it. tests/migration/test_frozen.py holds its digest.

CREATE TABLE routing_rules (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    enabled BOOLEAN DEFAULT true NOT NULL,
    priority INTEGER DEFAULT '100' NOT NULL,
    pattern JSONB NOT NULL,
    agent_name TEXT NOT NULL,
    metadata JSONB,
    attributes JSONB,
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
    recover BOOLEAN DEFAULT false NOT NULL,
    withdraw BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_by TEXT,
    objective_percent NUMERIC,
    objective_s NUMERIC,
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
    CONSTRAINT ck_routing_rules_on_match CHECK (on_match IN ('stop', 'continue'))
);
CREATE INDEX ix_routing_rules_objective ON routing_rules (id) WHERE objective_s IS NOT NULL;

CREATE TABLE rule_changes (
    id BIGSERIAL NOT NULL,
    rule_id BIGINT NOT NULL,
    change TEXT NOT NULL,
    before JSONB,
    after JSONB,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    changed_by TEXT NOT NULL,
    CONSTRAINT pk_rule_changes PRIMARY KEY (id),
    CONSTRAINT ck_rule_changes_change CHECK (change IN ('insert', 'update', 'delete'))
);
CREATE INDEX ix_rule_changes_rule_id_id ON rule_changes (rule_id, id);

CREATE TABLE rule_editor (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    CONSTRAINT pk_rule_editor PRIMARY KEY (id)
);

CREATE TABLE events (
    id TEXT NOT NULL,
    livekit_id TEXT NOT NULL,
    dedupe_key TEXT NOT NULL,
    project TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    room_name TEXT NOT NULL,
    room_sid TEXT NOT NULL,
    participant_identity TEXT NOT NULL,
    participant_sid TEXT NOT NULL,
    participant_kind TEXT NOT NULL,
    phone_number TEXT,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    body JSONB NOT NULL,
    outcome TEXT NOT NULL,
    rules_version BIGINT NOT NULL,
    decision JSONB,
    CONSTRAINT pk_events PRIMARY KEY (id),
    CONSTRAINT uq_events_dedupe_key UNIQUE (dedupe_key),
    CONSTRAINT ck_events_source CHECK (source IN ('webhook', 'sweep', 'replay')),
    CONSTRAINT ck_events_outcome CHECK (outcome IN ('planned', 'served', 'no_match', 'ignored'))
);
CREATE INDEX ix_events_livekit_id ON events (livekit_id);
CREATE INDEX ix_events_outcome_id ON events (outcome, id);
CREATE INDEX ix_events_participant_identity_id ON events (participant_identity, id);
CREATE INDEX ix_events_participant_sid ON events (participant_sid);
CREATE INDEX ix_events_phone_number ON events (phone_number, id) WHERE phone_number IS NOT NULL;
CREATE INDEX ix_events_room_name_id ON events (room_name, id);
CREATE INDEX ix_events_room_sid_type ON events (room_sid, type);
CREATE INDEX ix_events_source ON events (source, id) WHERE source <> 'webhook';
CREATE INDEX ix_events_type_id ON events (type, id);

CREATE TABLE dispatches (
    id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    rule_id BIGINT NOT NULL,
    rule_name TEXT NOT NULL,
    rules_version BIGINT NOT NULL,
    project TEXT NOT NULL,
    room_name TEXT NOT NULL,
    room_sid TEXT NOT NULL,
    participant_identity TEXT NOT NULL,
    participant_sid TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    attributes JSONB NOT NULL,
    deployment TEXT,
    scope TEXT NOT NULL,
    intent_key TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    answer_timeout_s INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    fallback_agent_name TEXT,
    recover BOOLEAN NOT NULL,
    withdraw BOOLEAN NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    counted_attempts INTEGER DEFAULT '0' NOT NULL,
    asked_agent_name TEXT,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    must_look BOOLEAN DEFAULT false NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    answer_deadline TIMESTAMP WITH TIME ZONE,
    livekit_dispatch_id TEXT,
    job_id TEXT,
    worker_id TEXT,
    agent_identity TEXT,
    agent_sid TEXT,
    recovers TEXT,
    recoveries INTEGER DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    dispatched_at TIMESTAMP WITH TIME ZONE,
    joined_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_dispatches PRIMARY KEY (id),
    CONSTRAINT ck_dispatches_status CHECK (
        status IN ('pending', 'sending', 'dispatched', 'joined', 'ended', 'no_show', 'failed', 'cancelled')
    ),
    CONSTRAINT ck_dispatches_scope CHECK (scope IN ('room', 'participant'))
);
CREATE UNIQUE INDEX uq_dispatches_live_intent
    ON dispatches (intent_key) WHERE status IN ('pending', 'sending', 'dispatched', 'joined');
CREATE INDEX ix_dispatches_agent_name_id ON dispatches (agent_name, id);
CREATE INDEX ix_dispatches_agent_sid ON dispatches (agent_sid) WHERE agent_sid IS NOT NULL;
CREATE INDEX ix_dispatches_due ON dispatches (next_attempt_at) WHERE status IN ('pending', 'sending');
CREATE INDEX ix_dispatches_event_id ON dispatches (event_id);
CREATE INDEX ix_dispatches_live_room
    ON dispatches (room_name) WHERE status IN ('pending', 'sending', 'dispatched', 'joined');
CREATE INDEX ix_dispatches_lost_room ON dispatches (room_name) WHERE reason = 'the room is gone';
CREATE INDEX ix_dispatches_participant_identity_id ON dispatches (participant_identity, id);
CREATE INDEX ix_dispatches_room_name_id ON dispatches (room_name, id);
CREATE INDEX ix_dispatches_room_sid ON dispatches (room_sid);
CREATE INDEX ix_dispatches_rule_name_id ON dispatches (rule_name, id);
CREATE INDEX ix_dispatches_status_id ON dispatches (status, id);
CREATE INDEX ix_dispatches_unanswered ON dispatches (answer_deadline) WHERE status IN ('dispatched');

CREATE TABLE dispatch_callers (
    dispatch_id TEXT NOT NULL,
    participant_sid TEXT NOT NULL,
    event_id TEXT NOT NULL,
    participant_identity TEXT NOT NULL,
    left_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_dispatch_callers PRIMARY KEY (dispatch_id, participant_sid),
    CONSTRAINT fk_dispatch_callers_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES dispatches (id) ON DELETE CASCADE
);
CREATE INDEX ix_dispatch_callers_event_id ON dispatch_callers (event_id);
CREATE INDEX ix_dispatch_callers_participant_sid ON dispatch_callers (participant_sid);

CREATE TABLE dispatch_attempts (
    dispatch_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    agent_name TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    outcome TEXT,
    livekit_dispatch_id TEXT,
    job_id TEXT,
    error_code TEXT,
    error_text TEXT,
    CONSTRAINT pk_dispatch_attempts PRIMARY KEY (dispatch_id, number),
    CONSTRAINT fk_dispatch_attempts_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES dispatches (id) ON DELETE CASCADE,
    CONSTRAINT ck_dispatch_attempts_outcome CHECK (
        outcome IN ('accepted', 'rejected', 'unknown', 'adopted', 'no_show')
    )
);

CREATE TABLE token_dispatches (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    room_name TEXT NOT NULL,
    participant_identity TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    rule_id BIGINT NOT NULL,
    rules_version BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    attributes JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_token_dispatches PRIMARY KEY (id)
);
CREATE INDEX ix_token_dispatches_created_at ON token_dispatches (created_at);
CREATE INDEX ix_token_dispatches_room_name_participant_identity ON token_dispatches (room_name, participant_identity);

CREATE TABLE audit_log (
    id BIGSERIAL NOT NULL,
    entity TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_by TEXT NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id)
);
CREATE INDEX ix_audit_log_changed_at ON audit_log (changed_at);
CREATE INDEX ix_audit_log_entity_id_id ON audit_log (entity_id, id);

CREATE TABLE agent_limits (
    agent_name TEXT NOT NULL,
    max_active INTEGER,
    starts_per_second INTEGER,
    CONSTRAINT pk_agent_limits PRIMARY KEY (agent_name),
    CONSTRAINT ck_agent_limits_max_active CHECK (max_active IS NULL OR max_active >= 0),
    CONSTRAINT ck_agent_limits_starts_per_second CHECK (starts_per_second IS NULL OR starts_per_second >= 1)
);

CREATE TABLE heartbeats (
    component TEXT NOT NULL,
    replica TEXT NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE NOT NULL,
    detail JSONB NOT NULL,
    CONSTRAINT pk_heartbeats PRIMARY KEY (component, replica)
);

CREATE TABLE users (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled BOOLEAN DEFAULT false NOT NULL,
    session_epoch INTEGER DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_name UNIQUE (name),
    CONSTRAINT ck_users_role CHECK (role IN ('viewer', 'editor', 'admin'))
);

CREATE TABLE api_tokens (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_tokens PRIMARY KEY (id),
    CONSTRAINT uq_api_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_api_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_api_tokens_role CHECK (role IN ('viewer', 'editor', 'admin'))
);

CREATE TABLE signing_keys (
    purpose TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_signing_keys PRIMARY KEY (purpose)
);

CREATE TABLE probes (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    arrived BOOLEAN,
    milliseconds_to_agent INTEGER,
    detail TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_probes PRIMARY KEY (id)
);
CREATE INDEX ix_probes_agent_name_id ON probes (agent_name, id);

-- Each edit of a rule is recorded, whichever client made it. Rows of rule_editor are deleted before commit, so those
-- of other transactions are never visible here.
CREATE FUNCTION usher_stamp_rule() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;

-- The advisory lock makes ids of rule_changes visible in their order: without it, readers that follow max(id) would
-- miss a slower transaction with a smaller id.
CREATE FUNCTION usher_record_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;

CREATE FUNCTION usher_rules_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
    INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by)
    SELECT id, 'delete', to_jsonb(r) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
           'sql:' || session_user
      FROM routing_rules r ORDER BY id;
    RETURN NULL;
END $$;

CREATE FUNCTION usher_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TRIGGER routing_rules_stamped BEFORE INSERT OR UPDATE ON routing_rules
    FOR EACH ROW EXECUTE FUNCTION usher_stamp_rule();

CREATE TRIGGER routing_rules_recorded AFTER INSERT OR UPDATE OR DELETE ON routing_rules
    FOR EACH ROW EXECUTE FUNCTION usher_record_rule_change();

CREATE TRIGGER routing_rules_truncated BEFORE TRUNCATE ON routing_rules
    FOR EACH STATEMENT EXECUTE FUNCTION usher_rules_truncated();

-- Append-only; but pruning may delete old lines of the audit log.
CREATE TRIGGER rule_changes_refused BEFORE UPDATE OR DELETE ON rule_changes
    FOR EACH ROW EXECUTE FUNCTION usher_refuse_change();

CREATE TRIGGER audit_log_refused BEFORE UPDATE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION usher_refuse_change();
