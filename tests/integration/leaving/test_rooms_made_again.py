"""Whether a `room_started` says that LiveKit has made a room again, by the times of LiveKit's webhooks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.clock import new_id
from app.db.types import EventSource
from app.livekit.client import SeenParticipant
from app.livekit.participant.role import Role
from app.observe.ghosts import ghosts_among, restarts
from app.outbox.room_session import closed_sessions
from app.webhook.event_store import insert_events, to_row
from app.webhook.parse import build_event
from tests.conftest import Database

START = datetime(2026, 11, 25, 22, 45, 34, tzinfo=UTC)
SESSION = ("default", "RM_1")


def webhook(event: str, seconds: float, identity: str = "ana") -> dict[str, Any]:
    """Return the row of a webhook whose time by LiveKit's clock is so many seconds after `START`."""
    at = START + timedelta(seconds=seconds)
    body: dict[str, Any] = {
        "event": event,
        "id": f"EV_{new_id()}",
        "createdAt": str(int(at.timestamp())),
        "room": {"name": "room", "sid": "RM_1"},
    }
    if event.startswith("participant"):
        milliseconds = str(int(at.timestamp() * 1000))
        body["participant"] = {"identity": identity, "sid": f"PA_{new_id()}", "joinedAtMs": milliseconds}
    stored = build_event(body, project="default", source=EventSource.WEBHOOK, received_at=at, event_id=new_id())
    return {**to_row(stored), "outcome": "ignored", "rules_version": 0, "decision": {}}


def seen(joined_at: float) -> SeenParticipant:
    return SeenParticipant(
        sid="PA_1",
        identity="ana",
        kind="STANDARD",
        role=Role.CALLER,
        active=True,
        agent_name="",
        joined_at=START.timestamp() + joined_at,
        metadata="",
        attributes={},
        webhook_json=lambda: {"sid": "PA_1"},
    )


@pytest.mark.parametrize(
    ("stored", "restarted_at"),
    [
        # Recorded on a busy machine: who opens a room begins to join before `room_started` is made.
        ([("participant_joined", -0.029), ("room_started", 0)], None),
        ([("participant_joined", -3.0), ("room_started", 0)], None),
        ([("room_started", 0), ("participant_joined", 2.5)], None),
        ([("room_started", 0), ("participant_joined", 2.5), ("room_started", 30)], 30),
        ([("room_started", 30), ("participant_joined", 2.5), ("room_started", 0)], 30),
        ([("room_started", 0), ("room_started", 3)], 3),
        ([("participant_joined", 0), ("room_started", 30)], 30),  # the first was lost
    ],
)
def test_a_room_is_made_again_by_the_second_room_started(
    database: Database, stored: list[tuple[str, float]], restarted_at: float | None
) -> None:
    with database.writer_engine().begin() as connection:
        insert_events(connection, [webhook(event, seconds) for event, seconds in stored])
        expected = {} if restarted_at is None else {SESSION: START + timedelta(seconds=restarted_at)}
        assert restarts(connection, [SESSION]) == expected


@pytest.mark.parametrize(
    ("stored", "is_closed"),
    [
        ([("room_started", 0)], False),
        ([("room_started", 0), ("room_finished", 9)], True),
        ([("room_finished", 9), ("room_started", 0)], True),  # in whatever order they come
        ([("room_started", 0), ("participant_joined", 2), ("room_finished", 9), ("participant_left", 9)], True),
        ([("room_started", 0), ("room_finished", 9), ("room_started", 12)], False),
        ([("room_started", 0), ("room_started", 12), ("room_finished", 30)], True),
    ],
)
def test_a_session_is_closed_unless_its_room_was_made_again_since(
    database: Database, stored: list[tuple[str, float]], *, is_closed: bool
) -> None:
    with database.writer_engine().begin() as connection:
        insert_events(connection, [webhook(event, seconds) for event, seconds in stored])
        assert closed_sessions(connection, {SESSION, ("other", "RM_1")}) == ({SESSION} if is_closed else set())


@pytest.mark.parametrize(
    ("joined_at", "is_ghost"), [(-20.0, True), (-3.0, True), (-0.03, False), (0.0, False), (5, False)]
)
def test_who_opens_the_room_anew_is_no_ghost(joined_at: float, is_ghost: bool) -> None:
    assert bool(ghosts_among([seen(joined_at)], START)) is is_ghost
