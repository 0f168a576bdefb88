"""The OpenAPI document against the running API: schemathesis searches for answers that differ from it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import find_user
from tests.conftest import Database
from tests.harness.stage import Stage

PROGRAM = Path(sys.executable).with_name("schemathesis")

# What lacks If-Match is answered 428, as RFC 6585 says.
# That a rule is well-formed JSON does not make its pattern one that means something (422), nor its version the present
# one (412). A user has one check or simulation at a time (429). No schema says that texts at any depth of free JSON, as
# of patterns, hold no NUL (400): tests/integration/server/test_unstorable_text.py is about these.
CONFIGURATION = """
[generation]
allow-x00 = false

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "422", "428"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "412", "422", "428", "429"]
"""

# They could disable the token that the other requests use.
ABOUT_USERS = ("change_a_user", "delete_a_user", "revoke_a_token")

RULE = {
    "name": "spanish support",
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "agent_name": "support-es",
}


@pytest.fixture
def prepared(database: Database, tmp_path: Path) -> Stage:
    return Stage(tmp_path, database.text)


def test_the_document_is_true(prepared: Stage, tmp_path: Path) -> None:
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    with prepared as stage:
        stage.add_user("maria", Role.ADMIN)
        stage.add_user("ana", Role.EDITOR)
        stage.add_rules(RULE)
        stage.join("hall", "ana.perez", {"language": "es"})
        stage.wait_for("ana.perez", "dispatched")
        for choice in (("--exclude-operation-id",), ("--include-operation-id",)):
            options = [part for name in ABOUT_USERS for part in (*choice, name)]
            found = _run(stage, configuration, options)
            assert found.returncode == 0, _report(found)


def _run(stage: Stage, configuration: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        PROGRAM,
        "--config-file",
        configuration,
        "run",
        f"{stage.url}/api/openapi.json",
        "--header",
        f"Authorization: Bearer {_token(stage)}",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "5",
        "--request-timeout",  # on a busy machine a worker process takes seconds to start
        "120",
        "--seed",
        "1",
        "--no-color",
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False, cwd=configuration.parent)


def _report(found: subprocess.CompletedProcess[str]) -> str:
    """Return what schemathesis found wrong: answers that differ (FAILURES), and requests that had none (ERRORS)."""
    marks = (found.stdout.find(mark) for mark in ("= ERRORS =", "= FAILURES ="))
    begin = min((mark for mark in marks if mark >= 0), default=0)
    return found.stdout[begin:][:12_000] + found.stderr[-2000:]


def _token(stage: Stage) -> str:
    def unit(connection: object) -> str:
        user = find_user(connection, "maria")  # type: ignore[arg-type] # the writer's connection
        assert user is not None
        now = datetime.now(UTC)
        _, secret = issue_token(connection, user.id, "truth", Role.ADMIN, by="test", now=now)  # type: ignore[arg-type] # likewise
        return secret

    return stage.write(unit)
