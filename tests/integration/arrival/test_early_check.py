"""LiveKit's lists are certain after 6 s: an attempt that failed is followed by the next then, not at its deadline."""

from __future__ import annotations

import gc

import pytest

from app.simulator import Behaviour, Fault, FaultKind, Refusal, Timing
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_a_worker_that_registers_late_is_asked_at_the_next_check(database: Database) -> None:
    async with World(database) as world:
        world.rule(answer_timeout_s=60, max_attempts=3)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        await world.wait(1)
        world.simulator.add_worker("greeter")
        row = await world.until_status("joined", within=6.5)
        first, second = world.attempts(row["id"])
        assert (first["outcome"], first["error_text"]) == ("no_show", "no worker took it")
        waited = world.instant(second["started_at"]) - world.instant(first["started_at"])
        assert 6.0 <= waited.total_seconds() < 7.0
        assert world.judge().clean


@in_virtual_time
async def test_a_refusal_is_followed_at_the_next_check(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=60, max_attempts=2)
        world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.TERMINATE, refuse_first=1))
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=8)
        assert "refused the job" in world.attempts(row["id"])[0]["error_text"]


@in_virtual_time
async def test_the_fallback_is_asked_early_too(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="absent", answer_timeout_s=60, max_attempts=1, fallbacks=["reception"])
        world.simulator.add_worker("reception")
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=8)


@in_virtual_time
async def test_the_last_attempt_waits_for_its_deadline(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=15, max_attempts=1)
        world.simulator.join("room", "ana")
        await world.wait(14.5)
        assert world.dispatch()["status"] == "dispatched"
        await world.until_status("no_show", within=2)


@in_virtual_time
async def test_an_agent_that_is_slow_to_join_is_not_given_up(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=15, max_attempts=3)
        world.simulator.add_worker("greeter", Behaviour(join_after=9))
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=12)
        assert len(world.attempts(row["id"])) == 1
        assert world.judge().clean


@in_virtual_time
async def test_a_job_that_ended_before_its_agent_joined_is_followed_at_once(sqlite_database: Database) -> None:
    """LiveKit Cloud reports jobs by webhooks."""
    async with World(sqlite_database, tells_of_jobs=True, timing=Timing(name_collection=0.0)) as world:
        world.rule(answer_timeout_s=60, max_attempts=2)
        refusing = Behaviour(answer_after=0.5, refusal=Refusal.TERMINATE, refuse_first=1)
        world.simulator.add_worker("greeter", refusing)
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=3)
        assert world.events(type="agent_job_ended")


@in_virtual_time
async def test_a_job_that_waits_for_a_worker_is_asked_of_the_fallback(sqlite_database: Database) -> None:
    async with World(sqlite_database, tells_of_jobs=True) as world:
        world.rule(agent_name="busy", answer_timeout_s=60, max_attempts=1, fallbacks=["reception"])
        world.simulator.add_worker("busy", Behaviour(capacity=0))
        world.simulator.add_worker("reception")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=8)
        assert row["asked_agent_name"] == "reception"
        assert "no worker had capacity" in world.attempts(row["id"])[0]["error_text"]


@pytest.mark.parametrize("kind", ["ended", "pending"])
@in_virtual_time
async def test_what_livekit_reports_of_a_job_before_it_answers_the_call_is_used(database: Database, kind: str) -> None:
    async with World(database, tells_of_jobs=True, timing=Timing(name_collection=0.0)) as world:
        world.rule(agent_name="busy", answer_timeout_s=60, max_attempts=1, fallbacks=["reception"])
        refusing = Behaviour(answer_after=0.1, refusal=Refusal.TERMINATE)
        world.simulator.add_worker("busy", Behaviour(capacity=0) if kind == "pending" else refusing)
        world.simulator.add_worker("reception")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_AFTER, seconds=1.0))
        world.simulator.join("room", "ana")
        (event,) = await world.until(lambda: world.events(type=f"agent_job_{kind}"), within=1.0)
        assert world.dispatch()["status"] == "sending"
        await world.until_status("joined", within=3)
        assert event


@in_virtual_time
async def test_a_check_that_cannot_be_written_is_done_again_after_its_lease(
    postgres_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with World(postgres_database) as world:
        world.rule(answer_timeout_s=15, max_attempts=1)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        postgres_database.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END $$"
        )
        postgres_database.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON dispatches FOR EACH ROW "
            "WHEN (OLD.status = 'dispatched' AND OLD.lease_owner IS NOT NULL) EXECUTE FUNCTION refuse()"
        )
        await world.wait(20)
        postgres_database.execute("DROP TRIGGER refuse ON dispatches")
        await world.until_status("no_show", within=60)
        gc.collect()  # which reports errors that nobody has asked a task for
    assert "was never retrieved" not in caplog.text
