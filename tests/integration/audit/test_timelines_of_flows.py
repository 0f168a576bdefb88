"""Timelines of calls that the flows themselves have written, with a simulated LiveKit."""

from __future__ import annotations

import re
from typing import Any

from app.audit import CallFilter, CallState, Timeline, explain, list_calls, timeline
from app.livekit.vocabulary import DisconnectReason
from app.server.translations.catalogues import languages
from app.simulator import Behaviour
from app.translation import use_language
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def _timeline_of(world: World, reference: str) -> Timeline:
    with world.database.reader_engine().connect() as connection:
        return timeline(connection, reference)


def _story(found: Timeline) -> list[str]:
    """Return what happened and why, without ids and durations, which differ from run to run."""
    lines = [f"{step.title} | {step.reason}" for step in found.steps]
    return [re.sub(r"\d+(\.\d+)? m?s\b", "…", re.sub(r"\b(AJ|AD|DP)_\w+", r"\1_…", line)) for line in lines]


def _assert_whole(found: Timeline) -> None:
    """Assert what holds of every timeline: steps in order, durations that add up, every change of state shown."""
    instants = [step.at for step in found.steps]
    assert instants == sorted(instants)
    spent = sum(step.seconds_since_previous or 0.0 for step in found.steps)
    assert abs(spent - (instants[-1] - instants[0]).total_seconds()) < 0.001
    for record in found.dispatches:
        states = [step.state for step in found.steps if step.dispatch_id == record.dispatch.id and step.state]
        assert states[-1] is record.dispatch.status
        calls = [step for step in found.steps if step.dispatch_id == record.dispatch.id and "attempt" in step.facts]
        assert len(calls) == len(record.calls)


def _assert_german(world: World, reference: str) -> None:
    """Assert that no step of the timeline has words of the stored reasons, other than names."""
    with use_language(languages()["de"]):
        steps = _timeline_of(world, reference).steps
    english = re.compile(r"\b(the|its|did not|accepted|asking|matched|refused|replaced?|left|gave|checking|no)\b")
    assert [step.reason for step in steps if english.search(step.reason)] == []


@in_virtual_time
async def test_the_timeline_of_an_answered_call(database: Database) -> None:
    async with World(database) as world:
        world.rule("everybody", "greeter")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(30)
        world.simulator.leave("room", "ana")
        await world.until_status("ended", within=60)
        found = _timeline_of(world, "ana")
        _assert_german(world, "ana")
    _assert_whole(found)
    story = _story(found)
    assert story[:8] == [
        "room room was opened | ",
        "ana joined room room | ",
        "rule 'everybody' matched | ",
        "a dispatch of greeter is created | rule 'everybody' matched",
        "LiveKit is asked to dispatch greeter (call 1) | accepted as AD_… after …",
        "waiting for the agent | LiveKit accepted the dispatch; it has … to join",
        "agent greeter (agent-AJ_…) joined room room | ",
        "greeter joined | the agent is in the room",
    ]
    assert "ana left | hung up (CLIENT_INITIATED)" in story
    assert any(line.startswith("the dispatch of greeter has ended | ") for line in story[-3:])
    assert found.call.state is CallState.ENDED
    assert found.call.seconds_to_agent is not None
    assert 0.1 < found.call.seconds_to_agent < 1


@in_virtual_time
async def test_a_fallback_and_a_second_caller(database: Database) -> None:
    async with World(database) as world:
        world.rule("everybody", "absent", answer_timeout_s=2, max_attempts=1, fallbacks=["substitute"])
        world.simulator.add_worker("substitute")
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=20)
        world.simulator.join("room", "bob")
        await world.until(lambda: world.events(participant_identity="bob"))
        ana, bob = _timeline_of(world, "ana"), _timeline_of(world, "bob")
        _assert_german(world, "ana")
    _assert_whole(ana)
    story = _story(ana)
    assert "LiveKit is asked to dispatch absent (call 1) | accepted as AD_… after …, but no agent joined" in story
    assert any(line.startswith("the next attempt begins | absent did not join: no worker") for line in story)
    assert any(line.endswith("; asking substitute instead") for line in story)
    assert ana.summary.startswith("substitute joined ana ")
    # The one who came later sees the agent that is there
    assert bob.summary == "substitute was already in the room when bob joined."
    assert [line for line in _story(bob) if "matched" in line] == [
        "rule 'everybody' matched | another dispatch already serves this caller with that agent"
    ]


@in_virtual_time
async def test_an_agent_that_crashes_is_replaced(database: Database) -> None:
    async with World(database) as world:
        world.rule("everybody", "greeter", recover="lost")
        world.simulator.add_worker("greeter", Behaviour(dies_after=5))
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.add_worker("greeter")
        await world.until(
            lambda: len(world.dispatches(status="joined")) == 1 and len(world.dispatches()) == 2, within=90
        )
        found = _timeline_of(world, "ana")
        _assert_german(world, "ana")
    _assert_whole(found)
    story = _story(found)
    gone = next(place for place, line in enumerate(story) if line.startswith("the dispatch of greeter has ended"))
    assert "it is being replaced" in story[gone]
    assert any(line.startswith("a dispatch of greeter is created | replaces the agent") for line in story[gone:])
    assert story.count("greeter joined | the agent is in the room") == 2
    assert found.call.state is CallState.ANSWERED


@in_virtual_time
async def test_the_timeline_of_a_no_show_says_why(database: Database) -> None:
    async with World(database) as world:
        world.rule("spanish", "support-es", {"participant": {"metadata": {"language": ["es"]}}})
        world.rule("patient", "absent", {"room": {"name": ["waiting"]}}, answer_timeout_s=60)
        world.simulator.join("lobby", "ben", metadata='{"language": "en"}')
        world.simulator.join("waiting", "cleo")
        await world.until_status("dispatched")
        await world.wait(3)
        world.simulator.leave("waiting", "cleo", reason=DisconnectReason.CLIENT_INITIATED)
        await world.until_status("cancelled")
        with database.reader_engine().connect() as connection:
            why = explain(connection, "ben")
            states: dict[str, Any] = {
                call.participant_identity: call.state for call in list_calls(connection, CallFilter()).items
            }
        cleo = _timeline_of(world, "cleo")
        _assert_german(world, "cleo")
    assert [one.words for one in why.rules] == [
        'participant.metadata.language: expected "es", found "en"',
        'room.name: expected "waiting", found "lobby"',
    ]
    assert why.doubt == ""
    assert states == {"ben": CallState.NO_MATCH, "cleo": CallState.ABANDONED}
    assert cleo.summary.startswith("cleo left before absent joined: the caller gave up after ")
    _assert_whole(cleo)


@in_virtual_time
async def test_the_timeline_of_a_caller_without_a_webhook(database: Database) -> None:
    async with World(database, sweep=5.0) as world:
        world.rule("everybody", "greeter")
        world.simulator.add_worker("greeter")
        world.route = lambda _: []  # LiveKit's webhooks go nowhere
        world.simulator.join("room", "ana")
        await world.wait(60)
        world.route = lambda _: world.replicas
        await world.until_status("joined", within=20)
        found = _timeline_of(world, "ana")
        _assert_german(world, "ana")
    _assert_whole(found)
    story = _story(found)
    assert story[0].startswith("ana was found in room room | by the sweep, ")
    assert found.call.state is CallState.ANSWERED
