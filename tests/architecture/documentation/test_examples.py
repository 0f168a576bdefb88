"""Examples in the documentation are true: rules match what their tables say, code compiles, files can be read."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from app.db import schema
from app.db.engine import create_reader_engine, parse_database_url
from app.db.types import EventSource
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.rules.editing.rules_file import read_rules_file
from app.settings import read_settings
from app.settings.model import Settings
from app.webhook.parse import build_event
from tests.architecture.documentation.reference_pages import commands, program
from tests.harness.pages import Block, blocks, inline_commands, shell_commands, user_pages

_RULES = re.compile(r"^```yaml\n(rules:.*?)^```\n(.*?)(?=^```|^#|\Z)", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `(\{.*?\})` \| (?:`([^`|]*)` \| )?(.*?) \|$", re.MULTILINE)
NOON = "2026-11-24T12:00+00:00"


def cases() -> Iterator[Any]:
    """Yield each row of a table that follows rules: the rules, who joins, when, and who is to be dispatched."""
    for page, content in user_pages().items():
        for rules, following in _RULES.findall(content):
            table = following.partition("| a caller with |")[2]
            for body, at, expected in _ROW.findall(table):
                yield pytest.param(rules, body, at or NOON, expected, id=f"{page}: {body[:80]}")


def book_of(rules: str) -> RuleBook:
    rows = [{**rule, "id": number} for number, rule in enumerate(read_rules_file(rules).rules, start=1)]
    book = RuleBook.build(rows, 1)
    assert not book.bad
    return book


@pytest.mark.parametrize(("rules", "body", "at", "expected"), list(cases()))
def test_rules_dispatch_the_agents_of_their_table(rules: str, body: str, at: str, expected: str) -> None:
    moment = datetime.fromisoformat(at)
    content = {"event": "participant_joined", "id": "EV_1", **json.loads(body)}
    project = content.pop("project", "default")
    participant = {"identity": "ana", "sid": "PA_1", **content["participant"]}
    if isinstance(participant.get("metadata"), dict):
        participant["metadata"] = json.dumps(participant["metadata"])
    event = build_event(
        {
            **content,
            "createdAt": str(int(moment.timestamp())),
            "room": {"name": "hall", "sid": "RM_1", **content.get("room", {})},
            "participant": participant,
        },
        project=project,
        source=EventSource.WEBHOOK,
        received_at=moment.astimezone(UTC),
        event_id="019ab000-0000000000000",
    )
    agents = [rule.agent_name for rule in evaluate(book_of(rules), event).matched]
    assert (", ".join(f"`{agent}`" for agent in agents) or "nobody") == expected


def test_enough_pages_have_rules_with_their_outcomes() -> None:
    assert len(list(cases())) >= 25


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_can_be_read_and_rules_can_be_used(block: Block) -> None:
    content = yaml.safe_load(block.text)
    if "rules" in content:
        book_of(block.text)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_can_be_read(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_settings_in_examples_exist(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text(block.text, "utf-8")
    known = {field.alias for field in Settings.model_fields.values()}
    assert dotenv_values(file).keys() - known == set()


def test_projects_in_the_example_can_be_read(tmp_path: Path) -> None:
    (block,) = [one for one in blocks("yaml") if "projects" in yaml.safe_load(one.text)]
    file = tmp_path / "projects.yaml"
    file.write_text(block.text, "utf-8")
    settings = read_settings({"USHER_PROJECTS_FILE": str(file)})
    assert [project.name for project in settings.projects] == ["production", "clinic"]
    assert settings.retention_days_of("clinic") == 7


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("sql")}))
def test_sql_in_examples_leaves_rules_that_can_be_used(page: str, tmp_path: Path) -> None:
    """As any client runs it: with Python's own SQLite, which knows nothing of Usher."""
    url = parse_database_url(f"sqlite:///{tmp_path / 'usher.db'}")
    schema.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "usher.db")) as connection:
        for block in blocks("sql"):
            if block.page == page:
                connection.executescript(block.text)
    readers = create_reader_engine(url)
    with readers.connect() as reading:
        book = read_book(reading)
    readers.dispose()
    assert not book.bad
    assert not book.lookups.bad
    assert book.rules or "INSERT INTO routing_rules" not in "".join(
        block.text for block in blocks("sql") if block.page == page
    )


COMMANDS = {" ".join(words): command for words, command in commands(program())}


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the longest name of a command that `words` begin with, and the words after it."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, words[length:]
    return "", words


@pytest.mark.parametrize(("where", "line"), shell_commands())
def test_commands_in_shell_blocks_are_complete(where: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index("|")] if "|" in words else words
    if words[0] == "--version":
        return
    name, arguments = command_of(words)
    assert name, f"{where}: no such command"
    COMMANDS[name].make_context(name, list(arguments))


@pytest.mark.parametrize(("page", "line"), sorted(set(inline_commands())))
def test_commands_in_running_text_exist_with_their_options(page: str, line: str) -> None:
    words = line.split(" ")[1:]
    groups = {name.split(" ")[0] for name in COMMANDS}
    if words[0] in {"--version", "--install-completion", "COMMAND"}:
        return
    name, arguments = command_of(words)
    if not name:
        subcommands = re.split(r"[|]", words[1]) if len(words) > 1 and "|" in words[1] else []
        assert words[0] in groups, page
        assert len(words) == 1 or all(f"{words[0]} {one}" in COMMANDS for one in subcommands), page
        return
    known = {flag for one in COMMANDS[name].params for flag in (*one.opts, *one.secondary_opts)} | {"--help"}
    used = {word.partition("=")[0] for word in arguments if word.startswith("-") and len(word) > 1}
    assert used - known == set(), page
