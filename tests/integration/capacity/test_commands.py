"""`usher agents`: what it prints, what it records, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.rules.agents import app
from app.errors import InvalidInputError, NotFoundError
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

Run = Callable[..., Any]


@pytest.fixture
def usher(database: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database.text)
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "USHER_PROJECTS_FILE"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_a_limit_is_set_shown_and_removed(usher: Run) -> None:
    assert usher("limit", "greeter", "--max-calls", "3", "--by", "maria").exit_code == 0
    assert "greeter: at most 3 calls at a time; in service" in usher("limit", "greeter").output
    (line,) = json.loads(usher("list", "--json").output)
    assert (line["agent_name"], line["max_calls"], line["calls"], line["waiting"], line["in_service"]) == (
        "greeter", 3, 0, 0, True,
    )  # fmt: skip
    assert "no limits" in usher("limit", "greeter", "--max-calls", "none").output
    changes = json.loads(usher("history", "greeter", "--json").output)
    assert [(one["change"], one["changed_by"]) for one in changes][1] == ("insert", "maria")
    assert len(changes) == 2


def test_an_agent_is_paused_and_resumed(usher: Run) -> None:
    paused = usher("pause", "greeter", "2h", "--substitute", "reception", "--note", "new prompt", "--json")
    assert paused.exit_code == 0, paused.output
    row = json.loads(paused.stdout)
    assert (row["substitute_agent_name"], row["note"]) == ("reception", "new prompt")
    assert row["out_of_service_until"] is not None
    listed = usher("list").output
    assert "no, until" in listed
    assert "reception is asked" in listed
    assert usher("resume", "greeter").exit_code == 0
    again = usher("resume", "greeter")
    assert isinstance(again.exception, NotFoundError)  # exit 1
    assert "until it is resumed" in usher("pause", "greeter").output


def test_resuming_takes_back_the_substitute_and_the_note_of_the_pause_alone(usher: Run, database: Database) -> None:
    usher("pause", "greeter", "2h", "--substitute", "reception", "--note", "new prompt")
    usher("limit", "greeter", "--max-calls", "3")
    row = json.loads(usher("resume", "greeter", "--json").stdout)
    assert (row["substitute_agent_name"], row["note"], row["max_calls"]) == (None, "", 3)
    # What stood there before, and what was written since, stays
    database.execute("UPDATE agents SET substitute_agent_name = 'night', note = 'ask Tom'")
    usher("pause", "greeter", "2h", "--substitute", "reception")
    usher("pause", "greeter", "3h", "--note", "takes longer")
    row = json.loads(usher("resume", "greeter", "--json").stdout)
    assert (row["substitute_agent_name"], row["note"]) == ("night", "takes longer")


def test_a_name_that_no_dispatch_has_asked_for_is_warned_of_with_the_nearest(usher: Run, database: Database) -> None:
    with database.writer_engine().begin() as connection:
        store(connection, dispatch_rows=[dispatch_row(at(0), event_row(at(0)), agent_name="greeter")])
    assert usher("limit", "greeter", "--max-calls", "3").stderr == ""
    assert "greeter" in usher("limit", "greetr", "--max-calls", "3").stderr
    paused = usher("pause", "greeter", "--substitute", "greeters")
    assert paused.exit_code == 0
    assert "no dispatch has asked for 'greeters' before; is 'greeter' meant?" in paused.stderr
    # Also the name of an agent that something is set for is near
    usher("limit", "reception", "--max-calls", "3")
    assert "before; is 'reception' meant?" in usher("limit", "recepton", "--max-calls", "3").stderr


def test_a_deletion_stands_in_the_history(usher: Run, database: Database) -> None:
    usher("limit", "greeter", "--max-calls", "3")
    database.execute("DELETE FROM agents")
    assert "deleted: nothing is set any more" in usher("history", "greeter").output


def test_a_limit_that_is_none_is_refused_with_the_bounds(usher: Run) -> None:
    for option, text in (("--max-calls", "from 0 to "), ("--starts-per-second", "from 1 to ")):
        refused = usher("limit", "greeter", option, "-1")
        (problem,) = refused.exception.problems
        assert problem.path == option
        assert text in problem.message
        assert "it is '-1'" in problem.message


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", "greeter", "yesterday"),
        ("pause", "greeter", "2020-01-01T00:00"),
        ("limit", "greeter", "--max-calls", "many"),
        ("limit", "greeter", "--starts-per-second", "0"),
        ("pause", " "),
    ],
)
def test_wrong_use_changes_nothing(usher: Run, arguments: tuple[str, ...]) -> None:
    assert isinstance(usher(*arguments).exception, InvalidInputError)  # exit 2
    assert json.loads(usher("list", "--json").output) == []
