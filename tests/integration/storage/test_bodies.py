"""Bodies of webhooks: compressed, as earlier releases stored them, and dropped."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from app.audit import CallFilter, explain, get_event, list_calls
from app.db.bulk_insert import insert_new
from app.db.record_ids import lowest_id_at
from app.db.tables import events
from app.db.types import format_instant
from app.errors import ConflictError
from app.flows.operations.operations import replayed_event
from app.flows.retention.prune import Pruner
from app.rules.book.read_book import read_book
from app.rules.simulation.simulate import simulate
from app.rules.simulation.traffic import read_traffic
from app.settings import read_settings
from app.webhook.event_store import stored_event
from tests.conftest import Database
from tests.integration.audit.audit_rows import NOON, at, event_row, store
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

BODY = {
    "event": "participant_joined",
    "room": {"sid": "RM_1", "name": "support-1"},
    "participant": {"sid": "PA_1", "identity": "ana", "name": "Ana Pérez", "metadata": '{"language": "es"}'},
    "id": "EV_1",
    "createdAt": "1795356000",
}


def _join(**values: Any) -> dict[str, Any]:
    row = event_row(at(0), livekit_id="EV_1", participant_sid="PA_1", room_sid="RM_1", body=BODY)
    return {**row, **values}


def _as_earlier_releases_did(database: Database, event_id: str) -> None:
    """Write the body into the row as plain JSON, and no name beside it."""
    body = json.dumps(BODY).replace("'", "''")
    value = f"CAST('{body}' AS jsonb)" if database.kind == "postgresql" else f"'{body}'"
    with database.writer_engine().begin() as connection:
        connection.exec_driver_sql(f"UPDATE events SET participant_name = NULL, body = {value} WHERE id = '{event_id}'")


def _drop(connection: Connection) -> None:
    connection.execute(update(events).values(body=None))


@pytest.mark.parametrize("is_old", [False, True])
def test_a_body_is_read_as_it_came_however_it_is_stored(database: Database, *, is_old: bool) -> None:
    row = _join()
    with database.writer_engine().begin() as connection:
        insert_new(connection, events, [row])
    if is_old:
        _as_earlier_releases_did(database, row["id"])
    with database.reader_engine().connect() as connection:
        assert get_event(connection, "EV_1").body == BODY
        event = stored_event(connection, row["id"])
        assert event.document["participant"]["metadata"] == {"language": "es"}
        assert event.has_body
        for filters in (CallFilter(q="ana p"), CallFilter(metadata=(("language", "es"),))):
            assert [call.participant_name for call in list_calls(connection, filters).items] == ["Ana Pérez"]
        assert not list_calls(connection, CallFilter(metadata=(("language", "de"),))).items


def test_sqlalchemy_and_the_driver_store_the_same(database: Database) -> None:
    rows = [_join(id="1", dedupe_key="1"), _join(id="2", dedupe_key="2")]
    with database.writer_engine().begin() as connection:
        insert_new(connection, events, rows[:1])
        store(connection, event_rows=rows[1:])
    one, other = (row["body"] for row in database.execute("SELECT body FROM events ORDER BY id"))
    assert one == other


def test_functions_of_sql_for_json_find_nothing_in_a_compressed_body(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        insert_new(connection, events, [_join()])
    is_text = {"postgresql": "jsonb_typeof(body) = 'object'", "sqlite": "json_valid(body)"}[database.kind]
    assert database.execute(f"SELECT id FROM events WHERE {is_text}") == []


def test_a_call_is_shown_without_the_body_of_its_join(database: Database) -> None:
    row = _join()
    with database.writer_engine().begin() as connection:
        insert_new(connection, events, [row])
        _drop(connection)
    with database.reader_engine().connect() as connection:
        assert get_event(connection, "EV_1").to_json()["body"] is None
        (call,) = list_calls(connection, CallFilter(q="ana p")).items
        assert call.participant_name == "Ana Pérez"
        why = explain(connection, row["id"])
        assert why.matched == ("spanish",)
        assert why.rules == ()
        assert why.matching_now is None
        assert "USHER_RETENTION_BODIES_DAYS" in why.doubt
        joined = next(step for step in why.timeline.steps if step.event_id == row["id"])
        assert "USHER_RETENTION_BODIES_DAYS" in joined.reason


def test_what_needs_a_body_says_that_it_is_gone(database: Database) -> None:
    row = _join()
    with database.writer_engine().begin() as connection:
        insert_new(connection, events, [row])
        _drop(connection)
    with database.reader_engine().connect() as connection:
        with pytest.raises(ConflictError, match="USHER_RETENTION_BODIES_DAYS"):
            replayed_event(connection, row["id"], at(60), read_settings({}, without_livekit=True))
        book = read_book(connection)
        outcome = simulate(book, read_traffic(connection, NOON - timedelta(hours=1)), current=book)
    assert (outcome.events, outcome.without_body) == (0, 1)


@in_virtual_time
async def test_an_ignored_event_that_no_rule_matched_has_no_decision(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("hall", "ana")
        await world.until_status("joined")
        decided = {event["type"]: event["decision"] for event in world.events(participant_kind="STANDARD")}
        assert decided["participant_joined"]
        (started,) = world.events(type="room_started")
        (agent,) = world.events(participant_kind="AGENT")
        assert (started["decision"], agent["decision"]) == (None, None)


@in_virtual_time
async def test_bodies_go_that_were_stored_after_the_clock_had_been_ahead_for_long(database: Database) -> None:
    async with World(database, settings={"USHER_RETENTION_BODIES_DAYS": "1"}) as world:

        def date(room: str, days: int, identity: str = "id") -> None:
            received = world.clock.now() + timedelta(days=days)
            world.database.execute(
                f"UPDATE events SET received_at = :received, id = {identity} WHERE room_name = :room",
                received=format_instant(received) if database.kind == "sqlite" else received,
                room=room,
            )

        async def join(room: str) -> None:
            world.simulator.join(room, "ana")
            await world.until(lambda: world.events(room_name=room, type="participant_joined"))

        pruner = Pruner(world.usher.orchestrator.context)
        await join("ahead")
        in_ten_days = lowest_id_at(world.clock.now() + timedelta(days=10))
        date("ahead", -2, f"'{in_ten_days}' || substr(id, 14)")  # as old as the clock of then takes it for
        assert (await pruner.run_once())["bodies"]
        date("ahead", 10)  # the clock is set back
        await join("later")
        date("later", -2)
        assert (await pruner.run_once())["bodies"]
        assert (await pruner.run_once())["bodies"] == 0
