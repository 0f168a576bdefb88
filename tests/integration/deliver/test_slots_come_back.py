"""Slots for deliveries are free again after whatever happened: a slow database, a LiveKit that hangs, lost leases."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from app.simulator import Fault, FaultKind
from tests.conftest import Database, copy_of
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

EXAMPLES = int(os.environ.get("USHER_EXAMPLES", "0"))
CALLERS = ("ana", "bob", "cleo", "dan")
SETTLED_S = 40.0


@in_virtual_time
async def test_a_claim_that_waited_does_not_take_what_was_begun_meanwhile(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.SLOW, seconds=4))
        executor = world.usher.executor
        # Given a new dispatch, and a claim that was waiting for its transaction before that dispatch was in hand
        world.simulator.join("room", "ana")
        await world.wait(0.02)
        executor.is_holding = True
        await world.until(lambda: executor.held)
        await world.wait(1)
        while not world.dispatches():
            executor.run_next()
            await world.wait(0.001)
        assert executor.held
        # When its lease ends before the claim's transaction begins
        world.clock.jumped += 3600
        executor.is_holding = False
        while executor.held:
            executor.run_next()
            await world.wait(0.001)
        # Then it is delivered once, and gives its slot back
        await world.until_status("joined", within=60)
        await world.wait(60)
        assert len(world.simulator.ledger.dispatches) == 1, world.describe()
        assert not world.rows("SELECT 1 FROM audit_log WHERE reason LIKE 'its sender stopped%'")
        judge_slots(world)


@dataclass(frozen=True)
class Story:
    """Steps while each transaction waits for a step of its own, and what becomes of the calls to LiveKit."""

    steps: Sequence[str]
    calls: Sequence[FaultKind | None]


JOINS = [f"join {name}" for name in CALLERS]
LEAVES = [f"leave {name}" for name in CALLERS]
STEPS = [*["transaction"] * 2, *["next dispatch"] * 2, *["lease ends"] * 2, "time 0.3", "time 2"]
stories = st.builds(
    Story,
    steps=st.lists(
        st.sampled_from([*JOINS, *LEAVES, *STEPS]),
        min_size=8,
        max_size=24,
    ),
    calls=st.lists(st.sampled_from([None, FaultKind.SLOW, FaultKind.HANG_AFTER, FaultKind.RESET_BEFORE]), max_size=8),
)


@in_virtual_time
async def play(story: Story, database: Database) -> None:
    async with World(database, sweep=20, settings={"USHER_CALLS_IN_FLIGHT": "2"}) as world:
        world.rule(max_attempts=20)
        world.simulator.add_worker("greeter")
        world.simulator.faults.script(
            "CreateDispatch", *(Fault(kind, seconds=4) if kind else None for kind in story.calls)
        )
        executor = world.usher.executor
        executor.is_holding = True
        for step in story.steps:
            match step.split():
                case ["join", identity]:
                    world.simulator.join(f"room of {identity}", identity)
                    await world.wait(0.02)  # its webhook is there
                case ["leave", identity] if world.simulator.room(f"room of {identity}") is not None:
                    world.simulator.finish_room(f"room of {identity}")
                case ["transaction"] if executor.held:
                    executor.run_next()
                    await world.wait(0.001)
                case ["next", _]:
                    before = len(world.dispatches())
                    for _ in range(executor.held and 6):
                        executor.run_next()
                        await world.wait(0.001)
                        if not executor.held or len(world.dispatches()) > before:
                            break
                case ["lease", _]:
                    world.clock.jumped += 60
                case ["time", seconds]:
                    await world.wait(float(seconds))
        executor.is_holding = False
        while executor.held:
            executor.run_next()
            await world.wait(0.001)
        world.simulator.faults.clear()
        await world.wait(SETTLED_S)
        note(world.describe())
        judge_slots(world)


def judge_slots(world: World) -> None:
    deliverer = world.usher.orchestrator.deliverer
    assert deliverer.in_hand() == ()
    assert deliverer.slots_in_use("default") == (0, 0), "of first calls, of retries"
    assert world.usher.orchestrator.context.defects.to_json() == {}


@settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=False,
)
@given(story=stories)
@example(  # found by chance; the claim waits for its transaction while the dispatch is committed
    story=Story(
        [
            *("join ana", "time 0.02", "transaction", "time 0.04", "transaction", "transaction", "time 0.6"),
            *("next dispatch", "lease ends", "transaction", "transaction"),
        ],
        [FaultKind.SLOW],
    )
)
def test_in_the_end_all_slots_are_free(sqlite_template: Path, story: Story) -> None:
    with copy_of(sqlite_template) as database:
        play(story, database)
