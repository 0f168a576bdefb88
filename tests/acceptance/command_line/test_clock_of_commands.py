"""Commands at the database go by its clock, as servers do, whatever the machine of the command shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.accounts.links import user_of_password_code
from app.clock import SystemClock
from app.db.record_ids import instant_of_id
from tests.acceptance.cli_site import Shell
from tests.conftest import Database

NEARLY = timedelta(seconds=5)
"""More than one measurement of the database's clock is wrong by on a busy machine, and much less than clocks differ."""


@pytest.fixture(params=[-10, 10], ids=["behind", "ahead"])
def shell(
    request: pytest.FixtureRequest, postgres_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A shell on a machine whose clock is ten minutes off."""
    off = timedelta(minutes=request.param)
    monkeypatch.setattr(SystemClock, "now", lambda _self: datetime.now(UTC) + off)
    return Shell(tmp_path, {"DATABASE_URL": postgres_database.text})


def test_what_a_command_sets_for_a_while_lasts_as_long_as_it_says(shell: Shell, postgres_database: Database) -> None:
    postgres_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'greeter')")
    began = datetime.now(UTC)
    assert shell.run("agents", "pause", "greeter", "5m").code == 0
    assert shell.run("rules", "pause", "all", "--until", "5m").code == 0
    link = shell.json("users", "add", "ana")["password_link"]
    token = shell.json("users", "token", "ana", "--expires", "5m")
    ended = datetime.now(UTC)

    def about(instant: datetime) -> bool:
        return began - NEARLY <= instant <= ended + NEARLY

    def only(query: str) -> Any:
        [row] = postgres_database.execute(query)
        return row

    five = timedelta(minutes=5)
    assert about(only("SELECT out_of_service_until AS until FROM agents")["until"] - five)
    assert about(only("SELECT paused_until AS until FROM routing_rules")["until"] - five)
    assert about(only("SELECT expires_at AS until FROM api_tokens")["until"] - five)
    made_at = instant_of_id(token["id"])
    assert made_at is not None
    assert about(made_at)
    code = re.sub(".*/", "", link)
    with postgres_database.reader_engine().connect() as connection:
        key = only("SELECT secret FROM signing_keys")["secret"]
        assert user_of_password_code(connection, key, code, ended + timedelta(days=3) - 2 * NEARLY).name == "ana"
