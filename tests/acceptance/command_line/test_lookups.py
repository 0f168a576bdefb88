"""`usher lookups`: what is asked, and what a service answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli_site import Shell
from tests.conftest import Database

JOIN = {"event": "participant_joined", "participant": {"identity": "ana", "name": "Ana", "sid": "PA_1"}}


class Crm(BaseHTTPRequestHandler):
    """Answers with the name of the caller, and with what it was sent as a secret."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = self.headers.get("authorization") == "Bearer of the crm"
        body = json.dumps({"name": asked["participant"]["name"], "known": known}).encode()
        self.send_response(200 if self.path == "/ask" else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def crm() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Crm)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_lookups_are_listed_and_tested(tmp_path: Path, sqlite_database: Database, crm: str) -> None:
    # Given lookups that were written with SQL: one that works, one whose service fails, one that cannot be used
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text, "CRM_TOKEN": "Bearer of the crm"})
    assert "No lookups" in terminal.run("lookups", "list").out
    insert = (
        "INSERT INTO lookups (name, pattern, url, headers, on_error) VALUES (:name, :pattern, :url, :headers, :other)"
    )
    headers = json.dumps({"authorization": "env:CRM_TOKEN"})
    for name, pattern, url in (
        ("crm", "{}", f"{crm}/ask"),
        ("down", '{"room": {"name": ["x"]}}', f"{crm}/fail"),
        ("bad", "[]", "ftp://x"),
    ):
        row = {"name": name, "pattern": pattern, "url": url, "headers": headers, "other": '{"name": ""}'}
        sqlite_database.execute(insert, **row)
    # When they are listed
    answer = terminal.run("lookups", "list")
    # Then the bad one is shown with what is wrong
    assert answer.code == 0
    assert "ftp://x" in answer.out
    assert "3 lookups, 1 cannot be used" in answer.out + answer.err
    listed = {one["name"]: one for one in terminal.json("lookups", "list")}
    assert listed["crm"]["headers"] == {"authorization": "env:CRM_TOKEN"}
    assert [bool(one["problems"]) for one in listed.values()] == [True, False, False]
    doctor = terminal.run("doctor")
    assert "1 cannot be used: 'bad'" in " ".join((doctor.out + doctor.err).split())
    # When the one that works is tested with an event in a file
    file = terminal.write("join.json", json.dumps(JOIN))
    tested = terminal.json("lookups", "test", "crm", "--event", file)
    # Then its service was asked, with the secret of this environment
    assert (tested["status"], tested["answer"]) == ("ok", {"name": "Ana", "known": True})
    assert terminal.run("lookups", "test", "crm", "--event", "-", stdin=json.dumps(JOIN)).code == 0
    half = json.dumps({**JOIN, "participant": {**JOIN["participant"], "name": "\ud800"}})  # type: ignore[dict-item]
    assert terminal.run("lookups", "test", "crm", "--event", "-", stdin=half).code == 0
    # When the other is tested, the answer is no, and the default is shown
    failed = terminal.run("lookups", "test", "down", "--event", file)
    assert failed.code == 1
    assert "it answered 500" in failed.out
    assert "would not be asked" in failed.out
    # Then what cannot be asked is wrong use, and what is not there is a plain no
    assert terminal.run("lookups", "test", "bad", "--event", file).code == 2
    assert terminal.run("lookups", "test", "none", "--event", file).code == 1
    assert terminal.run("lookups", "test", "crm", "--event", "unknown-id").code == 1
    assert terminal.run("lookups", "test", "crm").code == 2


def test_the_project_of_a_webhook_in_a_file_must_be_configured(
    tmp_path: Path, sqlite_database: Database, crm: str
) -> None:
    # Given two projects, one lookup and a rule of one project
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})
    secret = "secret" * 6
    projects = [{"name": one, "url": "ws://127.0.0.1:9", "api_key": one, "api_secret": secret} for one in ("a", "b")]
    several = {"USHER_PROJECTS_FILE": terminal.write("projects.yaml", json.dumps({"projects": projects}))}
    sqlite_database.execute("INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', :url)", url=f"{crm}/fail")
    sqlite_database.execute(
        """INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('of b', '{"project": ["b"]}', 'greeter')"""
    )
    file = terminal.write("join.json", json.dumps(JOIN))
    commands = (["lookups", "test", "crm", "--event", file], ["rules", "test", "of b", "--event", file])
    for command in commands:
        # When none is named, or one that is none, then the command says which there are
        refused = terminal.run(*command, **several)
        assert refused.code == 2
        assert "--project: is required, one of the configured projects: a, b" in refused.err
        unknown = terminal.run(*command, "--project", "B", **several)
        assert "--project: must be one of the configured projects: a, b. Did you mean 'b'?" in unknown.err
        # And a stored event has its own
        stored = terminal.run(*command[:3], "--event", "no-file", "--project", "b", **several)
        assert "--project: is for a webhook in a file" in stored.err
        # And where only the database is known, the projects are those that a server has swept
        assert "--project" not in terminal.run(*command, "--project", "x").err
        sqlite_database.execute(
            "INSERT INTO heartbeats (component, replica, beat_at, detail) "
            "VALUES ('sweep:a', 'x', '2026-01-01 00:00:00.000000+00:00', '{}')"
        )
        assert "must be one of the configured projects: a" in terminal.run(*command, "--project", "x").err
        sqlite_database.execute("DELETE FROM heartbeats")
    assert terminal.run(*commands[1], "--project", "b", **several).code == 0
    assert terminal.run(*commands[1], "--project", "a", **several).code == 1


def test_a_rule_is_tested_with_an_answer_given_by_hand(tmp_path: Path, sqlite_database: Database) -> None:
    # Given a rule that reads the answer of a lookup, which nobody can be asked for
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})
    sqlite_database.execute("INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'http://127.0.0.1:9/')")
    sqlite_database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name, metadata) VALUES "
        """('vip', '{"lookup": {"crm": {"tier": ["gold"]}}}', 'concierge', '"${lookup.crm.name}"')"""
    )
    given = terminal.write("gold.json", json.dumps({**JOIN, "lookup": {"crm": {"tier": "gold", "name": "Ana"}}}))
    without = terminal.write("none.json", json.dumps(JOIN))
    # When the rule is tested with an answer in the event
    answer = terminal.json("rules", "test", "vip", "--event", given)
    # Then it matches, and its template reads the answer; without one it does not match
    assert (answer["served"], answer["metadata"]) == (True, '"Ana"')
    assert terminal.run("rules", "test", "vip", "--event", without).code == 1


def test_a_rules_file_brings_lookups_and_agents_to_another_installation(
    tmp_path: Path, sqlite_database: Database
) -> None:
    # Given an installation with a lookup and an agent with a limit, both written with SQL
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})
    sqlite_database.execute(
        "INSERT INTO lookups (name, pattern, url, headers) VALUES "
        """('crm', '{}', 'https://crm.test/', '{"authorization": "env:CRM_TOKEN"}')"""
    )
    sqlite_database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('concierge', 3)")
    # When it is exported
    exported = terminal.run("rules", "export", "-o", "all.yaml")
    # Then the file holds both, with the name of the secret, and checks clean
    assert "0 rules, 1 lookup, 1 agent written to all.yaml" in exported.err
    assert "env:CRM_TOKEN" in (tmp_path / "all.yaml").read_text()
    assert terminal.run("rules", "check", "all.yaml").out.strip() == "all.yaml: 0 rules, 1 lookup, 1 agent, no mistakes"
    counted = terminal.json("rules", "check", "all.yaml")
    assert (counted["lookups"], counted["agents"]) == (1, 1)
    assert terminal.run("rules", "apply", "all.yaml").lines == [
        "no rules", "lookups:", "1 unchanged", "agents:", "1 unchanged",
    ]  # fmt: skip
    # When the file is applied where both were deleted
    sqlite_database.execute("DELETE FROM lookups")
    sqlite_database.execute("DELETE FROM agents")
    planned = terminal.run("rules", "apply", "all.yaml", "--dry-run")
    assert "+ crm (created)" in planned.out
    assert "--expect-version 0 --expect-lookups-version 2 --expect-agents-version 2" in " ".join(planned.err.split())
    # Then both are there again, and a plan that is out of date is refused
    flags = ("--expect-lookups-version", "2", "--expect-agents-version", "2")
    applied = terminal.run("rules", "apply", "all.yaml", "--by", "ana", "--why", "new host", *flags)
    assert applied.lines[-3:] == [
        "the rules are at version 0", "the lookups are at version 3", "the agents are at version 3",
    ]  # fmt: skip
    assert [one["updated_by"] for one in terminal.json("lookups", "list")] == ["ana"]
    assert "“new host”" in terminal.run("agents", "history", "concierge").out
    refused = terminal.run("rules", "apply", "all.yaml", *flags)
    assert refused.code == 2
    assert "the lookups were edited meanwhile" in " ".join(refused.err.split())
    # When a file says nothing about them, they stay, also with --delete
    terminal.write("rules.yaml", "rules: []")
    assert terminal.run("rules", "apply", "rules.yaml", "--delete").lines == ["no rules"]
    assert len(terminal.json("lookups", "list")) == 1
