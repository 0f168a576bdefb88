"""Redaction and retention that a project has in place of those of all."""

from __future__ import annotations

from datetime import timedelta

from app.flows.retention.prune import STEP, Pruner
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

SHORT, LONG = "short", "long"
OF_PROJECTS = {SHORT: {"redact": ["participant.metadata.ssn"], "retention_days": 1}}


@in_virtual_time
async def test_bodies_are_redacted_as_their_project_says(sqlite_database: Database) -> None:
    async with World(sqlite_database, projects=(SHORT, LONG), of_projects=OF_PROJECTS) as world:
        world.rule()
        for simulator in world.simulators.values():
            simulator.join("hall", "ana", metadata='{"ssn": "078-05-1120", "language": "es"}')
        await world.until(lambda: len(world.dispatches()) == 2)
        for project, is_there in ((SHORT, False), (LONG, True)):
            (event,) = world.events(project=project, type="participant_joined")
            assert ("078-05-1120" in str(world.body(event["id"]))) is is_there
            assert ("078-05-1120" in world.dispatch(project=project)["metadata"]) is is_there


@in_virtual_time
async def test_each_project_keeps_its_events_for_its_time(sqlite_database: Database) -> None:
    async with World(sqlite_database, projects=(SHORT, LONG), of_projects=OF_PROJECTS) as world:
        for number in range(STEP):  # more than one step of what is kept stands before what goes
            world.simulators[LONG].join(f"room-{number}", f"caller-{number}")
        await world.wait(2)
        world.simulators[SHORT].join("hall", "ana")
        await world.wait(2)
        kept, pruner = len(world.events(project=LONG)), Pruner(world.usher.orchestrator.context)
        assert kept >= STEP
        world.clock.jumped += timedelta(days=2).total_seconds()
        await pruner.run_once()
        assert not world.events(project=SHORT)
        assert len(world.events(project=LONG)) == kept
