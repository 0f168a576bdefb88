"""`app.db.tables` and the migrations describe the same database, down to CHECKs, partial indexes and triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from app.db import schema
from app.db.tables import metadata
from tests.conftest import Database
from tests.migration.structure import Structure, read_structure


def structure_of(database: Database) -> Structure:
    with database.reader_engine().connect() as connection:
        return read_structure(connection)


def differences(one: Structure, other: Structure) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _rewrite(name: str, old: str, new: str) -> str:
    return f"UPDATE sqlite_master SET sql = replace(sql, {_quoted(old)}, {_quoted(new)}) WHERE name = '{name}'"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_tables_equal_migrations(empty_database: Database) -> None:
    engine = empty_database.writer_engine()
    with engine.begin() as connection:
        metadata.create_all(connection)
    created = structure_of(empty_database)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        for name in (name.removeprefix("function ") for name in created if name.startswith("function ")):
            connection.exec_driver_sql(f"DROP FUNCTION {name}")
    schema.upgrade(empty_database.url)
    assert differences(created, structure_of(empty_database)) == set()
    assert created


CHECK = "'joined', 'ended', 'no_show', 'failed', 'cancelled'"
INDEX = "CREATE INDEX ix_dispatches_due ON dispatches (next_attempt_at) WHERE status = 'pending'"
FOREIGN_KEY = "fk_dispatch_attempts_dispatch_id FOREIGN KEY (dispatch_id) REFERENCES dispatches (id)"
STATUSES = f"'pending', 'sending', 'dispatched', {CHECK}, 'lost'"

# What is changed, by the name that the comparison must give: statements for SQLite and for PostgreSQL.
ALTERED: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "ck_dispatches_status": (
        [_rewrite("dispatches", CHECK, f"{CHECK}, 'lost'")],
        [
            "ALTER TABLE dispatches DROP CONSTRAINT ck_dispatches_status",
            f"ALTER TABLE dispatches ADD CONSTRAINT ck_dispatches_status CHECK (status IN ({STATUSES}))",
        ],
    ),
    "ix_dispatches_due": (["DROP INDEX ix_dispatches_due", INDEX], ["DROP INDEX ix_dispatches_due", INDEX]),
    "dispatches.reason": (
        [_rewrite("dispatches", "reason TEXT DEFAULT ''", "reason TEXT DEFAULT 'none'")],
        ["ALTER TABLE dispatches ALTER reason SET DEFAULT 'none'"],
    ),
    "dispatches.rule_name": (
        [_rewrite("dispatches", "rule_name TEXT NOT NULL", "rule_name TEXT")],
        ["ALTER TABLE dispatches ALTER rule_name DROP NOT NULL"],
    ),
    "fk_dispatch_attempts_dispatch_id": (
        [_rewrite("dispatch_attempts", " ON DELETE CASCADE", "")],
        [
            "ALTER TABLE dispatch_attempts DROP CONSTRAINT fk_dispatch_attempts_dispatch_id",
            f"ALTER TABLE dispatch_attempts ADD CONSTRAINT {FOREIGN_KEY}",
        ],
    ),
    "routing_rules_deleted": (
        ["DROP TRIGGER routing_rules_deleted"],
        ["CREATE TRIGGER routing_rules_deleted AFTER DELETE ON routing_rules EXECUTE FUNCTION usher_refuse_change()"],
    ),
    "routing_rules_updated": (
        [_rewrite("routing_rules_updated", "'objective_s', NEW.", "'objective', NEW.")],
        ["CREATE TRIGGER routing_rules_updated AFTER UPDATE ON routing_rules EXECUTE FUNCTION usher_refuse_change()"],
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_each_kind_of_change_is_noticed(database: Database, name: str) -> None:
    before = structure_of(database)
    on_sqlite, on_postgresql = ALTERED[name]
    with database.writer_engine().begin() as connection:
        if database.kind == "sqlite":
            connection.exec_driver_sql("PRAGMA writable_schema = ON")
        for statement in on_sqlite if database.kind == "sqlite" else on_postgresql:
            connection.exec_driver_sql(statement)
    (found,) = differences(before, structure_of(database))
    assert found.endswith(name)


def test_order_and_spelling_are_no_difference(sqlite_database: Database) -> None:
    before = structure_of(sqlite_database)
    with sqlite_database.writer_engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE heartbeats")
        connection.exec_driver_sql(
            'CREATE TABLE heartbeats ("detail" JSON  NOT NULL, -- what was found\n beat_at TEXT NOT NULL, replica TEXT'
            " NOT NULL, component TEXT NOT NULL, CONSTRAINT pk_heartbeats PRIMARY KEY(component,replica))"
        )
    assert differences(before, structure_of(sqlite_database)) == set()
