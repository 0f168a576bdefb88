"""What an operator does to the database as a whole: downgrade, back up, restore."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tests.acceptance.cli_site import USHER, Shell
from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process

LIVEKIT = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "s" * 40}
RULE = 'INSERT INTO routing_rules (name, pattern, agent_name) VALUES (?, \'{"room": {"name": ["x"]}}\', \'ana\')'


@pytest.fixture
def terminal(tmp_path: Path) -> Shell:
    made = Shell(tmp_path, {"DATABASE_URL": "sqlite:///usher.db"})
    assert made.run("migrate", "up").code == 0
    return made


def add_rule(terminal: Shell, name: str) -> None:
    with closing(sqlite3.connect(terminal.folder / "usher.db")) as connection, connection:
        connection.execute(RULE, (name,))


def add_user(terminal: Shell) -> None:
    with closing(sqlite3.connect(terminal.folder / "usher.db")) as connection, connection:
        connection.execute(
            "INSERT INTO users (id, name, role, password_hash, disabled, session_epoch, created_at)"
            " VALUES ('1', 'ana', 'admin', '', 0, 0, '2026-01-01 00:00:00')"
        )


def rules(terminal: Shell) -> list[str]:
    return [rule["name"] for rule in terminal.json("rules", "list")]


def serve(terminal: Shell) -> Process:
    port = free_ports(1)[0]
    environment = {**LIVEKIT, **terminal.environment, "USHER_HOST": LOOPBACK, "USHER_PORT": str(port)}
    server = Process("usher", [USHER, "serve"], directory=terminal.folder, environment=environment)
    server.start()
    eventually(lambda: accepts_connections(port), within=60, what="usher serve listens")
    return server


def test_a_downgrade_names_what_would_be_lost_and_does_nothing_unasked(terminal: Shell) -> None:
    # Given a rule that has a value in a column that came with revision 0012
    add_rule(terminal, "support")
    # When the schema should be taken down below it, where nobody can be asked
    answer = terminal.run("migrate", "down", "0008")
    # Then the loss is named, and nothing is done
    assert answer.code == 2
    assert "column routing_rules.min_stay_s: 1 row" in answer.out
    assert "--yes: is needed" in answer.err
    assert terminal.run("migrate", "check").code == 0
    # When it is asked for outright, then it is done
    done = terminal.run("migrate", "down", "0008", "--yes")
    assert (done.code, done.lines[-1]) == (0, "schema is at 0008")
    assert terminal.run("migrate", "check").code == 1


def test_a_downgrade_to_a_revision_that_does_not_exist_is_refused(terminal: Shell) -> None:
    answer = terminal.run("migrate", "down", "9999", "--yes")
    assert answer.code == 2
    assert "REVISION: cannot be reached by a downgrade: Can't locate revision identified by '9999'" in answer.err


def test_a_downgrade_and_a_restore_are_refused_while_a_server_runs(terminal: Shell) -> None:
    assert terminal.run("backup", "copy.db").code == 0
    server = serve(terminal)
    try:
        for command in (["migrate", "down", "--yes"], ["restore", "copy.db", "--yes"]):
            answer = terminal.run(*command)
            assert answer.code == 2
            assert "another usher serve runs on usher.db" in answer.err
            assert "stop it before you" in answer.err
    finally:
        server.stop()
    assert terminal.run("migrate", "check").code == 0


@pytest.mark.parametrize("database", ["sqlite:///usher.db", "postgresql://db/calls"])
def test_a_backup_does_not_go_to_a_file_named_like_standard_output(terminal: Shell, database: str) -> None:
    answer = terminal.run("backup", "-", DATABASE_URL=database)
    assert answer.code == 2
    assert "FILE: must be the path of a file" in answer.err
    assert not (terminal.folder / "-").exists()


def test_a_backup_takes_the_place_of_no_pipe_or_folder(terminal: Shell) -> None:
    os.mkfifo(terminal.folder / "pipe")
    (terminal.folder / "folder").mkdir()
    for name in ("pipe", "folder"):
        answer = terminal.run("backup", name, "--force")
        assert (answer.code, f"{name} is no regular file" in answer.err) == (2, True)
    assert stat.S_ISFIFO((terminal.folder / "pipe").stat().st_mode)


def test_a_backup_by_a_link_is_written_where_it_leads(terminal: Shell) -> None:
    (terminal.folder / "latest.db").symlink_to("monday.db")
    assert terminal.run("backup", "latest.db").code == 0
    (terminal.folder / "monday.db").write_bytes(b"")
    assert terminal.run("backup", "latest.db").code == 2
    assert terminal.run("backup", "latest.db", "--force").code == 0
    assert (terminal.folder / "latest.db").is_symlink()
    assert (terminal.folder / "monday.db").stat().st_size > 0


def test_a_downgrade_on_postgresql_is_refused_while_a_server_runs(empty_postgres: URL, tmp_path: Path) -> None:
    terminal = Shell(tmp_path, {"DATABASE_URL": empty_postgres.render_as_string(hide_password=False)})
    assert terminal.run("migrate", "up").code == 0
    server = serve(terminal)
    try:
        eventually(
            lambda: terminal.run("migrate", "down").err.startswith("usher: usher serve runs with this database"),
            within=60,
            what="the downgrade is refused because of the server",
        )
    finally:
        server.stop()
    # A server that was stopped is gone at once.
    assert "--yes: is needed" in terminal.run("migrate", "down").err


def test_a_backup_is_taken_while_a_server_runs_and_restored_after_it(terminal: Shell) -> None:
    # Given a server with a rule and a user, and a backup of it
    add_rule(terminal, "before")
    add_user(terminal)
    server = serve(terminal)
    try:
        taken = terminal.run("backup", "copy.db")
        add_rule(terminal, "after")
    finally:
        server.stop()
    assert taken.code == 0, taken.err
    assert (terminal.folder / "copy.db").stat().st_mode & 0o777 == 0o600
    assert rules(terminal) == ["before", "after"]
    # When it is restored, as on another machine
    (terminal.folder / "usher.db.serving").unlink()
    restored = terminal.run("restore", "copy.db", "--yes")
    # Then the database is that of the backup, the other is kept, and a server starts with it
    assert restored.code == 0, restored.err
    assert rules(terminal) == ["before"]
    assert '"had_users": true' in (terminal.folder / "usher.db.serving").read_text()
    assert terminal.run("rules", "list", DATABASE_URL="sqlite:///usher.db.before-restore").out.count("after") == 1
    serve(terminal).stop()
    assert rules(terminal) == ["before"]
    assert {path.name for path in terminal.folder.glob("copy*")} == {"copy.db"}


def test_a_backup_of_an_older_schema_is_restored_and_migrated(terminal: Shell) -> None:
    assert terminal.run("migrate", "down", "0012", "--yes").code == 0
    assert terminal.run("backup", "old.db").code == 0
    assert terminal.run("migrate", "up").code == 0
    answer = terminal.run("restore", "old.db", "--yes")
    assert answer.code == 0, answer.err
    assert "run: usher migrate up" in answer.out
    assert terminal.run("migrate", "up").code == 0


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_file_is_not_overwritten_unasked(terminal: Shell, command: str) -> None:
    assert terminal.run("backup", "copy.db").code == 0
    before = (terminal.folder / "copy.db").read_bytes()
    answer = terminal.run(command, "copy.db")
    assert answer.code == 2
    assert (terminal.folder / "copy.db").read_bytes() == before


def test_what_is_no_backup_is_refused_and_nothing_is_changed(terminal: Shell) -> None:
    add_rule(terminal, "support")
    assert terminal.run("backup", "copy.db").code == 0
    content = bytearray((terminal.folder / "copy.db").read_bytes())
    (terminal.folder / "cut.db").write_bytes(content[: len(content) // 2])
    (terminal.folder / "text.db").write_text("no database, but text of some length" * 100, "utf-8")
    sqlite3.connect(terminal.folder / "other.db").execute("CREATE TABLE t (a)").connection.close()
    for name in ("cut.db", "text.db", "other.db", "usher.db"):
        answer = terminal.run("restore", name, "--yes")
        assert answer.code == 2, name
    assert terminal.run("restore", "missing.db", "--yes").code == 1
    assert rules(terminal) == ["support"]
    assert list(terminal.folder.glob("*before-restore*")) == []


@pytest.mark.parametrize(("command", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_is_left_to_its_own_tools(terminal: Shell, command: str, tool: str) -> None:
    answer = terminal.run(
        command, "my copy", DATABASE_URL="postgresql://usher:very-secret@db:5433/calls?sslmode=require"
    )
    assert answer.code == 2
    assert f"  {tool} " in answer.err
    assert "postgresql://usher@db:5433/calls?sslmode=require'" in answer.err
    assert "very-secret" not in answer.err
