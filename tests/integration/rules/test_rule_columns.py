"""Every column of `routing_rules` is checked, described, editable, exported, recorded and read: none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, update

from app.db.column_definition import RuleColumn
from app.db.rule_columns import COLUMN, RECORDED_COLUMNS, RULE_COLUMNS
from app.db.tables import routing_rules, rule_changes
from app.rules.book.read_book import read_book
from app.rules.check import check_rule
from app.rules.columns import REQUIRED, STAMPS
from app.rules.editing.history import history
from app.rules.editing.rules_file import Format, export_rules, read_rules_file
from app.rules.editing.stored_rules import read_rules
from app.rules.rule import Rule
from app.server.api.rule_shapes import Rule as RuleAnswer
from app.server.api.rule_shapes import RuleChanges, RuleDraft
from app.server.console.rule_pages.rule_form import SECTIONS, fields_of, read_draft
from tests.conftest import Database

VALUES: dict[str, Any] = {
    "name": "spanish",
    "description": "Callers from Spain.\nAsk Ana.",
    "enabled": False,
    "priority": 7,
    "pattern": {"participant": {"kind": ["SIP"]}},
    "action": "dispatch",
    "agent_name": "support-es",
    "metadata": {"language": "es"},
    "attributes": {"team": "${rule.name}"},
    "deployment": "blue",
    "scope": "participant",
    "on_match": "continue",
    "rollout_percent": 25,
    "rollout_key": "room.name",
    "active_hours": "Mo-Fr 09:00-18:00; PH off",
    "timezone": "Europe/Madrid",
    "holidays": "ES",
    "paused_until": "2026-12-24T18:00:00.000000Z",
    "answer_timeout_s": 20,
    "max_attempts": 2,
    "fallbacks": ["reception", {"agent_name": "voicemail", "answer_timeout_s": 5, "max_attempts": 2}],
    "on_no_show": "transfer",
    "transfer_to": "tel:+34911222333",
    "min_stay_s": 10,
    "recover": "lost",
    "withdraw": False,
    "max_calls": 4,
    "queue_timeout_s": 60,
    "queue_priority": 50,
    "announce": True,
    "objective_percent": 99.5,
    "objective_s": 3,
}
"""A value of each column that is not its default, but of `action`: those of the others need an agent."""
ALTERED: dict[str, dict[str, Any]] = {
    "objective_percent": {"objective_percent": None, "objective_s": None},
    "objective_s": {"objective_percent": None, "objective_s": None},
    "action": {"action": "transfer", "agent_name": None, "fallbacks": None, "on_no_show": "wait"},
    "agent_name": {"agent_name": "other"},
    "transfer_to": {"transfer_to": "sip:desk@example.com"},
}
"""What else must change with a column, or where its default does not fit `VALUES`."""

each_column = pytest.mark.parametrize("column", RULE_COLUMNS, ids=lambda column: column.name)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    engine: Engine = database.writer_engine()
    with engine.begin() as connection:
        connection.execute(insert(routing_rules).values(VALUES))
        yield connection
    engine.dispose()


def test_the_table_has_the_defined_columns_and_each_has_a_value_here() -> None:
    assert {column.name for column in routing_rules.columns} == {"id", *STAMPS, *COLUMN}
    assert VALUES.keys() == COLUMN.keys()
    assert [column.name for column in RULE_COLUMNS if VALUES[column.name] == column.default] == ["action"]


@each_column
def test_each_column_is_checked(column: RuleColumn) -> None:
    assert check_rule(VALUES) == []
    problems = check_rule({**VALUES, column.name: b"bytes are no value of any column"})
    assert {problem.path for problem in problems} == {column.name}


@each_column
def test_each_column_is_described_by_the_api(column: RuleColumn) -> None:
    assert column.name in RuleAnswer.model_fields
    assert RuleDraft.model_validate(VALUES).model_dump(mode="json") == VALUES
    one = RuleChanges.model_validate({column.name: VALUES[column.name]})
    assert one.model_dump(mode="json", exclude_unset=True) == {column.name: VALUES[column.name]}
    assert RuleDraft.model_fields[column.name].is_required() == (column.name in REQUIRED)


@each_column
def test_each_column_has_one_field_in_the_form(column: RuleColumn) -> None:
    shown = [one for _, columns in SECTIONS for one in columns]
    assert shown.count(column) == 1
    assert column.label
    assert len(column.options) == len(column.choices or ())
    sent, draft, problems = read_draft(fields_of(VALUES).__getitem__)
    assert sent.keys() == COLUMN.keys()
    assert (draft[column.name], problems) == (VALUES[column.name], [])


@each_column
@pytest.mark.parametrize("format_", ["yaml", "json"])
def test_each_column_is_in_rules_files(column: RuleColumn, format_: Format) -> None:
    row = {**VALUES, **ALTERED["action"]} if column.name == "action" else VALUES
    text = export_rules([row], format_)
    assert column.name in text
    assert read_rules_file(text).rules[0][column.name] == row[column.name]


def test_each_column_is_recorded_by_the_database(connection: Connection) -> None:
    (change,) = history(connection)
    assert change.after is not None
    assert set(change.after) == set(RECORDED_COLUMNS)
    assert {name: change.after[name] for name in VALUES} == VALUES
    for column in RULE_COLUMNS:
        latest = connection.scalar(select(rule_changes.c.id).order_by(rule_changes.c.id.desc()).limit(1)) or 0
        other = {column.name: "other" if column.is_required else column.default}
        values = ALTERED.get(column.name, other)
        connection.execute(update(routing_rules).values(values))
        recorded = history(connection, after_version=latest)
        connection.execute(update(routing_rules).values({name: VALUES[name] for name in values}))
        assert [change.change for change in recorded] == ["update"], column.name
        assert {value.path.split(".")[0] for value in recorded[0].values} == values.keys()


def test_each_column_is_read(connection: Connection) -> None:
    (row,) = read_rules(connection)
    assert {name: row[name] for name in VALUES} == VALUES
    (rule,) = read_book(connection).rules
    assert {name: getattr(rule, name) for name in VALUES} == VALUES
    parsed = {"resumes_at", "hours"}
    assert {name.removesuffix("_text") for name in Rule._fields} - parsed == set(RECORDED_COLUMNS)
