"""Actions on callers are in the timeline, in exports, and go with the data that they belong to."""

from __future__ import annotations

from app.audit import CallFilter, CallState, explain, export_person, find_person, list_calls, rows_about, timeline
from app.audit.calls.step import StepKind
from app.flows.erase.erase import Access, erase_person
from app.flows.retention.prune import Pruner
from app.simulator.phones import STATUS
from tests.conftest import Database
from tests.harness.dump import dump
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

PHONE = {STATUS: "active", "sip.ruleID": "SDR_1", "sip.phoneNumber": "+34600111222"}


async def removed(world: World, identity: str = "ana-4711") -> None:
    """Let a rule remove a caller, and wait until she is gone and the webhook of it is stored."""
    world.rule("blocked", None, action="remove")
    world.simulator.join("room-of-ana", identity)
    await world.until(lambda: world.events(type="participant_left"))


@in_virtual_time
async def test_the_timeline_shows_each_step_with_livekits_answer(database: Database) -> None:
    async with World(database) as world:
        await removed(world)
        with database.reader_engine().connect() as connection:
            shown = timeline(connection, "ana-4711")
            why = explain(connection, "ana-4711")
            (listed,) = list_calls(connection, CallFilter(states={CallState.REMOVED})).items
        steps = [(one.title, one.reason) for one in shown.steps if one.kind is StepKind.ACTION]
        assert [title for title, _ in steps] == [
            "rule 'blocked' asks LiveKit to remove the caller",
            "LiveKit is asked to remove the caller",
            "the caller has been removed",
        ]
        assert steps[-1][1] == "LiveKit removed the participant"
        assert shown.call.state is listed.state is CallState.REMOVED
        assert shown.summary == "ana-4711 was removed from the room: LiveKit removed the participant."
        assert [(one.rule, one.action) for one in why.rules] == [("blocked", "remove")]
        (action,) = shown.to_json()["actions"]
        assert (action["status"], action["answer"]) == ("done", "LiveKit removed the participant")
        assert [one["to_state"] for one in action["changes"]] == ["pending", "sending", "done"]


@in_virtual_time
async def test_the_timeline_shows_why_a_caller_got_no_agent_who_is_ignored(database: Database) -> None:
    async with World(database) as world:
        world.rule("not ana", None, action="ignore")
        world.simulator.join("room", "ana")
        await world.until(lambda: world.events(type="participant_joined"))
        with database.reader_engine().connect() as connection:
            shown = timeline(connection, "ana")
        assert shown.call.state is CallState.IGNORED
        assert shown.summary == "no agent was dispatched to ana: rule 'not ana' ignores it."


@in_virtual_time
async def test_a_caller_who_is_transferred_while_the_agent_is_awaited_has_not_abandoned_the_call(
    database: Database,
) -> None:
    async with World(database) as world:
        world.rule("moved", None, action="transfer", transfer_to="tel:+34911", on_match="continue", priority=1)
        world.rule("all", answer_timeout_s=60)
        world.simulator.join("room", "sip_1", kind="SIP", attributes=PHONE)
        await world.until_status("cancelled", within=60)
        with database.reader_engine().connect() as connection:
            shown = timeline(connection, "sip_1")
        assert shown.call.state is CallState.TRANSFERRED


@in_virtual_time
async def test_an_export_of_a_person_holds_what_was_done_with_it(database: Database) -> None:
    async with World(database) as world:
        await removed(world)
        with database.reader_engine().connect() as connection:
            person = find_person(connection, "ana-4711")
            now = world.clock.now()
            document = export_person(connection, person, rows_about(connection, person, now), now)
        (action,) = document["caller_actions"]
        assert (action["participant_identity"], action["kind"], len(action["changes"])) == ("ana-4711", "remove", 3)


@in_virtual_time
async def test_no_byte_of_an_erased_person_is_left_in_actions(database: Database) -> None:
    async with World(database) as world:
        await removed(world)
        world.simulator.join("room-of-ana", "bob-0815")
        await world.until(lambda: len(world.events(type="participant_left")) == 2)
        await world.wait(60)
        engine = database.reader_engine()

        async def read(load: object) -> object:
            with engine.connect() as connection:
                return load(connection)  # type: ignore[operator]

        access = Access(read, world.usher.writer.run)
        await erase_person(access, "ana-4711", by="otto", now=world.clock.now())
        (ana, bob) = world.rows("SELECT * FROM caller_actions ORDER BY id")
        assert (ana["participant_identity"].startswith("erased-"), ana["status"]) == (True, "done")
        assert bob["participant_identity"] == "bob-0815"
        assert "ana-4711" not in dump(database)


@in_virtual_time
async def test_actions_are_pruned_with_their_event(database: Database) -> None:
    async with World(database, settings={"USHER_RETENTION_DAYS": "30"}) as world:
        await removed(world)
        context = world.usher.orchestrator.context
        await Pruner(context).run_once()
        assert len(world.rows("SELECT id FROM caller_actions")) == 1
        database.execute("UPDATE events SET received_at = :then", then="2020-01-01T00:00:00.000000Z")
        await Pruner(context).run_once()
        assert world.rows("SELECT id FROM caller_actions") == []
        assert world.rows("SELECT id FROM audit_log WHERE entity = 'caller_action'") == []


@in_virtual_time
async def test_names_in_actions_are_hashed_after_the_call(database: Database) -> None:
    settings = {"USHER_HASH_NAMES_KEY": "f1b6c5f2c0d94a6f9b7a3c1d2e4f5a6b7c8d9e0f"}
    async with World(database, settings=settings) as world:
        await removed(world)
        await world.until(lambda: world.events(type="room_finished"), within=400)

        def names() -> list[str]:
            rows = world.rows("SELECT participant_identity, room_name FROM caller_actions")
            return [one for row in rows for one in (row["participant_identity"], row["room_name"])]

        assert names() == ["ana-4711", "room-of-ana"]
        await world.until(lambda: "ana-4711" not in names() and "room-of-ana" not in names(), within=7200)
