"""Revision 0015: a webhook that was stored before the upgrade is known when LiveKit repeats it."""

from __future__ import annotations

from app.clock import new_id
from app.db import schema
from app.webhook.dedupe_keys import event_key, join_key
from tests.conftest import Database

INSERT = """
INSERT INTO events (id, livekit_id, dedupe_key, project, type, source, room_name, room_sid, participant_identity,
    participant_sid, participant_kind, occurred_at, received_at, body, outcome, rules_version)
VALUES (:id, '', :key, :project, 'participant_joined', 'webhook', 'room', 'RM_1', 'ana', 'PA_1', 'STANDARD',
    '2026-11-22T14:00:00.000000Z', '2026-11-22T14:00:00.000000Z', '{}', 'ignored', 1)
"""
PROJECTS = ("default", "my-project", "acme", "acme/eu", "acme%2Feu", "100 %", "a/b/c")


def test_keys_of_the_release_before_become_those_of_now(empty_database: Database) -> None:
    schema.upgrade(empty_database.url, "0014")
    before = {f"{project}/{rest}" for project in PROJECTS for rest in ("join/PA_1", "EV_1")}
    for project in PROJECTS:
        for rest in ("join/PA_1", "EV_1"):
            empty_database.execute(INSERT, id=new_id(), key=f"{project}/{rest}", project=project)
    schema.upgrade(empty_database.url, "0015")
    now = {join_key(project, "PA_1") for project in PROJECTS} | {event_key(project, "EV_1") for project in PROJECTS}
    assert stored(empty_database) == now
    schema.downgrade(empty_database.url, "0014")
    assert stored(empty_database) == before


def stored(database: Database) -> set[str]:
    return {row["dedupe_key"] for row in database.execute("SELECT dedupe_key FROM events")}
