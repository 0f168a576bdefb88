"""`usher users` refuses projects that neither the settings nor a server of the database know."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from app.cli.framework.known_projects import require_known
from app.errors import InvalidInputError
from app.flows.turns import beat
from tests.conftest import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def swept(connection: Connection, project: str) -> None:
    beat(connection, f"sweep:{project}", "replica", NOW, {})


def test_projects_of_the_settings_and_those_that_a_server_sweeps_are_known(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("URL", "ws://127.0.0.1:9"), ("API_KEY", "key"), ("API_SECRET", "x" * 40)):
        monkeypatch.setenv(f"LIVEKIT_{name}", value)
    with database.writer_engine().begin() as connection:
        swept(connection, "east")
        require_known(connection, ["default", "east"])
        require_known(connection, ["gone"], ["gone"])
        with pytest.raises(InvalidInputError, match=r"none of .*: 'default', 'east'\. Did you mean 'east'\?"):
            require_known(connection, ["eats"])


def test_without_any_known_project_a_note_says_so(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("URL", "API_KEY", "API_SECRET"):
        monkeypatch.delenv(f"LIVEKIT_{name}", raising=False)
    with sqlite_database.writer_engine().begin() as connection:
        require_known(connection, None)
        assert capsys.readouterr().err == ""
        require_known(connection, ["east"])
    assert "No LiveKit project is known here yet" in capsys.readouterr().err.replace("\n", " ")
