"""The statements that run at every webhook look at as many rows as they ask for, however many dispatches are live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Executable, event

from app.db.hot_statement import HotStatement
from app.flows.accept import stored_state
from app.observe import ghosts
from app.outbox import room_session, statements
from app.webhook import event_store
from tests.conftest import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)

ABOUT_PLANNED = {
    "participant_sids": ["a"],
    "room_sids": ["b"],
    "room_names": ["c"],
    "lost_since": NOW,
    "promised_since": NOW,
    "intent_keys": ["d"],
}

ASKED: Mapping[str, tuple[HotStatement, Mapping[str, Any], set[str]]] = {
    "before storing": (
        stored_state._BEFORE_STORING.hot_statement,
        {"keys": ["a"], "room_names": ["b"], "room_sids": ["c"]},
        {"dedupe_key=?", "room_name=?"},
    ),
    "before storing what is planned": (
        stored_state._BEFORE_STORING_PLANNED.hot_statement,
        {"keys": ["e"], **ABOUT_PLANNED},
        {"dedupe_key=?", "participant_sid=?", "room_sid=?", "room_name=?", "intent_key=?"},
    ),
    "before serving": (
        stored_state._BEFORE_ENQUEUING.hot_statement,
        ABOUT_PLANNED,
        {"participant_sid=?", "room_sid=?", "room_name=?", "intent_key=?"},
    ),
    "live by intent": (statements.LIVE_BY_INTENT, {"keys": ["a"]}, {"intent_key=?"}),
    "live in rooms": (statements.LIVE_IN_ROOMS, {"room_sids": ["a"]}, {"room_sid=?"}),
    "locked": (statements.LOCKED, {"ids": ["a"]}, {"id=?"}),
    "callers": (statements.CALLERS, {"ids": ["a"]}, {"dispatch_id=?"}),
    "left": (
        statements.MARK_LEFT,
        {"project": "default", "participant_sids": ["a"], "at": NOW},
        {"participant_sid=?", "id=?"},
    ),
    "due": (
        statements.DUE,
        {"now": NOW, "first": 1, "project": "default", "in_hand": ["a"]},
        {"next_attempt_at<?"},
    ),
    "unanswered": (
        statements.UNANSWERED,
        {"now": NOW, "first": 1, "projects": ["default"]},
        {"answer_deadline<?"},
    ),
    "live under a name": (room_session._LIVE_UNDER_NAME, {"room_name": "a", "project": "default"}, {"room_name=?"}),
    "asked for in rooms": (room_session._ASKED_FOR, {"room_sids": ["a"]}, {"room_sid=?", "dispatch_id=?"}),
}


@pytest.mark.parametrize("name", ASKED)
def test_each_statement_uses_the_index_of_what_it_asks_for(sqlite_database: Database, name: str) -> None:
    statement, values, wanted = ASKED[name]
    engine = sqlite_database.writer_engine()
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append((args[2], args[3])))
    assert isinstance(statement.statement, Executable)
    with engine.begin() as connection:
        connection.execute(statement.statement, dict(values))
        text, bound = asked[-1]
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", bound).all()
    steps = [str(row[3]) for row in rows]
    # The latest edit is the end of its table; what has a limit are a handful of agents.
    ends = {"SEARCH rule_changes", "SEARCH lookup_changes"}
    steps = [step for step in steps if step not in ends and not step.startswith("SCAN agents")]
    searched = {step.rpartition("(")[2].removesuffix(")") for step in steps if step.startswith("SEARCH")}
    assert searched == wanted, steps
    assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step]


SESSIONS: Mapping[str, tuple[HotStatement, Mapping[str, Any]]] = {
    "departed": (event_store._DEPARTED, {"participant_sids": ["a"], "room_sids": ["b"]}),
    "closed": (room_session._BEGINS_AND_ENDS, {"room_sids": ["b"]}),
    "restarted": (ghosts._STARTS, {"room_sids": ["b"]}),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_the_end_of_a_session_is_found_without_reading_its_other_events(database: Database, name: str) -> None:
    statement, values = SESSIONS[name]
    asked: list[tuple[str, Any]] = []
    with database.reader_engine().connect() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: asked.append((args[2], args[3])))
        assert isinstance(statement.statement, Executable)
        connection.execute(statement.statement, dict(values))
        text, bound = asked[-1]
        if database.kind == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")  # the table is empty
        explain = "EXPLAIN" if database.kind == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {text}", bound))
    assert "ix_events_of_room" in plan, plan


def test_postgresql_compiles_no_read(postgres_database: Database) -> None:
    with postgres_database.reader_engine().connect() as connection:
        assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"
