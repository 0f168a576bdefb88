-- The first schema on SQLite: rules and their history, events, dispatches, audit, accounts.
-- Frozen: databases that exist were made by it. tests/migration/test_frozen.py holds its digest.

CREATE TABLE routing_rules (
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
    recover BOOLEAN DEFAULT 0 NOT NULL,
    withdraw BOOLEAN DEFAULT 0 NOT NULL,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
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
    CONSTRAINT ck_routing_rules_on_match CHECK (on_match IN ('stop', 'continue')),
    CONSTRAINT ck_routing_rules_enabled CHECK (enabled IN (0, 1)),
    CONSTRAINT ck_routing_rules_recover CHECK (recover IN (0, 1)),
    CONSTRAINT ck_routing_rules_withdraw CHECK (withdraw IN (0, 1))
);
CREATE INDEX ix_routing_rules_objective ON routing_rules (id) WHERE objective_s IS NOT NULL;

CREATE TABLE rule_changes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    rule_id BIGINT NOT NULL,
    change TEXT NOT NULL,
    "before" JSON,
    "after" JSON,
    changed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    changed_by TEXT NOT NULL,
    CONSTRAINT ck_rule_changes_change CHECK (change IN ('insert', 'update', 'delete'))
);
CREATE INDEX ix_rule_changes_rule_id_id ON rule_changes (rule_id, id);
-- For routing_rules_inserted, which looks for a removed rule by its name.
CREATE INDEX ix_rule_changes_replaced ON rule_changes (json_extract("after", '$.name'));

CREATE TABLE rule_editor (
    id INTEGER NOT NULL,
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
    occurred_at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    body JSON NOT NULL,
    outcome TEXT NOT NULL,
    rules_version BIGINT NOT NULL,
    decision JSON,
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
    attributes JSON NOT NULL,
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
    next_attempt_at TEXT,
    must_look BOOLEAN DEFAULT 0 NOT NULL,
    lease_owner TEXT,
    lease_until TEXT,
    answer_deadline TEXT,
    livekit_dispatch_id TEXT,
    job_id TEXT,
    worker_id TEXT,
    agent_identity TEXT,
    agent_sid TEXT,
    recovers TEXT,
    recoveries INTEGER DEFAULT '0' NOT NULL,
    created_at TEXT NOT NULL,
    dispatched_at TEXT,
    joined_at TEXT,
    ended_at TEXT,
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
    left_at TEXT,
    CONSTRAINT pk_dispatch_callers PRIMARY KEY (dispatch_id, participant_sid),
    CONSTRAINT fk_dispatch_callers_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES dispatches (id) ON DELETE CASCADE
);
CREATE INDEX ix_dispatch_callers_event_id ON dispatch_callers (event_id);
CREATE INDEX ix_dispatch_callers_participant_sid ON dispatch_callers (participant_sid);

CREATE TABLE dispatch_attempts (
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
    attributes JSON NOT NULL,
    created_at TEXT NOT NULL,
    used_at TEXT,
    CONSTRAINT pk_token_dispatches PRIMARY KEY (id)
);
CREATE INDEX ix_token_dispatches_created_at ON token_dispatches (created_at);
CREATE INDEX ix_token_dispatches_room_name_participant_identity ON token_dispatches (room_name, participant_identity);

CREATE TABLE audit_log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    entity TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    changed_by TEXT NOT NULL
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
    beat_at TEXT NOT NULL,
    detail JSON NOT NULL,
    CONSTRAINT pk_heartbeats PRIMARY KEY (component, replica)
);

CREATE TABLE users (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled BOOLEAN DEFAULT 0 NOT NULL,
    session_epoch INTEGER DEFAULT '0' NOT NULL,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
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
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    last_used_at TEXT,
    CONSTRAINT pk_api_tokens PRIMARY KEY (id),
    CONSTRAINT uq_api_tokens_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_api_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_api_tokens_role CHECK (role IN ('viewer', 'editor', 'admin'))
);

CREATE TABLE signing_keys (
    purpose TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_signing_keys PRIMARY KEY (purpose)
);

CREATE TABLE probes (
    id TEXT NOT NULL,
    project TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    arrived BOOLEAN,
    milliseconds_to_agent INTEGER,
    detail TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_probes PRIMARY KEY (id)
);
CREATE INDEX ix_probes_agent_name_id ON probes (agent_name, id);

-- Each edit of a rule is recorded, whichever client made it. Text that is not JSON is recorded as text, so that a bad
-- row has a history too. REPLACE removes the old row without firing a delete trigger, so the insert trigger also
-- records the removal of a rule that had the same name and no longer exists.
CREATE TRIGGER routing_rules_inserted AFTER INSERT ON routing_rules BEGIN
    INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)
    SELECT c.rule_id, 'delete', c."after", NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
           coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql')
      FROM rule_changes c
     WHERE json_extract(c."after", '$.name') = NEW.name AND c.rule_id <> NEW.id
       AND NOT EXISTS (SELECT 1 FROM routing_rules r WHERE r.id = c.rule_id)
       AND NOT EXISTS (SELECT 1 FROM rule_changes later WHERE later.rule_id = c.rule_id AND later.id > c.id);
    INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)
    VALUES (NEW.id, 'insert', NULL, json_object(
        'id', NEW."id", 'name', NEW."name", 'description', NEW."description",
        'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', NEW."priority",
        'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END,
        'agent_name', NEW."agent_name",
        'metadata', CASE WHEN json_valid(NEW."metadata") THEN json(NEW."metadata") ELSE NEW."metadata" END,
        'attributes', CASE WHEN json_valid(NEW."attributes") THEN json(NEW."attributes") ELSE NEW."attributes" END,
        'deployment', NEW."deployment", 'scope', NEW."scope", 'on_match', NEW."on_match",
        'rollout_percent', NEW."rollout_percent", 'rollout_key', NEW."rollout_key", 'active_hours', NEW."active_hours",
        'timezone', NEW."timezone", 'holidays', NEW."holidays", 'answer_timeout_s', NEW."answer_timeout_s",
        'max_attempts', NEW."max_attempts", 'fallback_agent_name', NEW."fallback_agent_name",
        'recover', json(CASE NEW."recover" WHEN 0 THEN 'false' ELSE 'true' END),
        'withdraw', json(CASE NEW."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
        'objective_percent', NEW."objective_percent", 'objective_s', NEW."objective_s"
    ), (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
        coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), NEW.updated_by, 'sql'));
    UPDATE routing_rules SET updated_at = (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
           updated_by = coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), NEW.updated_by, 'sql')
     WHERE id = NEW.id;
END;

CREATE TRIGGER routing_rules_updated AFTER UPDATE OF
        id, name, description, enabled, priority, pattern, agent_name, metadata, attributes, deployment,
        scope, on_match, rollout_percent, rollout_key, active_hours, timezone, holidays, answer_timeout_s,
        max_attempts, fallback_agent_name, recover, withdraw, objective_percent, objective_s
    ON routing_rules
    WHEN json_object(
        'id', OLD."id", 'name', OLD."name", 'description', OLD."description",
        'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD."priority",
        'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END,
        'agent_name', OLD."agent_name",
        'metadata', CASE WHEN json_valid(OLD."metadata") THEN json(OLD."metadata") ELSE OLD."metadata" END,
        'attributes', CASE WHEN json_valid(OLD."attributes") THEN json(OLD."attributes") ELSE OLD."attributes" END,
        'deployment', OLD."deployment", 'scope', OLD."scope", 'on_match', OLD."on_match",
        'rollout_percent', OLD."rollout_percent", 'rollout_key', OLD."rollout_key", 'active_hours', OLD."active_hours",
        'timezone', OLD."timezone", 'holidays', OLD."holidays", 'answer_timeout_s', OLD."answer_timeout_s",
        'max_attempts', OLD."max_attempts", 'fallback_agent_name', OLD."fallback_agent_name",
        'recover', json(CASE OLD."recover" WHEN 0 THEN 'false' ELSE 'true' END),
        'withdraw', json(CASE OLD."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
        'objective_percent', OLD."objective_percent", 'objective_s', OLD."objective_s"
    ) IS NOT json_object(
        'id', NEW."id", 'name', NEW."name", 'description', NEW."description",
        'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', NEW."priority",
        'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END,
        'agent_name', NEW."agent_name",
        'metadata', CASE WHEN json_valid(NEW."metadata") THEN json(NEW."metadata") ELSE NEW."metadata" END,
        'attributes', CASE WHEN json_valid(NEW."attributes") THEN json(NEW."attributes") ELSE NEW."attributes" END,
        'deployment', NEW."deployment", 'scope', NEW."scope", 'on_match', NEW."on_match",
        'rollout_percent', NEW."rollout_percent", 'rollout_key', NEW."rollout_key", 'active_hours', NEW."active_hours",
        'timezone', NEW."timezone", 'holidays', NEW."holidays", 'answer_timeout_s', NEW."answer_timeout_s",
        'max_attempts', NEW."max_attempts", 'fallback_agent_name', NEW."fallback_agent_name",
        'recover', json(CASE NEW."recover" WHEN 0 THEN 'false' ELSE 'true' END),
        'withdraw', json(CASE NEW."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
        'objective_percent', NEW."objective_percent", 'objective_s', NEW."objective_s"
    )
BEGIN
    INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)
    SELECT OLD.id, 'delete', json_object(
        'id', OLD."id", 'name', OLD."name", 'description', OLD."description",
        'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD."priority",
        'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END,
        'agent_name', OLD."agent_name",
        'metadata', CASE WHEN json_valid(OLD."metadata") THEN json(OLD."metadata") ELSE OLD."metadata" END,
        'attributes', CASE WHEN json_valid(OLD."attributes") THEN json(OLD."attributes") ELSE OLD."attributes" END,
        'deployment', OLD."deployment", 'scope', OLD."scope", 'on_match', OLD."on_match",
        'rollout_percent', OLD."rollout_percent", 'rollout_key', OLD."rollout_key", 'active_hours', OLD."active_hours",
        'timezone', OLD."timezone", 'holidays', OLD."holidays", 'answer_timeout_s', OLD."answer_timeout_s",
        'max_attempts', OLD."max_attempts", 'fallback_agent_name', OLD."fallback_agent_name",
        'recover', json(CASE OLD."recover" WHEN 0 THEN 'false' ELSE 'true' END),
        'withdraw', json(CASE OLD."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
        'objective_percent', OLD."objective_percent", 'objective_s', OLD."objective_s"
    ), NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
        coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql')
      WHERE OLD.id <> NEW.id;
    INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by) VALUES (
        NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
        CASE WHEN OLD.id = NEW.id THEN json_object(
            'id', OLD."id", 'name', OLD."name", 'description', OLD."description",
            'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD."priority",
            'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END,
            'agent_name', OLD."agent_name",
            'metadata', CASE WHEN json_valid(OLD."metadata") THEN json(OLD."metadata") ELSE OLD."metadata" END,
            'attributes', CASE WHEN json_valid(OLD."attributes") THEN json(OLD."attributes") ELSE OLD."attributes" END,
            'deployment', OLD."deployment", 'scope', OLD."scope", 'on_match', OLD."on_match",
            'rollout_percent', OLD."rollout_percent", 'rollout_key', OLD."rollout_key",
            'active_hours', OLD."active_hours", 'timezone', OLD."timezone", 'holidays', OLD."holidays",
            'answer_timeout_s', OLD."answer_timeout_s", 'max_attempts', OLD."max_attempts",
            'fallback_agent_name', OLD."fallback_agent_name",
            'recover', json(CASE OLD."recover" WHEN 0 THEN 'false' ELSE 'true' END),
            'withdraw', json(CASE OLD."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
            'objective_percent', OLD."objective_percent", 'objective_s', OLD."objective_s"
        ) END, json_object(
            'id', NEW."id", 'name', NEW."name", 'description', NEW."description",
            'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', NEW."priority",
            'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END,
            'agent_name', NEW."agent_name",
            'metadata', CASE WHEN json_valid(NEW."metadata") THEN json(NEW."metadata") ELSE NEW."metadata" END,
            'attributes', CASE WHEN json_valid(NEW."attributes") THEN json(NEW."attributes") ELSE NEW."attributes" END,
            'deployment', NEW."deployment", 'scope', NEW."scope", 'on_match', NEW."on_match",
            'rollout_percent', NEW."rollout_percent", 'rollout_key', NEW."rollout_key",
            'active_hours', NEW."active_hours", 'timezone', NEW."timezone", 'holidays', NEW."holidays",
            'answer_timeout_s', NEW."answer_timeout_s", 'max_attempts', NEW."max_attempts",
            'fallback_agent_name', NEW."fallback_agent_name",
            'recover', json(CASE NEW."recover" WHEN 0 THEN 'false' ELSE 'true' END),
            'withdraw', json(CASE NEW."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
            'objective_percent', NEW."objective_percent", 'objective_s', NEW."objective_s"
        ), (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
        coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1),
                 CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql'));
    UPDATE routing_rules SET updated_at = (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
           updated_by = coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1),
                                 CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql')
     WHERE id = NEW.id;
END;

CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules BEGIN
    INSERT INTO rule_changes (rule_id, change, "before", "after", changed_at, changed_by)
    VALUES (OLD.id, 'delete', json_object(
        'id', OLD."id", 'name', OLD."name", 'description', OLD."description",
        'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'priority', OLD."priority",
        'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END,
        'agent_name', OLD."agent_name",
        'metadata', CASE WHEN json_valid(OLD."metadata") THEN json(OLD."metadata") ELSE OLD."metadata" END,
        'attributes', CASE WHEN json_valid(OLD."attributes") THEN json(OLD."attributes") ELSE OLD."attributes" END,
        'deployment', OLD."deployment", 'scope', OLD."scope", 'on_match', OLD."on_match",
        'rollout_percent', OLD."rollout_percent", 'rollout_key', OLD."rollout_key", 'active_hours', OLD."active_hours",
        'timezone', OLD."timezone", 'holidays', OLD."holidays", 'answer_timeout_s', OLD."answer_timeout_s",
        'max_attempts', OLD."max_attempts", 'fallback_agent_name', OLD."fallback_agent_name",
        'recover', json(CASE OLD."recover" WHEN 0 THEN 'false' ELSE 'true' END),
        'withdraw', json(CASE OLD."withdraw" WHEN 0 THEN 'false' ELSE 'true' END),
        'objective_percent', OLD."objective_percent", 'objective_s', OLD."objective_s"
    ), NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'),
        coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql'));
END;

-- Append-only; but pruning may delete old lines of the audit log.
CREATE TRIGGER rule_changes_UPDATE_refused BEFORE UPDATE ON rule_changes BEGIN
    SELECT raise(ABORT, 'rule_changes is append-only');
END;

CREATE TRIGGER rule_changes_DELETE_refused BEFORE DELETE ON rule_changes BEGIN
    SELECT raise(ABORT, 'rule_changes is append-only');
END;

CREATE TRIGGER audit_log_UPDATE_refused BEFORE UPDATE ON audit_log BEGIN
    SELECT raise(ABORT, 'audit_log is append-only');
END;
