"""Warnings about a rules file on a terminal."""

from __future__ import annotations

import pytest

from app.cli.rules.rules_file import warn


def test_few_of_many_warnings_are_shown_with_how_many_more_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    warned = {f"rule {one}": ["never matches"] for one in range(12)}
    warn("rules.yaml", warned, most=10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[9:] == [
        "rules.yaml: warning: rule 'rule 9': never matches",
        "rules.yaml: 2 more warnings; --json has them all",
    ]
    warn("rules.yaml", warned)
    assert len(capsys.readouterr().err.splitlines()) == 12
