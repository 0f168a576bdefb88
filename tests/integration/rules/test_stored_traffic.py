"""Stored events are read back, with what served them, for simulations; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from app.db.tables import dispatches, events
from app.db.types import DispatchStatus, EventOutcome, EventSource, Scope
from app.rules.book.rule_book import RuleBook
from app.rules.simulation.simulate import Effect, simulate
from app.rules.simulation.traffic import count_traffic, read_traffic
from app.webhook.event_store import to_row
from app.webhook.parse import build_event
from tests.conftest import Database

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = database.writer_engine()
    yield engine
    engine.dispose()


def event_id(instant: datetime, number: int) -> str:
    digits = f"{int(instant.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


def event_row(number: int, received_at: datetime, **columns: Any) -> dict[str, Any]:
    body = {
        "event": "participant_joined",
        "id": f"EV_{number}",
        "createdAt": str(int(received_at.timestamp())),
        "room": {"name": "room", "sid": "RM_1", "numParticipants": 2, "turnPassword": "hunter2"},
        "participant": {"identity": f"caller-{number}", "sid": f"PA_{number}", "metadata": '{"language": "es"}'},
    }
    event = build_event(
        body,
        project="default",
        source=EventSource.WEBHOOK,
        received_at=received_at,
        event_id=event_id(received_at, number),
    )
    decision = {"matched": [{"rule_id": 1, "rule": "spanish"}]}
    return {**to_row(event), "outcome": EventOutcome.PLANNED, "rules_version": 1, "decision": decision, **columns}


def dispatch_row(number: int, agent: str, event: str) -> dict[str, Any]:
    return {
        "id": f"dispatch-{number}", "event_id": event, "rule_id": 1, "rule_name": "spanish", "rules_version": 1,
        "project": "default", "room_name": "room", "room_sid": "RM_1", "participant_identity": "c",
        "participant_sid": f"PA_{number}", "agent_name": agent, "metadata": "{}", "attributes": {}, "scope": Scope.ROOM,
        "intent_key": str(number), "status": DispatchStatus.ENDED, "answer_timeout_s": 15, "max_attempts": 3,
        "recover": "never", "withdraw": False, "created_at": NOON,
    }  # fmt: skip


def test_events_come_back_as_they_were_matched(engine: Engine) -> None:
    rows = [event_row(n, NOON + timedelta(minutes=n)) for n in range(5)]
    rows[1]["decision"] |= {"dispatches": ["dispatch-1", "dispatch-2"]}
    rows[2] |= {"outcome": EventOutcome.SERVED, "decision": {**rows[2]["decision"], "served_by": ["dispatch-1"]}}
    rows[3] |= {"outcome": EventOutcome.NO_MATCH, "decision": None}
    rows[4] |= {"outcome": EventOutcome.IGNORED, "decision": {"reason": "the participant had left already"}}
    with engine.begin() as connection:
        connection.execute(insert(events), rows)
        made = [dispatch_row(1, "support-es", rows[1]["id"]), dispatch_row(2, "listener", rows[1]["id"])]
        connection.execute(insert(dispatches), made)
    with engine.begin() as connection:
        traffic = list(read_traffic(connection, NOON + timedelta(minutes=1)))
        assert [past.event.participant_identity for past in traffic] == ["caller-1", "caller-2", "caller-3"]
        assert [past.agents for past in traffic] == [("support-es", "listener"), ("support-es",), ()]
        assert [past.rules for past in traffic] == [("spanish",), ("spanish",), ()]
        first = traffic[0].event
        assert first.document["participant"]["metadata"] == {"language": "es"}
        assert first.document["participant"]["kind"] == "STANDARD"
        assert first.occurred_at == NOON + timedelta(minutes=1)
        assert first.source is EventSource.WEBHOOK
        assert "hunter2" not in str(first)
        until = NOON + timedelta(minutes=2)
        assert [past.event.id for past in read_traffic(connection, NOON, until)] == [rows[0]["id"], rows[1]["id"]]
        assert count_traffic(connection, NOON, until) == 2
        assert count_traffic(connection, NOON) == 5


def test_a_draft_runs_over_stored_traffic_of_many_pages(engine: Engine) -> None:
    rows = [event_row(n, NOON + timedelta(seconds=n)) for n in range(2300)]
    for row in rows[::2]:
        row["decision"] |= {"dispatches": ["dispatch-1"]}
    with engine.begin() as connection:
        connection.execute(insert(events), rows)
        connection.execute(insert(dispatches), [dispatch_row(1, "support-es", rows[0]["id"])])
    pattern = {"participant": {"metadata": {"language": ["es"]}}}
    draft = RuleBook.build([{"id": 1, "name": "spanish", "pattern": pattern, "agent_name": "support-es"}], 1)
    with engine.begin() as connection:
        simulation = simulate(draft, read_traffic(connection, NOON))
    assert simulation.events == 2300
    assert simulation.effects[Effect.SAME] == simulation.effects[Effect.NEW_AGENT] == 1150
