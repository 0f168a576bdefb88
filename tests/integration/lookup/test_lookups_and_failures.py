"""Lookups while things go wrong: services that hang, processes that die, webhooks that come twice or in disorder."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.event import listen, remove
from sqlalchemy.pool import Pool

from app.db.types import EventSource
from app.flows.lookup.ask import MAX_OPEN, LookupAsker
from app.flows.lookup.pending_events import CLAIMED_AT_ONCE, due_ids
from app.metrics import Metrics
from app.rules.lookups.read_lookups import read_lookups
from app.webhook.parse import build_event
from tests.conftest import Database
from tests.integration.accept.test_accept import post, webhook
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

VIP = {"lookup": {"crm": {"tier": ["gold"]}}}


def rules(world: World) -> None:
    world.rule("vip", "concierge", VIP, priority=1)
    world.rule("all", "greeter", {}, priority=3)
    for agent in ("concierge", "greeter"):
        world.simulator.add_worker(agent)


def document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def joins(world: World) -> list[Any]:
    return world.events(type="participant_joined", participant_role="caller")


@in_virtual_time
async def test_a_webhook_is_answered_before_the_service_is(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        began = world.loop.time()
        assert await post(world, webhook("participant_joined")) == 200
        assert world.loop.time() - began < 0.5
        assert [one["outcome"] for one in joins(world)] == ["looking_up"]


@in_virtual_time
async def test_a_webhook_that_comes_again_is_asked_about_once(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        again = [post(world, webhook("participant_joined")) for _ in range(20)]
        assert await asyncio.gather(*again) == [200] * 20
        await world.wait(0.5)
        assert await post(world, webhook("participant_joined")) == 200
        await world.until(world.dispatches)
        assert await post(world, webhook("participant_joined")) == 200
        await world.wait(12)
        assert len(world.services.asked) == 1
        assert len(world.dispatches()) == 1


@pytest.mark.parametrize("dies_after", [0.01, 0.5, 0.9])
@in_virtual_time
async def test_a_replica_that_dies_while_it_asks_loses_nobody(database: Database, dies_after: float) -> None:
    """Another process asks again; on SQLite the next one of this node, which takes over at once."""
    async with World(database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        if database.kind == "postgresql":
            await world.add_replica()
        world.simulator.join("room", "ana")
        await world.until(lambda: joins(world))
        await world.wait(dies_after)
        assert [one["outcome"] for one in joins(world)] == ["looking_up"]
        await world.usher.kill()
        if database.kind == "sqlite":
            await world.add_replica()
        row = await world.until_status("joined", within=20)
        assert row["agent_name"] == "concierge"
        assert len(world.services.asked) == 2
        await world.wait(15)
        assert len(world.dispatches()) == 1
        assert world.judge(tolerance=15).clean


@in_virtual_time
async def test_a_lookup_that_was_deleted_meanwhile_holds_nobody_up(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        rules(world)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        world.simulator.join("room", "ana")
        await world.wait(0.5)
        await world.usher.kill()
        world.database.execute("DELETE FROM lookups")
        await world.add_replica()
        assert (await world.until_status("joined", within=20))["agent_name"] == "greeter"


@in_virtual_time
async def test_replicas_evaluate_an_event_once_together(postgres_database: Database) -> None:
    """Also where one is so slow that its lease has ended."""
    async with World(postgres_database, replicas=3) as world:
        rules(world)
        world.lookup(timeout_ms=5000)
        world.services.answer("crm", {"tier": "gold"}, after=4.0)
        for number in range(10):
            world.simulator.join(f"room-{number}", f"caller-{number}")
        await world.wait(1)
        world.database.execute("UPDATE events SET lookup_due_at = received_at WHERE outcome = 'looking_up'")
        await world.until(lambda: len(world.dispatches(status="joined")) == 10, within=30)
        await world.wait(15)
        assert len(world.dispatches()) == 10
        assert {one["outcome"] for one in joins(world)} == {"planned"}
        assert {row["agent_name"] for row in world.dispatches()} == {"concierge"}


@in_virtual_time
async def test_events_in_hand_hide_no_overdue_event_of_another_process(database: Database) -> None:
    async with World(database) as world:
        rules(world)
        world.lookup(timeout_ms=5000)
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        for number in range(CLAIMED_AT_ONCE + 1):
            world.simulator.join(f"room-{number}", f"caller-{number}")
        await world.until(lambda: len(joins(world)) == CLAIMED_AT_ONCE + 1)
        *in_hand, other = sorted(one["id"] for one in joins(world))
        with database.reader_engine().connect() as connection:
            later = world.clock.now() + timedelta(seconds=30)
            assert due_ids(connection, later, in_hand) == [other]
            assert len(due_ids(connection, later, ())) == CLAIMED_AT_ONCE


@in_virtual_time
async def test_a_service_that_hangs_does_not_hold_up_others(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule("vip", "concierge", VIP, priority=1)
        world.rule("all", "greeter", {}, priority=3)
        world.lookup("crm", {"room": {"name": [{"prefix": "slow-"}]}}, timeout_ms=5000, on_error={"tier": "none"})
        world.lookup("other", {"room": {"name": [{"prefix": "quick-"}]}})
        world.services.answer("crm", {"tier": "gold"}, after=1000)
        world.services.answer("other", {}, after=0.1)
        slow = [webhook("participant_joined", f"PA_s{one}", f"RM_s{one}") for one in range(200)]
        for one in slow:
            one["room"]["name"] = f"slow-{one['room']['sid']}"
        assert set(await asyncio.gather(*(post(world, one) for one in slow))) == {200}
        began = world.loop.time()
        quick = webhook("participant_joined", "PA_q", "RM_q")
        quick["room"]["name"] = "quick-room"
        assert await post(world, quick) == 200
        assert await post(world, webhook("participant_joined", "PA_n", "RM_n")) == 200
        await world.until(lambda: len(world.dispatches(participant_identity="caller-PA_q")) == 1, within=0.5)
        assert len(world.dispatches(participant_identity="caller-PA_n")) == 1
        assert world.loop.time() - began < 1
        at_once = [one for one in joins(world) if one["outcome"] == "planned" and one["room_name"].startswith("slow-")]
        assert len(at_once) == 200 - MAX_OPEN
        assert world.services.most_open == MAX_OPEN + 1
        assert "wait for an answer already" in document(at_once[0]["lookups"])["crm"]["error"]
        await world.until(lambda: {one["outcome"] for one in joins(world)} == {"planned"}, within=6)


@in_virtual_time
async def test_a_document_that_cannot_be_sent_is_an_error_of_each_lookup(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.lookup()
        world.lookup("kept", cache_s=60)
        with sqlite_database.reader_engine().connect() as connection:
            lookups = read_lookups(connection, 1).usable
        event = build_event(
            webhook("participant_joined"),
            project="default",
            source=EventSource.WEBHOOK,
            received_at=world.clock.now(),
            event_id="1",
        )
        asker = LookupAsker(world.services, {}, Metrics(), world.clock)
        answers = await asker.ask(lookups, replace(event, shareable={"half": "\ud800", "set": {1}}))
        assert {name: one["status"] for name, one in answers.items()} == {"crm": "error", "kept": "error"}
        assert world.services.asked == []


@in_virtual_time
async def test_events_of_a_participant_are_evaluated_in_their_order(database: Database) -> None:
    """A later event that asks for an agent waits until the join's lookups are answered, and reads their answers."""
    async with World(database) as world:
        pattern = {"event": ["track_published"], "lookup": {"crm": {"tier": ["gold"]}}}
        world.rule("tracks", "transcriber", pattern, scope="participant", priority=1)
        world.rule("any track", "listener", {"event": ["track_published"]}, scope="participant", priority=2)
        world.rule("vip", "concierge", VIP, priority=3)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        join = webhook("participant_joined")
        assert await post(world, join) == 200
        assert await post(world, track_of(join)) == 200
        await world.wait(0.5)
        assert [one["outcome"] for one in world.events()] == ["looking_up", "looking_up"]
        assert world.dispatches() == []
        await world.until(lambda: len(world.dispatches()) == 2)
        assert {row["agent_name"] for row in world.dispatches()} == {"concierge", "transcriber"}
        assert len(world.services.asked) == 1


def track_of(join: dict[str, Any], **track: Any) -> dict[str, Any]:
    """A track that the participant of a join publishes; as LiveKit does, it names SID and identity only."""
    body = webhook("track_published", track={"sid": "TR_1", **track})
    body["participant"] = {name: join["participant"][name] for name in ("sid", "identity")}
    return body


@in_virtual_time
async def test_rules_see_what_is_not_stored_of_an_event_that_waits_for_a_join(database: Database) -> None:
    async with World(database, settings={"USHER_REDACT": "track.name"}) as world:
        pattern = {"event": ["track_published"], "track": {"name": ["secret"]}, "lookup": {"crm": {"tier": ["gold"]}}}
        world.rule("tracks", "transcriber", pattern, scope="participant", priority=1)
        early = {"event": ["track_published"], "track": {"name": ["secret"]}}
        world.rule("any track", "listener", early, scope="participant", priority=2)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        join = webhook("participant_joined")
        assert await post(world, join) == 200
        assert await post(world, track_of(join, name="secret")) == 200
        assert [one["outcome"] for one in world.events()] == ["looking_up", "looking_up"]
        await world.until(world.dispatches)
        assert [row["agent_name"] for row in world.dispatches()] == ["transcriber"]
        (track,) = world.events(type="track_published")
        assert "secret" not in json.dumps(world.body(track["id"]))


@in_virtual_time
async def test_events_keep_their_order_when_the_last_lookup_is_disabled_meanwhile(database: Database) -> None:
    async with World(database) as world:
        world.rule("tracks", "transcriber", {"event": ["track_published"]}, scope="participant", priority=1)
        world.rule("all", "greeter", {}, scope="participant", priority=2)
        world.lookup()
        world.services.answer("crm", {"tier": "gold"}, after=1.0)
        join = webhook("participant_joined")
        assert await post(world, join) == 200
        world.database.execute("UPDATE lookups SET enabled = false")
        assert await post(world, track_of(join)) == 200
        assert [one["outcome"] for one in world.events()] == ["looking_up", "looking_up"]
        await world.until(lambda: len(world.dispatches()) == 2)
        assert {one["outcome"] for one in world.events(participant_sid="PA_1")} == {"planned"}


@in_virtual_time
async def test_joins_that_no_lookup_matches_cost_no_statement_more(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        assert await post(world, webhook("participant_joined", "PA_0", "RM_0")) == 200
        await world.wait(1.02)  # between the rounds of the background loops
        without = await _statements_of_a_join(world, 1)
        world.lookup("crm", {"room": {"name": ["another"]}})
        assert await post(world, webhook("participant_joined", "PA_2", "RM_2")) == 200  # brings the lookup
        await world.wait(1)
        assert await _statements_of_a_join(world, 3) == without
        assert len(without) > 3
        assert world.services.asked == []


async def _statements_of_a_join(world: World, number: int) -> list[str]:
    """Return the beginnings of the statements that the writer runs until a join is answered.

    Readers look for due work meanwhile, or just after.
    """
    found: list[list[str]] = []

    def trace(connection: sqlite3.Connection, *_: Any) -> None:
        statements: list[str] = []
        found.append(statements)
        connection.set_trace_callback(lambda statement: statements.append(statement[:30]))

    listen(Pool, "checkout", trace)
    try:
        assert await post(world, webhook("participant_joined", f"PA_{number}", f"RM_{number}")) == 200
        return [one for statements in found if statements[:1] == ["BEGIN IMMEDIATE"] for one in statements]
    finally:
        remove(Pool, "checkout", trace)
        await world.wait(1)
