"""Incidents open, count and close by themselves: one for each thing that is wrong, however many callers it concerns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.incidents.changes import MAX_OPEN
from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.integration.incidents.incident_rows import document, incidents, until_closed, until_open
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_51_callers_who_wait_for_one_agent_are_one_incident(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=300, max_attempts=1)
        for number in range(51):
            world.simulator.join(f"hall-{number}", f"caller-{number}")
        row = await until_open(world, "agent_not_joining", within=60)
        await world.until(lambda: incidents(world, kind="agent_not_joining")[0]["count"] == 51, within=20)
        assert (row["subject"], row["project"]) == ("absent", "default")
        known = {event["id"] for event in world.events(type="participant_joined")}
        assert set(document(row["detail"])["calls"]) <= known


@in_virtual_time
async def test_an_agent_whose_fallback_takes_its_calls_is_an_incident_and_none_of_its_fallback(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule(agent_name="absent", answer_timeout_s=1, max_attempts=1, fallbacks=["greeter"])
        for number in range(3):
            world.simulator.join(f"hall-{number}", f"caller-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=30)
        row = await until_open(world, "agent_not_joining")
        assert (row["subject"], row["count"]) == ("absent", 3)
        assert len(incidents(world)) == 1


@in_virtual_time
async def test_a_caller_who_is_handed_over_again_and_again_to_an_absent_agent_is_one_caller(
    database: Database,
) -> None:
    async with World(database) as world:
        world.rule(answer_timeout_s=2, max_attempts=1)
        says = {"usher.next": "absent"}
        world.simulator.add_worker("greeter", Behaviour(leaves_after=4, says_on_leaving=says))
        world.simulator.join("hall", "ana")
        await world.until(lambda: len(world.dispatches(agent_name="absent")) == 4, within=60)
        await world.until_status("no_show", within=30)
        await world.wait(15)
        (row,) = incidents(world, kind="agent_not_joining")
        assert (row["subject"], row["count"]) == ("absent", 1)
        (call,) = document(row["detail"])["calls"]
        assert call == world.dispatches()[0]["event_id"]
        (lost,) = incidents(world, kind="no_show")
        assert lost["count"] == 1


@in_virtual_time
async def test_it_closes_once_the_agent_joins_again_and_opens_anew_later(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="greeter", answer_timeout_s=1, max_attempts=3)
        world.simulator.join("hall-0", "caller-0")
        await world.until_status("no_show", within=60)
        first = await until_open(world, "agent_not_joining")
        world.simulator.add_worker("greeter")
        for number in range(1, 4):
            world.simulator.join(f"hall-{number}", f"caller-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=30)
        closed = await until_closed(world, "agent_not_joining", within=15)
        assert (closed["id"], closed["count"]) == (first["id"], 1)


@in_virtual_time
async def test_callers_without_a_rule_are_counted(database: Database) -> None:
    async with World(database) as world:
        world.rule(pattern={"room": {"name": ["elsewhere"]}})
        for number in range(4):
            world.simulator.join(f"hall-{number}", f"caller-{number}")
        await until_open(world, "no_rule")
        await world.until(lambda: incidents(world, kind="no_rule")[0]["count"] == 4, within=15)


@in_virtual_time
async def test_a_caller_without_an_agent_is_an_incident_of_its_rule(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(name="sales", agent_name="absent", answer_timeout_s=1, max_attempts=1)
        world.simulator.join("hall", "ana")
        row = await until_open(world, "no_show", within=60)
        assert (row["subject"], row["count"]) == ("sales", 1)


@pytest.mark.parametrize("sweep", [0.0, 30.0])
@in_virtual_time
async def test_an_unreachable_livekit_is_an_incident_until_it_answers(sqlite_database: Database, sweep: float) -> None:
    async with World(sqlite_database, sweep=sweep) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.wire.stop()
        world.simulator.join("hall", "ana")
        row = await until_open(world, "livekit_unreachable", within=60)
        assert document(row["detail"])["reason"] == "unreachable"
        await world.wire.start()
        await until_closed(world, "livekit_unreachable", within=120)


@in_virtual_time
async def test_a_livekit_that_fails_now_and_then_is_one_incident(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        faults = world.simulator.faults
        for _ in range(10):
            faults.always("ListRooms", Fault(FaultKind.REFUSE))
            await world.wait(30)
            faults.clear()
            await world.wait(20)
        (row,) = incidents(world, kind="livekit_unreachable")
        assert row["closed_at"] is None
        await until_closed(world, "livekit_unreachable", within=90)


@in_virtual_time
async def test_a_refused_key_is_an_incident_in_livekits_own_words(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5, settings={"LIVEKIT_API_SECRET": "x" * 32}) as world:
        row = await until_open(world, "livekit_refuses", within=60)
        assert document(row["detail"])["reason"] == "wrong_secret"
        assert "HTTP 401: " in document(row["detail"])["text"]


@in_virtual_time
async def test_a_broken_rule_is_an_incident_without_a_webhook_and_closes_when_mended(database: Database) -> None:
    async with World(database) as world:
        world.rule(name="odd", pattern={"room": "not a list"})
        row = await until_open(world, "rule_broken")
        assert row["subject"] == "odd"
        database.execute('UPDATE routing_rules SET enabled = false, pattern = \'{"event": ["x"]}\'')
        await until_closed(world, "rule_broken", within=15)


@in_virtual_time
async def test_with_more_wrong_than_are_read_at_once_incidents_still_close_and_open(sqlite_database: Database) -> None:
    for number in range(MAX_OPEN + 1):
        sqlite_database.execute(
            "INSERT INTO routing_rules (name, agent_name, pattern) VALUES (:name, 'greeter', '{\"room\": 1}')",
            name=f"odd {number}",
        )
    async with World(sqlite_database) as world:
        await world.until(lambda: len(incidents(world, kind="rule_broken")) == MAX_OPEN, within=60)
        sqlite_database.execute("UPDATE routing_rules SET enabled = false WHERE name = 'odd 7'")
        await world.until(lambda: incidents(world, subject="odd 7")[0]["closed_at"] is not None, within=60)
        await world.until(lambda: incidents(world, subject=f"odd {MAX_OPEN}"), within=60)


@in_virtual_time
async def test_a_restart_keeps_an_open_incident(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.simulator.faults.always("ListRooms", Fault(FaultKind.REFUSE))
        row = await until_open(world, "livekit_unreachable", within=60)
        await world.usher.kill()
        await world.add_replica()
        await world.wait(60)
        assert [one["id"] for one in incidents(world)] == [row["id"]]
        assert incidents(world)[0]["closed_at"] is None


@in_virtual_time
async def test_two_replicas_open_one_incident(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2, sweep=5) as world:
        world.rule(pattern={"room": {"name": ["elsewhere"]}})
        world.simulator.join("hall", "ana")
        await until_open(world, "no_rule")
        await world.wait(30)
        assert len(incidents(world)) == 1


@in_virtual_time
async def test_a_queue_that_grows_is_an_incident_of_its_agent_alone(database: Database) -> None:
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 1)")
        for number in range(6):
            world.simulator.join(f"hall-{number}", f"caller-{number}")
        row = await until_open(world, "queue_growing", within=120)
        assert (row["subject"], row["count"]) == ("greeter", 5)
        assert [one["kind"] for one in incidents(world)] == ["queue_growing"]


def heartbeat(database: Database, **said: Any) -> None:
    """Write the heartbeat of another replica that serves."""
    database.execute(
        "INSERT INTO heartbeats (component, replica, beat_at, detail) "
        "VALUES ('server', 'other:1:ab', now() + interval '1 hour', CAST(:said AS jsonb))",
        said=json.dumps(said),
    )


@in_virtual_time
async def test_troubles_of_another_replica_are_incidents(postgres_database: Database) -> None:
    trouble = {"kind": "unknown_key", "text": "HTTP 401: invalid API key: APIold", "failures": 3}
    heartbeat(postgres_database, ahead_s=600.0, livekit={"default": {"was_called": True, "trouble": trouble}})
    async with World(postgres_database) as world:
        clock = await until_open(world, "replica_clock")
        assert (clock["subject"], document(clock["detail"])) == ("other:1:ab", {"ahead_s": 600})
        refused = await until_open(world, "livekit_refuses")
        assert document(refused["detail"])["replica"] == "other:1:ab"
        postgres_database.execute("DELETE FROM heartbeats WHERE replica = 'other:1:ab'")
        await until_closed(world, "replica_clock", within=30)


@in_virtual_time
async def test_trouble_of_a_kind_that_only_a_newer_replica_knows_is_an_incident(postgres_database: Database) -> None:
    trouble = {"kind": "of_a_newer_version", "text": "quota exceeded", "failures": 9}
    said = {"default": {"was_called": True, "trouble": trouble, "recent": [trouble], "more": 1}}
    heartbeat(postgres_database, ahead_s=0.0, livekit=said, more={"odd": True})
    async with World(postgres_database) as world:
        row = await until_open(world, "livekit_unreachable")
        assert document(row["detail"])["text"] == "quota exceeded"


@in_virtual_time
async def test_facts_that_cannot_be_read_cost_only_the_incidents_that_rest_on_them(
    postgres_database: Database,
) -> None:
    heartbeat(postgres_database, ahead_s="soon", livekit=["of another form"])
    async with World(postgres_database) as world:
        world.rule(name="odd", pattern={"room": "not a list"})
        await until_open(world, "rule_broken")
        postgres_database.execute("UPDATE routing_rules SET enabled = false")
        await until_closed(world, "rule_broken", within=15)
