"""Rules files that hold lookups and agents beside rules, against a real database of both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from app.agents.agent_history import agent_history
from app.agents.stored_agents import rows_of_agents
from app.errors import ConflictError
from app.rules.book.read_book import read_book
from app.rules.editing.rule_set import ExpectedVersions, RuleSetEdit, apply_file, read_tables
from app.rules.editing.rules_file import read_rules_file
from app.rules.editing.stored_rules import read_rules, rules_version
from app.rules.lookups.edit_lookup import read_stored_lookup, rows_of_lookups
from app.rules.warnings.unseen import Traffic
from tests.conftest import Database

RULES = """
rules:
- name: gold
  pattern: {lookup: {crm: {tier: [gold]}}}
  agent_name: concierge
"""
WHOLE = (
    RULES
    + """
lookups:
- name: tickets
  pattern: {}
  url: https://tickets.example.com/
  enabled: false
- name: crm
  pattern: {participant: {kind: [SIP]}}
  url: https://crm.example.com/usher
  headers: {authorization: "env:CRM_TOKEN"}
  timeout_ms: 800
  on_error: {tier: none}
agents:
- agent_name: concierge
  max_calls: 3
  out_of_service_until: "2026-12-24T19:00+01:00"
  substitute_agent_name: greeter
- agent_name: greeter
  note: "for everybody"
"""
)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = database.writer_engine()
    yield engine
    engine.dispose()


def apply_text(engine: Engine, content: str, *, delete: bool = False, editor: str = "ana", **given: Any) -> RuleSetEdit:
    with engine.begin() as connection:
        return apply_file(connection, read_rules_file(content), delete=delete, editor=editor, **given)


def plan_of(edit: RuleSetEdit, key: str) -> list[tuple[str, str]]:
    return [(one.name, str(one.change)) for one in edit.tables[key].differences]


def stored(connection: Connection) -> tuple[list[Any], list[Any], list[Any]]:
    return read_rules(connection), rows_of_lookups(connection), rows_of_agents(connection)


def test_a_file_brings_lookups_and_agents_and_records_who_did_it(database: Database, engine: Engine) -> None:
    edit = apply_text(engine, WHOLE)
    assert plan_of(edit, "lookups") == [("tickets", "created"), ("crm", "created")]
    assert plan_of(edit, "agents") == [("concierge", "created"), ("greeter", "created")]
    assert edit.versions == {"rules": 1, "lookups": 2, "agents": 2}
    with engine.begin() as connection:
        crm = read_stored_lookup(connection, "crm")
        assert crm.usable is not None
        assert (crm.usable.timeout_ms, crm.usable.cache_s, crm.usable.on_error) == (800, 0, {"tier": "none"})
        assert crm.row["headers"] == {"authorization": "env:CRM_TOKEN"}
        assert (crm.updated_by, crm.row["enabled"]) == ("ana", True)
        concierge, greeter = rows_of_agents(connection)
        assert concierge == {
            "agent_name": "concierge",
            "max_calls": 3,
            "starts_per_second": None,
            "out_of_service_until": "2026-12-24T18:00:00.000000Z",
            "substitute_agent_name": "greeter",
            "note": "",
        }
        assert (greeter["max_calls"], greeter["note"]) == (None, "for everybody")
        assert {change.changed_by for change in agent_history(connection)} == {"ana"}
    # The editor leaves no trace for later edits.
    database.execute("UPDATE lookups SET cache_s = 7 WHERE name = 'crm'")
    with engine.begin() as connection:
        assert (read_stored_lookup(connection, "crm").updated_by or "").startswith("sql")


@pytest.mark.parametrize("format_", ["yaml", "json"])
def test_an_export_applied_again_changes_nothing(database: Database, engine: Engine, format_: Any) -> None:
    apply_text(engine, WHOLE)
    until = "'infinity'" if database.kind == "postgresql" else "'9999-12-31T00:00:00.000000Z'"
    database.execute(f"INSERT INTO agents (agent_name, out_of_service_until) VALUES ('gone', {until})")
    with engine.begin() as connection:
        exported = read_tables(connection).to_text(format_)
    assert exported.index("concierge") < exported.index("tickets")
    assert "env:CRM_TOKEN" in exported
    edit = apply_text(engine, exported, delete=True)
    assert not edit.is_effective
    assert edit.versions == {"rules": 1, "lookups": 2, "agents": 3}
    with engine.begin() as connection:
        assert read_tables(connection).to_text(format_) == exported
        before = stored(connection)
    # Nor does it depend on what was there: an empty database comes to hold the same.
    database.execute("DELETE FROM routing_rules")
    database.execute("DELETE FROM lookups")
    database.execute("DELETE FROM agents")
    apply_text(engine, exported)
    with engine.begin() as connection:
        assert [[{**row, "id": 0} for row in rows] for rows in stored(connection)] == [
            [{**row, "id": 0} for row in rows] for rows in before
        ]


def test_all_changes_of_a_file_are_one_change_set_with_its_reason(database: Database, engine: Engine) -> None:
    apply_text(engine, WHOLE, why="moved  here")
    with engine.begin() as connection:
        made = [
            row
            for table in ("rule_changes", "lookup_changes", "agent_changes")
            for row in connection.execute(text(f"SELECT change_set, why FROM {table}")).all()
        ]
    assert len(made) == 5
    assert len({row.change_set for row in made}) == 1
    assert {row.why for row in made} == {"moved here"}
    # An edit by SQL belongs to no editor's set, and has one of its own.
    database.execute("UPDATE agents SET max_calls = 7 WHERE agent_name = 'concierge'")
    with engine.begin() as connection:
        latest = agent_history(connection, "concierge")[0]
    assert latest.change_set not in {None, made[0].change_set}
    assert latest.why is None


def test_an_export_without_lookups_and_agents_has_no_keys_for_them(engine: Engine) -> None:
    apply_text(engine, RULES)
    with engine.begin() as connection:
        assert set(read_rules_file(read_tables(connection).to_text("json")).tables.values()) == {None}


def test_a_file_without_the_keys_touches_neither_also_with_delete(engine: Engine) -> None:
    apply_text(engine, WHOLE)
    edit = apply_text(engine, "rules: []", delete=True)
    assert (edit.tables, edit.to_json()["lookups"], edit.to_json()["agents"]) == ({}, None, None)
    with engine.begin() as connection:
        rules, lookups, agents = stored(connection)
    assert (rules, len(lookups), len(agents)) == ([], 2, 2)
    # One key without the other.
    edit = apply_text(engine, "rules: []\nagents: []", delete=True)
    assert plan_of(edit, "agents") == [("concierge", "deleted"), ("greeter", "deleted")]
    with engine.begin() as connection:
        assert [len(rows) for rows in stored(connection)] == [0, 2, 0]


def test_the_plan_shows_what_changes_and_a_dry_run_writes_nothing(engine: Engine) -> None:
    apply_text(engine, WHOLE)
    edited = WHOLE.replace("timeout_ms: 800", "timeout_ms: 900").replace("name: tickets", "name: orders")
    edited = edited.replace("  max_calls: 3\n", "")
    edit = apply_text(engine, edited, delete=True, dry_run=True)
    assert not edit.written
    assert edit.is_effective
    assert plan_of(edit, "lookups") == [("orders", "created"), ("crm", "changed"), ("tickets", "deleted")]
    document = edit.to_json()
    assert document["lookups"]["version"] == 2
    assert document["lookups"]["counts"] == {"created": 1, "changed": 1, "deleted": 1, "unchanged": 0, "kept": 0}
    assert document["lookups"]["changes"][1] == {
        "change": "changed",
        "name": "crm",
        "values": [{"path": "timeout_ms", "before": 800, "after": 900}],
    }
    assert document["agents"]["changes"] == [
        {"change": "changed", "name": "concierge", "values": [{"path": "max_calls", "before": 3, "after": None}]}
    ]
    with engine.begin() as connection:
        assert [row["name"] for row in rows_of_lookups(connection)] == ["crm", "tickets"]
        assert rows_of_agents(connection)[0]["max_calls"] == 3
    # Without delete the one that is not in the file is kept.
    assert plan_of(apply_text(engine, edited), "lookups")[-1] == ("tickets", "kept")
    with engine.begin() as connection:
        assert [row["name"] for row in rows_of_lookups(connection)] == ["crm", "orders", "tickets"]
        assert rows_of_agents(connection)[0]["max_calls"] is None


@pytest.mark.parametrize("key", ["rules", "lookups", "agents"])
def test_an_edit_since_the_plan_is_a_conflict_and_nothing_is_written(
    database: Database, engine: Engine, key: str
) -> None:
    versions = apply_text(engine, WHOLE).versions
    database.execute("UPDATE routing_rules SET priority = 7")
    database.execute("UPDATE lookups SET cache_s = 7 WHERE name = 'crm'")
    database.execute("UPDATE agents SET max_calls = 7 WHERE agent_name = 'concierge'")
    with engine.begin() as connection:
        before = stored(connection)
    changed = WHOLE.replace("800", "900").replace("agent_name: greeter", "agent_name: butler")
    with pytest.raises(ConflictError, match=f"the {key} were edited meanwhile"):
        apply_text(engine, changed, delete=True, expected=ExpectedVersions(**{key: versions[key]}))
    with engine.begin() as connection:
        assert stored(connection) == before
        present = rules_version(connection)
    with pytest.raises(ConflictError, match="no version 99"):
        apply_text(engine, changed, expected=ExpectedVersions(**{key: 99}))
    now = ExpectedVersions(present, *(versions[one] + 1 for one in ("lookups", "agents")))
    assert apply_text(engine, changed, delete=True, expected=now).is_effective


def test_what_plain_sql_has_broken_is_exported_and_put_right_by_a_file(database: Database, engine: Engine) -> None:
    apply_text(engine, WHOLE)
    database.execute("UPDATE lookups SET pattern = '[]', url = 'ftp://x' WHERE name = 'crm'")
    with engine.begin() as connection:
        assert "ftp://x" in read_tables(connection).to_text()
        assert read_stored_lookup(connection, "crm").problems
    edit = apply_text(engine, WHOLE)
    assert plan_of(edit, "lookups") == [("tickets", "unchanged"), ("crm", "changed")]
    with engine.begin() as connection:
        assert read_stored_lookup(connection, "crm").problems == ()


def test_warnings_know_the_lookups_that_the_file_brings_or_deletes(engine: Engine) -> None:
    apply_text(engine, "rules: []")
    traffic = Traffic()

    def warned(content: str, *, delete: bool = False) -> list[str]:
        edit = apply_text(engine, content, delete=delete, dry_run=True)
        with engine.begin() as connection:
            found = edit.warnings(read_book(connection), traffic)
        return [str(one) for one in found if "lookup" in str(one)]

    assert "does not exist" in warned(RULES)[0]
    assert warned(WHOLE) == []
    apply_text(engine, WHOLE)
    assert warned(RULES, delete=True) == []
    assert "does not exist" in warned(f"{RULES}lookups: []", delete=True)[0]
