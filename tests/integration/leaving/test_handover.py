"""A call goes on with another agent: warm, by an operator; cold, by the agent that leaves. One of them always stays."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from app.audit import timeline
from app.errors import ConflictError, InvalidInputError
from app.flows.operations.handover_order import Handover, HandoverOrder, read_handover
from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Mishap
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


async def hand_over(world: World, dispatch_id: str, agent_name: str = "expert", **order: Any) -> Handover:
    return await world.usher.orchestrator.operations.hand_over(HandoverOrder(dispatch_id, agent_name, **order), "maria")


def alone(world: World, identity: str) -> bool:
    return world.agents("room") == [identity]


def leave(world: World, identity: str, reason: DisconnectReason, **attributes: str) -> None:
    room = world.simulator.room("room")
    assert room is not None
    room.participants[identity].attributes |= attributes
    world.simulator.leave("room", identity, reason)


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_the_next_agent_comes_first_and_then_the_first_one_goes(database: Database, scope: str) -> None:
    async with World(database) as world:
        world.rule(scope=scope)
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert", Behaviour(join_after=1.5))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        order = await hand_over(world, first["id"], context={"order": 42}, reason="wants a refund")
        assert order.state == "under_way"
        await world.wait(1)
        assert world.agents("room") == [first["agent_identity"]]
        following = await world.until_status("joined", agent_name="expert")
        await world.until(lambda: world.agents("room") == [following["agent_identity"]], what="the first one left")
        first = world.dispatch(id=first["id"])
        assert (first["status"], first["cause"], first["reason"]) == ("ended", "handed_over", "expert has the call")
        assert (following["replaces"], following["replaces_kind"]) == (first["id"], "handover")
        assert following["reason"] != ""
        previous = json.loads(following["metadata"])["previous"]
        assert (previous["agent_name"], previous["cause"]) == ("greeter", "handover")
        assert (previous["context"], previous["left_at"]) == ({"order": 42}, None)
        by = world.rows("SELECT changed_by, reason FROM audit_log WHERE to_state = 'pending'")
        assert ("maria", "handed over by maria: wants a refund") in [(one["changed_by"], one["reason"]) for one in by]
        # And the place is taken: neither a reload nor the sweep brings the rule's agent again.
        world.simulator.join("room", "ana")
        await world.wait(90)
        assert world.agents("room") == [following["agent_identity"]]
        assert not world.dispatches(status="joined", agent_name="greeter")
        # And it ends as every call does
        world.simulator.leave("room", "ana")
        await world.until(lambda: not world.agents("room"), within=20)


@in_virtual_time
async def test_a_next_agent_that_does_not_come_leaves_the_call_to_the_first(database: Database) -> None:
    async with World(database) as world:
        world.rule(max_attempts=2)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        order = await hand_over(world, first["id"], timeout_s=3)
        missed = await world.until_status("no_show", within=20)
        assert (missed["id"], missed["attempts"]) == (order.following.id, 2)
        first = world.dispatch(id=first["id"])
        assert (first["status"], first["cause"], first["handed_to"]) == ("joined", "handover_failed", None)
        assert first["reason"].startswith("not handed over: expert did not join: ")
        assert world.agents("room") == [first["agent_identity"]]
        with database.reader_engine().connect() as connection:
            assert timeline(connection, "ana").summary.startswith("greeter joined ana after ")
        # And it can be tried again
        world.simulator.add_worker("expert")
        await hand_over(world, first["id"])
        await world.until_status("joined", agent_name="expert")
        await world.until(lambda: len(world.agents("room")) == 1)


@pytest.mark.parametrize("comes", [True, False])
@in_virtual_time
async def test_an_agent_that_is_lost_in_the_middle_leaves_the_call_to_the_next(database: Database, comes: bool) -> None:
    async with World(database) as world:
        world.rule(recover="lost", max_attempts=1)
        world.simulator.add_worker("greeter")
        if comes:
            world.simulator.add_worker("expert", Behaviour(join_after=2))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(5)
        await hand_over(world, first["id"], timeout_s=5)
        await world.wait(0.5)
        leave(world, first["agent_identity"], DisconnectReason.AGENT_ERROR)
        following = await world.until_status("joined", within=20, replaces=first["id"])
        # One that does not come has the first agent as its fallback: nobody is left alone.
        assert following["asked_agent_name"] == (None if comes else "greeter")
        await world.wait(30)
        assert world.agents("room") == [following["agent_identity"]]
        assert len(world.dispatches()) == 2
        with database.reader_engine().connect() as connection:
            told = read_handover(connection, following["id"])
        assert told.state == ("done" if comes else "failed")
        assert told.detail.startswith("expert did not join: ") != comes
        assert following["intent_key"] == first["intent_key"]


@pytest.mark.parametrize("lost", ["node", "connection"])
@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_caller_who_is_back_while_the_first_agent_is_lost_goes_on_to_the_next(
    sqlite_database: Database, scope: str, lost: str
) -> None:
    async with World(sqlite_database, sweep=10) as world:
        world.rule(scope=scope, recover="lost", max_attempts=2)
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert", Behaviour(join_after=3))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(5)
        order = await hand_over(world, first["id"], timeout_s=10)
        await world.wait(1)
        if lost == "node":
            world.simulator.lose_node("room", agents_rejoin=False)
        else:
            world.simulator.join("room", "ana")
            await world.wait(0.5)
            leave(world, first["agent_identity"], DisconnectReason.AGENT_ERROR)
        await world.until_status("joined", within=40, id=order.following.id)
        await world.wait(60)
        following = world.dispatch(id=order.following.id)
        served = [one.identity for one in world.simulator.agents("room") if not one.ghost]
        assert (served, following["status"]) == ([following["agent_identity"]], "joined")


@pytest.mark.parametrize("comes", [True, False])
@in_virtual_time
async def test_an_agent_hands_over_by_its_attributes_as_it_leaves(database: Database, comes: bool) -> None:
    async with World(database) as world:
        world.rule(max_attempts=1, answer_timeout_s=3)
        world.simulator.add_worker("greeter")
        if comes:
            world.simulator.add_worker("expert")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        said = {"usher.next": "expert", "usher.context": '{"order": 42}'}
        leave(world, first["agent_identity"], DisconnectReason.CLIENT_INITIATED, **said)
        following = await world.until_status("joined", within=20, replaces=first["id"])
        first = world.dispatch(id=first["id"])
        assert (first["status"], first["cause"]) == ("ended", "handed_over")
        assert following["agent_name"] == "expert"
        assert following["asked_agent_name"] == (None if comes else "greeter")
        previous = json.loads(following["metadata"])["previous"]
        # The first agent is named also to its own successor: it had the caller, and the one between did not come.
        assert (previous["agent_name"], previous["cause"]) == ("greeter", "handover")
        assert previous["context"] == {"order": 42}
        await world.wait(30)
        assert world.agents("room") == [following["agent_identity"]]
        assert not world.judge().doubled


@in_virtual_time
async def test_a_context_too_long_for_the_metadata_is_named_in_the_timeline(database: Database) -> None:
    async with World(database, settings={"USHER_METADATA_MAX_BYTES": "1024"}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        said = {"usher.next": "expert", "usher.context": json.dumps({"notes": "x" * 2000})}
        leave(world, first["agent_identity"], DisconnectReason.CLIENT_INITIATED, **said)
        following = await world.until_status("joined", within=20, replaces=first["id"])
        (line,) = world.rows(
            "SELECT reason FROM audit_log WHERE entity_id = :id AND from_state IS NULL", id=following["id"]
        )
        assert "its context is not in the metadata, which may have 1024 bytes: it is 2012 long" in line["reason"]


@in_virtual_time
async def test_an_old_dispatch_of_a_call_that_goes_on_is_refused_with_the_present_one(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await hand_over(world, first["id"])
        following = await world.until_status("joined", within=20, replaces=first["id"])
        await world.until(lambda: world.dispatch(id=first["id"])["status"] == "ended", within=20)
        with pytest.raises(ConflictError, match=rf"goes on with dispatch {following['id']} \(expert\): give that"):
            await hand_over(world, first["id"], "greeter")


@in_virtual_time
async def test_a_caller_who_leaves_in_the_middle_ends_both(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert", Behaviour(join_after=5))
        world.simulator.join("room", "ana")
        world.simulator.join("room", "recorder", kind="EGRESS")
        first = await world.until_status("joined")
        await hand_over(world, first["id"])
        await world.wait(0.5)
        world.simulator.leave("room", "ana")
        await world.until(lambda: not world.dispatches(status="joined"), within=20)
        await world.wait(10)
        assert world.agents("room") == []
        with pytest.raises(ConflictError, match="not live any more"):
            await hand_over(world, first["id"])


@in_virtual_time
async def test_what_cannot_be_handed_over_is_refused_with_the_reason(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        for name in ("", " expert", "x" * 257):
            with pytest.raises(InvalidInputError):
                await hand_over(world, first["id"], name)
        one = await hand_over(world, first["id"], request_key="maria/1")
        again = await hand_over(world, first["id"], request_key="maria/1")
        assert again.following.id == one.following.id
        with pytest.raises(ConflictError, match="another hand-over"):
            await hand_over(world, first["id"], "other", request_key="maria/1")
        with pytest.raises(ConflictError, match="being handed over already"):
            await hand_over(world, first["id"], "other")
        assert len(world.dispatches()) == 2


@in_virtual_time
async def test_a_call_is_handed_on_and_back(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        for name in ("greeter", "expert", "manager"):
            world.simulator.add_worker(name)
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        for name in ("expert", "manager", "greeter", "greeter"):
            await world.wait(5)
            order = await hand_over(world, row["id"], name)
            row = await world.until_status("joined", id=order.following.id)
            await world.until(partial(alone, world, row["agent_identity"]), what=f"only {name} is there")
        assert [one["status"] for one in world.dispatches()] == ["ended"] * 4 + ["joined"]


@pytest.mark.parametrize("mishap", [None, Mishap.DROP, Mishap.REORDER])
@in_virtual_time
async def test_a_call_is_handed_over_to_an_agent_of_the_same_identity(
    sqlite_database: Database, mishap: Mishap | None
) -> None:
    async with World(sqlite_database, sweep=10) as world:
        world.rule(recover="lost")
        for name in ("greeter", "expert"):
            world.simulator.add_worker(name, Behaviour(identity="bot"))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(5)
        if mishap is not None:
            world.simulator.webhook_faults.order(mishap, identity="bot", times=2)
        order = await hand_over(world, first["id"])
        await world.until_status("joined", within=30, id=order.following.id)
        assert world.dispatch(id=first["id"])["status"] == "ended"
        await world.wait(60)
        assert world.agents("room") == ["bot"]
        assert len(world.simulator.ledger.dispatches) == 2


@in_virtual_time
async def test_a_handover_that_livekit_refused_is_not_made_by_the_sweep(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.REFUSE, code="internal"))
        await hand_over(world, first["id"])
        failed = await world.until_status("failed", within=200)
        assert world.dispatch(id=first["id"])["cause"] == "handover_failed"
        world.simulator.faults.clear()
        await world.wait(5)
        await world.usher.orchestrator.sweeper.run_once()
        await world.wait(30)
        assert world.agents("room") == [first["agent_identity"]]
        redriven = await world.usher.orchestrator.operations.redrive([failed["id"]], "maria")
        assert redriven.refused == {failed["id"]: "was a hand-over that failed; hand the call over again"}


@in_virtual_time
async def test_the_fallback_of_the_next_agent_is_the_one_that_was_there(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(max_attempts=1, answer_timeout_s=10, fallbacks=["backup"])
        world.simulator.add_worker("backup")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined", within=30)
        leave(world, first["agent_identity"], DisconnectReason.CLIENT_INITIATED, **{"usher.next": "expert"})
        row = await world.until_status("joined", within=90, replaces=first["id"])
        assert [one["agent_name"] for one in world.attempts(row["id"])] == ["expert", "backup"]


@in_virtual_time
async def test_the_dispatch_of_an_agent_that_is_lost_in_the_middle_is_deleted(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="lost", max_attempts=1)
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("expert", Behaviour(join_after=2))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(5)
        await hand_over(world, first["id"], timeout_s=5)
        await world.wait(0.5)
        leave(world, first["agent_identity"], DisconnectReason.AGENT_ERROR)
        await world.until_status("joined", within=20, replaces=first["id"])
        await world.wait(20)
        client = world.usher.orchestrator.context.clients["default"]
        listed = await client.list_dispatches("room")
        assert [one.agent_name for one in listed if one.agent_name and not one.deleted] == ["expert"]


@pytest.mark.parametrize("reason", [DisconnectReason.AGENT_ERROR, DisconnectReason.CLIENT_INITIATED])
@in_virtual_time
async def test_agents_that_only_pass_a_caller_on_come_to_an_end(
    sqlite_database: Database, reason: DisconnectReason
) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker(
            "greeter", Behaviour(leaves_after=0.3, leaves_with=reason, says_on_leaving=PASSED_ON)
        )
        world.simulator.join("room", "ana")
        await world.wait(120)
        assert len(world.simulator.ledger.dispatches) <= 12
        assert not world.dispatches(status="joined")


@pytest.mark.parametrize("is_out_of_service", [False, True])
@in_virtual_time
async def test_handovers_to_an_agent_that_never_comes_end_at_the_budget(
    database: Database, is_out_of_service: bool
) -> None:
    database.execute(
        "INSERT INTO webhook_subscriptions (id, name, url, secret) VALUES ('crm', 'crm', :url, :secret)",
        url="https://crm.test/hook",
        secret="whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=",
    )
    settings = {"USHER_RECOVERY_BUDGET": "3"}
    async with World(database, settings=settings, signs_by_machine=True) as world:
        if is_out_of_service:
            set_out_of_service(world, "nobody")
        world.rule(max_attempts=1, answer_timeout_s=5, on_no_show="remove")
        says = {"usher.next": "nobody"}
        world.simulator.add_worker("greeter", Behaviour(leaves_after=5, says_on_leaving=says))
        world.simulator.join("room", "ana")
        await world.until_status("no_show", within=200)
        await world.wait(300)
        rows = world.dispatches()
        assert [one["status"] for one in rows] == ["ended"] * 4 + ["no_show"]
        assert [one["recoveries"] for one in rows] == [0, 1, 2, 3, 3]
        assert [one["agent_name"] for one in rows] == ["greeter"] + ["nobody"] * 4
        (noted,) = world.rows(
            "SELECT reason FROM audit_log WHERE entity_id = :id AND from_state IS NULL", id=rows[-1]["id"]
        )
        assert noted["reason"].endswith("not asked again: 3 replacements were made for this call already")
        (action,) = world.rows("SELECT kind, status, dispatch_id FROM caller_actions")
        assert (action["kind"], action["status"], action["dispatch_id"]) == ("remove", "done", rows[-1]["id"])
        # Nobody else has ever had the call.
        sent = [one.type for one in world.receivers.posts]
        assert sent.count("call.answered") == 4
        assert sent.count("call.no_show") == 1
        assert "call.handed_over" not in sent


def set_out_of_service(world: World, agent_name: str) -> None:
    world.database.execute(
        "INSERT INTO agents (agent_name, out_of_service_until) VALUES (:name, '9999-12-31T00:00:00.000000Z')",
        name=agent_name,
    )


@in_virtual_time
async def test_agents_that_come_hand_over_to_each_other_more_often_than_the_budget_allows_recoveries(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database, settings={"USHER_RECOVERY_BUDGET": "1"}) as world:
        world.rule(max_attempts=1, answer_timeout_s=5)
        for name, following in (("greeter", "expert"), ("expert", "greeter")):
            says = {"usher.next": following}
            world.simulator.add_worker(name, Behaviour(leaves_after=5, says_on_leaving=says))
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches()) == 9, within=90)
        rows = world.dispatches()
        assert [one["agent_name"] for one in rows] == ["greeter", "expert"] * 4 + ["greeter"]
        assert {one["recoveries"] for one in rows} == {0}


@in_virtual_time
async def test_the_next_fallback_is_asked_where_the_first_agent_may_not_be_asked_again(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database, settings={"USHER_RECOVERY_BUDGET": "0"}) as world:
        world.rule(max_attempts=1, answer_timeout_s=3, fallbacks=["backup"])
        for name in ("greeter", "backup"):
            world.simulator.add_worker(name)
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(5)
        leave(world, first["agent_identity"], DisconnectReason.CLIENT_INITIATED, **{"usher.next": "nobody"})
        row = await world.until_status("joined", within=60, replaces=first["id"])
        assert [one["agent_name"] for one in world.attempts(row["id"])] == ["nobody", "backup"]


PASSED_ON = {"usher.next": "greeter"}
ACTS = ("hand over", "first dies", "next dies", "rejoin", "sweep", "hand over again")


@pytest.mark.parametrize("seed", range(40))
@in_virtual_time
async def test_whatever_happens_in_the_middle_one_agent_is_left(sqlite_database: Database, seed: int) -> None:
    chance = random.Random(seed)
    async with World(sqlite_database, settings={"USHER_RECOVERY_BUDGET": "20"}) as world:
        # However soon, often and for whatever reason agents leave, they are replaced.
        world.rule(recover="always", max_attempts=7, answer_timeout_s=4, scope="room")
        world.simulator.add_worker("greeter", Behaviour(join_after=chance.choice([0.2, 1, 3])))
        behaviours: Sequence[Behaviour | None] = (
            None,
            Behaviour(join_after=chance.uniform(0.1, 6)),
            Behaviour(leaves_after=chance.uniform(0.2, 2.5), leaves_with=DisconnectReason.AGENT_ERROR),
            Behaviour(never_joins=True),
        )
        behaviour = chance.choice(behaviours)
        if behaviour is not None:
            world.simulator.add_worker("expert", behaviour)
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        done = []
        for _ in range(chance.randint(2, 6)):
            act = chance.choice(ACTS)
            done.append(act)
            await _act(world, act, chance)
            await world.wait(chance.choice([0.0, 0.05, 0.3, 1, 4]))
        world.simulator.add_worker("greeter")
        await world.wait(100)
        agents = world.agents("room")
        assert len(agents) == 1, (done, behaviour, world.describe())
        live = [one for one in world.dispatches() if one["status"] == "joined"]
        assert [one["agent_identity"] for one in live] == agents, (done, behaviour, world.describe())


async def _act(world: World, act: str, chance: random.Random) -> None:
    here = [one for one in world.dispatches() if one["status"] == "joined"]
    if act.startswith("hand over"):
        live = [one for one in world.dispatches() if one["status"] in {"joined", "dispatched", "pending", "sending"}]
        if live:
            with suppress(ConflictError):
                await hand_over(world, chance.choice(live)["id"], chance.choice(["expert", "greeter"]))
    elif act in {"first dies", "next dies"} and here:
        dying = here[0] if act == "first dies" else here[-1]
        if dying["agent_identity"] in world.agents("room"):
            leave(
                world,
                dying["agent_identity"],
                chance.choice([DisconnectReason.AGENT_ERROR, DisconnectReason.CLIENT_INITIATED]),
            )
    elif act == "rejoin":
        world.simulator.join("room", "ana")
    elif act == "sweep":
        await world.usher.orchestrator.sweeper.run_once()
