"""Rules files against a real database of both kinds: difference, apply, conflicts, history, revert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.rules.columns import DEFAULTS, WRITABLE
from app.rules.editing.apply import apply
from app.rules.editing.difference import Change, describe, diff, differences_to_json
from app.rules.editing.history import history, rules_at
from app.rules.editing.revert import plan_revert
from app.rules.editing.rule_set import RuleSetEdit, revert_rules
from app.rules.editing.rules_file import export_rules, read_rules_file
from app.rules.editing.stored_rules import read_rules, rules_version
from tests.conftest import Database

FIRST = """
rules:
- name: spanish support
  description: |
    Callers from Spain.
    Ask Ana before changing.
  priority: 10
  pattern: {participant: {metadata: {language: [es, ca], department: [support]}}}
  agent_name: support-es
  metadata: {lang: es, who: {$eval: participant.identity}, number: 3.5, none: null}
  attributes: {team: "${rule.name}"}
  active_hours: Mo-Fr 09:00-18:00; PH off
  timezone: Europe/Madrid
  holidays: ES
- name: phone
  pattern: {participant: {kind: [SIP], attributes: {sip.trunkPhoneNumber: ["+15557654321"]}}}
  agent_name: phone-agent
  rollout_percent: 50
  recover: lost
- name: everybody
  priority: 1000
  pattern: {event: [participant_joined]}
  agent_name: default-agent
  scope: participant
  on_match: continue
"""


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = database.writer_engine()
    yield engine
    engine.dispose()


def apply_file(engine: Engine, text: str, *, editor: str = "ana", delete: bool = False) -> int:
    with engine.begin() as connection:
        differences = diff(read_rules(connection), read_rules_file(text).rules, delete=delete)
        return apply(connection, differences, editor, rules_version(connection))


def revert(connection: Connection, to_version: int, editor: str, name: str | None = None) -> RuleSetEdit:
    return revert_rules(connection, to_version, name=name, editor=editor)


def changes(engine: Engine, text: str, *, delete: bool = False) -> list[tuple[str, str]]:
    with engine.begin() as connection:
        differences = diff(read_rules(connection), read_rules_file(text).rules, delete=delete)
    return [(difference.name, str(difference.change)) for difference in differences]


def state(connection: Connection) -> list[dict[str, Any]]:
    return [{column: row[column] for column in WRITABLE} for row in read_rules(connection)]


def test_database_has_the_defaults_that_files_leave_out(database: Database, engine: Engine) -> None:
    database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('plain', '{}', 'agent')")
    with engine.begin() as connection:
        (row,) = state(connection)
    assert row == {**DEFAULTS, "name": "plain", "pattern": {}, "agent_name": "agent"}


@pytest.mark.parametrize("format_", ["yaml", "json"])
def test_an_export_applied_again_changes_nothing(engine: Engine, format_: Any) -> None:
    assert apply_file(engine, FIRST) == 3
    with engine.begin() as connection:
        exported = export_rules(read_rules(connection), format_)
    assert {change for _, change in changes(engine, exported, delete=True)} == {"unchanged"}
    assert apply_file(engine, exported, delete=True) == 3
    with engine.begin() as connection:
        assert export_rules(read_rules(connection), format_) == exported
        assert export_rules(read_rules_file(exported).rules, format_) == exported


def test_differences_name_every_value_and_deleting_is_asked_for(engine: Engine) -> None:
    apply_file(engine, FIRST)
    edited = FIRST.replace("language: [es, ca]", "language: [es]").replace("priority: 10\n", "priority: 20\n")
    edited = edited.replace("- name: everybody", "- name: all")
    assert changes(engine, edited) == [
        ("spanish support", "changed"),
        ("phone", "unchanged"),
        ("all", "created"),
        ("everybody", "kept"),
    ]
    with engine.begin() as connection:
        differences = diff(read_rules(connection), read_rules_file(edited).rules, delete=True)
    assert differences[-1].change is Change.DELETED
    described = describe(differences)
    assert "~ spanish support (changed)" in described
    assert "    priority: 10 → 20" in described
    assert '    pattern.participant.metadata.language: ["es", "ca"] → ["es"]' in described
    assert "- everybody (deleted)" in described
    assert "+ all (created)" in described
    assert '    agent_name: "default-agent"' in described
    assert described.endswith("1 created, 1 changed, 1 deleted, 1 unchanged")
    document = differences_to_json(differences)
    assert document["counts"] == {"created": 1, "changed": 1, "deleted": 1, "unchanged": 1, "kept": 0}
    assert document["rules"][0] == {
        "rule": "spanish support",
        "id": differences[0].rule_id,
        "change": "changed",
        "values": [
            {"path": "priority", "before": 10, "after": 20},
            {"path": "pattern.participant.metadata.language", "before": ["es", "ca"], "after": ["es"]},
        ],
    }


def test_edits_are_attributed_and_the_editor_leaves_no_trace(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST, editor="ana")
    database.execute("UPDATE routing_rules SET priority = 7 WHERE name = 'phone'")
    apply_file(engine, FIRST.replace("phone-agent", "phone-agent-2"), editor="api:deploy")
    with engine.begin() as connection:
        latest = history(connection)
    assert [(change.rule, change.change) for change in latest] == [
        ("phone", "update"),
        ("phone", "update"),
        ("everybody", "insert"),
        ("phone", "insert"),
        ("spanish support", "insert"),
    ]
    assert latest[0].changed_by == "api:deploy"
    assert latest[1].changed_by.startswith("sql")
    assert {change.changed_by for change in latest[2:]} == {"ana"}
    assert [str(value) for value in latest[0].values] == [
        "priority: 7 → 100",
        'agent_name: "phone-agent" → "phone-agent-2"',
    ]
    assert latest[0].to_json()["values"][0] == {"path": "priority", "before": 7, "after": 100}
    assert database.execute("SELECT * FROM rule_editor") == []


def test_an_edit_made_meanwhile_is_noticed_and_not_overwritten(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST)
    with engine.begin() as connection:
        version = rules_version(connection)
        wanted = read_rules_file(FIRST.replace("phone-agent", "other")).rules
        differences = diff(read_rules(connection), wanted, delete=False)
    database.execute("UPDATE routing_rules SET agent_name = 'by-hand' WHERE name = 'phone'")
    with pytest.raises(ConflictError, match=r"edited meanwhile.*sql.*update 'phone'"), engine.begin() as connection:
        apply(connection, differences, "ana", version)
    assert [
        row["agent_name"] for row in database.execute("SELECT agent_name FROM routing_rules WHERE name='phone'")
    ] == ["by-hand"]


def test_a_version_that_does_not_exist_is_a_conflict(engine: Engine) -> None:
    with pytest.raises(ConflictError, match="no version 9"), engine.begin() as connection:
        apply(connection, [], "ana", 9)


def test_nothing_is_written_when_one_rule_is_wrong(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST)
    with engine.begin() as connection:
        good, bad, *rest = (dict(rule) for rule in read_rules_file(FIRST).rules)
        good["priority"] = 1
        bad |= {"rollout_percent": 101, "scope": "everywhere"}
        differences = diff(read_rules(connection), [good, bad, *rest], delete=False)
    with pytest.raises(InvalidInputError) as raised, engine.begin() as connection:
        apply(connection, differences, "ana", rules_version(connection))
    assert [problem.path for problem in raised.value.problems] == [
        "rules[phone].scope",
        "rules[phone].rollout_percent",
    ]
    assert len(database.execute("SELECT * FROM rule_changes")) == 3


def test_the_book_goes_back_to_a_version_and_forward_again(engine: Engine) -> None:
    apply_file(engine, FIRST)
    with engine.begin() as connection:
        at_first = state(connection)
        ids = {row["name"]: row["id"] for row in read_rules(connection)}
    second = FIRST.replace("- name: everybody", "- name: all").replace("phone-agent", "phone-2")
    version = apply_file(engine, second, delete=True)
    with engine.begin() as connection:
        at_second = state(connection)
        assert at_second != at_first
        assert [row["name"] for row in rules_at(connection, 3)] == [row["name"] for row in at_first]
        assert rules_at(connection, 0) == []

    with engine.begin() as connection:
        undone = revert(connection, 3, "bea").differences
    with engine.begin() as connection:
        assert state(connection) == at_first
        assert {row["name"]: row["id"] for row in read_rules(connection)} == ids  # rollout shares stay
        assert {str(difference.change) for difference in undone} <= {"unchanged", "changed", "created", "deleted"}
        assert history(connection, limit=1)[0].changed_by == "bea"
        assert {difference.change for difference in plan_revert(connection, 3)} == {Change.UNCHANGED}
        revert(connection, version, "bea")
    with engine.begin() as connection:
        assert state(connection) == at_second
        revert(connection, 0, "bea")
    with engine.begin() as connection:
        assert state(connection) == []
        revert(connection, 3, "bea")
    with engine.begin() as connection:
        assert state(connection) == at_first


def test_one_rule_goes_back_alone(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST)
    database.execute("UPDATE routing_rules SET agent_name = 'x' WHERE name IN ('phone', 'everybody')")
    with engine.begin() as connection:
        revert(connection, 3, "ana", name="phone")
    assert agents(database) == {"spanish support": "support-es", "phone": "phone-agent", "everybody": "x"}

    database.execute("DELETE FROM routing_rules WHERE name = 'phone'")
    with engine.begin() as connection:
        revert(connection, 3, "ana", name="phone")
    assert agents(database)["phone"] == "phone-agent"

    database.execute("UPDATE routing_rules SET name = 'renamed', agent_name = 'y' WHERE name = 'phone'")
    with engine.begin() as connection:
        revert(connection, 3, "ana", name="renamed")
    assert agents(database) == {"spanish support": "support-es", "phone": "phone-agent", "everybody": "x"}

    with engine.begin() as connection:
        revert(connection, 1, "ana", name="everybody")
    assert sorted(agents(database)) == ["phone", "spanish support"]
    with pytest.raises(NotFoundError, match="nobody"), engine.begin() as connection:
        revert(connection, 1, "ana", name="nobody")
    with pytest.raises(NotFoundError, match="no version 999"), engine.begin() as connection:
        revert(connection, 999, "ana")


def agents(database: Database) -> dict[str, str]:
    return {row["name"]: row["agent_name"] for row in database.execute("SELECT name, agent_name FROM routing_rules")}


def test_rules_that_exchanged_their_names_are_brought_back(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST)
    for name, new in (
        ("phone", "tmp"),
        ("everybody", "phone"),
        ("spanish support", "everybody"),
        ("tmp", "spanish support"),
    ):
        database.execute("UPDATE routing_rules SET name = :new WHERE name = :name", name=name, new=new)
    assert agents(database)["phone"] == "default-agent"
    with engine.begin() as connection:
        revert(connection, 3, "ana")
    assert agents(database) == {"spanish support": "support-es", "phone": "phone-agent", "everybody": "default-agent"}


def test_history_of_a_rule_follows_its_names_and_pages(database: Database, engine: Engine) -> None:
    apply_file(engine, FIRST)
    database.execute("UPDATE routing_rules SET name = 'caller' WHERE name = 'everybody'")
    database.execute("UPDATE routing_rules SET priority = 5 WHERE name = 'caller'")
    database.execute("DELETE FROM routing_rules WHERE name = 'caller'")
    # On SQLite this one gets the id of the deleted rule; its history is its own all the same.
    database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('newcomer', '{}', 'agent')")
    with engine.begin() as connection:
        for name in ("everybody", "caller"):
            assert [change.change for change in history(connection, name)] == ["delete", "update", "update", "insert"]
        assert [change.change for change in history(connection, "newcomer")] == ["insert"]
        newest, *_ = history(connection, limit=1)
        assert [change.id for change in history(connection, limit=2, before_version=newest.id)] == [6, 5]
        with pytest.raises(NotFoundError):
            history(connection, "nobody")


def test_a_bad_row_by_plain_sql_is_read_and_can_be_put_right(database: Database, engine: Engine) -> None:
    pattern = "'not json'" if database.kind == "sqlite" else "'\"not json\"'"
    database.execute(f"INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('bad', {pattern}, 'agent')")
    with engine.begin() as connection:
        (row,) = read_rules(connection)
    assert row["pattern"] == "not json"
    assert apply_file(engine, FIRST) == 4  # a bad row that is not touched hinders nobody
    apply_file(engine, "rules: [{name: bad, pattern: {project: [a]}, agent_name: agent}]")
    with engine.begin() as connection:
        assert [row["pattern"] for row in read_rules(connection) if row["name"] == "bad"] == [{"project": ["a"]}]


def test_many_rules_are_written_in_the_order_of_the_file(engine: Engine) -> None:
    rules = [{"name": f"rule {n}", "pattern": {"room": {"name": [f"r{n}"]}}, "agent_name": "a"} for n in range(500)]
    assert apply_file(engine, export_rules(rules, "json")) == 500
    with engine.begin() as connection:
        rows: Sequence[dict[str, Any]] = read_rules(connection)
    assert [row["name"] for row in rows] == [rule["name"] for rule in rules]


def test_of_two_edits_at_once_exactly_one_wins(database: Database) -> None:
    def edit(agent: str) -> str:
        engine = database.writer_engine()
        try:
            with engine.begin() as connection:
                wanted = read_rules_file(FIRST.replace("phone-agent", agent)).rules
                apply(connection, diff([], wanted, delete=False), agent, 0)
        except ConflictError:
            return "conflict"
        finally:
            engine.dispose()
        return agent

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(edit, ["a", "b", "c", "d"]))
    assert outcomes.count("conflict") == 3
    (winner,) = set(outcomes) - {"conflict"}
    assert agents(database)["phone"] == winner
    assert {row["changed_by"] for row in database.execute("SELECT changed_by FROM rule_changes")} == {winner}
