"""With a key, names of calls that are over are digests: not to be read, but a name that is known finds its calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from app.accounts.reads import list_reads, record_read
from app.audit import CallFilter, DispatchFilter, EventFilter, find_event, list_calls, list_dispatches, list_events
from app.errors import ConflictError, NotFoundError, SettingsError
from app.flows.erase.hash_names import OLD_AFTER, SETTLED_AFTER
from app.settings import read_settings
from app.webhook.name_digest import digest_of, is_digest, use_name_key
from tests.conftest import Database
from tests.harness.dump import dump
from tests.integration.people.test_erase import NUMBER, access, calls, end_calls, erase, figures
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

KEY = "a key that nobody knows, 32 bytes"
SETTINGS = {"USHER_HASH_NAMES_KEY": KEY, "USHER_RETENTION_DAYS": "0"}
ROOM = f"call-_{NUMBER}_xVA4"
NAMES = ("ana-4711", "bob-0815", "600111222", ROOM)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash soon after a call: webhooks of the simulator are signed by the real clock, and stale after minutes."""
    monkeypatch.setattr("app.flows.erase.hash_names.SETTLED_AFTER", SETTLED_AFTER / 30)
    monkeypatch.setattr("app.flows.erase.hash_names.OLD_AFTER", OLD_AFTER / 288)
    yield
    use_name_key("")


async def settle(world: World) -> None:
    await world.wait(SETTLED_AFTER.total_seconds() / 30 + 60)


def left(database: Database, *names: str) -> list[str]:
    """Return which of the names are stored, but in promises to token servers, which keep them.

    No id may spell one: those have the digits 0-9 and the letters a-v.
    """
    stored = "\n".join(line for line in dump(database).splitlines() if not line.startswith("token_dispatches"))
    return [name for name in names if name in stored]


@in_virtual_time
async def test_names_are_true_during_a_call_and_digests_after_it(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        # Given calls that are going on for long
        await calls(world)
        await settle(world)
        assert left(database, *NAMES) == list(NAMES)
        # When they have ended
        await end_calls(world)
        now = world.clock.now()
        before = await figures(world, now)
        assert left(database, *NAMES) == list(NAMES)
        await settle(world)
        # Then no table has the names, nor the number inside another name
        assert left(database, *NAMES) == []
        # And figures, agents and what was said are as before
        assert await figures(world, now) == before
        assert left(database, "greeter", "diabetes", "agent-AJ_") == ["greeter", "diabetes", "agent-AJ_"]
        # And later rounds change nothing
        stored = world.events() + world.dispatches()
        await settle(world)
        assert world.events() + world.dispatches() == stored


@in_virtual_time
async def test_calls_are_found_by_any_of_their_names(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        await calls(world)
        await end_calls(world)

        def load(connection: Connection) -> Any:
            found = [find_event(connection, one).id for one in ("ana-4711", NUMBER, f"sip_{NUMBER}")]
            lists: list[Any] = []
            named: list[dict[str, Any]] = [{"identity": "ana-4711"}, {"room": ROOM}, {"phone_number": NUMBER}]
            for chosen in (*named, {"search": "bob-0815"}):
                pages: list[Any] = [
                    list_events(connection, EventFilter(**chosen)),
                    list_dispatches(connection, DispatchFilter(**chosen)),
                    list_calls(connection, CallFilter(**chosen)),
                ]
                lists += [[getattr(one, "id", None) or one.event_id for one in page.items] for page in pages]
            return found, lists

        true = await access(world).read(load)
        assert all(true[1])
        await settle(world)
        assert left(database, *NAMES) == []
        assert await access(world).read(load) == true
        # In another spelling, too
        event = await access(world).read(lambda connection: find_event(connection, "0034 600-111.222"))
        assert event.id == true[0][1]
        # With another key nobody does
        use_name_key("another key of thirty-two bytes!")
        with pytest.raises(NotFoundError):
            await access(world).read(lambda connection: find_event(connection, "ana-4711"))


@in_virtual_time
async def test_a_hashed_person_is_erased_by_name_and_number(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        await calls(world)
        await end_calls(world)
        await settle(world)
        for subject in ("ana-4711", NUMBER):
            read = partial(
                record_read, now=world.clock.now(), user="otto", channel="api", operation="x", subject=subject
            )
            await world.usher.writer.run(read)
        assert left(database, *NAMES) == []
        by_number = (await access(world).read(partial(list_reads, subject="0034600111222"))).items
        assert [read.user_name for read in by_number] == ["otto"]
        assert (await erase(world, "ana-4711")).events > 0
        assert (await erase(world, "0034600111222")).events > 0
        assert left(database, digest_of("ana-4711"), digest_of(NUMBER), "diabetes", "from-rule") == []
        assert left(database, digest_of("bob-0815"), "asthma") == [digest_of("bob-0815"), "asthma"]


@in_virtual_time
async def test_calls_that_are_over_are_not_tried_again_under_digests(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings=SETTINGS) as world:
        world.rule(answer_timeout_s=1, max_attempts=1)
        world.simulator.join("w hall", "ana-4711")
        row = await world.until_status("no_show", within=60)
        world.simulator.finish_room("w hall")
        await settle(world)
        assert left(sqlite_database, "ana-4711", "w hall") == []
        operations, sent = world.usher.orchestrator.operations, len(world.simulator.ledger.dispatches)
        refused = (await operations.redrive([row["id"]], "otto")).refused
        assert row["id"] in refused
        with pytest.raises(ConflictError, match="hashed"):
            await operations.replay(row["event_id"], "otto")
        await world.wait(30)
        assert len(world.simulator.ledger.dispatches) == sent


@in_virtual_time
async def test_the_same_caller_calls_again_under_the_true_name(database: Database) -> None:
    replicas = 2 if database.kind == "postgresql" else 1
    async with World(database, settings=SETTINGS, replicas=replicas) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for _ in range(3):
            world.simulator.join("w hall", "ana-4711")
            await world.until_status("joined")
            world.simulator.finish_room("w hall")
            await settle(world)
            assert left(database, "ana-4711", "w hall") == []
        assert world.judge().clean
        assert [row["status"] for row in world.dispatches()] == ["ended"] * 3
        assert {row["participant_identity"] for row in world.dispatches()} == {digest_of("ana-4711")}


@in_virtual_time
async def test_a_room_without_a_reported_end_is_hashed_after_a_day(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings=SETTINGS) as world:
        world.simulator.join("w hall", "ana-4711")
        await world.wait(5)
        world.simulator.webhook_faults.outage = True
        world.simulator.finish_room("w hall")
        await settle(world)
        assert left(sqlite_database, "ana-4711") == ["ana-4711"]
        await world.wait(OLD_AFTER.total_seconds() / 288)
        assert left(sqlite_database, "ana-4711", "w hall") == []


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least 16 characters"):
        read_settings({"USHER_HASH_NAMES_KEY": "short"}, without_livekit=True)
    use_name_key(KEY)
    assert is_digest(digest_of("ana"))
    assert digest_of(digest_of("ana")) == digest_of("ana")
