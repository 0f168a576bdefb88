"""A join that a lookup matches is stored, answered, asked about, and evaluated with the answer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.flows.lookup.http_client import LookupFailedError
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

VIP = {"lookup": {"crm": {"tier": ["gold"]}}}


def rules(world: World) -> None:
    """Golden customers get `concierge`, others `greeter`; an answer that never came goes to `reception`."""
    world.rule("vip", "concierge", VIP, priority=1, metadata={"customer": "${lookup.crm.name}"})
    world.rule("down", "reception", {"lookup": {"crm_status": ["timeout", "error"]}}, priority=2)
    world.rule("all", "greeter", {}, priority=3)
    for agent in ("concierge", "greeter", "reception"):
        world.simulator.add_worker(agent)


def document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@in_virtual_time
async def test_rules_and_templates_read_the_answer_and_the_event_keeps_it(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup(headers={"authorization": "env:CRM_TOKEN", "x-tenant": "acme"})
        world.services.environment["CRM_TOKEN"] = "Bearer of the crm"
        world.services.answer("crm", {"tier": "gold", "name": "Ana"}, after=1.0)
        world.simulator.join("room", "ana")
        event = await world.until(lambda: world.events(type="participant_joined"))
        assert [one["outcome"] for one in event] == ["looking_up"]
        assert document(event[0]["decision"])["waits_for"] == ["crm"]
        assert world.dispatches() == []
        row = await world.until_status("joined")
        assert (row["agent_name"], document(row["metadata"])) == ("concierge", {"customer": "Ana"})
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert (join["outcome"], join["lookup_due_at"]) == ("planned", None)
        assert document(join["decision"])["matched"] == [{"rule_id": 1, "rule": "vip"}]
        answer = document(join["lookups"])["crm"]
        assert (answer["status"], answer["answer"], answer["seconds"]) == ("ok", {"tier": "gold", "name": "Ana"}, 1.0)
        (question,) = world.services.asked
        assert question.headers == {"authorization": "Bearer of the crm", "x-tenant": "acme"}
        assert question.document["participant"]["identity"] == "ana"
        assert question.document["participant"]["role"] == "caller"
        assert world.judge().clean


@in_virtual_time
async def test_the_wait_for_an_answer_counts_as_waiting_for_the_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold", "name": "Ana"}, after=1.2)
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert row["waiting_since"] == join["received_at"]
        assert world.instant(row["joined_at"]) - world.instant(row["waiting_since"]) > timedelta(seconds=1.2)


@pytest.mark.parametrize(
    ("answer", "after", "status"),
    [
        ({"tier": "gold"}, 30.0, "timeout"),
        (LookupFailedError("it answered 500"), 0.1, "error"),
        (b"<html>", 0.1, "error"),
        (RuntimeError("a defect"), 0.1, "error"),
    ],
)
@in_virtual_time
async def test_without_an_answer_the_default_stands(
    sqlite_database: Database, answer: Any, after: float, status: str
) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup(on_error={"tier": "none"}, timeout_ms=800)
        world.services.answer("crm", answer, after=after)
        began = world.loop.time()
        world.simulator.join("room", "ana")
        row = await world.until(world.dispatches)
        assert world.loop.time() - began < 1.5
        assert row[0]["agent_name"] == "reception"
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        stored = document(join["lookups"])["crm"]
        assert (stored["status"], stored["answer"]) == (status, {"tier": "none"})
        assert stored["error"]


@in_virtual_time
async def test_a_variable_that_is_not_set_is_an_error_that_names_it(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup(headers={"authorization": "env:CRM_TOKEN"})
        world.services.answer("crm", {"tier": "gold"})
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert "CRM_TOKEN is not set" in document(join["lookups"])["crm"]["error"]
        assert world.services.asked == []


@in_virtual_time
async def test_a_secret_with_a_line_break_makes_no_second_header(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup(headers={"authorization": "env:CRM_TOKEN"})
        world.services.environment["CRM_TOKEN"] = "a\r\nx-admin: yes"
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        error = document(join["lookups"])["crm"]["error"]
        assert "CRM_TOKEN" in error
        assert "x-admin" not in error
        assert world.services.asked == []


@in_virtual_time
async def test_several_lookups_are_asked_at_the_same_time(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule("both", "greeter", {"lookup": {"crm": {"tier": ["gold"]}, "tickets": {"open": [2]}}})
        world.lookup()
        world.lookup("tickets")
        world.lookup("unasked", {"participant": {"metadata": {"language": ["es"]}}})
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        world.services.answer("tickets", {"open": 2}, after=1.0)
        began = world.loop.time()
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        assert world.loop.time() - began < 1.5
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert sorted(document(join["lookups"])) == ["crm", "tickets"]


@pytest.mark.parametrize("ending", ["leave", "finish"])
@in_virtual_time
async def test_no_agent_is_sent_for_a_caller_who_has_gone_meanwhile(database: Database, ending: str) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold", "name": "Ana"}, after=1.0)
        world.simulator.join("room", "ana")
        await world.wait(0.5)
        if ending == "leave":
            world.simulator.leave("room", "ana")
        else:
            world.simulator.finish_room("room")
        await world.wait(3)
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert join["outcome"] == "ignored"
        assert "already" in document(join["decision"])["reason"]
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_an_edit_by_sql_holds_for_the_next_webhook(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.services.answer("crm", {"tier": "gold", "name": "Ana"})
        world.simulator.join("before", "ana")
        await world.until_status("joined", room_name="before")
        world.lookup()
        world.simulator.join("after", "bob")
        assert (await world.until_status("joined", room_name="after"))["agent_name"] == "concierge"
        world.database.execute("UPDATE lookups SET enabled = false")
        world.simulator.join("off", "eva")
        assert (await world.until_status("joined", room_name="off"))["agent_name"] == "greeter"
        world.database.execute("UPDATE lookups SET enabled = true")
        world.database.execute("DELETE FROM lookups")
        world.simulator.join("gone", "kim")
        assert (await world.until_status("joined", room_name="gone"))["agent_name"] == "greeter"
        assert len(world.services.asked) == 1


@in_virtual_time
async def test_only_callers_are_asked_about_unless_the_pattern_names_a_role(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "none"})
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(2)
        assert [one.document["participant"]["identity"] for one in world.services.asked] == ["ana"]


@in_virtual_time
async def test_what_is_redacted_is_neither_sent_nor_stored_nor_given_to_agents(sqlite_database: Database) -> None:
    settings = {"USHER_REDACT": "participant.metadata.ssn,lookup.crm.birthday"}
    async with World(sqlite_database, settings=settings) as world:
        world.rule(
            "young", "greeter", {"lookup": {"crm": {"birthday": ["2000-01-01"]}}}, metadata={"$eval": "lookup.crm"}
        )
        world.lookup()
        world.services.answer("crm", {"birthday": "2000-01-01", "tier": "gold"})
        world.simulator.join("room", "ana", metadata=json.dumps({"ssn": "123", "language": "es"}))
        row = (await world.until(world.dispatches))[0]
        assert document(row["metadata"]) == {"tier": "gold"}
        (question,) = world.services.asked
        assert question.document["participant"]["metadata"] == {"language": "es"}
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert document(join["lookups"])["crm"]["answer"] == {"tier": "gold"}


@in_virtual_time
async def test_a_replay_uses_the_stored_answer(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "silver"})
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        world.services.answer("crm", {"tier": "gold", "name": "Ana"})
        _, acceptance = await world.usher.orchestrator.operations.replay(join["id"], "maria")
        assert acceptance.outcome == "served"
        assert len(world.services.asked) == 1
        (again,) = world.events(source="replay")
        assert document(again["lookups"])["crm"]["answer"] == {"tier": "silver"}


@in_virtual_time
async def test_callers_found_by_the_sweep_are_asked_about_too(database: Database) -> None:
    async with World(database, sweep=5.0) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold", "name": "Ana"})
        world.route = lambda _: []
        world.simulator.join("room", "ana")
        row = await world.until(world.dispatches, within=30)
        assert row[0]["agent_name"] == "concierge"
        (join,) = world.events(type="participant_joined", participant_identity="ana")
        assert (join["source"], join["outcome"]) == ("sweep", "planned")


@in_virtual_time
async def test_an_answer_is_used_again_for_the_same_caller_while_it_is_kept(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup(cache_s=60)
        world.services.answer("crm", {"tier": "gold", "name": "Ana"})
        for _ in range(2):
            world.simulator.join("room", "ana")
            await world.until_status("joined")
            world.simulator.leave("room", "ana")
            await world.wait(25)
        world.simulator.join("room", "bob")
        await world.wait(1)
        assert [one.document["participant"]["identity"] for one in world.services.asked] == ["ana", "bob"]
        first, second, _ = (
            document(one["lookups"])["crm"]
            for one in world.events(type="participant_joined", participant_kind="STANDARD")
        )
        assert (first.get("cached"), second["cached"], second["answer"]) == (None, True, first["answer"])
        await world.wait(60)
        world.simulator.join("room", "ana")
        await world.wait(1)
        assert len(world.services.asked) == 3
