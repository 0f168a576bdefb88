"""What README and the documentation show works: each `usher` command, and the token server in Python."""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from sqlalchemy import make_url

from app.db import schema
from tests.acceptance.cli_site import Site, running_site
from tests.conftest import Database
from tests.harness.pages import blocks, shell_commands

RULES = """
rules:
  - name: support
    pattern: {participant: {metadata: {department: [support]}}}
    agent_name: support-agent
  - name: everybody else
    priority: 1000
    pattern: {}
    agent_name: reception-agent
"""
WORKERS = ("support-agent", "reception-agent")
DO_NOT_END = {"serve", "demo"}
"""Commands that run until they are stopped; they have tests of their own."""

ASKS_A_SYSTEM_OF_YOURS = ("lookups", "test")
"""Exits 1 where that system does not answer, as nobody does at an address of an example."""
PLACEHOLDER = "019ab000-0000000000000"

PAGES = sorted({page for page, _ in shell_commands()})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("documentation")
    database = Database(make_url(f"sqlite:///{folder / 'usher.db'}"))
    schema.upgrade(database.url)
    with running_site(folder, database, RULES, WORKERS) as built:
        set_scene(built)
        yield built


def set_scene(site: Site) -> None:
    """What the pages speak of: a file of rules, a user, and callers who have left."""
    site.terminal.write("rules.yaml", RULES)
    site.terminal.json("users", "add", "ana")
    for number, caller in enumerate(
        (["--identity", "ana@example.com"], ["--sip", "--from", "+34600111222", "--to", "+15557654321"])
    ):
        for event in ("participant_joined", "participant_left"):
            assert site.terminal.run("trigger", event, *caller, "--room", "hall", "--sid", f"PA_{number}").code == 0


def run_sql(site: Site, page: str) -> None:
    """Run the SQL of a page, without limits that a page before has set; rules of the scene stay as they are."""
    with closing(sqlite3.connect(str(site.database.url.database), timeout=30)) as connection:
        connection.executescript("DELETE FROM agents;")
        for block in blocks("sql"):
            if block.page == page:
                with suppress(sqlite3.IntegrityError):
                    connection.executescript(block.text)


def settings_of(site: Site, page: str) -> dict[str, str]:
    """Return the settings for the commands of a page that shows a file of projects: that file, no single LiveKit."""
    for block in blocks("yaml"):
        if block.page == page and block.text.startswith("projects:"):
            single = dict.fromkeys(("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"), "")
            return {**single, "USHER_PROJECTS_FILE": site.terminal.write("projects.yaml", block.text)}
    return {}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_can_be_run_one_after_the_other(site: Site, page: str) -> None:
    lines = [shlex.split(line, comments=True)[1:] for name, line in shell_commands() if name == page]
    if ["users", "add", "ana"] in [words[:3] for words in lines]:
        site.terminal.json("users", "delete", "ana", "--yes")
    run_sql(site, page)
    settings = settings_of(site, page)
    (event, *_) = site.terminal.json("events", "list", "--type", "participant_joined", "--limit", "1")
    failed = []
    for words in lines:
        if words[0] in DO_NOT_END:
            continue
        arguments = [event["id"] if word == PLACEHOLDER else word for word in words]
        answer = site.terminal.run(*arguments, stdin="y\n", **settings)
        if answer.code > (tuple(words[:2]) == ASKS_A_SYSTEM_OF_YOURS):
            failed.append((words, answer.code, answer.err[-500:], answer.out[-300:]))
    assert failed == []


def test_the_token_server_in_python_makes_tokens_with_the_agents_decided(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "decider" not in {user["name"] for user in site.terminal.json("users", "list")}:
        site.terminal.json("users", "add", "decider", "--role", "decider")
    token = site.terminal.json("users", "token", "decider")["token"]
    monkeypatch.setitem(sys.modules, "httpx", httpx2)  # the same library, under the name of its next version
    monkeypatch.setenv("LIVEKIT_API_KEY", site.livekit.key)
    monkeypatch.setenv("LIVEKIT_API_SECRET", site.livekit.secret)
    (example,) = [block for block in blocks("python") if block.page.endswith("token-server.md")]
    program: dict[str, Any] = {}
    exec(example.text, program)  # noqa: S102 - our own example
    metadata = {"department": "support"}
    agents = program["decide"](site.url, token, "bea", metadata, "support-9")
    made = program["access_token"](agents, "bea", metadata, "support-9")
    claims = jwt.decode(made, site.livekit.secret, algorithms=["HS256"], issuer=site.livekit.key)
    (agent,) = claims["roomConfig"]["agents"]
    assert agent["agentName"] == "support-agent"
    assert agent["attributes"]["usher.dispatch_id"] == agents[0]["id"]
    assert json.loads(agent["metadata"])["participant"]["metadata"] == metadata
