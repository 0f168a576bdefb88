"""`usher rules apply` beside a running Usher, which stores webhooks meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from typer.testing import CliRunner

from app.cli.rules.rules import app
from app.rules.editing.rule_set import RuleSetEdit, apply_file, plan_rules
from app.rules.editing.rules_file import read_rules_file
from app.rules.editing.stored_rules import read_rules
from tests.conftest import Database

RULES = """
rules:
- {name: all, pattern: {event: [participant_joined]}, agent_name: a}
- {name: late, pattern: {room: {name: [x]}}, agent_name: b}
"""


def test_others_can_write_while_warnings_are_looked_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.text)
    (tmp_path / "rules.yaml").write_text(RULES)
    look = RuleSetEdit.warnings

    def write_first(edit: RuleSetEdit, *arguments: Any) -> Any:
        with database.writer_engine().begin() as other:
            other.execute(text("UPDATE routing_rules SET description = 'edited meanwhile' WHERE name = 'all'"))
        return look(edit, *arguments)

    monkeypatch.setattr(RuleSetEdit, "warnings", write_first)
    done = CliRunner().invoke(app, ["apply", str(tmp_path / "rules.yaml")])
    assert done.exit_code == 0, done.exception
    assert database.execute("SELECT description FROM routing_rules WHERE name = 'all'") == [
        {"description": "edited meanwhile"}
    ]


def test_the_rules_are_compared_before_the_transaction_that_others_wait_for(database: Database) -> None:
    wanted, engine = read_rules_file(RULES), database.writer_engine()
    with engine.connect() as connection:
        plan = plan_rules(connection, wanted, delete=False)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with engine.begin() as connection:
        apply_file(connection, wanted, delete=False, editor="ana", plan=plan)
    assert any("INSERT INTO routing_rules" in one for one in statements)
    assert not any("FROM routing_rules" in one for one in statements)


def test_a_comparison_that_an_edit_has_made_old_is_made_anew(database: Database) -> None:
    wanted, engine = read_rules_file(RULES), database.writer_engine()
    with engine.connect() as connection:
        plan = plan_rules(connection, wanted, delete=True)
    database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES"
        """ ('late', '{"room": {"name": ["y"]}}', 'c'), ('more', '{"room": {"name": ["z"]}}', 'd')"""
    )
    with engine.begin() as connection:
        apply_file(connection, wanted, delete=True, editor="ana", plan=plan)
        assert {row["name"]: row["agent_name"] for row in read_rules(connection)} == {"all": "a", "late": "b"}
