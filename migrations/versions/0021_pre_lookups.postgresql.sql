CREATE TABLE lookups (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    enabled BOOLEAN DEFAULT true NOT NULL,
    pattern JSONB NOT NULL,
    url TEXT NOT NULL,
    headers JSONB,
    timeout_ms INTEGER DEFAULT '1500' NOT NULL,
    cache_s INTEGER DEFAULT '0' NOT NULL,
    on_error JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_by TEXT,
    CONSTRAINT pk_lookups PRIMARY KEY (id),
    CONSTRAINT uq_lookups_name UNIQUE (name),
    CONSTRAINT ck_lookups_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_lookups_timeout_ms CHECK (timeout_ms BETWEEN 1 AND 5000),
    CONSTRAINT ck_lookups_cache_s CHECK (cache_s BETWEEN 0 AND 86400)
);

CREATE TABLE lookup_changes (
    id BIGSERIAL NOT NULL,
    lookup_id BIGINT NOT NULL,
    change TEXT NOT NULL,
    before JSONB,
    after JSONB,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    changed_by TEXT NOT NULL,
    CONSTRAINT pk_lookup_changes PRIMARY KEY (id),
    CONSTRAINT ck_lookup_changes_change CHECK (change IN ('insert', 'update', 'delete'))
);

CREATE INDEX ix_lookup_changes_lookup_id_id ON lookup_changes (lookup_id, id);

CREATE FUNCTION usher_record_lookup_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        editor text := (SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1);
        was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'created_at' - 'updated_at' - 'updated_by' END;
        is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'created_at' - 'updated_at' - 'updated_by' END;
    BEGIN
        IF was IS NOT DISTINCT FROM is_now THEN
            RETURN NULL;
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('usher.lookup_changes'));
        IF TG_OP = 'UPDATE' AND OLD.id <> NEW.id THEN
            INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), NEW.updated_by);
            INSERT INTO lookup_changes (lookup_id, change, after, changed_at, changed_by)
            VALUES (NEW.id, 'insert', is_now, clock_timestamp(), NEW.updated_by);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
            VALUES (OLD.id, 'delete', was, clock_timestamp(), coalesce(editor, 'sql:' || session_user));
        ELSE
            INSERT INTO lookup_changes (lookup_id, change, before, after, changed_at, changed_by)
            VALUES (NEW.id, lower(TG_OP), was, is_now, clock_timestamp(), NEW.updated_by);
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION usher_lookups_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('usher.lookup_changes'));
        INSERT INTO lookup_changes (lookup_id, change, before, changed_at, changed_by)
        SELECT id, 'delete', to_jsonb(l) - 'created_at' - 'updated_at' - 'updated_by', clock_timestamp(),
               'sql:' || session_user
          FROM lookups l ORDER BY id;
        RETURN NULL;
    END $$;

CREATE TRIGGER lookups_stamped BEFORE INSERT OR UPDATE ON lookups
       FOR EACH ROW EXECUTE FUNCTION usher_stamp_rule();

CREATE TRIGGER lookups_recorded AFTER INSERT OR UPDATE OR DELETE ON lookups
       FOR EACH ROW EXECUTE FUNCTION usher_record_lookup_change();

CREATE TRIGGER lookups_truncated BEFORE TRUNCATE ON lookups
       FOR EACH STATEMENT EXECUTE FUNCTION usher_lookups_truncated();

CREATE TRIGGER lookup_changes_refused BEFORE UPDATE OR DELETE ON lookup_changes
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change();
