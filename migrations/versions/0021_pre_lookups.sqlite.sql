CREATE TABLE lookups (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    enabled BOOLEAN DEFAULT 1 NOT NULL,
    pattern JSON NOT NULL,
    url TEXT NOT NULL,
    headers JSON,
    timeout_ms INTEGER DEFAULT '1500' NOT NULL,
    cache_s INTEGER DEFAULT '0' NOT NULL,
    on_error JSON,
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    updated_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    updated_by TEXT,
    CONSTRAINT pk_lookups PRIMARY KEY (id),
    CONSTRAINT uq_lookups_name UNIQUE (name),
    CONSTRAINT ck_lookups_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_lookups_timeout_ms CHECK (timeout_ms BETWEEN 1 AND 5000),
    CONSTRAINT ck_lookups_cache_s CHECK (cache_s BETWEEN 0 AND 86400),
    CONSTRAINT ck_lookups_enabled CHECK (enabled IN (0, 1))
);

CREATE TABLE lookup_changes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    lookup_id BIGINT NOT NULL,
    change TEXT NOT NULL,
    "before" JSON,
    "after" JSON,
    changed_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z') NOT NULL,
    changed_by TEXT NOT NULL,
    CONSTRAINT ck_lookup_changes_change CHECK (change IN ('insert', 'update', 'delete'))
);

CREATE INDEX ix_lookup_changes_lookup_id_id ON lookup_changes (lookup_id, id);

CREATE INDEX ix_lookup_changes_replaced ON lookup_changes (json_extract("after", '$.name'));

CREATE TRIGGER lookups_inserted AFTER INSERT ON lookups BEGIN
            INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by)
            SELECT c.lookup_id, 'delete', c."after", NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql')
              FROM lookup_changes c
             WHERE json_extract(c."after", '$.name') = NEW.name AND c.lookup_id <> NEW.id
               AND NOT EXISTS (SELECT 1 FROM lookups l WHERE l.id = c.lookup_id)
               AND NOT EXISTS
                   (SELECT 1 FROM lookup_changes later WHERE later.lookup_id = c.lookup_id AND later.id > c.id);
            INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by) VALUES (NEW.id, 'insert', NULL, json_object('id', NEW."id", 'name', NEW."name", 'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END, 'url', NEW."url", 'headers', CASE WHEN json_valid(NEW."headers") THEN json(NEW."headers") ELSE NEW."headers" END, 'timeout_ms', NEW."timeout_ms", 'cache_s', NEW."cache_s", 'on_error', CASE WHEN json_valid(NEW."on_error") THEN json(NEW."on_error") ELSE NEW."on_error" END), (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), NEW.updated_by, 'sql'));
            UPDATE lookups SET updated_at = (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), updated_by =  coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), NEW.updated_by, 'sql') WHERE id = NEW.id;
        END;

CREATE TRIGGER lookups_updated AFTER UPDATE OF "id", "name", "enabled", "pattern", "url", "headers", "timeout_ms", "cache_s", "on_error" ON lookups
            WHEN json_object('id', OLD."id", 'name', OLD."name", 'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END, 'url', OLD."url", 'headers', CASE WHEN json_valid(OLD."headers") THEN json(OLD."headers") ELSE OLD."headers" END, 'timeout_ms', OLD."timeout_ms", 'cache_s', OLD."cache_s", 'on_error', CASE WHEN json_valid(OLD."on_error") THEN json(OLD."on_error") ELSE OLD."on_error" END) IS NOT json_object('id', NEW."id", 'name', NEW."name", 'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END, 'url', NEW."url", 'headers', CASE WHEN json_valid(NEW."headers") THEN json(NEW."headers") ELSE NEW."headers" END, 'timeout_ms', NEW."timeout_ms", 'cache_s', NEW."cache_s", 'on_error', CASE WHEN json_valid(NEW."on_error") THEN json(NEW."on_error") ELSE NEW."on_error" END) BEGIN
            INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by) SELECT OLD.id, 'delete', json_object('id', OLD."id", 'name', OLD."name", 'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END, 'url', OLD."url", 'headers', CASE WHEN json_valid(OLD."headers") THEN json(OLD."headers") ELSE OLD."headers" END, 'timeout_ms', OLD."timeout_ms", 'cache_s', OLD."cache_s", 'on_error', CASE WHEN json_valid(OLD."on_error") THEN json(OLD."on_error") ELSE OLD."on_error" END), NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql')
              WHERE OLD.id <> NEW.id;
            INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by) VALUES (
                NEW.id, CASE WHEN OLD.id = NEW.id THEN 'update' ELSE 'insert' END,
                CASE WHEN OLD.id = NEW.id THEN json_object('id', OLD."id", 'name', OLD."name", 'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END, 'url', OLD."url", 'headers', CASE WHEN json_valid(OLD."headers") THEN json(OLD."headers") ELSE OLD."headers" END, 'timeout_ms', OLD."timeout_ms", 'cache_s', OLD."cache_s", 'on_error', CASE WHEN json_valid(OLD."on_error") THEN json(OLD."on_error") ELSE OLD."on_error" END) END, json_object('id', NEW."id", 'name', NEW."name", 'enabled', json(CASE NEW."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(NEW."pattern") THEN json(NEW."pattern") ELSE NEW."pattern" END, 'url', NEW."url", 'headers', CASE WHEN json_valid(NEW."headers") THEN json(NEW."headers") ELSE NEW."headers" END, 'timeout_ms', NEW."timeout_ms", 'cache_s', NEW."cache_s", 'on_error', CASE WHEN json_valid(NEW."on_error") THEN json(NEW."on_error") ELSE NEW."on_error" END), (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql'));
            UPDATE lookups SET updated_at = (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), updated_by =  coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), CASE WHEN NEW.updated_by IS NOT OLD.updated_by THEN NEW.updated_by END, 'sql') WHERE id = NEW.id;
        END;

CREATE TRIGGER lookups_deleted AFTER DELETE ON lookups BEGIN
            INSERT INTO lookup_changes (lookup_id, change, "before", "after", changed_at, changed_by) VALUES (OLD.id, 'delete', json_object('id', OLD."id", 'name', OLD."name", 'enabled', json(CASE OLD."enabled" WHEN 0 THEN 'false' ELSE 'true' END), 'pattern', CASE WHEN json_valid(OLD."pattern") THEN json(OLD."pattern") ELSE OLD."pattern" END, 'url', OLD."url", 'headers', CASE WHEN json_valid(OLD."headers") THEN json(OLD."headers") ELSE OLD."headers" END, 'timeout_ms', OLD."timeout_ms", 'cache_s', OLD."cache_s", 'on_error', CASE WHEN json_valid(OLD."on_error") THEN json(OLD."on_error") ELSE OLD."on_error" END), NULL, (strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z'), coalesce((SELECT name FROM rule_editor ORDER BY id DESC LIMIT 1), 'sql'));
        END;

CREATE TRIGGER lookup_changes_UPDATE_refused BEFORE UPDATE ON lookup_changes BEGIN
        SELECT raise(ABORT, 'lookup_changes is append-only'); END;

CREATE TRIGGER lookup_changes_DELETE_refused BEFORE DELETE ON lookup_changes BEGIN
        SELECT raise(ABORT, 'lookup_changes is append-only'); END;
