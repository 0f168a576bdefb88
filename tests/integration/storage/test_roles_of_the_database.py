"""A role of PostgreSQL that may edit rules and no more, as the page on security grants it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.conftest import Database
from tests.harness.pages import ROOT

_PAGE = (ROOT / "app/docs/security.md").read_text("utf-8")
_GRANTS = _PAGE.split("```text\n")[1].split("```")[0]
EDITS = (
    """INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'sales')""",
    "UPDATE routing_rules SET priority = 7",
    "INSERT INTO agents (agent_name, max_calls) VALUES ('sales', 3)",
    "UPDATE agents SET note = 'x'",
    """INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'https://crm.test')""",
    "UPDATE lookups SET timeout_ms = 900",
    "DELETE FROM lookups",
    "DELETE FROM agents",
    "DELETE FROM routing_rules",
)
REFUSED = (
    "DELETE FROM rule_changes",
    "UPDATE rule_changes SET changed_by = 'ana'",
    "INSERT INTO rule_editor (name) VALUES ('ana')",
    "SELECT * FROM users",
    "SELECT * FROM events",
    "UPDATE dispatches SET status = 'failed'",
)


def test_a_role_edits_rules_agents_and_lookups_and_reads_nobodys_calls(postgres_database: Database) -> None:
    with postgres_database.writer_engine().begin() as connection:
        for statement in filter(str.strip, _GRANTS.replace("rule_author", "rule_author_of_tests").split(";")):
            connection.execute(text(statement))
        connection.execute(text("SET LOCAL ROLE rule_author_of_tests"))
        for edit in EDITS:
            connection.execute(text(edit))
        for edit in REFUSED:
            with pytest.raises(ProgrammingError, match="permission denied"), connection.begin_nested():
                connection.execute(text(edit))
        connection.execute(text("RESET ROLE"))
        found = connection.execute(text("SELECT DISTINCT change, changed_by FROM rule_changes ORDER BY 1")).all()
        assert [change for change, _ in found] == ["delete", "insert", "update"]
        assert {by[:4] for _, by in found} == {"sql:"}
        connection.rollback()  # the role is of the server, and other tests share it
