"""What a failed campaign says: a long output is cut, so what the reader needs comes first."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_a_wait_that_failed_describes_the_live_dispatches_and_their_rooms_first(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for room in ("over", "stuck"):
            world.simulator.join(room, "ana")
            await world.until_status("joined", room_name=room)
        world.simulator.finish_room("over")
        await world.until_status("ended", room_name="over")
        await world.usher.kill()
        world.simulator.leave("stuck", "ana")
        with pytest.raises(AssertionError) as failure:
            await world.until(lambda: False, within=1.0, what="every dispatch has ended")
        lines = str(failure.value).splitlines()
        assert lines[0] == "not within 1.0 s: every dispatch has ended"
        assert lines[1].endswith(", 0 of 1 replicas alive")
        assert lines[2] == "1 of 2 dispatches are live"
        assert "stuck/ana greeter: joined" in lines[3]
        first = next(number for number, line in enumerate(lines) if line.startswith("  room stuck is open, with"))
        reported = "\n".join(lines[first : first + 10])
        assert "room_started" in reported
        assert "participant_joined ana: planned" in reported
        assert "participant_left" not in reported  # nobody was alive to hear of it
        later = next(number for number, line in enumerate(lines) if "over/ana greeter: ended" in line)
        assert later > first
