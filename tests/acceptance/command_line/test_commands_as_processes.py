"""Each command in a process of its own: it imports what it needs, where no other command has done so before it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.cli.main import COMMANDS
from tests.acceptance.cli_site import USHER, Terminal
from tests.conftest import Database


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_finds_all_that_it_needs(tmp_path: Path, command: str) -> None:
    answer = Terminal(tmp_path).run(command, "--help")
    assert answer.code == 0, answer.err
    assert f"Usage: usher {command}" in answer.out


def test_a_command_works_without_standard_streams(tmp_path: Path) -> None:
    for command in ("--help", "--version", "rules check nosuch.yaml"):
        whole = subprocess.run(
            ["/bin/sh", "-c", f"'{USHER}' {command}"], cwd=tmp_path, check=False, capture_output=True
        )
        script = f"'{USHER}' {command} <&- >&- 2>&-"
        assert subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, check=False).returncode == whole.returncode
        without_output = subprocess.run(
            ["/bin/sh", "-c", f"'{USHER}' {command} >&-"], cwd=tmp_path, check=False, capture_output=True
        )
        assert (without_output.returncode, without_output.stderr) == (whole.returncode, whole.stderr)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [USHER, "--help"], cwd=tmp_path, check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "usher: the output cannot be written: No space left on device\n")


def test_characters_that_the_terminal_lacks_are_replaced(tmp_path: Path, sqlite_database: Database) -> None:
    sqlite_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('Jörg', '{}', 'a')")
    terminal = Terminal(tmp_path, {"DATABASE_URL": sqlite_database.text})
    table = terminal.run("rules", "list", PYTHONIOENCODING="ascii")
    assert (table.code, "J?rg" in table.out) == (0, True), table.err
    document = terminal.run("rules", "list", "--json", PYTHONIOENCODING="ascii")
    assert json.loads(document.out)[0]["name"] == "Jörg"
