"""Redrive, cancel, replay by hand; retention."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from app.db.tables import events
from app.errors import ConflictError, NotFoundError
from app.flows.operations.result import OperationResult
from app.flows.retention.prune import STEP, Pruner
from app.lifecycle.doubt import UNLISTED_S
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


async def redriven(world: World, *ids: str) -> OperationResult:
    return await world.usher.orchestrator.operations.redrive(ids, "maria")


async def cancelled(world: World, *ids: str) -> OperationResult:
    return await world.usher.orchestrator.operations.cancel(ids, "maria")


async def replayed(world: World, event_id: str) -> str:
    """Replay an event; return what became of it."""
    _, acceptance = await world.usher.orchestrator.operations.replay(event_id, "maria")
    return str(acceptance.outcome)


@in_virtual_time
async def test_a_no_show_is_redriven_from_the_beginning(database: Database) -> None:
    async with World(database) as world:
        world.rule(answer_timeout_s=1, max_attempts=2)
        world.simulator.join("room", "ana")
        row = await world.until_status("no_show")
        world.simulator.add_worker("greeter")
        intervention = await redriven(world, row["id"])
        assert not intervention.refused
        again = await world.until_status("joined", within=10)
        assert (again["replaces"], again["replaces_kind"]) == (row["id"], "redrive")
        assert json.loads(again["metadata"])["previous"]["cause"] == "redrive"
        assert world.dispatch(id=row["id"])["status"] == "no_show"  # the verdict stands
        assert "was redriven as" in (await redriven(world, row["id"])).refused[row["id"]]
        by = world.rows("SELECT changed_by FROM audit_log WHERE reason = 'redriven by hand'")
        assert [one["changed_by"] for one in by] == ["maria"]
        assert world.judge().clean


@in_virtual_time
async def test_a_mended_rule_holds_for_what_is_redriven(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule("typo", "greter", answer_timeout_s=1, max_attempts=1)
        world.rule(
            "broken",
            "greeter",
            {"room": {"name": ["other"]}},
            priority=1,
            metadata={"$eval": "participant.metadata.tier"},
        )
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        world.simulator.join("other", "bob")
        missed = await world.until_status("no_show")
        failed = await world.until_status("failed")
        refused = (await redriven(world, failed["id"])).refused
        assert refused[failed["id"]] == failed["reason"]
        world.database.execute("UPDATE routing_rules SET agent_name = 'greeter', answer_timeout_s = 9, metadata = NULL")
        world.simulator.join("unrelated", "eva")  # the next webhook brings the edited book
        await world.until_status("joined", room_name="unrelated")
        assert not (await redriven(world, missed["id"], failed["id"])).refused
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=10)
        row = world.dispatch(replaces=missed["id"])
        assert (row["agent_name"], row["answer_timeout_s"]) == ("greeter", 9)
        assert json.loads(world.dispatch(replaces=failed["id"])["metadata"])["participant"]["identity"] == "bob"


@in_virtual_time
async def test_a_caller_who_has_left_since_is_not_served(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=1, max_attempts=1)
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob", kind="EGRESS")
        row = await world.until_status("no_show")
        world.simulator.leave("room", "ana")
        await world.wait(1)
        world.simulator.add_worker("greeter")
        assert (await redriven(world, row["id"])).refused == {row["id"]: "its callers have left"}
        await world.wait(3)
        assert len(world.simulator.ledger.dispatches) == 1
        assert not world.judge().ghosts


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_caller_who_came_back_is_served_once(sqlite_database: Database, scope: str) -> None:
    """All of the caller's dispatches are redriven in bulk, of the SID that is gone too."""
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=1, max_attempts=1, scope=scope)
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches(status="no_show")) == 1)
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches(status="no_show")) == 2)
        world.simulator.add_worker("greeter")
        ids = [row["id"] for row in world.dispatches()]
        intervention = await redriven(world, *ids)
        assert list(intervention.refused) == [ids[0]]
        await world.until_status("joined", within=10)
        await world.wait(5)
        assert len(world.agents("room")) == 1
        assert world.dispatch(id=ids[0])["status"] == "no_show"


@in_virtual_time
async def test_of_two_callers_of_a_room_the_one_who_stays_keeps_the_redriven_dispatch(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=1, max_attempts=1)
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches(status="no_show")) == 1)
        world.simulator.join("room", "bob")
        await world.until(lambda: len(world.dispatches(status="no_show")) == 2)
        await redriven(world, *[row["id"] for row in world.dispatches()])
        world.simulator.leave("room", "bob")
        await world.wait(0.3)
        assert world.dispatches(status="cancelled") == []
        (row,) = [one for one in world.dispatches() if one["status"] != "no_show"]
        callers = world.rows("SELECT * FROM dispatch_callers WHERE dispatch_id = :id AND left_at IS NULL", id=row["id"])
        assert [one["participant_identity"] for one in callers] == ["ana"]


@in_virtual_time
async def test_what_is_served_or_unknown_is_refused(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        assert "only failed" in (await redriven(world, row["id"])).refused[row["id"]]
        assert "only what waits" in (await cancelled(world, row["id"])).refused[row["id"]]
        with pytest.raises(NotFoundError):
            await redriven(world, "no-such-dispatch")


@in_virtual_time
async def test_cancelled_by_hand_is_taken_back(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=60)
        world.simulator.join("room", "ana")
        row = await world.until_status("dispatched")
        await cancelled(world, row["id"])
        assert world.dispatch()["status"] == "cancelled"
        await world.until(lambda: world.simulator.ledger.dispatches[0].deleted is not None, within=2)
        world.simulator.add_worker("absent")
        await world.wait(70)
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_a_replay_serves_only_callers_who_are_there(database: Database) -> None:
    async with World(database) as world:
        world.simulator.join("there", "ana")
        world.simulator.join("closed", "bob")
        world.simulator.join("left", "eva")
        world.simulator.join("left", "supervisor", kind="EGRESS")
        await world.until(lambda: len(world.events(participant_kind="STANDARD")) == 3)
        world.simulator.finish_room("closed")
        world.simulator.leave("left", "eva")
        await world.wait(1)
        world.rule()
        world.simulator.add_worker("greeter")
        outcomes = {}
        for event in world.events(type="participant_joined", participant_kind="STANDARD"):
            outcomes[event["room_name"]] = await replayed(world, event["id"])
        assert outcomes == {"there": "planned", "closed": "ignored", "left": "ignored"}
        await world.until_status("joined", within=3)
        await world.wait(5)
        verdict = world.judge()
        assert not verdict.ghosts
        assert [entry.room for entry in world.simulator.ledger.dispatches] == ["there"]
        again = world.events(type="participant_joined", participant_identity="ana", source="webhook")[0]
        assert await replayed(world, again["id"]) == "served"
        assert len(world.agents("there")) == 1


@in_virtual_time
async def test_a_replay_for_a_caller_who_left_unnoticed_sends_no_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.join("room", "ana")
        await world.until(lambda: world.events(participant_identity="ana"))
        world.simulator.webhook_faults.outage = True
        world.simulator.finish_room("room")
        world.rule()
        (event,) = world.events(participant_identity="ana")
        assert await replayed(world, event["id"]) == "planned"
        row = await world.until_status("cancelled", within=UNLISTED_S + 10)
        assert "gone" in row["reason"]
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_ends_and_agents_are_not_replayed(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.finish_room("room")
        await world.until(lambda: world.events(type="room_finished"))
        refused = [*world.events(type="participant_left"), *world.events(type="room_finished")]
        refused += world.events(type="participant_joined", participant_kind="AGENT")
        for event in refused:
            with pytest.raises(ConflictError):
                await replayed(world, event["id"])


@in_virtual_time
async def test_what_is_older_than_the_retention_goes_and_nothing_live(database: Database) -> None:
    async with World(database, settings={"USHER_RETENTION_DAYS": "1"}) as world:
        world.rule(pattern={"room": {"name": [{"prefix": "served"}]}})
        world.simulator.add_worker("greeter")
        for number in range(STEP + 30):
            world.simulator.join(f"quiet-{number}", "ana")
        for number in range(3):
            world.simulator.join(f"served-{number}", "ana")
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=5)
        world.simulator.join("served-0", "bob")  # served by what lives
        world.simulator.finish_room("served-2")
        await world.until_status("ended")
        pruner = Pruner(world.usher.orchestrator.context)
        assert await pruner.run_once() == {"pruned": 0, "bodies": 0, "accesses": 0}
        old = world.clock.now() - timedelta(days=2)
        text = old.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        world.database.execute("UPDATE events SET received_at = :old", old=text if database.kind == "sqlite" else old)
        world.simulator.join("quiet-new", "eva")
        await world.until(lambda: world.events(room_name="quiet-new", participant_identity="eva"))
        pruned = (await pruner.run_once())["pruned"]
        assert pruned > 2 * STEP
        kept = {
            (event["room_name"], event["participant_identity"]) for event in world.events(type="participant_joined")
        }
        assert kept == {("served-0", "ana"), ("served-0", "bob"), ("served-1", "ana"), ("quiet-new", "eva")}
        assert {row["room_name"] for row in world.dispatches()} == {"served-0", "served-1"}
        left = {row["entity_id"] for row in world.rows("SELECT entity_id FROM audit_log WHERE entity = 'dispatch'")}
        assert left == {row["id"] for row in world.dispatches()}
        assert await pruner.run_once() == {"pruned": 0, "bodies": 0, "accesses": 0}


@in_virtual_time
async def test_bodies_go_before_facts_and_not_those_of_live_calls(database: Database) -> None:
    async with World(database, settings={"USHER_RETENTION_BODIES_DAYS": "1"}) as world:
        world.rule(pattern={"room": {"name": [{"prefix": "served"}]}})
        world.simulator.add_worker("greeter")
        for room in ("served-live", "served-over", "quiet"):
            world.simulator.join(room, "ana", name="Ana", metadata='{"about": "diabetes"}')
        await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=5)
        world.simulator.finish_room("served-over")
        await world.until_status("ended")
        pruner = Pruner(world.usher.orchestrator.context)
        assert (await pruner.run_once())["bodies"] == 0
        old = world.clock.now() - timedelta(days=2)
        text = old.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        world.database.execute("UPDATE events SET received_at = :old", old=text if database.kind == "sqlite" else old)
        world.simulator.join("quiet-new", "eva")
        await world.until(lambda: world.events(room_name="quiet-new", participant_identity="eva"))
        stored = len(world.events())
        assert (await pruner.run_once())["bodies"] > 3
        with_body = await world.usher.orchestrator.context.read(_rooms_with_bodies)
        assert with_body == {"served-live", "quiet-new"}
        assert len(world.events()) == stored
        # When the call is over, its bodies follow
        world.simulator.finish_room("served-live")
        await world.until(lambda: not world.dispatches(status="joined"))
        assert (await pruner.run_once())["bodies"] == 1
        assert await pruner.run_once() == {"pruned": 0, "bodies": 0, "accesses": 0}


def _rooms_with_bodies(connection: Connection) -> set[str]:
    found = connection.execute(select(events.c.room_name, events.c.body).where(events.c.type == "participant_joined"))
    return {row.room_name for row in found if row.body is not None}
