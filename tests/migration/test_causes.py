"""Revisions 0009 and 0010: what reasons and must_look meant is kept in columns of its own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.db import schema
from tests.conftest import Database

INSERT = """
INSERT INTO dispatches (id, event_id, rule_id, rule_name, rules_version, project, room_name, room_sid,
    participant_identity, participant_sid, agent_name, metadata, attributes, scope, intent_key, status, reason,
    answer_timeout_s, max_attempts, recover, withdraw, must_look, created_at, answer_deadline)
VALUES (:id, 'e', 1, 'rule', 1, 'default', 'room', 'RM_1', 'ana', 'PA_1', 'greeter', '{}', '{}', 'room', :id, :status,
    :reason, 15, 3, false, false, :must_look, '2026-11-22T14:00:00.000000Z', '2026-11-22T14:00:15.000000Z')
"""
# The state, the reason as 1f47bcb wrote it, whether it noted must_look, and the cause that it stands for.
ROWS: list[tuple[str, str, bool, str]] = [
    ("pending", "rule 'support' matched", False, "rule_matched"),
    ("pending", "rule 'a' matched; its agent of the session before may come back by itself", False, "agent_may_return"),
    ("pending", "waiting: the limit of greeter is reached (agent_limits)", False, "waits_for_limit"),
    ("pending", "LiveKit could not be reached: outcome unknown: hung_up: no answer", True, "outcome_unknown"),
    ("pending", "greeter did not come: no worker took it; asking again", False, "no_agent"),
    ("pending", "greeter did not come: no worker took it; asking reception instead", False, "fallback"),
    ("sending", "its turn", False, "claimed"),
    ("sending", "its sender stopped; looking whether LiveKit has it", True, "sender_lost"),
    ("dispatched", "LiveKit wrote the dispatch down", False, "accepted"),
    ("dispatched", "its agent did not come; deleting the dispatch", True, "agent_overdue"),
    ("joined", "the agent is in the room", False, "agent_joined"),
    ("joined", "its dispatch was deleted as it came", True, "agent_joined"),
    ("ended", "the agent left (CLIENT_INITIATED)", False, "agent_left"),
    ("ended", "the room is gone", False, "room_lost"),
    ("ended", "the room was closed", False, "room_closed"),
    ("no_show", "greeter did not come: no worker took it; nobody else to ask", False, "no_agent"),
    ("cancelled", "the caller gave up after 4.2 s", False, "caller_left"),
    ("cancelled", "cancelled by hand", False, "cancelled_by_hand"),
    ("cancelled", "the room is gone, or another session has its name", False, "room_lost"),
    ("failed", "LiveKit refused: not_found: no such room", False, "refused"),
    ("failed", "LiveKit could not be reached: unavailable: 503", False, "livekit_unreachable"),
    ("failed", "LiveKit could not be reached: outcome unknown: hung_up: none", True, "outcome_unknown"),
    ("failed", "metadata.name: the object has no property 'langage'", False, "template_failed"),
    ("failed", "a text that says cancelled by hand", False, "template_failed"),
]


@pytest.fixture
def filled(empty_database: Database) -> Database:
    schema.upgrade(empty_database.url, "0008")
    for number, (status, reason, must_look, _) in enumerate(ROWS):
        empty_database.execute(INSERT, id=f"{number:04}", status=status, reason=reason, must_look=must_look)
    return empty_database


def stored(database: Database, *columns: str) -> list[tuple[Any, ...]]:
    rows = database.execute(f"SELECT {', '.join(columns)} FROM dispatches ORDER BY id")
    return [tuple(row.values()) for row in rows]


def test_causes_are_filled_from_reasons(filled: Database) -> None:
    schema.upgrade(filled.url)
    assert stored(filled, "status", "reason", "cause") == [(status, reason, cause) for status, reason, _, cause in ROWS]


def test_batches_reach_every_row(filled: Database) -> None:
    # More than two batches of 5,000
    columns, _, values = INSERT.partition("VALUES (")
    values = values.strip().removesuffix(")").replace(":id", "'m' || (100000 + i)")
    numbers = "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 11000)"
    query = f"{numbers} {columns} SELECT {values} FROM numbers"
    if filled.kind == "postgresql":
        query = query.replace("'{}', '{}'", "'{}', '{}'::jsonb").replace("Z'", "Z'::timestamptz")
    filled.execute(query.replace("::", "\\:\\:"), status="no_show", reason="", must_look=False)
    schema.upgrade(filled.url)
    assert filled.execute("SELECT cause, count(*) AS number FROM dispatches WHERE id LIKE 'm%' GROUP BY cause") == [
        {"cause": "no_agent", "number": 11000}
    ]


def test_must_look_is_split_by_what_it_meant(filled: Database) -> None:
    schema.upgrade(filled.url)
    found = stored(filled, "status", "must_look", "deletion_announced_at IS NOT NULL", "is_sent_away")
    for (status, _, noted, _), (_, must_look, announced, sent_away) in zip(ROWS, found, strict=True):
        assert bool(must_look) == (noted and status in {"pending", "sending"})
        assert bool(announced) == (noted and status == "dispatched")
        assert bool(sent_away) == (noted and status == "joined")


def test_the_way_back_keeps_what_live_dispatches_need(filled: Database) -> None:
    schema.upgrade(filled.url)
    schema.downgrade(filled.url, "0008")
    back = stored(filled, "status", "reason", "must_look")
    live = {"pending", "sending", "dispatched", "joined"}
    assert [(status, reason, bool(flag)) for status, reason, flag in back] == [
        (status, reason, noted and status in live) for status, reason, noted, _ in ROWS
    ]
    schema.upgrade(filled.url)
    assert stored(filled, "cause") == [(cause,) for *_, cause in ROWS]


@pytest.mark.parametrize(
    "assignment",
    [
        "status = 'joined', must_look = true",
        "status = 'pending', deletion_announced_at = created_at",
        "status = 'dispatched', is_sent_away = true",
        "cause = 'a cause of tomorrow'",
    ],
)
def test_what_a_column_means_is_tied_to_the_state(database: Database, assignment: str) -> None:
    insert = INSERT.replace("max_attempts, recover,", "max_attempts,").replace("3, false, false", "3, false")
    database.execute(insert, id="1", status="cancelled", reason="", must_look=False)
    with pytest.raises(IntegrityError, match="ck_dispatches_"):
        database.execute(f"UPDATE dispatches SET {assignment}")
