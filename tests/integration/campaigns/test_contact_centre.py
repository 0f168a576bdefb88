"""A contact centre with queues, lookups, hand-overs and kills: nobody lost or doubled, no limit exceeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Database, copy_of
from tests.world.contact_centre import LIMITS, ContactCentre
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLS = 250


@pytest.mark.parametrize("seed", [1, 2])
@in_virtual_time
async def test_a_contact_centre_loses_and_doubles_nobody_and_keeps_its_limits(
    sqlite_database: Database, seed: int
) -> None:
    async with World(sqlite_database, sweep=30, signs_by_machine=True) as world:
        centre = ContactCentre(world, CALLS, seed)
        centre.prepare()
        world.simulator.faults.by_chance(0.02, hang_seconds=3.0, seed=seed)
        await centre.run()
        print(centre.verdict(), centre.tally)
        assert centre.findings() == []
        # And there was something to keep
        assert centre.tally.longest_queue > 1
        assert centre.tally.kills > 0
        assert centre.tally.out_of_service > 0
        assert set(centre.tally.handed_over) == {"by the agent", "by an operator"}
        assert {name for name, most in LIMITS.items() if centre.tally.most_places[name] == most}


def test_usher_killed_as_the_last_call_ends_serves_again_before_the_centre_is_judged(sqlite_template: Path) -> None:
    left_at: list[float] = []

    @in_virtual_time
    async def run(database: Database, first_kill_s: float) -> None:
        async with World(database, sweep=30, signs_by_machine=True) as world:
            centre = ContactCentre(world, calls=1, seed=1, first_kill_s=first_kill_s)
            centre.prepare()
            await centre.run()
            assert centre.findings() == []
            assert centre.tally.kills == len(left_at)
            (caller,) = world.simulator.ledger.callers
            assert caller.left is not None
            left_at.append(caller.left)

    with copy_of(sqlite_template) as database:
        run(database, first_kill_s=3600)
    with copy_of(sqlite_template) as database:
        run(database, first_kill_s=left_at[0] - 1)
    assert left_at[1] == pytest.approx(left_at[0])
