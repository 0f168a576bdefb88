"""How the command line fails: by exit status and in a line, whatever was typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli.framework.command_groups import GROUPS, Group
from app.cli.main import ALONE, COMMANDS, build, main
from app.version import usher_version
from tests.architecture.documentation.reference_pages import program

ROOT = Path(__file__).parents[3]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in an empty folder; return its exit status and all that it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "USHER_PROJECTS_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: str, database: str = "sqlite:///usher.db") -> tuple[int, str]:
        monkeypatch.setenv("DATABASE_URL", database)
        monkeypatch.setattr(sys, "argv", ["usher", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return int(str(code or 0)), printed.out + printed.err

    return run_command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["rules", "bogus"], "No such command 'bogus'"),
        (["rules", "apply"], "Missing argument"),
        (["events", "list", "--outcome", "bogus"], "bogus"),
        (["events", "list", "--since", "tomorrow"], "--since: must be a time ago such as 90s"),
        (["events", "replay"], "give ids, or select with options"),
        (["events", "replay", "x", "--identity", "ana"], "not both"),
        (["dispatches", "list", "--limit", "0"], "--limit"),
        (["dispatches", "cancel"], "give ids, or select with options"),
        (["trigger", "participant_joind", "--dry-run"], "Did you mean 'participant_joined'?"),
        (["trigger", "--attribute", "x", "--kind", "sip", "--dry-run"], "'x' is not KEY=VALUE"),
        (["trigger", "--attribute", "x", "--kind", "sip", "--dry-run"], "Did you mean 'SIP'?"),
        (["trigger"], "LIVEKIT_API_SECRET: is missing"),
        (["probe", "agent"], "LIVEKIT_URL: is missing"),
        (["simulate", "missing.yaml"], "missing.yaml:"),
        (["users", "token", "ana", "--expires", "soon"], "--expires: must be never or a duration"),
        (["users", "add", "ana", "--role", "king"], "king"),
        (["explain"], "Missing argument"),
    ],
)
def test_wrong_use_is_reported_with_exit_status_two(run: Run, arguments: list[str], message: str) -> None:
    code, printed = run(*arguments)
    assert code == 2
    assert message in " ".join(printed.replace("│", " ").split())


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///usher.db", "there is no database at usher.db yet (see DATABASE_URL); run: usher migrate up"),
        ("mysql://x", "Usher speaks sqlite and postgresql+psycopg"),
        ("nonsense", "is not a database URL"),
        ("postgresql://usher:very-secret@127.0.0.1:1/usher", "127.0.0.1:1/usher reports: "),
    ],
)
def test_a_database_that_cannot_be_used_is_reported_without_its_password(run: Run, url: str, message: str) -> None:
    for arguments in (("events", "list"), ("rules", "revert", "1"), ("dispatches", "redrive", "--agent", "x")):
        code, printed = run(*arguments, database=url)
        assert code == 2
        assert message in printed
        assert "very-secret" not in printed


def test_a_file_that_is_no_database_is_reported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "usher.db").write_bytes(b"no database, but text of some length" * 100)
    code, printed = run("rules", "list")
    assert code == 2
    assert "reports: file is not a database" in printed


def test_an_unreachable_usher_is_reported_with_the_command_to_run(run: Run) -> None:
    code, printed = run("trigger", "--dev", "--url", "http://127.0.0.1:1")
    assert code == 2
    assert "no Usher answers at http://127.0.0.1:1/livekit/webhook" in printed
    assert "start it with: usher serve" in printed


def test_the_version_is_printed_with_the_name(run: Run) -> None:
    code, printed = run("--version")
    assert (code, printed) == (0, f"usher {usher_version()}\n")


def test_every_command_is_listed_and_helps(run: Run) -> None:
    code, printed = run("--help")
    assert code == 0
    for name in COMMANDS:
        assert f"│ {name} " in printed
        code, helped = run(name, "--help")
        assert code == 0
        assert f"Usage: usher {name}" in helped


def test_only_the_command_that_is_asked_for_is_loaded() -> None:
    assert [group.name for group in build(["rules", "list"]).registered_groups] == ["rules"]
    assert build(["rules", "list"]).registered_commands == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_of_itself(name: str) -> None:
    text = program().commands[name].help
    assert _words_of(COMMANDS[name].help) & _words_of(text.partition("\n")[0])


def test_the_help_of_a_group_is_that_of_its_commands() -> None:
    groups = {name: command for name, command in program().commands.items() if hasattr(command, "commands")}
    assert {
        name: Group(group.help, {inner: _paragraph(one.help) for inner, one in group.commands.items()})
        for name, group in groups.items()
    } == GROUPS


def test_the_help_of_a_group_without_its_modules_is_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GROUPS:
        light = [run(name, "--help"), run(name), run(name, "bogus")]
        with monkeypatch.context() as whole:
            whole.setattr(sys.modules["app.cli.main"], "GROUPS", {})
            assert [run(name, "--help"), run(name), run(name, "bogus")] == light


def _paragraph(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def _words_of(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]+", text.lower()) if len(word) > 4}


DATABASE = {"sqlalchemy", "psycopg", "alembic"}
SERVICE = {"aiohttp", "starlette", "uvicorn", "jinja2", "apprise"}


@pytest.mark.parametrize(
    ("arguments", "not_needed"),
    [
        (["--version"], {"google", "pydantic"}),
        (["--help"], {"google", "pydantic"}),
        *(
            ([group, "--help"], {"google", "livekit", "asyncio", "app.db", "app.audit", "app.settings"})
            for group in GROUPS
        ),
        (["rulez"], {"google", "livekit", "asyncio"}),
        (["rules", "check", "-"], {"cryptography", "asyncio", "structlog", "app.settings"}),
        (["rules", "check", "--help"], {"google", "cryptography", "asyncio", "structlog"}),
        (["trigger", "--dev", "--dry-run"], {"structlog"}),
    ],
)
def test_what_needs_no_database_imports_none(arguments: list[str], not_needed: set[str]) -> None:
    loaded = loaded_by(arguments)
    assert "typer" in loaded
    assert not loaded & (DATABASE | not_needed)
    assert "trigger" in arguments or not loaded & SERVICE


@pytest.mark.parametrize(
    "arguments", [["rules", "list", "--help"], ["rules", "list", "--server", "http://127.0.0.1:1"]]
)
def test_rules_are_listed_without_migrations_server_and_client(arguments: list[str]) -> None:
    loaded = loaded_by(arguments)
    assert "sqlalchemy" in loaded
    assert not loaded & {*SERVICE, "alembic"}


def test_a_command_that_is_imported_alone_is_the_one_of_its_group() -> None:
    for (name, inner), place in ALONE.items():
        of_group = dict(_commands(program(), ()))[name, inner]
        alone = dict(_commands(typer.main.get_command(build([name, inner])), ()))
        assert list(alone) == [(name, inner)], place
        assert alone[name, inner].callback.__wrapped__ is of_group.callback.__wrapped__


def loaded_by(arguments: list[str]) -> set[str]:
    """Return the names of the packages and modules that a command has loaded when it ends."""
    program = "import sys; sys.argv[1:] = sys.argv[2:]; import app.cli\ntry: app.cli.main()\nexcept SystemExit: pass\n"
    program += "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, "-", *arguments],
        input="rules: []",
        env={**os.environ, "DATABASE_URL": "sqlite:////nowhere/usher.db", "USHER_TOKEN": "of a test"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stderr.splitlines()[-1].split()
    return {*modules, *(name.partition(".")[0] for name in modules)}


def test_flags_are_listed_without_a_type(run: Run) -> None:
    for arguments in (["--help"], ["rules", "list", "--help"], ["events", "--help"], ["simulate", "--help"]):
        code, printed = run(*arguments)
        assert code == 0
        assert "<bool>" not in printed


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("usher ru", {"rules"}), ("usher rules li", {"list"}), ("usher events list --ou", {"--outcome"})],
)
def test_a_shell_gets_completions(typed: str, offered: set[str]) -> None:
    environment = {
        "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_USHER_COMPLETE": "complete_bash", "PATH": "",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "app"], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == offered, done.stderr


LISTINGS = {"check", "history", "list", "logins", "reads", "sessions", "show", "tokens"}


def test_every_listing_prints_json_too() -> None:
    listed = set()
    for path, command in _commands(program(), ()):
        if path[-1] in LISTINGS or len(path) == 1:
            listed.add(path)
            options = {option for parameter in command.params for option in parameter.opts}
            assert "--json" in options or path[0] in {"demo", "serve", "backup", "restore"}, path
    assert {path[-1] for path in listed} >= LISTINGS


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
    for name, one in (inner or {}).items():
        yield from _commands(one, (*path, name))
