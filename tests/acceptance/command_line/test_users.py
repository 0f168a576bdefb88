"""People on the command line."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.cli_site import Shell
from tests.conftest import Database


def test_people_are_added_shut_out_and_given_tokens(tmp_path: Path, sqlite_database: Database) -> None:
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})
    assert terminal.run("users", "list").out == "No users yet. Add the first: usher users add NAME --role admin\n"
    # Given the first admin, who chooses a password by link, and an editor whose password is given
    first = terminal.run("users", "add", "maria", "--role", "admin")
    assert first.lines[0] == "maria added as admin"
    assert first.lines[1].startswith("http://127.0.0.1:8080/console/password/")
    assert terminal.run("users", "password", "maria").lines[0] == "maria has no password yet"
    weak = terminal.run("users", "add", "otto", "--role", "editor", "--password-stdin", stdin="short\n")
    assert weak.code == 2
    assert "must have 12" in weak.err
    assert (
        terminal.run("users", "add", "otto", "--role", "editor", "--password-stdin", stdin="a good pass phrase\n").code
        == 0
    )
    assert terminal.run("users", "password", "otto").lines[0] == "otto keeps the old one until then"
    assert "a good pass phrase" not in str(sqlite_database.execute("SELECT * FROM users"))
    assert [(one["name"], one["role"], one["has_password"]) for one in terminal.json("users", "list")] == [
        ("maria", "admin", False),
        ("otto", "editor", True),
    ]
    assert terminal.run("users", "add", "otto").code == 2
    # When otto gets a token, then it is shown once, and only its hash is kept
    made = terminal.run("users", "token", "otto", "--name", "deployment", "--role", "viewer", "--expires", "90d")
    secret = made.out.strip()
    assert secret.startswith("usher_")
    assert secret not in str(sqlite_database.execute("SELECT * FROM api_tokens"))
    (token,) = terminal.json("users", "tokens", "otto")
    assert (token["name"], token["role"], token["revoked_at"]) == ("deployment", "viewer", None)
    assert secret not in terminal.run("users", "tokens").out
    assert terminal.run("users", "token", "otto", "--role", "admin").code == 2
    assert terminal.run("users", "revoke", token["id"]).code == 0
    assert terminal.json("users", "tokens")[0]["revoked_at"] is not None
    # When otto is shut out, then he is; but the only admin cannot be
    assert terminal.run("users", "disable", "otto", "--by", "maria").out == "otto is disabled\n"
    assert "disabled" in terminal.run("users", "list").out
    assert "is the only admin" in terminal.run("users", "disable", "maria").err
    assert terminal.run("users", "enable", "otto").code == 0
    assert terminal.run("users", "role", "otto", "admin").out == "otto is admin\n"
    lines = sqlite_database.execute("SELECT changed_by FROM audit_log WHERE to_state = 'disabled'")
    assert [line["changed_by"] for line in lines] == ["maria"]
    # When a token is to last for ever, that is said and shown; otherwise it expires
    assert "never expires" in terminal.run("users", "token", "otto", "--expires", "never").err
    terminal.run("users", "token", "otto", "--name", "default")
    lasting, usual = sorted(terminal.json("users", "tokens", "otto")[:2], key=lambda one: one["expires_at"] or "")
    assert (lasting["expires_at"], usual["name"]) == (None, "default")
    assert datetime.fromisoformat(usual["expires_at"]) - datetime.fromisoformat(usual["created_at"]) == timedelta(90)
    assert "never expires" in terminal.run("users", "tokens").out
    # When sessions and logins are asked for, then there are none yet
    assert terminal.run("users", "sessions").out == "No sessions.\n"
    assert terminal.run("users", "logins", "otto", "--kind", "login_failed").out == "Nothing recorded.\n"
    assert terminal.run("users", "end-session", "unknown").code == 1
    assert terminal.run("users", "logout", "otto").out == "all sessions of otto have ended\n"
    # When otto is deleted, then with the tokens
    assert terminal.run("users", "delete", "otto", stdin="n\n").code == 1
    unanswered = terminal.run("users", "delete", "otto")
    assert (unanswered.code, unanswered.err.splitlines()[-1]) == (
        2,
        "  --yes: is needed: there is no terminal to ask on",
    )
    assert terminal.run("users", "delete", "otto", "--yes").out == "otto is deleted\n"
    assert terminal.json("users", "tokens") == []
    assert "is the only admin" in terminal.run("users", "delete", "maria", "--yes").err
    # And a user that is not known is reported
    assert terminal.run("users", "disable", "nobody").code == 1


@pytest.mark.parametrize("lost", ["removed", "empty"])
def test_no_command_begins_anew_in_place_of_a_database_that_had_users(
    tmp_path: Path, sqlite_database: Database, lost: str
) -> None:
    terminal = Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})
    terminal.json("users", "add", "ana")
    path = Path(sqlite_database.url.database or "")
    if lost == "removed":
        path.unlink()
    else:
        path.write_bytes(b"")
    for command in (("users", "add", "eve"), ("rules", "list"), ("migrate", "up")):
        answer = terminal.run(*command)
        assert answer.code != 0
        assert "is missing or empty, and it had users when it was served last; put it back" in answer.err
    assert not path.exists() or not path.stat().st_size
    Path(f"{path}.serving").unlink()
    assert terminal.run("migrate", "up").code == 0
