-- A database as Usher wrote it at schema 0008, before the first release: tests/migration/test_upgrade.py.
CREATE FUNCTION public.usher_record_rule_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.usher_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$;

CREATE FUNCTION public.usher_rules_truncated() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.rule_changes'));
        INSERT INTO rule_changes (rule_id, change, before, changed_at, changed_by)
        SELECT id, 'delete', to_jsonb(r) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user
          FROM routing_rules r ORDER BY id;
        RETURN NULL;
    END $$;

CREATE FUNCTION public.usher_stamp_rule() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE public.agent_limits (
    agent_name text NOT NULL,
    max_active integer,
    starts_per_second integer,
    CONSTRAINT ck_agent_limits_max_active CHECK (((max_active IS NULL) OR (max_active >= 0))),
    CONSTRAINT ck_agent_limits_starts_per_second CHECK (((starts_per_second IS NULL) OR (starts_per_second >= 1)))
);

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.api_tokens (
    id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    token_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT ck_api_tokens_role CHECK ((role = ANY (ARRAY['viewer'::text, 'editor'::text, 'admin'::text])))
);

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    changed_by text NOT NULL
);

CREATE SEQUENCE public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.audit_log_id_seq OWNED BY public.audit_log.id;

CREATE TABLE public.dispatch_attempts (
    dispatch_id text NOT NULL,
    number integer NOT NULL,
    agent_name text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    livekit_dispatch_id text,
    job_id text,
    error_code text,
    error_text text,
    CONSTRAINT ck_dispatch_attempts_outcome CHECK ((outcome = ANY (ARRAY['accepted'::text, 'rejected'::text, 'unknown'::text, 'adopted'::text, 'no_show'::text])))
);

CREATE TABLE public.dispatch_callers (
    dispatch_id text NOT NULL,
    participant_sid text NOT NULL,
    event_id text NOT NULL,
    participant_identity text NOT NULL,
    left_at timestamp with time zone
);

CREATE TABLE public.dispatches (
    id text NOT NULL,
    event_id text NOT NULL,
    rule_id bigint NOT NULL,
    rule_name text NOT NULL,
    rules_version bigint NOT NULL,
    project text NOT NULL,
    room_name text NOT NULL,
    room_sid text NOT NULL,
    participant_identity text NOT NULL,
    participant_sid text NOT NULL,
    agent_name text NOT NULL,
    metadata text NOT NULL,
    attributes jsonb NOT NULL,
    deployment text,
    scope text NOT NULL,
    intent_key text NOT NULL,
    status text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    answer_timeout_s integer NOT NULL,
    max_attempts integer NOT NULL,
    fallback_agent_name text,
    recover boolean NOT NULL,
    withdraw boolean NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    counted_attempts integer DEFAULT 0 NOT NULL,
    asked_agent_name text,
    next_attempt_at timestamp with time zone,
    must_look boolean DEFAULT false NOT NULL,
    lease_owner text,
    lease_until timestamp with time zone,
    answer_deadline timestamp with time zone,
    livekit_dispatch_id text,
    job_id text,
    worker_id text,
    agent_identity text,
    agent_sid text,
    recovers text,
    recoveries integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    dispatched_at timestamp with time zone,
    joined_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT ck_dispatches_scope CHECK ((scope = ANY (ARRAY['room'::text, 'participant'::text]))),
    CONSTRAINT ck_dispatches_status CHECK ((status = ANY (ARRAY['pending'::text, 'sending'::text, 'dispatched'::text, 'joined'::text, 'ended'::text, 'no_show'::text, 'failed'::text, 'cancelled'::text])))
);

CREATE TABLE public.events (
    id text NOT NULL,
    livekit_id text NOT NULL,
    dedupe_key text NOT NULL,
    project text NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    room_name text NOT NULL,
    room_sid text NOT NULL,
    participant_identity text NOT NULL,
    participant_sid text NOT NULL,
    participant_kind text NOT NULL,
    phone_number text,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    body jsonb NOT NULL,
    outcome text NOT NULL,
    rules_version bigint NOT NULL,
    decision jsonb,
    CONSTRAINT ck_events_outcome CHECK ((outcome = ANY (ARRAY['planned'::text, 'served'::text, 'no_match'::text, 'ignored'::text]))),
    CONSTRAINT ck_events_source CHECK ((source = ANY (ARRAY['webhook'::text, 'sweep'::text, 'replay'::text])))
);

CREATE TABLE public.heartbeats (
    component text NOT NULL,
    replica text NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    detail jsonb NOT NULL
);

CREATE TABLE public.probes (
    id text NOT NULL,
    project text NOT NULL,
    agent_name text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    arrived boolean,
    milliseconds_to_agent integer,
    detail text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.routing_rules (
    id bigint NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    priority integer DEFAULT 100 NOT NULL,
    pattern jsonb NOT NULL,
    agent_name text NOT NULL,
    metadata jsonb,
    attributes jsonb,
    deployment text,
    scope text DEFAULT 'room'::text NOT NULL,
    on_match text DEFAULT 'stop'::text NOT NULL,
    rollout_percent integer DEFAULT 100 NOT NULL,
    rollout_key text DEFAULT 'participant.identity'::text NOT NULL,
    active_hours text,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    holidays text,
    answer_timeout_s integer DEFAULT 15 NOT NULL,
    max_attempts integer DEFAULT 3 NOT NULL,
    fallback_agent_name text,
    recover boolean DEFAULT false NOT NULL,
    withdraw boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text,
    objective_percent numeric,
    objective_s numeric,
    CONSTRAINT ck_routing_rules_agent_name CHECK (((length(agent_name) >= 1) AND (length(agent_name) <= 256))),
    CONSTRAINT ck_routing_rules_answer_timeout_s CHECK (((answer_timeout_s >= 1) AND (answer_timeout_s <= 3600))),
    CONSTRAINT ck_routing_rules_max_attempts CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT ck_routing_rules_name CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT ck_routing_rules_objective CHECK ((((objective_percent IS NULL) AND (objective_s IS NULL)) OR ((objective_percent IS NOT NULL) AND (objective_s IS NOT NULL) AND (objective_percent >= (1)::numeric) AND (objective_percent < (100)::numeric) AND (objective_s >= 0.1) AND (objective_s <= (3600)::numeric)))),
    CONSTRAINT ck_routing_rules_on_match CHECK ((on_match = ANY (ARRAY['stop'::text, 'continue'::text]))),
    CONSTRAINT ck_routing_rules_priority CHECK (((priority >= '-1000000'::integer) AND (priority <= 1000000))),
    CONSTRAINT ck_routing_rules_rollout_percent CHECK (((rollout_percent >= 0) AND (rollout_percent <= 100))),
    CONSTRAINT ck_routing_rules_scope CHECK ((scope = ANY (ARRAY['room'::text, 'participant'::text])))
);

CREATE SEQUENCE public.routing_rules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.routing_rules_id_seq OWNED BY public.routing_rules.id;

CREATE TABLE public.rule_changes (
    id bigint NOT NULL,
    rule_id bigint NOT NULL,
    change text NOT NULL,
    before jsonb,
    after jsonb,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT ck_rule_changes_change CHECK ((change = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text])))
);

CREATE SEQUENCE public.rule_changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.rule_changes_id_seq OWNED BY public.rule_changes.id;

CREATE TABLE public.rule_editor (
    id bigint NOT NULL,
    name text NOT NULL
);

CREATE SEQUENCE public.rule_editor_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.rule_editor_id_seq OWNED BY public.rule_editor.id;

CREATE TABLE public.signing_keys (
    purpose text NOT NULL,
    secret text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.token_dispatches (
    id text NOT NULL,
    project text NOT NULL,
    room_name text NOT NULL,
    participant_identity text NOT NULL,
    agent_name text NOT NULL,
    rule_id bigint NOT NULL,
    rules_version bigint NOT NULL,
    metadata text NOT NULL,
    attributes jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE public.users (
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    session_epoch integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_users_role CHECK ((role = ANY (ARRAY['viewer'::text, 'editor'::text, 'admin'::text])))
);

ALTER TABLE ONLY public.audit_log ALTER COLUMN id SET DEFAULT nextval('public.audit_log_id_seq'::regclass);

ALTER TABLE ONLY public.routing_rules ALTER COLUMN id SET DEFAULT nextval('public.routing_rules_id_seq'::regclass);

ALTER TABLE ONLY public.rule_changes ALTER COLUMN id SET DEFAULT nextval('public.rule_changes_id_seq'::regclass);

ALTER TABLE ONLY public.rule_editor ALTER COLUMN id SET DEFAULT nextval('public.rule_editor_id_seq'::regclass);

INSERT INTO public.agent_limits VALUES ('rare', 0, NULL);
INSERT INTO public.agent_limits VALUES ('greeter', NULL, 20);

INSERT INTO public.alembic_version VALUES ('0008');

INSERT INTO public.api_tokens VALUES ('01936f00-0000-7000-8000-00000000000c', '01936f00-0000-7000-8000-00000000000a', 'deployment', 'editor', 'not-a-hash', '2026-11-22 12:00:00+00', NULL, NULL, NULL);
INSERT INTO public.api_tokens VALUES ('01936f00-0000-7000-8000-00000000000d', '01936f00-0000-7000-8000-00000000000a', 'old', 'viewer', 'not-a-hash-either', '2026-11-22 12:00:00+00', NULL, '2026-11-22 12:00:00+00', NULL);

INSERT INTO public.audit_log VALUES (1, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', NULL, 'pending', 'rule ''answered'' matched', '2026-11-25 18:19:51.911461+00', 'usher');
INSERT INTO public.audit_log VALUES (2, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'pending', 'sending', 'its turn', '2026-11-25 18:19:52.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (3, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:19:52.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (4, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:52.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (5, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:19:52.381461+00', 'usher');
INSERT INTO public.audit_log VALUES (6, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b061e4a1f14', NULL, 'failed', 'this template cannot be rendered: metadata.x.$eval: .missing needs an object, found a string', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (7, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', NULL, 'pending', 'rule ''each'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (8, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', NULL, 'sending', 'rule ''absent'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (9, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', NULL, 'sending', 'rule ''fallback'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (10, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', NULL, 'sending', 'rule ''dying'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (11, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0b647b699b', NULL, 'sending', 'rule ''impatient'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (12, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', NULL, 'pending', 'rule ''each'' matched', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (13, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (14, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (15, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (16, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0b647b699b', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.511461+00', 'usher');
INSERT INTO public.audit_log VALUES (17, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'pending', 'sending', 'its turn', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (18, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', 'pending', 'sending', 'its turn', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (19, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (20, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (21, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (22, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:55.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (23, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:19:55.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (24, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:19:56.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (25, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:19:56.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (26, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'joined', 'joined', 'the agent is agent-AJ_dQFYBCYheg5F, says LiveKit', '2026-11-25 18:19:57.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (27, 'dispatch', '01a213f3-2be6-7013-b399-8fa1add96cc1', 'joined', 'joined', 'the agent is agent-AJ_FMGgAngRkZPT, says LiveKit', '2026-11-25 18:19:57.081461+00', 'usher');
INSERT INTO public.audit_log VALUES (28, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'dispatched', 'its agent is overdue; looking at LiveKit', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (29, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'dispatched', 'dispatched', 'its agent is overdue; looking at LiveKit', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (30, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'dispatched', 'its agent did not come; deleting the dispatch', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (31, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'dispatched', 'dispatched', 'its agent did not come; deleting the dispatch', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (32, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'pending', 'absent did not come: no worker is seen to have taken it; asking also-absent instead', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (33, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'dispatched', 'pending', 'absent did not come: no worker is seen to have taken it; asking greeter instead', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (34, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'pending', 'sending', 'its turn', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (35, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'pending', 'sending', 'its turn', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (36, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (37, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (38, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (39, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:19:57.581461+00', 'usher');
INSERT INTO public.audit_log VALUES (40, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:19:57.881461+00', 'usher');
INSERT INTO public.audit_log VALUES (41, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0b647b699b', 'dispatched', 'cancelled', 'the caller gave up after 3.9 s', '2026-11-25 18:19:59.431461+00', 'usher');
INSERT INTO public.audit_log VALUES (42, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'joined', 'ended', 'the agent left (CLIENT_INITIATED)', '2026-11-25 18:19:59.431461+00', 'usher');
INSERT INTO public.audit_log VALUES (43, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'dispatched', 'its agent is overdue; looking at LiveKit', '2026-11-25 18:19:59.681461+00', 'usher');
INSERT INTO public.audit_log VALUES (44, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'dispatched', 'its agent did not come; deleting the dispatch', '2026-11-25 18:19:59.681461+00', 'usher');
INSERT INTO public.audit_log VALUES (45, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'dispatched', 'no_show', 'also-absent did not come: no worker is seen to have taken it; nobody else to ask', '2026-11-25 18:19:59.681461+00', 'usher');
INSERT INTO public.audit_log VALUES (46, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'joined', 'joined', 'the agent is agent-AJ_FrmHe6LbKC4d, says LiveKit', '2026-11-25 18:20:01.881461+00', 'usher');
INSERT INTO public.audit_log VALUES (47, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'joined', 'joined', 'the agent is agent-AJ_qnRATesBMVkQ, says LiveKit', '2026-11-25 18:20:01.931461+00', 'usher');
INSERT INTO public.audit_log VALUES (48, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 'joined', 'joined', 'the agent is agent-AJ_NqKoi9DHDYar, says LiveKit', '2026-11-25 18:20:01.981461+00', 'usher');
INSERT INTO public.audit_log VALUES (49, 'dispatch', '01a213f3-2827-7480-ae4f-8f964e21710b', 'joined', 'ended', 'the agent left (ROOM_CLOSED)', '2026-11-25 18:20:19.431461+00', 'usher');
INSERT INTO public.audit_log VALUES (50, 'dispatch', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 'joined', 'ended', 'the agent left (CONNECTION_TIMEOUT); it is being replaced', '2026-11-25 18:20:20.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (51, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', NULL, 'pending', 'replaces the agent of dispatch 01a213f3-2bbd-73b0-a4d0-6b0af65ac002', '2026-11-25 18:20:20.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (52, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', 'pending', 'sending', 'its turn', '2026-11-25 18:20:20.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (53, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:20:20.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (54, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:20:20.811461+00', 'usher');
INSERT INTO public.audit_log VALUES (55, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:20:21.111461+00', 'usher');
INSERT INTO public.audit_log VALUES (56, 'dispatch', '01a213f3-4a18-70ad-9eec-017571e87fe7', NULL, 'pending', 'rule ''answered'' matched', '2026-11-25 18:20:26.181461+00', 'usher');
INSERT INTO public.audit_log VALUES (57, 'dispatch', '01a213f3-460e-7042-8ccc-92057bbfc6dd', 'joined', 'joined', 'the agent is agent-AJ_hGA2tPYQUetS, says LiveKit', '2026-11-25 18:20:26.216461+00', 'usher');
INSERT INTO public.audit_log VALUES (58, 'dispatch', '01a213f3-4a18-70ad-9eec-017571e87fe7', 'pending', 'sending', 'its turn', '2026-11-25 18:20:26.216461+00', 'usher');
INSERT INTO public.audit_log VALUES (59, 'dispatch', '01a213f3-4a18-70ad-9eec-017571e87fe7', 'sending', 'sending', 'the caller is waiting', '2026-11-25 18:20:26.216461+00', 'usher');
INSERT INTO public.audit_log VALUES (60, 'dispatch', '01a213f3-4a18-70ad-9eec-017571e87fe7', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:20:26.216461+00', 'usher');
INSERT INTO public.audit_log VALUES (61, 'dispatch', '01a213f3-4a18-70ad-9eec-017571e87fe7', 'dispatched', 'joined', 'the agent is in the room', '2026-11-25 18:20:28.566461+00', 'usher');
INSERT INTO public.audit_log VALUES (62, 'dispatch', '01a213f3-5c6a-7680-8372-11afaf196e5f', NULL, 'sending', 'rule ''waiting'' matched', '2026-11-25 18:21:06.211461+00', 'usher');
INSERT INTO public.audit_log VALUES (63, 'dispatch', '01a213f3-5c6a-7680-8372-11b0cf35ad95', NULL, 'pending', 'rule ''limited'' matched', '2026-11-25 18:21:06.211461+00', 'usher');
INSERT INTO public.audit_log VALUES (64, 'dispatch', '01a213f3-5c6a-7680-8372-11afaf196e5f', 'sending', 'dispatched', 'LiveKit wrote the dispatch down', '2026-11-25 18:21:06.211461+00', 'usher');
INSERT INTO public.audit_log VALUES (65, 'dispatch', '01a213f3-5c6a-7680-8372-11b0cf35ad95', 'pending', 'pending', 'waiting: the limit of rare is reached (agent_limits)', '2026-11-25 18:21:06.416461+00', 'usher');
INSERT INTO public.audit_log VALUES (66, 'dispatch', '01a213f3-5c6a-7680-8372-11b0cf35beef', NULL, 'sending', 'asking LiveKit', '2026-11-25 18:21:06.211461+00', 'usher');
INSERT INTO public.audit_log VALUES (67, 'user', '01936f00-0000-7000-8000-00000000000b', 'enabled', 'disabled', 'left the company', '2026-11-22 12:00:00+00', 'maria');

INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2827-7480-ae4f-8f964e21710b', 1, 'greeter', '2026-11-25 18:19:52.081461+00', '2026-11-25 18:19:52.081461+00', 'accepted', 'AD_C6opFH8dyFmG', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 1, 'mortal', '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', 'accepted', 'AD_nqHUdNEBDchr', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b0b647b699b', 1, 'absent', '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', 'accepted', 'AD_D86KFoMSCHzw', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 1, 'greeter', '2026-11-25 18:19:55.581461+00', '2026-11-25 18:19:55.581461+00', 'accepted', 'AD_sAbyuAUjPBeW', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2be6-7013-b399-8fa1add96cc1', 1, 'greeter', '2026-11-25 18:19:55.581461+00', '2026-11-25 18:19:55.581461+00', 'accepted', 'AD_pUwUXJH2QJSZ', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 1, 'absent', '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', 'no_show', 'AD_srAbXwnXsF2m', NULL, NULL, 'no worker is seen to have taken it');
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b09b114b910', 1, 'absent', '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', 'no_show', 'AD_d25n6Ado4E3m', NULL, NULL, 'no worker is seen to have taken it');
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b09b114b910', 2, 'greeter', '2026-11-25 18:19:57.581461+00', '2026-11-25 18:19:57.581461+00', 'accepted', 'AD_qQ4UsjTQnPL7', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 2, 'also-absent', '2026-11-25 18:19:57.581461+00', '2026-11-25 18:19:57.581461+00', 'no_show', 'AD_SdPXgCUpe9GC', NULL, NULL, 'no worker is seen to have taken it');
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-460e-7042-8ccc-92057bbfc6dd', 1, 'mortal', '2026-11-25 18:20:20.811461+00', '2026-11-25 18:20:20.811461+00', 'accepted', 'AD_FDSkx5GcQGmU', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-4a18-70ad-9eec-017571e87fe7', 1, 'greeter', '2026-11-25 18:20:26.216461+00', '2026-11-25 18:20:26.216461+00', 'accepted', 'AD_eYJ8jm8iAnuJ', NULL, NULL, NULL);
INSERT INTO public.dispatch_attempts VALUES ('01a213f3-5c6a-7680-8372-11afaf196e5f', 1, 'absent', '2026-11-25 18:21:06.211461+00', '2026-11-25 18:21:06.211461+00', 'accepted', 'AD_mBUNdkHGENSv', NULL, NULL, NULL);

INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b061e4a1f14', 'PA_8TPXCzjE2sRH', '01a213f3-2bb4-7369-90e9-5e2e16054219', 'gus', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b083b6d9595', 'PA_vCGve7PFV8p5', '01a213f3-2bb4-7369-90e9-5e319d34b265', 'carl', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b09b114b910', 'PA_n8HSAFuWGi8a', '01a213f3-2bb4-7369-90e9-5e32e48200ff', 'emil', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 'PA_9msJDAQHHBoJ', '01a213f3-2bb4-7369-90e9-5e3373da81f6', 'fay', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2be6-7013-b399-8fa1add96cc1', 'PA_KknHaGE3PELf', '01a213f3-2bde-75a8-a87c-63fd197c9263', 'jon', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2827-7480-ae4f-8f964e21710b', 'PA_6c3ieaQYdC8Z', '01a213f3-27fa-7410-a085-198b226398b0', 'ana', '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', 'PA_gbfee75pUdCC', '01a213f3-2bb4-7369-90e9-5e2fc180c878', 'ida', '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2bbd-73b0-a4d0-6b0b647b699b', 'PA_8GNEW4Bwc7CY', '01a213f3-2bb4-7369-90e9-5e34aa16ac84', 'dora', '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatch_callers VALUES ('01a213f3-2827-7480-ae4f-8f964e21710b', 'PA_aeTr4MRcekdK', '01a213f3-2997-73b1-99cd-eaf6260d73dc', 'bob', '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatch_callers VALUES ('01a213f3-460e-7042-8ccc-92057bbfc6dd', 'PA_9msJDAQHHBoJ', '01a213f3-2bb4-7369-90e9-5e3373da81f6', 'fay', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-4a18-70ad-9eec-017571e87fe7', 'PA_dyg9N9DZ4PPG', '01a213f3-4a0b-74ec-955b-ade42990209d', 'kim', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-5c6a-7680-8372-11afaf196e5f', 'PA_p3CbVftt9CBP', '01a213f3-5c58-71d2-abdb-971ca559e892', 'lea', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-5c6a-7680-8372-11b0cf35ad95', 'PA_AHYFU2Wnx7Z6', '01a213f3-5c58-71d2-abdb-971d111ef9b2', 'max', NULL);
INSERT INTO public.dispatch_callers VALUES ('01a213f3-5c6a-7680-8372-11b0cf35beef', 'PA_otto', '01a213f3-5c58-71d2-abdb-971d111ef9b2', 'otto', NULL);

INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b061e4a1f14', '01a213f3-2bb4-7369-90e9-5e2e16054219', 7, 'broken', 13, 'default', 'broken', 'RM_xRcAavBQH5zu', 'gus', 'PA_8TPXCzjE2sRH', 'greeter', '', '{}', NULL, 'room', 'b9199b1cb22353abe88c80fbabba98341d3a0b98', 'failed', 'this template cannot be rendered: metadata.x.$eval: .missing needs an object, found a string', 15, 3, NULL, false, false, 0, 0, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:19:55.511461+00', NULL, NULL, '2026-11-25 18:19:55.511461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-2be6-7013-b399-8fa1add96cc1', '01a213f3-2bde-75a8-a87c-63fd197c9263', 9, 'each', 13, 'default', 'each', 'RM_NiFG3smBNvRs', 'jon', 'PA_KknHaGE3PELf', 'greeter', '{"participant":{"identity":"jon","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"each","metadata":""},"rule":"each"}', '{}', NULL, 'participant', '2af7a70eb932b808085dea6d74d905a59fe6be00', 'joined', 'the agent is agent-AJ_FMGgAngRkZPT, says LiveKit', 15, 3, NULL, false, true, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:10.581461+00', 'AD_pUwUXJH2QJSZ', 'AJ_FMGgAngRkZPT', 'AW_zB4T2NwGyFng', 'agent-AJ_FMGgAngRkZPT', 'PA_Wk5wWpumKZRh', NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.581461+00', '2026-11-25 18:19:56.081461+00', NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b0b647b699b', '01a213f3-2bb4-7369-90e9-5e34aa16ac84', 3, 'impatient', 13, 'default', 'abandoned', 'RM_jgYQE76vS7NV', 'dora', 'PA_8GNEW4Bwc7CY', 'absent', '{"participant":{"identity":"dora","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"abandoned","metadata":""},"rule":"impatient"}', '{}', NULL, 'room', 'ee99d225e376a2ad4e813979b5ebbb3875d6f5fe', 'cancelled', 'the caller gave up after 3.9 s', 60, 3, NULL, false, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:55.511461+00', 'AD_D86KFoMSCHzw', NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', NULL, '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a', '01a213f3-2bb4-7369-90e9-5e2fc180c878', 9, 'each', 13, 'default', 'each', 'RM_NiFG3smBNvRs', 'ida', 'PA_gbfee75pUdCC', 'greeter', '{"participant":{"identity":"ida","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"each","metadata":""},"rule":"each"}', '{}', NULL, 'participant', '7aaed82ca6a66ff3e986752580ca7ce760009d63', 'ended', 'the agent left (CLIENT_INITIATED)', 15, 3, NULL, false, true, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:10.581461+00', 'AD_sAbyuAUjPBeW', 'AJ_dQFYBCYheg5F', 'AW_zB4T2NwGyFng', 'agent-AJ_dQFYBCYheg5F', 'PA_Q2P8mu2Ly8jv', NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.581461+00', '2026-11-25 18:19:56.081461+00', '2026-11-25 18:19:59.431461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b083b6d9595', '01a213f3-2bb4-7369-90e9-5e319d34b265', 2, 'absent', 13, 'default', 'missed', 'RM_PqhYZohazzNP', 'carl', 'PA_vCGve7PFV8p5', 'absent', '{"participant":{"identity":"carl","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"missed","metadata":""},"rule":"absent"}', '{}', NULL, 'room', '4fe9bb919d76d98367c19766b6d61801022e1bb1', 'no_show', 'also-absent did not come: no worker is seen to have taken it; nobody else to ask', 2, 1, 'also-absent', false, false, 2, 1, 'also-absent', NULL, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:57.581461+00', NULL, '2026-11-25 18:19:59.681461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b09b114b910', '01a213f3-2bb4-7369-90e9-5e32e48200ff', 5, 'fallback', 13, 'default', 'fallback', 'RM_aBKH3b42AKDJ', 'emil', 'PA_n8HSAFuWGi8a', 'absent', '{"participant":{"identity":"emil","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"fallback","metadata":""},"rule":"fallback"}', '{}', NULL, 'room', 'b0dd236d73a584c89cb91625c980f73462374ea1', 'joined', 'the agent is agent-AJ_qnRATesBMVkQ, says LiveKit', 2, 1, 'greeter', false, false, 2, 0, 'greeter', NULL, false, NULL, NULL, '2026-11-25 18:19:59.581461+00', 'AD_qQ4UsjTQnPL7', 'AJ_qnRATesBMVkQ', 'AW_zB4T2NwGyFng', 'agent-AJ_qnRATesBMVkQ', 'PA_nRSPby2eAMiU', NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:57.581461+00', '2026-11-25 18:19:57.881461+00', NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-2827-7480-ae4f-8f964e21710b', '01a213f3-27fa-7410-a085-198b226398b0', 1, 'answered', 13, 'default', 'answered', 'RM_uqTLeA8hmYqR', 'ana', 'PA_6c3ieaQYdC8Z', 'greeter', '{"caller":"ana"}', '{}', NULL, 'room', 'e9e5d64076774243ca2f13b82cab0f1bf2881ba8', 'ended', 'the agent left (ROOM_CLOSED)', 15, 3, NULL, false, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:07.081461+00', 'AD_C6opFH8dyFmG', 'AJ_FrmHe6LbKC4d', 'AW_zB4T2NwGyFng', 'agent-AJ_FrmHe6LbKC4d', 'PA_NqUnky8Ebq9P', NULL, 0, '2026-11-25 18:19:51.911461+00', '2026-11-25 18:19:52.081461+00', '2026-11-25 18:19:52.381461+00', '2026-11-25 18:20:19.431461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-2bbd-73b0-a4d0-6b0af65ac002', '01a213f3-2bb4-7369-90e9-5e3373da81f6', 6, 'dying', 13, 'default', 'recovered', 'RM_fM4ZYRZwZiFg', 'fay', 'PA_9msJDAQHHBoJ', 'mortal', '{"participant":{"identity":"fay","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"recovered","metadata":""},"rule":"dying"}', '{}', NULL, 'room', '733194b7ba5610e1f8341caee0c1e20984a3a5f3', 'ended', 'the agent left (CONNECTION_TIMEOUT); it is being replaced', 15, 3, NULL, true, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:10.511461+00', 'AD_nqHUdNEBDchr', 'AJ_NqKoi9DHDYar', 'AW_GhMnRtsvfFdE', 'agent-AJ_NqKoi9DHDYar', 'PA_EPCGqSPepyXm', NULL, 0, '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.511461+00', '2026-11-25 18:19:55.811461+00', '2026-11-25 18:20:20.811461+00');
INSERT INTO public.dispatches VALUES ('01a213f3-460e-7042-8ccc-92057bbfc6dd', '01a213f3-2bb4-7369-90e9-5e3373da81f6', 6, 'dying', 13, 'default', 'recovered', 'RM_fM4ZYRZwZiFg', 'fay', 'PA_9msJDAQHHBoJ', 'mortal', '{"participant":{"identity":"fay","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"recovered","metadata":""},"rule":"dying"}', '{}', NULL, 'room', '733194b7ba5610e1f8341caee0c1e20984a3a5f3', 'joined', 'the agent is agent-AJ_hGA2tPYQUetS, says LiveKit', 15, 3, NULL, true, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:35.811461+00', 'AD_FDSkx5GcQGmU', 'AJ_hGA2tPYQUetS', 'AW_iVWCrMNAJtqj', 'agent-AJ_hGA2tPYQUetS', 'PA_aeyWTP7GRAmV', '01a213f3-2bbd-73b0-a4d0-6b0af65ac002', 1, '2026-11-25 18:20:20.811461+00', '2026-11-25 18:20:20.811461+00', '2026-11-25 18:20:21.111461+00', NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-4a18-70ad-9eec-017571e87fe7', '01a213f3-4a0b-74ec-955b-ade42990209d', 1, 'answered', 13, 'default', 'answered', 'RM_huNe8QjYDXeS', 'kim', 'PA_dyg9N9DZ4PPG', 'greeter', '{"caller":"kim"}', '{}', NULL, 'room', '5e85ebe4415ac6982ed3067e0dc02f1054987c25', 'joined', 'the agent is in the room', 15, 3, NULL, false, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:20:41.216461+00', 'AD_eYJ8jm8iAnuJ', 'AJ_7acZJKD2ZkUd', 'AW_zB4T2NwGyFng', 'agent-AJ_7acZJKD2ZkUd', 'PA_9owD37YGAHES', NULL, 0, '2026-11-25 18:20:26.181461+00', '2026-11-25 18:20:26.216461+00', '2026-11-25 18:20:28.566461+00', NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-5c6a-7680-8372-11afaf196e5f', '01a213f3-5c58-71d2-abdb-971ca559e892', 4, 'waiting', 13, 'default', 'waiting', 'RM_7WZejfnN2zyz', 'lea', 'PA_p3CbVftt9CBP', 'absent', '{"participant":{"identity":"lea","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"waiting","metadata":""},"rule":"waiting"}', '{}', NULL, 'room', '573e9e5d0c31186c37fcf6f48efffec60ae34e7e', 'dispatched', 'LiveKit wrote the dispatch down', 600, 3, NULL, false, false, 1, 0, NULL, NULL, false, NULL, NULL, '2026-11-25 18:31:06.211461+00', 'AD_mBUNdkHGENSv', NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:21:06.211461+00', '2026-11-25 18:21:06.211461+00', NULL, NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-5c6a-7680-8372-11b0cf35ad95', '01a213f3-5c58-71d2-abdb-971d111ef9b2', 8, 'limited', 13, 'default', 'limited', 'RM_NT2k2eWyB39Y', 'max', 'PA_AHYFU2Wnx7Z6', 'rare', '{"participant":{"identity":"max","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"limited","metadata":""},"rule":"limited"}', '{}', NULL, 'room', 'd1901a3089e8f0e1e881519c640b428ac117f0e6', 'pending', 'waiting: the limit of rare is reached (agent_limits)', 15, 3, NULL, false, false, 0, 0, NULL, '2026-11-25 18:21:06.211461+00', false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:21:06.211461+00', NULL, NULL, NULL);
INSERT INTO public.dispatches VALUES ('01a213f3-5c6a-7680-8372-11b0cf35beef', '01a213f3-5c58-71d2-abdb-971d111ef9b2', 8, 'limited', 13, 'default', 'limited', 'RM_NT2k2eWyB39Y', 'otto', 'PA_otto', 'rare', '{"participant":{"identity":"max","name":"","kind":"STANDARD","metadata":"","attributes":{}},"room":{"name":"limited","metadata":""},"rule":"limited"}', '{}', NULL, 'room', 'intent-otto', 'sending', 'asking LiveKit', 15, 3, NULL, false, false, 1, 1, 'greeter', '2026-11-25 18:21:06.211461+00', true, 'replica-1', '2026-11-25 18:21:06.211461+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '2026-11-25 18:21:06.211461+00', NULL, NULL, NULL);

INSERT INTO public.events VALUES ('01a213f3-2739-7035-8c96-3509b9455ac2', 'EV_XDyKeRk6pMzR', 'default/EV_XDyKeRk6pMzR', 'default', 'room_started', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', '', '', '', NULL, '2026-11-25 18:19:51+00', '2026-11-25 18:19:51.831461+00', '{"id": "EV_XDyKeRk6pMzR", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630791"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-27fa-7410-a085-198b226398b0', 'EV_eJUGarg2zAyq', 'default/join/PA_6c3ieaQYdC8Z', 'default', 'participant_joined', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'ana', 'PA_6c3ieaQYdC8Z', 'STANDARD', NULL, '2026-11-25 18:19:51.831+00', '2026-11-25 18:19:51.911461+00', '{"id": "EV_eJUGarg2zAyq", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630791", "participant": {"sid": "PA_6c3ieaQYdC8Z", "state": "ACTIVE", "version": 2, "identity": "ana", "joinedAt": "1795630791", "joinedAtMs": "1795630791831", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "answered", "rule_id": 1}], "dispatches": ["01a213f3-2827-7480-ae4f-8f964e21710b"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2966-73b6-8606-cfa4e2b82a38', 'EV_Yggz7nAD7fHW', 'default/join/PA_NqUnky8Ebq9P', 'default', 'participant_joined', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'agent-AJ_FrmHe6LbKC4d', 'PA_NqUnky8Ebq9P', 'AGENT', NULL, '2026-11-25 18:19:52.301+00', '2026-11-25 18:19:52.381461+00', '{"id": "EV_Yggz7nAD7fHW", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630792", "participant": {"sid": "PA_NqUnky8Ebq9P", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_FrmHe6LbKC4d", "joinedAt": "1795630792", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630792301", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2997-73b1-99cd-eaf6260d73dc', 'EV_B9Mtt4BeAksS', 'default/join/PA_aeTr4MRcekdK', 'default', 'participant_joined', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'bob', 'PA_aeTr4MRcekdK', 'STANDARD', NULL, '2026-11-25 18:19:52.431+00', '2026-11-25 18:19:52.511461+00', '{"id": "EV_B9Mtt4BeAksS", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630792", "participant": {"sid": "PA_aeTr4MRcekdK", "state": "ACTIVE", "version": 2, "identity": "bob", "joinedAt": "1795630792", "joinedAtMs": "1795630792431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'served', 13, '{"matched": [{"rule": "answered", "rule_id": 1}], "served_by": ["01a213f3-2827-7480-ae4f-8f964e21710b"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2ba0-7209-9409-1056c7701b18', 'EV_6Ni4RUcx87J4', 'default/EV_6Ni4RUcx87J4', 'default', 'room_started', 'webhook', 'each', 'RM_NiFG3smBNvRs', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_6Ni4RUcx87J4", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a9ad4db7e6c', 'EV_6ihoKSxUZ7aG', 'default/EV_6ihoKSxUZ7aG', 'default', 'room_started', 'webhook', 'unmatched', 'RM_R6syQ8zThddJ', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_6ihoKSxUZ7aG", "room": {"sid": "RM_R6syQ8zThddJ", "name": "unmatched", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a99baae3d1e', 'EV_96V7wZdEays6', 'default/EV_96V7wZdEays6', 'default', 'room_started', 'webhook', 'broken', 'RM_xRcAavBQH5zu', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_96V7wZdEays6", "room": {"sid": "RM_xRcAavBQH5zu", "name": "broken", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a977acd4e9a', 'EV_J6nDruJtfCBC', 'default/EV_J6nDruJtfCBC', 'default', 'room_started', 'webhook', 'fallback', 'RM_aBKH3b42AKDJ', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_J6nDruJtfCBC", "room": {"sid": "RM_aBKH3b42AKDJ", "name": "fallback", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a963417dbbd', 'EV_a8rWRVD783JN', 'default/EV_a8rWRVD783JN', 'default', 'room_started', 'webhook', 'abandoned', 'RM_jgYQE76vS7NV', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_a8rWRVD783JN", "room": {"sid": "RM_jgYQE76vS7NV", "name": "abandoned", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a95b83d68eb', 'EV_jRzUc2MDyELJ', 'default/EV_jRzUc2MDyELJ', 'default', 'room_started', 'webhook', 'missed', 'RM_PqhYZohazzNP', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_jRzUc2MDyELJ", "room": {"sid": "RM_PqhYZohazzNP", "name": "missed", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2b9f-702b-ab82-3a98620931b5', 'EV_y6KRmnmFHLUE', 'default/EV_y6KRmnmFHLUE', 'default', 'room_started', 'webhook', 'recovered', 'RM_fM4ZYRZwZiFg', '', '', '', NULL, '2026-11-25 18:19:55+00', '2026-11-25 18:19:55.431461+00', '{"id": "EV_y6KRmnmFHLUE", "room": {"sid": "RM_fM4ZYRZwZiFg", "name": "recovered", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630795"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e30a1faf3a4', 'EV_9xJrQ8MKAwAH', 'default/join/PA_7zxwBQptgrrU', 'default', 'participant_joined', 'webhook', 'unmatched', 'RM_R6syQ8zThddJ', 'hal', 'PA_7zxwBQptgrrU', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_9xJrQ8MKAwAH", "room": {"sid": "RM_R6syQ8zThddJ", "name": "unmatched", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_7zxwBQptgrrU", "state": "ACTIVE", "version": 2, "identity": "hal", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'no_match', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e34aa16ac84', 'EV_Df5HbSwvFm35', 'default/join/PA_8GNEW4Bwc7CY', 'default', 'participant_joined', 'webhook', 'abandoned', 'RM_jgYQE76vS7NV', 'dora', 'PA_8GNEW4Bwc7CY', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_Df5HbSwvFm35", "room": {"sid": "RM_jgYQE76vS7NV", "name": "abandoned", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_8GNEW4Bwc7CY", "state": "ACTIVE", "version": 2, "identity": "dora", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "impatient", "rule_id": 3}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b0b647b699b"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e2e16054219', 'EV_DM9t3JqQBoPf', 'default/join/PA_8TPXCzjE2sRH', 'default', 'participant_joined', 'webhook', 'broken', 'RM_xRcAavBQH5zu', 'gus', 'PA_8TPXCzjE2sRH', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_DM9t3JqQBoPf", "room": {"sid": "RM_xRcAavBQH5zu", "name": "broken", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_8TPXCzjE2sRH", "state": "ACTIVE", "version": 2, "identity": "gus", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "broken", "rule_id": 7}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b061e4a1f14"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e3373da81f6', 'EV_XaG4vKNuZN3W', 'default/join/PA_9msJDAQHHBoJ', 'default', 'participant_joined', 'webhook', 'recovered', 'RM_fM4ZYRZwZiFg', 'fay', 'PA_9msJDAQHHBoJ', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_XaG4vKNuZN3W", "room": {"sid": "RM_fM4ZYRZwZiFg", "name": "recovered", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_9msJDAQHHBoJ", "state": "ACTIVE", "version": 2, "identity": "fay", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "dying", "rule_id": 6}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b0af65ac002"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e2fc180c878', 'EV_MzWkKLRYKQYS', 'default/join/PA_gbfee75pUdCC', 'default', 'participant_joined', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'ida', 'PA_gbfee75pUdCC', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_MzWkKLRYKQYS", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_gbfee75pUdCC", "state": "ACTIVE", "version": 2, "identity": "ida", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "each", "rule_id": 9}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b07fd65dd6a"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e32e48200ff', 'EV_HQjLnAhFei44', 'default/join/PA_n8HSAFuWGi8a', 'default', 'participant_joined', 'webhook', 'fallback', 'RM_aBKH3b42AKDJ', 'emil', 'PA_n8HSAFuWGi8a', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_HQjLnAhFei44", "room": {"sid": "RM_aBKH3b42AKDJ", "name": "fallback", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_n8HSAFuWGi8a", "state": "ACTIVE", "version": 2, "identity": "emil", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "fallback", "rule_id": 5}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b09b114b910"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bb4-7369-90e9-5e319d34b265', 'EV_JWUnRx2wr2V4', 'default/join/PA_vCGve7PFV8p5', 'default', 'participant_joined', 'webhook', 'missed', 'RM_PqhYZohazzNP', 'carl', 'PA_vCGve7PFV8p5', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_JWUnRx2wr2V4", "room": {"sid": "RM_PqhYZohazzNP", "name": "missed", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_vCGve7PFV8p5", "state": "ACTIVE", "version": 2, "identity": "carl", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "absent", "rule_id": 2}], "dispatches": ["01a213f3-2bbd-73b0-a4d0-6b083b6d9595"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2bde-75a8-a87c-63fd197c9263', 'EV_P2UHgxaaosT7', 'default/join/PA_KknHaGE3PELf', 'default', 'participant_joined', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'jon', 'PA_KknHaGE3PELf', 'STANDARD', NULL, '2026-11-25 18:19:55.431+00', '2026-11-25 18:19:55.511461+00', '{"id": "EV_P2UHgxaaosT7", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_KknHaGE3PELf", "state": "ACTIVE", "version": 2, "identity": "jon", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "each", "rule_id": 9}], "dispatches": ["01a213f3-2be6-7013-b399-8fa1add96cc1"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-4485-7727-ac1f-9fc3e3d9973e', 'EV_WH29L9xoA2oB', 'default/EV_WH29L9xoA2oB', 'default', 'room_finished', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', '', '', '', NULL, '2026-11-25 18:20:19+00', '2026-11-25 18:20:19.431461+00', '{"id": "EV_WH29L9xoA2oB", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "room_finished", "createdAt": "1795630819"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2c36-731a-958e-ac10ce3cbb18', 'EV_mp9gPzqruLb9', 'default/join/PA_EPCGqSPepyXm', 'default', 'participant_joined', 'webhook', 'recovered', 'RM_fM4ZYRZwZiFg', 'agent-AJ_NqKoi9DHDYar', 'PA_EPCGqSPepyXm', 'AGENT', NULL, '2026-11-25 18:19:55.731+00', '2026-11-25 18:19:55.811461+00', '{"id": "EV_mp9gPzqruLb9", "room": {"sid": "RM_fM4ZYRZwZiFg", "name": "recovered", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_EPCGqSPepyXm", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_NqKoi9DHDYar", "joinedAt": "1795630795", "attributes": {"lk.agent.name": "mortal", "lk.agent_name": "mortal"}, "joinedAtMs": "1795630795731", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2c53-75ff-8098-74fbc7a283f0', 'EV_CVhJzMCZHNpi', 'default/join/PA_Q2P8mu2Ly8jv', 'default', 'participant_joined', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'agent-AJ_dQFYBCYheg5F', 'PA_Q2P8mu2Ly8jv', 'AGENT', NULL, '2026-11-25 18:19:55.801+00', '2026-11-25 18:19:55.881461+00', '{"id": "EV_CVhJzMCZHNpi", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_Q2P8mu2Ly8jv", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_dQFYBCYheg5F", "joinedAt": "1795630795", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630795801", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2c5f-7111-943e-113bb38ac16c', 'EV_xf2eaTi92e2Z', 'default/join/PA_Wk5wWpumKZRh', 'default', 'participant_joined', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'agent-AJ_FMGgAngRkZPT', 'PA_Wk5wWpumKZRh', 'AGENT', NULL, '2026-11-25 18:19:55.801+00', '2026-11-25 18:19:55.881461+00', '{"id": "EV_xf2eaTi92e2Z", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630795", "participant": {"sid": "PA_Wk5wWpumKZRh", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_FMGgAngRkZPT", "joinedAt": "1795630795", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630795801", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2e8d-7140-bd0d-1a62df6b231f', 'EV_Wq8NERDYnxPL', 'default/join/PA_nRSPby2eAMiU', 'default', 'participant_joined', 'webhook', 'fallback', 'RM_aBKH3b42AKDJ', 'agent-AJ_qnRATesBMVkQ', 'PA_nRSPby2eAMiU', 'AGENT', NULL, '2026-11-25 18:19:57.801+00', '2026-11-25 18:19:57.881461+00', '{"id": "EV_Wq8NERDYnxPL", "room": {"sid": "RM_aBKH3b42AKDJ", "name": "fallback", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630797", "participant": {"sid": "PA_nRSPby2eAMiU", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_qnRATesBMVkQ", "joinedAt": "1795630797", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630797801", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2eef-7686-9cef-31912726682c', 'EV_Hh776NQvUZ3H', 'default/EV_Hh776NQvUZ3H', 'default', 'participant_left', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'ana', 'PA_6c3ieaQYdC8Z', 'STANDARD', NULL, '2026-11-25 18:19:59+00', '2026-11-25 18:19:59.431461+00', '{"id": "EV_Hh776NQvUZ3H", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630799", "participant": {"sid": "PA_6c3ieaQYdC8Z", "state": "DISCONNECTED", "version": 3, "identity": "ana", "joinedAt": "1795630791", "joinedAtMs": "1795630791831", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CLIENT_INITIATED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2eee-7725-b992-a1b316172f4a', 'EV_Lqk8wCVjRFpL', 'default/EV_Lqk8wCVjRFpL', 'default', 'participant_left', 'webhook', 'abandoned', 'RM_jgYQE76vS7NV', 'dora', 'PA_8GNEW4Bwc7CY', 'STANDARD', NULL, '2026-11-25 18:19:59+00', '2026-11-25 18:19:59.431461+00', '{"id": "EV_Lqk8wCVjRFpL", "room": {"sid": "RM_jgYQE76vS7NV", "name": "abandoned", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630799", "participant": {"sid": "PA_8GNEW4Bwc7CY", "state": "DISCONNECTED", "version": 3, "identity": "dora", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CLIENT_INITIATED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2eef-7686-9cef-3192b11ce4fb', 'EV_tMPf3Dx7DaFT', 'default/EV_tMPf3Dx7DaFT', 'default', 'participant_left', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'ida', 'PA_gbfee75pUdCC', 'STANDARD', NULL, '2026-11-25 18:19:59+00', '2026-11-25 18:19:59.431461+00', '{"id": "EV_tMPf3Dx7DaFT", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630799", "participant": {"sid": "PA_gbfee75pUdCC", "state": "DISCONNECTED", "version": 3, "identity": "ida", "joinedAt": "1795630795", "joinedAtMs": "1795630795431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CLIENT_INITIATED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2efc-7452-88f1-911841551cb0', 'EV_FuEH8w4Pwejd', 'default/EV_FuEH8w4Pwejd', 'default', 'participant_left', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'bob', 'PA_aeTr4MRcekdK', 'STANDARD', NULL, '2026-11-25 18:19:59+00', '2026-11-25 18:19:59.431461+00', '{"id": "EV_FuEH8w4Pwejd", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630799", "participant": {"sid": "PA_aeTr4MRcekdK", "state": "DISCONNECTED", "version": 3, "identity": "bob", "joinedAt": "1795630792", "joinedAtMs": "1795630792431", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CLIENT_INITIATED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-2f0c-762f-85cb-a07a7af09bb4', 'EV_C5784AA8kxPR', 'default/EV_C5784AA8kxPR', 'default', 'participant_left', 'webhook', 'each', 'RM_NiFG3smBNvRs', 'agent-AJ_dQFYBCYheg5F', 'PA_Q2P8mu2Ly8jv', 'AGENT', NULL, '2026-11-25 18:19:59+00', '2026-11-25 18:19:59.431461+00', '{"id": "EV_C5784AA8kxPR", "room": {"sid": "RM_NiFG3smBNvRs", "name": "each", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630799", "participant": {"sid": "PA_Q2P8mu2Ly8jv", "kind": "AGENT", "state": "DISCONNECTED", "version": 3, "identity": "agent-AJ_dQFYBCYheg5F", "joinedAt": "1795630795", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630795801", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CLIENT_INITIATED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-4462-7260-8efe-3a8afc9f2c34', 'EV_fptP8jQM2GFQ', 'default/EV_fptP8jQM2GFQ', 'default', 'room_finished', 'webhook', 'abandoned', 'RM_jgYQE76vS7NV', '', '', '', NULL, '2026-11-25 18:20:19+00', '2026-11-25 18:20:19.431461+00', '{"id": "EV_fptP8jQM2GFQ", "room": {"sid": "RM_jgYQE76vS7NV", "name": "abandoned", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "room_finished", "createdAt": "1795630819"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-4463-729e-b8f2-eeef0f7f6473', 'EV_rxetau4tr7MR', 'default/EV_rxetau4tr7MR', 'default', 'participant_left', 'webhook', 'answered', 'RM_uqTLeA8hmYqR', 'agent-AJ_FrmHe6LbKC4d', 'PA_NqUnky8Ebq9P', 'AGENT', NULL, '2026-11-25 18:20:19+00', '2026-11-25 18:20:19.431461+00', '{"id": "EV_rxetau4tr7MR", "room": {"sid": "RM_uqTLeA8hmYqR", "name": "answered", "creationTime": "1795630791", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630791831", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630819", "participant": {"sid": "PA_NqUnky8Ebq9P", "kind": "AGENT", "state": "DISCONNECTED", "version": 3, "identity": "agent-AJ_FrmHe6LbKC4d", "joinedAt": "1795630792", "attributes": {"lk.agent.name": "greeter", "lk.agent_name": "greeter"}, "joinedAtMs": "1795630792301", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "ROOM_CLOSED"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-45ff-725a-9274-f101b9412b44', 'EV_SxCLfBwejqK6', 'default/EV_SxCLfBwejqK6', 'default', 'participant_left', 'webhook', 'recovered', 'RM_fM4ZYRZwZiFg', 'agent-AJ_NqKoi9DHDYar', 'PA_EPCGqSPepyXm', 'AGENT', NULL, '2026-11-25 18:20:20+00', '2026-11-25 18:20:20.811461+00', '{"id": "EV_SxCLfBwejqK6", "room": {"sid": "RM_fM4ZYRZwZiFg", "name": "recovered", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_left", "createdAt": "1795630820", "participant": {"sid": "PA_EPCGqSPepyXm", "kind": "AGENT", "state": "DISCONNECTED", "version": 3, "identity": "agent-AJ_NqKoi9DHDYar", "joinedAt": "1795630795", "attributes": {"lk.agent.name": "mortal", "lk.agent_name": "mortal"}, "joinedAtMs": "1795630795731", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2, "disconnectReason": "CONNECTION_TIMEOUT"}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-4712-7153-83a4-a8a9c3255754', 'EV_LrBrBBT2TNSk', 'default/join/PA_aeyWTP7GRAmV', 'default', 'participant_joined', 'webhook', 'recovered', 'RM_fM4ZYRZwZiFg', 'agent-AJ_hGA2tPYQUetS', 'PA_aeyWTP7GRAmV', 'AGENT', NULL, '2026-11-25 18:20:21.031+00', '2026-11-25 18:20:21.111461+00', '{"id": "EV_LrBrBBT2TNSk", "room": {"sid": "RM_fM4ZYRZwZiFg", "name": "recovered", "creationTime": "1795630795", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630795431", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630821", "participant": {"sid": "PA_aeyWTP7GRAmV", "kind": "AGENT", "state": "ACTIVE", "version": 2, "identity": "agent-AJ_hGA2tPYQUetS", "joinedAt": "1795630821", "attributes": {"lk.agent.name": "mortal", "lk.agent_name": "mortal"}, "joinedAtMs": "1795630821031", "permission": {"agent": true, "canPublish": true, "canSubscribe": true, "canPublishData": true, "canUpdateMetadata": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-4a0b-74ec-955b-ade42990209d', '', 'default/join/PA_dyg9N9DZ4PPG', 'default', 'participant_joined', 'sweep', 'answered', 'RM_huNe8QjYDXeS', 'kim', 'PA_dyg9N9DZ4PPG', 'STANDARD', NULL, '2026-11-25 18:20:21.131+00', '2026-11-25 18:20:26.181461+00', '{"room": {"sid": "RM_huNe8QjYDXeS", "name": "answered", "creationTime": "1795630821", "emptyTimeout": 300, "creationTimeMs": "1795630821131", "numParticipants": 1, "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630826", "participant": {"sid": "PA_dyg9N9DZ4PPG", "state": "ACTIVE", "version": 2, "identity": "kim", "joinedAt": "1795630821", "joinedAtMs": "1795630821131", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}}}', 'planned', 13, '{"matched": [{"rule": "answered", "rule_id": 1}], "dispatches": ["01a213f3-4a18-70ad-9eec-017571e87fe7"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c38-7403-998a-c9a73d0403dc', 'EV_EWVrPoZW56wQ', 'default/EV_EWVrPoZW56wQ', 'default', 'room_started', 'webhook', 'limited', 'RM_NT2k2eWyB39Y', '', '', '', NULL, '2026-11-25 18:21:06+00', '2026-11-25 18:21:06.131461+00', '{"id": "EV_EWVrPoZW56wQ", "room": {"sid": "RM_NT2k2eWyB39Y", "name": "limited", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630866"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c38-7403-998a-c9a8781440ec', 'EV_J76djT4wP4tf', 'default/EV_J76djT4wP4tf', 'default', 'room_started', 'webhook', 'limited-too', 'RM_PJQo4dMMBJiG', '', '', '', NULL, '2026-11-25 18:21:06+00', '2026-11-25 18:21:06.131461+00', '{"id": "EV_J76djT4wP4tf", "room": {"sid": "RM_PJQo4dMMBJiG", "name": "limited-too", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630866"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c37-778b-b79c-00a88df99870', 'EV_tXgnvJD22UMA', 'default/EV_tXgnvJD22UMA', 'default', 'room_started', 'webhook', 'waiting', 'RM_7WZejfnN2zyz', '', '', '', NULL, '2026-11-25 18:21:06+00', '2026-11-25 18:21:06.131461+00', '{"id": "EV_tXgnvJD22UMA", "room": {"sid": "RM_7WZejfnN2zyz", "name": "waiting", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "room_started", "createdAt": "1795630866"}', 'ignored', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c58-71d2-abdb-971d111ef9b2', 'EV_YS4UgzdUEiQb', 'default/join/PA_AHYFU2Wnx7Z6', 'default', 'participant_joined', 'webhook', 'limited', 'RM_NT2k2eWyB39Y', 'max', 'PA_AHYFU2Wnx7Z6', 'STANDARD', NULL, '2026-11-25 18:21:06.131+00', '2026-11-25 18:21:06.211461+00', '{"id": "EV_YS4UgzdUEiQb", "room": {"sid": "RM_NT2k2eWyB39Y", "name": "limited", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630866", "participant": {"sid": "PA_AHYFU2Wnx7Z6", "state": "ACTIVE", "version": 2, "identity": "max", "joinedAt": "1795630866", "joinedAtMs": "1795630866131", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "limited", "rule_id": 8}], "dispatches": ["01a213f3-5c6a-7680-8372-11b0cf35ad95"], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c58-71d2-abdb-971eaaa89e14', 'EV_99A7Quu5myrb', 'default/join/PA_eVKQ44x9TKBx', 'default', 'participant_joined', 'webhook', 'limited-too', 'RM_PJQo4dMMBJiG', 'nobody', 'PA_eVKQ44x9TKBx', 'STANDARD', NULL, '2026-11-25 18:21:06.131+00', '2026-11-25 18:21:06.211461+00', '{"id": "EV_99A7Quu5myrb", "room": {"sid": "RM_PJQo4dMMBJiG", "name": "limited-too", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630866", "participant": {"sid": "PA_eVKQ44x9TKBx", "state": "ACTIVE", "version": 2, "identity": "nobody", "joinedAt": "1795630866", "joinedAtMs": "1795630866131", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'no_match', 13, '{"matched": [], "rules_version": 13}');
INSERT INTO public.events VALUES ('01a213f3-5c58-71d2-abdb-971ca559e892', 'EV_8uTDaPBaxw7h', 'default/join/PA_p3CbVftt9CBP', 'default', 'participant_joined', 'webhook', 'waiting', 'RM_7WZejfnN2zyz', 'lea', 'PA_p3CbVftt9CBP', 'STANDARD', NULL, '2026-11-25 18:21:06.131+00', '2026-11-25 18:21:06.211461+00', '{"id": "EV_8uTDaPBaxw7h", "room": {"sid": "RM_7WZejfnN2zyz", "name": "waiting", "creationTime": "1795630866", "emptyTimeout": 300, "enabledCodecs": [{"mime": "audio/PCMU"}, {"mime": "audio/PCMA"}, {"mime": "audio/opus"}, {"mime": "audio/red"}, {"mime": "video/VP8"}, {"mime": "video/H264"}, {"mime": "video/VP9"}, {"mime": "video/AV1"}, {"mime": "video/H265"}, {"mime": "video/rtx"}], "creationTimeMs": "1795630866131", "departureTimeout": 20}, "event": "participant_joined", "createdAt": "1795630866", "participant": {"sid": "PA_p3CbVftt9CBP", "state": "ACTIVE", "version": 2, "identity": "lea", "joinedAt": "1795630866", "joinedAtMs": "1795630866131", "permission": {"canPublish": true, "canSubscribe": true, "canPublishData": true}, "capabilities": ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"], "clientProtocol": 2}}', 'planned', 13, '{"matched": [{"rule": "waiting", "rule_id": 4}], "dispatches": ["01a213f3-5c6a-7680-8372-11afaf196e5f"], "rules_version": 13}');

INSERT INTO public.heartbeats VALUES ('sweep:default', '', '2026-11-25 18:21:05.666461+00', '{"error": null, "rooms": 7, "untold": 1, "revived": 0, "updated": 0, "swept_in": 0, "unanswered": 0}');
INSERT INTO public.heartbeats VALUES ('sweeper', 'replica:24908:80788987', '2026-11-25 18:21:05.666461+00', '{"busy": false, "began": "2026-11-25T18:21:05.366461Z"}');

INSERT INTO public.probes VALUES ('01936f00-0000-7000-8000-0000000000aa', 'default', 'greeter', '2026-11-22 12:00:00+00', '2026-11-22 12:00:00+00', true, 412, '');
INSERT INTO public.probes VALUES ('01936f00-0000-7000-8000-0000000000ab', 'default', 'absent', '2026-11-22 12:00:00+00', NULL, NULL, NULL, '');

INSERT INTO public.routing_rules VALUES (2, 'absent', '', true, 100, '{"room": {"name": ["missed"]}, "event": ["participant_joined"]}', 'absent', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 2, 1, 'also-absent', false, false, '2026-11-25 18:23:51.053969+00', '2026-11-25 18:23:51.053969+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (3, 'impatient', '', true, 100, '{"room": {"name": ["abandoned"]}, "event": ["participant_joined"]}', 'absent', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 60, 3, NULL, false, false, '2026-11-25 18:23:51.125624+00', '2026-11-25 18:23:51.125624+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (4, 'waiting', '', true, 100, '{"room": {"name": ["waiting"]}, "event": ["participant_joined"]}', 'absent', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 600, 3, NULL, false, false, '2026-11-25 18:23:51.187956+00', '2026-11-25 18:23:51.187956+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (5, 'fallback', '', true, 100, '{"room": {"name": ["fallback"]}, "event": ["participant_joined"]}', 'absent', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 2, 1, 'greeter', false, false, '2026-11-25 18:23:51.261116+00', '2026-11-25 18:23:51.261116+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (6, 'dying', '', true, 100, '{"room": {"name": ["recovered"]}, "event": ["participant_joined"]}', 'mortal', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 15, 3, NULL, true, false, '2026-11-25 18:23:51.304162+00', '2026-11-25 18:23:51.304162+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (7, 'broken', '', true, 100, '{"room": {"name": ["broken"]}, "event": ["participant_joined"]}', 'greeter', '{"x": {"$eval": "participant.metadata.missing"}}', NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 15, 3, NULL, false, false, '2026-11-25 18:23:51.347002+00', '2026-11-25 18:23:51.347002+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (8, 'limited', '', true, 100, '{"room": {"name": ["limited"]}, "event": ["participant_joined"]}', 'rare', NULL, NULL, NULL, 'room', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 15, 3, NULL, false, false, '2026-11-25 18:23:51.419567+00', '2026-11-25 18:23:51.419567+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (9, 'each', '', true, 100, '{"room": {"name": ["each"]}, "event": ["participant_joined"]}', 'greeter', NULL, NULL, NULL, 'participant', 'stop', 100, 'participant.identity', NULL, 'UTC', NULL, 15, 3, NULL, false, true, '2026-11-25 18:23:51.475678+00', '2026-11-25 18:23:51.475678+00', 'sql:postgres', NULL, NULL);
INSERT INTO public.routing_rules VALUES (1, 'answered', 'the usual call', true, 100, '{"room": {"name": ["answered"]}, "event": ["participant_joined"]}', 'greeter', '{"caller": "${participant.identity}"}', NULL, NULL, 'room', 'stop', 100, 'participant.identity', 'Mo-Su 00:00-24:00', 'Europe/Madrid', NULL, 15, 3, NULL, false, false, '2026-11-25 18:23:50.966583+00', '2026-11-25 18:23:51.756195+00', 'maria', 95, 2.5);

INSERT INTO public.rule_changes VALUES (1, 1, 'insert', NULL, '{"id": 1, "name": "answered", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["answered"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"caller": "${participant.identity}"}, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "the usual call", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:50.972131+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (2, 2, 'insert', NULL, '{"id": 2, "name": "absent", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["missed"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "absent", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 1, "rollout_percent": 100, "answer_timeout_s": 2, "objective_percent": null, "fallback_agent_name": "also-absent"}', '2026-11-25 18:23:51.067918+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (3, 3, 'insert', NULL, '{"id": 3, "name": "impatient", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["abandoned"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "absent", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 60, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.135599+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (4, 4, 'insert', NULL, '{"id": 4, "name": "waiting", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["waiting"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "absent", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 600, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.19827+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (5, 5, 'insert', NULL, '{"id": 5, "name": "fallback", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["fallback"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "absent", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 1, "rollout_percent": 100, "answer_timeout_s": 2, "objective_percent": null, "fallback_agent_name": "greeter"}', '2026-11-25 18:23:51.263414+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (6, 6, 'insert', NULL, '{"id": 6, "name": "dying", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["recovered"]}, "event": ["participant_joined"]}, "recover": true, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "mortal", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.306473+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (7, 7, 'insert', NULL, '{"id": 7, "name": "broken", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["broken"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"x": {"$eval": "participant.metadata.missing"}}, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.359551+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (8, 8, 'insert', NULL, '{"id": 8, "name": "limited", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["limited"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "rare", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.422116+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (9, 9, 'insert', NULL, '{"id": 9, "name": "each", "scope": "participant", "enabled": true, "pattern": {"room": {"name": ["each"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": true, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.478203+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (10, 10, 'insert', NULL, '{"id": 10, "name": "temporary", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["nowhere"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.543569+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (11, 1, 'update', '{"id": 1, "name": "answered", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["answered"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"caller": "${participant.identity}"}, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "the usual call", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '{"id": 1, "name": "answered", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["answered"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"caller": "${participant.identity}"}, "on_match": "stop", "priority": 50, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "the usual call", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '2026-11-25 18:23:51.704568+00', 'sql:postgres');
INSERT INTO public.rule_changes VALUES (12, 1, 'update', '{"id": 1, "name": "answered", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["answered"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"caller": "${participant.identity}"}, "on_match": "stop", "priority": 50, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "the usual call", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', '{"id": 1, "name": "answered", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["answered"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": {"caller": "${participant.identity}"}, "on_match": "stop", "priority": 100, "timezone": "Europe/Madrid", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "the usual call", "objective_s": 2.5, "rollout_key": "participant.identity", "active_hours": "Mo-Su 00:00-24:00", "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": 95, "fallback_agent_name": null}', '2026-11-25 18:23:51.756897+00', 'maria');
INSERT INTO public.rule_changes VALUES (13, 10, 'delete', '{"id": 10, "name": "temporary", "scope": "room", "enabled": true, "pattern": {"room": {"name": ["nowhere"]}, "event": ["participant_joined"]}, "recover": false, "holidays": null, "metadata": null, "on_match": "stop", "priority": 100, "timezone": "UTC", "withdraw": false, "agent_name": "greeter", "attributes": null, "deployment": null, "description": "", "objective_s": null, "rollout_key": "participant.identity", "active_hours": null, "max_attempts": 3, "rollout_percent": 100, "answer_timeout_s": 15, "objective_percent": null, "fallback_agent_name": null}', NULL, '2026-11-25 18:23:51.761371+00', 'maria');

INSERT INTO public.signing_keys VALUES ('sessions', 'not-a-secret', '2026-11-22 12:00:00+00');

INSERT INTO public.token_dispatches VALUES ('01936f00-0000-7000-8000-000000000001', 'default', 'tokens', 'pia', 'greeter', 1, 3, '', '{}', '2026-11-22 12:00:00+00', NULL);
INSERT INTO public.token_dispatches VALUES ('01936f00-0000-7000-8000-000000000002', 'default', 'tokens', 'quin', 'greeter', 1, 3, 'hello', '{"lang": "es"}', '2026-11-22 12:00:00+00', '2026-11-22 12:00:00+00');

INSERT INTO public.users VALUES ('01936f00-0000-7000-8000-00000000000a', 'maria', 'admin', '$argon2id$not-a-hash', false, 2, '2026-11-22 12:00:00+00');
INSERT INTO public.users VALUES ('01936f00-0000-7000-8000-00000000000b', 'victor', 'viewer', '$argon2id$not-a-hash', true, 0, '2026-11-22 12:00:00+00');

SELECT pg_catalog.setval('public.audit_log_id_seq', 67, true);

SELECT pg_catalog.setval('public.routing_rules_id_seq', 10, true);

SELECT pg_catalog.setval('public.rule_changes_id_seq', 13, true);

SELECT pg_catalog.setval('public.rule_editor_id_seq', 1, true);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.agent_limits
    ADD CONSTRAINT pk_agent_limits PRIMARY KEY (agent_name);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT pk_api_tokens PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT pk_audit_log PRIMARY KEY (id);

ALTER TABLE ONLY public.dispatch_attempts
    ADD CONSTRAINT pk_dispatch_attempts PRIMARY KEY (dispatch_id, number);

ALTER TABLE ONLY public.dispatch_callers
    ADD CONSTRAINT pk_dispatch_callers PRIMARY KEY (dispatch_id, participant_sid);

ALTER TABLE ONLY public.dispatches
    ADD CONSTRAINT pk_dispatches PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (id);

ALTER TABLE ONLY public.heartbeats
    ADD CONSTRAINT pk_heartbeats PRIMARY KEY (component, replica);

ALTER TABLE ONLY public.probes
    ADD CONSTRAINT pk_probes PRIMARY KEY (id);

ALTER TABLE ONLY public.routing_rules
    ADD CONSTRAINT pk_routing_rules PRIMARY KEY (id);

ALTER TABLE ONLY public.rule_changes
    ADD CONSTRAINT pk_rule_changes PRIMARY KEY (id);

ALTER TABLE ONLY public.rule_editor
    ADD CONSTRAINT pk_rule_editor PRIMARY KEY (id);

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT pk_signing_keys PRIMARY KEY (purpose);

ALTER TABLE ONLY public.token_dispatches
    ADD CONSTRAINT pk_token_dispatches PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT uq_api_tokens_token_hash UNIQUE (token_hash);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT uq_events_dedupe_key UNIQUE (dedupe_key);

ALTER TABLE ONLY public.routing_rules
    ADD CONSTRAINT uq_routing_rules_name UNIQUE (name);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_name UNIQUE (name);

CREATE INDEX ix_audit_log_changed_at ON public.audit_log USING btree (changed_at);

CREATE INDEX ix_audit_log_entity_id_id ON public.audit_log USING btree (entity_id, id);

CREATE INDEX ix_dispatch_callers_event_id ON public.dispatch_callers USING btree (event_id);

CREATE INDEX ix_dispatch_callers_participant_sid ON public.dispatch_callers USING btree (participant_sid);

CREATE INDEX ix_dispatches_agent_name_id ON public.dispatches USING btree (agent_name, id);

CREATE INDEX ix_dispatches_agent_sid ON public.dispatches USING btree (agent_sid) WHERE (agent_sid IS NOT NULL);

CREATE INDEX ix_dispatches_due ON public.dispatches USING btree (next_attempt_at) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text]));

CREATE INDEX ix_dispatches_event_id ON public.dispatches USING btree (event_id);

CREATE INDEX ix_dispatches_live_room ON public.dispatches USING btree (room_name) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text, 'dispatched'::text, 'joined'::text]));

CREATE INDEX ix_dispatches_lost_room ON public.dispatches USING btree (room_name) WHERE (reason = 'the room is gone'::text);

CREATE INDEX ix_dispatches_participant_identity_id ON public.dispatches USING btree (participant_identity, id);

CREATE INDEX ix_dispatches_room_name_id ON public.dispatches USING btree (room_name, id);

CREATE INDEX ix_dispatches_room_sid ON public.dispatches USING btree (room_sid);

CREATE INDEX ix_dispatches_rule_name_id ON public.dispatches USING btree (rule_name, id);

CREATE INDEX ix_dispatches_status_id ON public.dispatches USING btree (status, id);

CREATE INDEX ix_dispatches_unanswered ON public.dispatches USING btree (answer_deadline) WHERE (status = 'dispatched'::text);

CREATE INDEX ix_events_livekit_id ON public.events USING btree (livekit_id);

CREATE INDEX ix_events_outcome_id ON public.events USING btree (outcome, id);

CREATE INDEX ix_events_participant_identity_id ON public.events USING btree (participant_identity, id);

CREATE INDEX ix_events_participant_sid ON public.events USING btree (participant_sid);

CREATE INDEX ix_events_phone_number ON public.events USING btree (phone_number, id) WHERE (phone_number IS NOT NULL);

CREATE INDEX ix_events_room_name_id ON public.events USING btree (room_name, id);

CREATE INDEX ix_events_room_sid_type ON public.events USING btree (room_sid, type);

CREATE INDEX ix_events_source ON public.events USING btree (source, id) WHERE (source <> 'webhook'::text);

CREATE INDEX ix_events_type_id ON public.events USING btree (type, id);

CREATE INDEX ix_probes_agent_name_id ON public.probes USING btree (agent_name, id);

CREATE INDEX ix_routing_rules_objective ON public.routing_rules USING btree (id) WHERE (objective_s IS NOT NULL);

CREATE INDEX ix_rule_changes_rule_id_id ON public.rule_changes USING btree (rule_id, id);

CREATE INDEX ix_token_dispatches_created_at ON public.token_dispatches USING btree (created_at);

CREATE INDEX ix_token_dispatches_room_name_participant_identity ON public.token_dispatches USING btree (room_name, participant_identity);

CREATE UNIQUE INDEX uq_dispatches_live_intent ON public.dispatches USING btree (intent_key) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text, 'dispatched'::text, 'joined'::text]));

CREATE TRIGGER audit_log_refused BEFORE UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.usher_refuse_change();

CREATE TRIGGER routing_rules_recorded AFTER INSERT OR DELETE OR UPDATE ON public.routing_rules FOR EACH ROW EXECUTE FUNCTION public.usher_record_rule_change();

CREATE TRIGGER routing_rules_stamped BEFORE INSERT OR UPDATE ON public.routing_rules FOR EACH ROW EXECUTE FUNCTION public.usher_stamp_rule();

CREATE TRIGGER routing_rules_truncated BEFORE TRUNCATE ON public.routing_rules FOR EACH STATEMENT EXECUTE FUNCTION public.usher_rules_truncated();

CREATE TRIGGER rule_changes_refused BEFORE DELETE OR UPDATE ON public.rule_changes FOR EACH ROW EXECUTE FUNCTION public.usher_refuse_change();

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT fk_api_tokens_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.dispatch_attempts
    ADD CONSTRAINT fk_dispatch_attempts_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES public.dispatches(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.dispatch_callers
    ADD CONSTRAINT fk_dispatch_callers_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES public.dispatches(id) ON DELETE CASCADE;
