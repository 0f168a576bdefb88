"""A database that an earlier Usher wrote goes on: up, down and up again, with every row and its meaning.

`data/at_0008.*.sql` were recorded from the last version before the first release: ten rules, edited, reverted and
deleted; dispatches in every state with their callers, attempts and audit lines; users, tokens, limits and probes.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from typer.testing import CliRunner

from app.accounts.sessions import SessionLimits, find_session, start_session
from app.accounts.tokens import PREFIX, find_bearer
from app.audit import CallFilter, CallState, list_calls, timeline
from app.cli.migrate import app
from app.db import schema
from app.db.types import DispatchStatus, Recover
from app.rules.book.read_book import book_at, read_book
from tests.conftest import Database
from tests.migration.structure import read_structure

DATA = Path(__file__).parent / "data"
RECORDED = "0008"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

STATES = {
    "ana": CallState.ENDED,
    "bob": CallState.ENDED,
    "carl": CallState.NO_SHOW,
    "dora": CallState.ABANDONED,
    "emil": CallState.ANSWERED,
    "fay": CallState.ANSWERED,
    "gus": CallState.FAILED,
    "hal": CallState.NO_MATCH,
    "ida": CallState.ENDED,
    "jon": CallState.ANSWERED,
    "kim": CallState.ANSWERED,
    "lea": CallState.WAITING,
    "max": CallState.WAITING,
    "nobody": CallState.NO_MATCH,
}
"""The calls of the recording, by caller; some go on."""

Rows = dict[str, list[Mapping[str, Any]]]


@pytest.fixture
def recorded(empty_database: Database) -> Database:
    """Give the recorded database of each kind."""
    script = (DATA / f"at_{RECORDED}.{empty_database.kind}.sql").read_text("utf-8")
    if empty_database.kind == "sqlite":
        file = sqlite3.connect(str(empty_database.url.database))
        file.executescript(script)
        file.close()
    else:
        with empty_database.writer_engine().connect() as connection:
            connection.connection.cursor().execute(script)
            connection.connection.commit()
    return empty_database


def all_rows(database: Database) -> Rows:
    engine = database.reader_engine()
    tables = [name for name in inspect(engine).get_table_names() if name != "alembic_version"]
    return {name: _sorted(database.execute(f'SELECT * FROM "{name}"')) for name in tables}


def _sorted(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted((dict(row) for row in rows), key=lambda row: json.dumps(row, default=str, sort_keys=True))


def translated(before: Rows) -> Rows:
    """Return the rows as they are to be after the upgrade: `recover` names agents, fallbacks are a list.

    `agents` takes the place of `agent_limits`.
    """
    after = {name: [_translated(name, row) for row in rows] for name, rows in before.items() if name != "agent_limits"}
    return {**after, "agents": _sorted([_agent(row) for row in before["agent_limits"]])}


def _agent(row: Mapping[str, Any]) -> Mapping[str, Any]:
    limits = {"max_calls": row["max_active"], "starts_per_second": row["starts_per_second"]}
    return {"agent_name": row["agent_name"], **limits, "out_of_service_until": None, "note": ""}


def _translated(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    if table == "routing_rules":
        row = {**row, "recover": "lost" if row["recover"] else "never"}
        fallback = row.pop("fallback_agent_name")
        return {**row, "fallbacks": None if fallback is None else _as_stored(row["pattern"], [fallback])}
    if table == "dispatches":
        row = {**row, "recover": "lost" if row["recover"] else "never"}
        fallback, recovers = row.pop("fallback_agent_name"), row.pop("recovers")
        timing = {"answer_timeout_s": row["answer_timeout_s"], "max_attempts": 1, "rule_rung": 1}
        return {
            **row,
            "fallbacks": None
            if fallback is None
            else _as_stored(row["attributes"], [{"agent_name": fallback, **timing}]),
            "rung": int(fallback is not None and row["asked_agent_name"] == fallback),
            "replaces": recovers,
            "replaces_kind": None if recovers is None else "recovery",
        }
    if table == "rule_changes":
        sides = {side: _document(row[side]) for side in ("before", "after")}
        return {**row, **{side: rule and _translated("routing_rules", rule) for side, rule in sides.items()}}
    return row


def _as_stored(like: Any, document: Any) -> Any:
    """Return a document as the column that holds `like` holds it: SQLite has texts."""
    return json.dumps(document, separators=(",", ":")) if isinstance(like, str) else document


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def lost(before: Rows, after: Rows) -> list[str]:
    """Return the rows of `before` that `after` does not hold with the same values; new columns are no difference."""
    missing = []
    for name, rows in before.items():
        columns = rows[0].keys() if rows else ()
        found = _sorted([{column: row[column] for column in columns if column in row} for row in after.get(name, [])])
        if name == "rule_changes":  # of which SQLite gives the text
            found = [_with_documents(row) for row in found]
        missing += [f"{name}: {row}" for row in rows if _with_documents(row) not in found]
        if len(rows) != len(found):
            missing.append(f"{name}: {len(rows)} rows, now {len(found)}")
    return missing


def _with_documents(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {column: _document(value) if column in {"before", "after"} else value for column, value in row.items()}


def test_the_first_revision_makes_the_recorded_structure(recorded: Database) -> None:
    engine = recorded.reader_engine()
    with engine.connect() as connection:
        structure = read_structure(connection)
    schema.downgrade(recorded.url, "base")
    schema.upgrade(recorded.url, RECORDED)
    with engine.connect() as connection:
        assert read_structure(connection) == structure


def test_usher_migrate_up_keeps_every_row(recorded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = all_rows(recorded)
    assert {row["status"] for row in before["dispatches"]} == set(DispatchStatus)
    monkeypatch.setenv("DATABASE_URL", recorded.text)
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 0, result.output
    with recorded.reader_engine().connect() as connection:
        schema.require_compatible(connection)
    assert lost(translated(before), all_rows(recorded)) == []


def test_up_down_up_with_data(recorded: Database) -> None:
    before = all_rows(recorded)
    schema.upgrade(recorded.url)
    schema.downgrade(recorded.url, RECORDED)
    assert lost(before, all_rows(recorded)) == []
    schema.upgrade(recorded.url)
    assert lost(translated(before), all_rows(recorded)) == []


def test_calls_read_as_before(recorded: Database) -> None:
    schema.upgrade(recorded.url)
    with recorded.reader_engine().connect() as connection:
        calls = list_calls(connection, CallFilter()).items
        states = {call.participant_identity: call.state for call in calls}
        timelines = {call.participant_identity: timeline(connection, call.event_id) for call in calls}
    assert states == STATES
    assert [len(dispatch.calls) for dispatch in timelines["emil"].dispatches] == [2]  # absent, then its fallback
    assert len(timelines["fay"].dispatches) == 2  # the agent disappeared and was replaced
    assert timelines["kim"].steps  # found by the sweep


def test_rules_and_their_history_are_read_as_before(recorded: Database) -> None:
    schema.upgrade(recorded.url)
    with recorded.reader_engine().connect() as connection:
        book, early = read_book(connection), book_at(connection, 10)
    assert book.version >= 13
    assert book.bad == {}
    rules = {rule.name: rule for rule in book.rules}
    assert (rules["answered"].priority, rules["answered"].objective_s) == (100, 2.5)
    assert (rules["absent"].fallbacks, rules["absent"].max_attempts) == (["also-absent"], 1)
    assert rules["each"].withdraw
    assert not rules["answered"].withdraw
    assert {rule.recover for rule in rules.values()} == {Recover.NEVER, Recover.LOST}
    assert {rule.min_stay_s for rule in rules.values()} == {3}
    assert "temporary" not in rules
    assert "temporary" in {rule.name for rule in early.rules}


def test_triggers_go_on_recording(recorded: Database) -> None:
    schema.upgrade(recorded.url)
    recorded.execute("UPDATE routing_rules SET priority = 7 WHERE name = 'answered'")
    (*_, last) = recorded.execute('SELECT change, "after" FROM rule_changes ORDER BY id')
    after = json.loads(last["after"]) if isinstance(last["after"], str) else last["after"]
    assert (last["change"], after["name"], after["priority"]) == ("update", "answered", 7)


def test_a_new_rule_has_an_id_that_no_deleted_one_had(recorded: Database) -> None:
    [deleted] = recorded.execute("SELECT max(rule_id) AS id FROM rule_changes")
    assert deleted["id"] > recorded.execute("SELECT max(id) AS id FROM routing_rules")[0]["id"]
    schema.upgrade(recorded.url)
    recorded.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('new', '{}', 'agent')")
    [made] = recorded.execute("SELECT id FROM routing_rules WHERE name = 'new'")
    assert made["id"] > deleted["id"]


def test_limits_of_agents_are_on_record_and_go_on_being_recorded(recorded: Database) -> None:
    schema.upgrade(recorded.url)
    recorded.execute("UPDATE agents SET max_calls = 5 WHERE agent_name = 'rare'")
    rows = recorded.execute(
        "SELECT change, \"after\", changed_by FROM agent_changes WHERE agent_name = 'rare' ORDER BY id"
    )
    changes = [(row["change"], _document(row["after"])["max_calls"], row["changed_by"].split(":")[0]) for row in rows]
    assert changes == [("insert", 0, "usher migrate"), ("update", 5, "sql")]


def test_users_and_tokens_go_on_with_no_expiry_where_there_was_none(recorded: Database) -> None:
    schema.upgrade(recorded.url)
    secret = f"{PREFIX}of before"
    stored = hashlib.sha256(secret.encode()).hexdigest()
    recorded.execute("UPDATE api_tokens SET token_hash = :stored WHERE name = 'deployment'", stored=stored)
    with recorded.writer_engine().begin() as connection:
        bearer = find_bearer(connection, secret, NOW)
        assert bearer is not None
        assert (bearer.user.name, bearer.token.expires_at, bearer.user.last_login_at) == ("maria", None, None)
        limits = SessionLimits(timedelta(hours=12), timedelta(days=7))
        session, cookie = start_session(connection, bearer.user, now=NOW, limits=limits)
        found = find_session(connection, cookie, NOW, limits)
    assert found is not None
    assert (found[0].id, found[1].name) == (session.id, "maria")
