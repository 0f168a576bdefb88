"""`usher rules apply` beside a running Usher, which stores webhooks meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli.rules.rules import app
from app.rules.editing.rule_set import RuleSetEdit
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
