"""Which project is meant where it may be left out."""

from __future__ import annotations

import pytest

from app.cli.trigger import project_named
from app.errors import InvalidInputError, Problem
from app.settings import chosen_project, read_settings

SEVERAL = "must be one of the configured projects: a, b"
NONE = "cannot be chosen: none of your LiveKit projects is configured here"


@pytest.mark.parametrize(
    ("given", "configured", "chosen"),
    [
        (None, ["a"], "a"),
        ("a", ["a", "b"], "a"),
        ("b", ["a", "b"], "b"),
        (None, ["a", "b"], Problem("project", "is required, one of the configured projects: a, b")),
        ("A", ["a", "b"], Problem("project", SEVERAL, "A", "a")),
        ("", ["a", "b"], Problem("project", SEVERAL, "")),
        (None, [], Problem("project", NONE)),
        ("a", [], Problem("project", NONE, "a")),
    ],
)
def test_the_project_of_a_request(given: str | None, configured: list[str], chosen: str | Problem) -> None:
    assert chosen_project(given, configured) == chosen


def test_commands_take_the_only_project_or_name_the_option() -> None:
    settings = read_settings(
        {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret" * 6}
    )
    assert project_named(settings, None).name == "default"
    with pytest.raises(InvalidInputError, match=r"--project: must be one of the configured projects: default"):
        project_named(settings, "clinic")
