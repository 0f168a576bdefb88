"""What happens past `answer_timeout_s`: the cause is named, the next agent is asked, and a no-show is reported."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest

from app.audit import dispatch_statistics
from app.simulator import Behaviour, Fault, FaultKind, Refusal
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

TIMEOUT_S = 2


@in_virtual_time
async def test_the_fallback_is_asked_within_the_budget(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=TIMEOUT_S, max_attempts=3, fallbacks=["substitute"])
        world.simulator.add_worker("substitute")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=20)
        *absent, last = world.simulator.ledger.dispatches
        assert [entry.agent_name for entry in absent] == ["absent"] * 3
        assert last.agent_name == "substitute"
        caller = world.simulator.ledger.callers[0]
        assert last.asked - caller.joined < 3 * TIMEOUT_S + 1
        assert all(entry.deleted is not None for entry in absent)
        assert (row["agent_name"], row["asked_agent_name"]) == ("absent", "substitute")
        attempts = [(one["agent_name"], one["outcome"]) for one in world.attempts(row["id"])]
        assert attempts == [("absent", "no_show")] * 3 + [("substitute", "accepted")]
        assert world.usher.metric("usher_fallbacks_total", agent="absent", fallback="substitute") == 1
        assert world.usher.metric("usher_no_shows_total", agent="absent") == 0


@in_virtual_time
async def test_fallbacks_are_asked_in_turn_each_with_its_own_time_attempts_and_metadata(database: Database) -> None:
    async with World(database) as world:
        world.rule(
            agent_name="absent",
            answer_timeout_s=TIMEOUT_S,
            max_attempts=2,
            metadata={"who": "${participant.identity}"},
            fallbacks=[
                "absent too",
                {"agent_name": "third", "answer_timeout_s": 5, "max_attempts": 2},
                {"agent_name": "voicemail", "metadata": {"missed": {"$eval": "previous.agent_name"}}},
            ],
        )
        world.simulator.add_worker("voicemail")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=40)
        asked = world.simulator.ledger.dispatches
        names = [entry.agent_name for entry in asked]
        assert names == ["absent", "absent", "absent too", "third", "third", "voicemail"]
        assert [json.loads(one.metadata) for one in asked[:-1]] == [{"who": "ana"}] * 5
        assert json.loads(asked[-1].metadata) == {"missed": "third"}
        waits = [after.asked - before.asked for before, after in pairwise(asked)]
        assert [int(wait) for wait in waits] == [TIMEOUT_S] * 3 + [5, 5]
        assert (row["agent_name"], row["asked_agent_name"], row["rung"]) == ("absent", "voicemail", 3)
        with database.reader_engine().connect() as connection:
            found = dispatch_statistics(connection, world.clock.now() - timedelta(hours=1), world.clock.now())
        missed = {one.agent: (one.dispatches, one.arrived, one.no_shows) for one in found.agents}
        assert missed == {
            "absent": (1, 0, 1),
            "absent too": (1, 0, 1),
            "third": (1, 0, 1),
            "voicemail": (1, 1, 0),
        }
        assert (found.overall.dispatches, found.overall.arrived, found.overall.fallbacks) == (1, 1, 1)


@in_virtual_time
async def test_with_no_agent_left_to_ask_it_is_a_no_show_and_reported(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=TIMEOUT_S, max_attempts=2)
        world.simulator.join("room", "ana")
        row = await world.until_status("no_show", within=20)
        assert "no other agent to ask" in row["reason"]
        assert "no worker" in row["reason"]
        assert row["ended_at"] is not None
        assert world.usher.metric("usher_no_shows_total", agent="absent") == 1
        assert world.story(row["id"]) == [
            "sending", "dispatched", "pending", "sending", "dispatched", "no_show",
        ]  # fmt: skip
        assert world.simulator.rooms.by_name["room"].dispatches.keys() == _automatic(world)
        await world.wait(60)
        assert len(world.simulator.ledger.dispatches) == 2


def _automatic(world: World) -> set[str]:
    """Return the ids of the dispatches that LiveKit makes by itself, one per room and without an agent name."""
    return {one.id for one in world.simulator.rooms.by_name["room"].dispatches.values() if not one.agent_name}


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (None, "no worker"),
        (Behaviour(never_joins=True), "a worker took it and its agent never came"),
        (Behaviour(refusal=Refusal.TERMINATE), "the worker refused the job or left at once"),
        (Behaviour(refusal=Refusal.DECLINE), "no worker"),
    ],
    ids=["absent", "never comes", "refuses for good", "declines"],
)
@in_virtual_time
async def test_the_cause_is_named(sqlite_database: Database, behaviour: Behaviour | None, cause: str) -> None:
    async with World(sqlite_database) as world:
        if behaviour is not None:
            world.simulator.add_worker("agent", behaviour)
        world.simulator.join("other", "bob")  # LiveKit collects its workers' names at the first room
        await world.wait(6)
        world.rule(agent_name="agent", answer_timeout_s=TIMEOUT_S, max_attempts=1)
        world.simulator.join("room", "ana")
        row = await world.until_status("no_show")
        assert cause in row["reason"], row["reason"]
        (attempt,) = world.attempts(row["id"])
        assert attempt["outcome"] == "no_show"
        has_job = behaviour is not None and behaviour.refusal is not Refusal.DECLINE
        assert (attempt["job_id"] is not None) == has_job


@in_virtual_time
async def test_a_worker_that_registers_late_is_used_by_the_next_attempt(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="late", answer_timeout_s=TIMEOUT_S, max_attempts=5)
        world.simulator.join("room", "ana")
        world.simulator.add_worker("late", registers_after=3 * TIMEOUT_S - 1)
        row = await world.until_status("joined", within=20)
        assert row["attempts"] == 4
        await world.wait(20)
        assert len(world.agents("room")) == 1
        assert world.judge().clean


@in_virtual_time
async def test_when_no_agent_can_come_late_the_next_is_asked_at_once(sqlite_database: Database) -> None:
    """With the usual timeout LiveKit's list has shown by then that no worker took the job."""
    async with World(sqlite_database) as world:
        world.rule(agent_name="late", answer_timeout_s=7, max_attempts=3)
        world.simulator.join("room", "ana")
        world.simulator.add_worker("late", registers_after=6)
        row = await world.until_status("joined", within=9)
        assert row["attempts"] == 2
        first, _ = world.attempts(row["id"])
        assert (first["outcome"], first["error_text"]) == ("no_show", "no worker took it")


@pytest.mark.parametrize("stays", [False, True], ids=["its job is ended", "its worker keeps it"])
@in_virtual_time
async def test_an_agent_that_joins_after_its_deadline_does_not_stay_with_another(
    sqlite_database: Database, stays: bool
) -> None:
    async with World(sqlite_database) as world:
        slow = Behaviour(join_after=TIMEOUT_S + 1.5, stays_after_delete=stays)
        world.simulator.add_worker("slow", slow)
        world.rule(agent_name="slow", answer_timeout_s=TIMEOUT_S, max_attempts=4)
        world.simulator.join("room", "ana")
        await world.wait(60)
        row = world.dispatch()
        assert row["status"] == "joined", world.describe()
        assert world.agents("room") == [row["agent_identity"]]
        serving = world.simulator.ledger.dispatch(row["livekit_dispatch_id"])
        assert serving is not None
        assert [stay.identity for stay in serving.agents] == [row["agent_identity"]]
        assert not world.judge(tolerance=8.0).doubled
        assert not world.judge().alone


@in_virtual_time
async def test_an_agent_that_comes_when_its_substitute_is_there_is_sent_away(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("slow", Behaviour(join_after=5.0, stays_after_delete=True))
        world.simulator.add_worker("substitute")
        world.rule(agent_name="slow", answer_timeout_s=1, max_attempts=1, fallbacks=["substitute"])
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.agents("room")) == 2, what="both are there")
        await world.until(lambda: len(world.agents("room")) == 1, within=15, what="one is sent away")
        row = world.dispatch()
        assert (row["status"], row["asked_agent_name"]) == ("joined", "substitute")
        assert world.agents("room") == [row["agent_identity"]]


@in_virtual_time
async def test_a_fallback_that_names_the_agent_itself_ends_like_none(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="absent", answer_timeout_s=1, max_attempts=2, fallbacks=["absent"])
        world.simulator.join("room", "ana")
        await world.until_status("no_show", within=5)
        assert len(world.simulator.ledger.dispatches) == 2


@in_virtual_time
async def test_livekit_that_hides_an_overdue_agent_costs_a_second_not_a_lease(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="absent", answer_timeout_s=TIMEOUT_S, max_attempts=1)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.faults.script("ListParticipants", Fault(FaultKind.REFUSE), Fault(FaultKind.REFUSE))
        await world.until_status("no_show", within=TIMEOUT_S + 3)


@pytest.mark.parametrize("step_s", [8, 7200])
@in_virtual_time
async def test_a_clock_set_forward_sends_no_agent_away_that_is_on_its_way(database: Database, step_s: int) -> None:
    async with World(database) as world:
        world.simulator.add_worker("slow", Behaviour(join_after=1.5))
        world.rule(agent_name="slow", answer_timeout_s=4)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.clock.jumped += step_s
        row = await world.until_status("joined", within=8)
        assert row["attempts"] == 1
        assert not world.judge().repeated


@in_virtual_time
async def test_after_a_clock_was_set_forward_an_absent_agent_is_overdue_when_it_really_is(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=4, max_attempts=1, fallbacks=["substitute"])
        world.simulator.add_worker("substitute")
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        await world.wait(2)
        world.clock.jumped += 7200
        await world.until_status("joined", within=8)
        absent, substitute = world.simulator.ledger.dispatches
        assert 4 <= substitute.asked - absent.asked < 5


@in_virtual_time
async def test_a_check_longer_than_its_lease_gives_up_no_later_attempt(
    postgres_database: Database,
) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.rule(agent_name="absent", answer_timeout_s=10, max_attempts=5)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.faults.script("DeleteDispatch", Fault(FaultKind.SLOW, seconds=0.9))
        await world.until(lambda: world.simulator.ledger.counts["DeleteDispatch"], within=12, what="one gives it up")
        world.clock.jumped += 3600
        await world.wait(5)
        row = world.dispatch()
        assert world.simulator.ledger.counts["DeleteDispatch"] == 2, "the other takes the look over"
        assert [one["outcome"] for one in world.attempts(row["id"])] == ["no_show", "accepted"], world.describe()
        assert (row["status"], row["attempts"]) == ("dispatched", 2)
