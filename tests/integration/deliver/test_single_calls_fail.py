"""A LiveKit of which some calls fail: reads are retried, and other callers do not wait for them."""

from __future__ import annotations

import pytest

from app.livekit.outcome import LiveKitUnavailableError
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

PASSING = [Fault(FaultKind.REFUSE), Fault(FaultKind.RESET_BEFORE), Fault(FaultKind.REFUSE, code="resource_exhausted")]


@pytest.mark.parametrize("method", ["ListRooms", "ListParticipants", "ListDispatch"])
@in_virtual_time
async def test_a_check_survives_failing_requests(sqlite_database: Database, method: str) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.REFUSE, code="internal"))
        world.simulator.faults.script(method, *PASSING)
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=4)
        assert world.simulator.ledger.counts[method] >= len(PASSING) + 1
        assert not world.rows("SELECT id FROM audit_log WHERE reason LIKE '%cannot be asked%'")
        assert row["attempts"] == 2
        assert world.judge().clean


@in_virtual_time
async def test_a_failed_check_is_soon_repeated(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.REFUSE, code="internal"))
        world.simulator.faults.always("ListParticipants", Fault(FaultKind.HANG_BEFORE, seconds=60))
        world.simulator.join("room", "ana")
        await world.wait(60)
        reasons = {row["reason"] for row in world.rows("SELECT reason FROM audit_log")}
        assert "LiveKit cannot be asked: ListParticipants: timed out after 5 s" in reasons
        world.simulator.faults.clear()
        # The look under way hangs for five seconds more, and the next is two seconds later.
        await world.until_status("joined", within=5 + 2.4 + 1)


@in_virtual_time
async def test_what_is_refused_for_good_is_not_asked_again(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        client = world.usher.orchestrator.context.clients["default"]
        world.simulator.faults.script("ListRooms", Fault(FaultKind.REFUSE, code="unauthenticated"))
        with pytest.raises(LiveKitUnavailableError, match="unauthenticated") as raised:
            await client.list_rooms()
        assert "compare LIVEKIT_API_KEY" in raised.value.advice
        assert world.simulator.ledger.counts["ListRooms"] == 1
        assert not client.is_down


@in_virtual_time
async def test_what_took_long_to_fail_is_not_asked_again(sqlite_database: Database) -> None:
    """A dispatch call on a room that is gone takes LiveKit 3 s; asked thrice it would hold up a caller for ten."""
    async with World(sqlite_database) as world:
        client = world.usher.orchestrator.context.clients["default"]
        began = world.loop.time()
        with pytest.raises(LiveKitUnavailableError, match="no response from servers") as raised:
            await client.list_dispatches("nowhere")
        assert raised.value.advice == "it answers with an error of its own; see its log"
        assert world.loop.time() - began < 3.1


@in_virtual_time
async def test_a_request_that_hangs_is_repeated_alongside(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        client = world.usher.orchestrator.context.clients["default"]
        world.simulator.faults.script("ListRooms", Fault(FaultKind.HANG_BEFORE, seconds=60))
        began = world.loop.time()
        assert await client.list_rooms() == []
        assert world.loop.time() - began == pytest.approx(1.0), "a fifth of the time that one call may take"
        assert world.simulator.ledger.counts["ListRooms"] == 2


@in_virtual_time
async def test_a_livekit_that_is_down_is_known_for_it_and_asked_once(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        client = world.usher.orchestrator.context.clients["default"]
        await world.wire.stop()
        for _ in range(3):
            assert not client.is_down
            with pytest.raises(LiveKitUnavailableError):
                await client.list_rooms()
        assert client.is_down
        asked = world.usher.metric("usher_livekit_calls_total", project="default", method="ListRooms", outcome="failed")
        with pytest.raises(LiveKitUnavailableError):
            await client.list_rooms()
        assert (
            world.usher.metric("usher_livekit_calls_total", project="default", method="ListRooms", outcome="failed")
            == asked + 1
        )
        await world.wire.start()
        await client.list_rooms()
        assert not client.is_down
