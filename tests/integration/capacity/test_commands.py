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
    row = json.loads(paused.output)
    assert (row["substitute_agent_name"], row["note"]) == ("reception", "new prompt")
    assert row["out_of_service_until"] is not None
    listed = usher("list").output
    assert "no, until" in listed
    assert "reception is asked" in listed
    assert usher("resume", "greeter").exit_code == 0
    again = usher("resume", "greeter")
    assert isinstance(again.exception, NotFoundError)  # exit 1
    assert "until it is resumed" in usher("pause", "greeter").output


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
