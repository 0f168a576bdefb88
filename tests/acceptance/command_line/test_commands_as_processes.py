"""Each command in a process of its own: it imports what it needs, where no other command has done so before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.main import COMMANDS
from tests.acceptance.cli_site import Terminal


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_finds_all_that_it_needs(tmp_path: Path, command: str) -> None:
    answer = Terminal(tmp_path).run(command, "--help")
    assert answer.code == 0, answer.err
    assert f"Usage: usher {command}" in answer.out
