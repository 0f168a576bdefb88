from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.db import schema
from app.db.engine import create_reader_engine, words_of
from app.errors import SchemaMismatchError
from tests.conftest import Database

LOOKUP = """INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'https://crm.test/')"""
INSERT = (
    """INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('support', '{"room": {"name": ["x"]}}', 'ana')"""
)


def test_up_down_up(database: Database) -> None:
    database.execute(INSERT)
    schema.downgrade(database.url, "base")
    engine = database.reader_engine()
    with engine.connect() as connection, pytest.raises(SchemaMismatchError, match="usher migrate up"):
        schema.require_compatible(connection)
    schema.upgrade(database.url)
    with engine.connect() as connection:
        schema.require_compatible(connection)


def test_a_percent_sign_in_the_path_of_the_installation_and_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "in%stalled" / "migrations"
    shutil.copytree(schema._MIGRATIONS, installed)  # noqa: SLF001 - where the installation is, which no setting changes
    (tmp_path / "da%ta").mkdir()
    url = make_url(f"sqlite:///{tmp_path}/da%ta/usher.db")
    monkeypatch.setattr(schema, "_MIGRATIONS", installed)
    schema.latest_revision.cache_clear()
    schema.upgrade(url)
    engine = create_reader_engine(url)
    with engine.connect() as connection:
        schema.require_compatible(connection)
    engine.dispose()
    assert (tmp_path / "da%ta" / "usher.db").exists()


def test_three_columns_are_enough_for_a_rule(database: Database) -> None:
    database.execute(INSERT)
    (rule,) = database.execute("SELECT * FROM routing_rules")
    assert (rule["enabled"], rule["priority"], rule["scope"], rule["on_match"]) == (1, 100, "room", "stop")
    assert (rule["rollout_percent"], rule["rollout_key"], rule["timezone"]) == (100, "participant.identity", "UTC")
    assert (rule["answer_timeout_s"], rule["max_attempts"], rule["min_stay_s"]) == (15, 3, 3)
    assert (rule["recover"], rule["withdraw"]) == ("never", 1)
    assert rule["updated_by"].startswith("sql")


def test_every_edit_is_recorded_by_the_database(database: Database) -> None:
    database.execute(INSERT)
    database.execute("UPDATE routing_rules SET priority = 5")
    database.execute("UPDATE routing_rules SET priority = 5")  # nothing changed: nothing recorded
    database.execute("DELETE FROM routing_rules")
    changes = database.execute("SELECT * FROM rule_changes ORDER BY id")
    assert [change["change"] for change in changes] == ["insert", "update", "delete"]
    before, after = (_document(changes[1][side]) for side in ("before", "after"))
    assert (before["priority"], after["priority"]) == (100, 5)
    assert after["pattern"] == {"room": {"name": ["x"]}}
    assert after["enabled"] is True
    assert changes[0]["before"] is None
    assert changes[2]["after"] is None


def test_an_edit_by_a_user_names_the_user(database: Database) -> None:
    database.execute("INSERT INTO rule_editor (name) VALUES ('maria')")
    database.execute(INSERT)
    database.execute("DELETE FROM rule_editor")
    database.execute("UPDATE routing_rules SET priority = 7")
    (rule,) = database.execute("SELECT updated_by FROM routing_rules")
    changes = database.execute("SELECT changed_by FROM rule_changes ORDER BY id")
    assert changes[0]["changed_by"] == "maria"
    assert changes[1]["changed_by"].startswith("sql")
    assert rule["updated_by"].startswith("sql")


def test_replace_records_the_rule_it_removed(sqlite_database: Database) -> None:
    sqlite_database.execute(INSERT)
    sqlite_database.execute(INSERT.replace("INSERT", "INSERT OR REPLACE"))
    changes = sqlite_database.execute("SELECT rule_id, change FROM rule_changes ORDER BY id")
    assert [(change["rule_id"], change["change"]) for change in changes] == [
        (1, "insert"),
        (1, "delete"),
        (2, "insert"),
    ]


def test_the_id_of_a_deleted_rule_or_lookup_is_given_to_no_other(database: Database) -> None:
    for table, insert in (("routing_rules", INSERT), ("lookups", LOOKUP)):
        database.execute(insert)
        database.execute(f"DELETE FROM {table}")
        database.execute(insert)
        assert [row["id"] for row in database.execute(f"SELECT id FROM {table}")] == [2], table


def test_truncate_records_every_rule(postgres_database: Database) -> None:
    postgres_database.execute(INSERT)
    postgres_database.execute("TRUNCATE routing_rules")
    changes = postgres_database.execute("SELECT change FROM rule_changes ORDER BY id")
    assert [change["change"] for change in changes] == ["insert", "delete"]


@pytest.mark.parametrize("statement", ["UPDATE rule_changes SET changed_by = 'x'", "DELETE FROM rule_changes"])
def test_history_cannot_be_rewritten(database: Database, statement: str) -> None:
    database.execute(INSERT)
    with pytest.raises(DBAPIError) as refused:
        database.execute(statement)
    assert "append-only" in words_of(refused.value)


def _document(value: object) -> dict[str, object]:
    document: dict[str, object] = json.loads(value) if isinstance(value, str) else dict(value)  # type: ignore[call-overload]
    return document
