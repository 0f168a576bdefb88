"""One person's data are found, exported and erased; those of others stay."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from app.accounts.reads import record_read
from app.accounts.roles import Role
from app.accounts.saved_views import ViewUser, save_view
from app.accounts.users import add_user, find_user
from app.audit import dispatch_statistics, export_person, find_person, rows_about
from app.errors import ConflictError, InvalidInputError
from app.flows.erase.erase import Access, Erasure, erase_person
from app.flows.token_dispatches import decide
from app.livekit.vocabulary import ParticipantKind
from app.plan.expected import Expected
from tests.conftest import Database
from tests.harness.dump import dump
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

NUMBER = "+34600111222"
ANA = ("ana-4711", "García", "diabetes", "secret-tier")
PHONE = ("600111222", "sip_+34", "Phone +", "from-rule", "SCL_9")
BOB = ("bob-0815", "Bob Dylan", "asthma")
SIP = {"sip.phoneNumber": NUMBER, "sip.trunkPhoneNumber": "+15557654321", "sip.ruleID": "SDR_1", "sip.callID": "SCL_9"}


def access(world: World) -> Access:
    engine = world.database.reader_engine()

    async def read(load: Callable[[Connection], Any]) -> Any:
        with engine.connect() as connection:
            return load(connection)

    return Access(read, world.usher.writer.run)


async def erase(world: World, reference: str, **options: Any) -> Erasure:
    return await erase_person(access(world), reference, by="otto", now=world.clock.now(), **options)


async def figures(world: World, now: datetime) -> Any:

    def load(connection: Connection) -> Any:
        return dispatch_statistics(connection, now - timedelta(hours=24), now)

    counts = world.rows("SELECT outcome, type, count(*) AS n FROM events GROUP BY outcome, type ORDER BY 1, 2")
    states = world.rows("SELECT rule_name, status, cause, count(*) AS n FROM dispatches GROUP BY 1, 2, 3 ORDER BY 1, 2")
    return [await access(world).read(load), [dict(row) for row in counts], [dict(row) for row in states]]


async def calls(world: World) -> None:
    """Let two people share a room, and one phone, each with an agent; then all of them leave."""
    world.rule()
    world.rule(
        "each", "helper", {"participant": {"kind": ["STANDARD"]}}, scope="participant", priority=50, on_match="continue"
    )
    for agent in ("greeter", "helper"):
        world.simulator.add_worker(agent)
    world.simulator.join("hall", "bob-0815", name="Bob Dylan", metadata='{"about": "asthma", "friend": "ana-4711"}')
    await world.wait(2)
    expected = Expected("default", "hall", "", "ana-4711", "Ana García", "STANDARD", '{"tier": "secret-tier"}', {})
    usher = world.usher.orchestrator
    await decide(usher.context, usher.book, expected, usher.lookups.answered)
    world.simulator.join("hall", "ana-4711", name="Ana García", metadata='{"about": "diabetes"}')
    sip = ParticipantKind.SIP
    room = f"call-_{NUMBER}_xVA4"
    world.simulator.join(room, f"sip_{NUMBER}", kind=sip, name=f"Phone {NUMBER}", metadata="from-rule", attributes=SIP)
    await world.wait(20)
    assert world.agents("hall")
    assert world.agents(room)


def save_a_view(connection: Connection, name: str, query: str, now: datetime) -> None:
    user = find_user(connection, "otto") or add_user(connection, "otto", Role.VIEWER, by="test", now=now)
    save_view(connection, ViewUser(user.id, user.name, user.role, None), name, query, now=now)


async def end_calls(world: World) -> None:
    for room in ("hall", f"call-_{NUMBER}_xVA4"):
        world.simulator.finish_room(room)
    await world.wait(20)


@in_virtual_time
async def test_no_byte_of_an_erased_person_is_left_and_figures_stay(database: Database) -> None:
    async with World(database) as world:
        # Given two people in one room, a phone in another, their calls over, and records that users read about them
        await calls(world)
        for subject in ("ana-4711", "0034-600-111-222", NUMBER, "bob-0815"):
            read = partial(
                record_read, now=world.clock.now(), user="otto", channel="api", operation="x", subject=subject
            )
            await world.usher.writer.run(read)
        # And views that users saved to find them
        for name, query in (("her", "q=ana-4711"), ("phone", "q=0034+600-111-222"), ("him", "search=bob-0815")):
            await world.usher.writer.run(partial(save_a_view, name=name, query=query, now=world.clock.now()))
        await end_calls(world)
        now = world.clock.now()
        before = await figures(world, now)
        stored = dump(database)
        assert [text for text in (*ANA, *PHONE, *BOB) if text not in stored] == []
        # When one is erased by identity and one by number, in another spelling
        first = await erase(world, "ana-4711")
        assert first.events > 0
        assert first.other_events > 0
        assert first.dispatches > 0
        assert first.token_dispatches > 0
        second = await erase(world, "0034 600-111.222")
        assert second.events > 0
        # Then nothing of them is left, others and all figures are
        stored = dump(database)
        for text in (*ANA, *PHONE):
            assert text not in stored, [line for line in stored.splitlines() if text in line][:3]
        assert [text for text in BOB if text not in stored] == []
        assert await figures(world, now) == before
        assert [row["name"] for row in world.rows("SELECT name FROM saved_views")] == ["him"]
        # And it is on record, without the name
        lines = world.rows("SELECT entity_id, to_state, reason, changed_by FROM audit_log WHERE entity = 'person'")
        assert [(line["to_state"], line["changed_by"]) for line in lines] == [("erased", "otto")] * 2
        # And done again, it changes nothing
        assert (await erase(world, "ana-4711")).events == 0
        assert (await erase(world, NUMBER)).events == 0
        assert "600-111-222" not in stored
        assert dump(database) == stored


@in_virtual_time
async def test_a_dry_run_counts_and_changes_nothing(database: Database) -> None:
    async with World(database) as world:
        await calls(world)
        stored = dump(database)
        counted = await erase(world, "ana-4711", dry_run=True)
        assert counted.live_rooms == ("hall",)
        assert dump(database) == stored
        await end_calls(world)
        counted = await erase(world, "ana-4711", dry_run=True)
        done = await erase(world, "ana-4711")
        assert (counted.events, counted.dispatches) == (done.events, done.dispatches)


@in_virtual_time
async def test_a_person_in_a_call_is_not_erased(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await calls(world)
        stored = dump(sqlite_database)
        for reference, room in (("ana-4711", "hall"), (NUMBER, f"call-_{NUMBER}_xVA4")):
            with pytest.raises(ConflictError, match=r"in a call now \(room " + room.replace("+", r"\+")):
                await erase(world, reference)
        assert dump(sqlite_database) == stored
        # A caller without an agent is in a call, too
        world.simulator.join("lobby", "eva-1", metadata="{}")
        sqlite_database.execute("DELETE FROM routing_rules")
        world.simulator.join("other", "eva-1", metadata="{}")
        await world.wait(5)
        with pytest.raises(ConflictError, match="lobby, other"):
            await erase(world, "eva-1")


@in_virtual_time
async def test_an_export_holds_everything_of_the_person_and_nothing_of_others(database: Database) -> None:
    async with World(database) as world:
        await calls(world)
        await end_calls(world)

        def load(connection: Connection, *, reference: str) -> Any:
            now = world.clock.now()
            person = find_person(connection, reference)
            return export_person(connection, person, rows_about(connection, person, now), now)

        ana = await access(world).read(partial(load, reference="ana-4711"))
        text = json.dumps(ana, ensure_ascii=False)
        assert all(one in text for one in ANA)
        assert not any(one in text for one in BOB)
        assert {event["type"] for event in ana["events"]} >= {"participant_joined", "participant_left"}
        assert ana["dispatches"][0]["calls"]
        assert ana["token_dispatches"]
        for spelling in (NUMBER, "34600111222", "0034600111222", f"sip_{NUMBER}", f"sip:{NUMBER}@trunk.example"):
            phone = await access(world).read(partial(load, reference=spelling))
            assert [event["participant_identity"] for event in phone["events"]] == [f"sip_{NUMBER}"] * 2, spelling
            assert "diabetes" not in json.dumps(phone)


@in_virtual_time
async def test_a_project_bounds_the_erasure(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await calls(world)
        await end_calls(world)
        sqlite_database.execute("UPDATE events SET project = 'other' WHERE room_name <> 'hall'")
        assert (await erase(world, NUMBER, project="default")).events == 0
        assert (await erase(world, NUMBER, project="other")).events > 0


@in_virtual_time
async def test_the_database_file_holds_nothing_of_it_after_a_restart(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await calls(world)
        await end_calls(world)
        await erase(world, "ana-4711")
    sqlite_database.close()
    path = Path(str(sqlite_database.url.database))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = await asyncio.to_thread(path.read_bytes)
    assert b"asthma" in content
    for text in ANA:
        assert text.encode() not in content, text


@pytest.mark.parametrize("reference", ["", "  ", "a\0b", "\ud800", "x" * 601])
@in_virtual_time
async def test_what_is_no_identity_is_refused(sqlite_database: Database, reference: str) -> None:
    async with World(sqlite_database) as world:
        with pytest.raises(InvalidInputError):
            await erase(world, reference)
