"""Two projects in one database, one of them hostile: whatever it reports, the other's calls go as they would have.

Both have the same names, identities and SIDs. Each story is run twice, without and with the hostile project, and the
other's rows are compared. `USHER_EXAMPLES=500 pytest tests/integration/campaigns` tries that many other stories.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st

from app.db.types import Recover
from app.livekit.fabricated_webhook import FabricatedWebhook, sign
from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from tests.conftest import Database, copy_of
from tests.simulator import Simulator
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

EXAMPLES = int(os.environ.get("USHER_EXAMPLES", "0"))
VICTIM, HOSTILE = "acme/eu", "acme"
SETTLED_S = 20.0

_CHANGING = re.compile(r"[\d.]+ s|AJ_\w+|AD_\w+|[0-9a-f]{8}-[0-9a-v]{13}")

ACTIONS = ("join ana", "join bob", "leave ana", "agent leaves", "worker dies", "node lost", "room closes")
GAPS = (0.0, 0.3, 1.0, 4.0)
EVENTS = (
    EventType.ROOM_STARTED,
    EventType.ROOM_FINISHED,
    EventType.PARTICIPANT_JOINED,
    EventType.PARTICIPANT_LEFT,
    EventType.PARTICIPANT_CONNECTION_ABORTED,
    EventType.TRACK_PUBLISHED,
)


@dataclass(frozen=True)
class Hostile:
    """A webhook of the hostile project about the other's room: sent right after an action, or `delay` s later."""

    event: EventType
    about: str
    after: int = 0
    delay: float = 0.0
    is_collision: bool = False
    """Whether its id is made so that project and id together read like the key of the other's join."""


@dataclass(frozen=True)
class Story:
    scope: str
    withdraw: bool
    recover: Recover
    actions: Sequence[tuple[str, float]]
    hostile: Sequence[Hostile]
    is_mirrored: bool = False
    """Whether the hostile project's own LiveKit sees the same actions, under the same SIDs."""


@dataclass
class Scene:
    world: World
    known: dict[str, str] = field(default_factory=dict)
    """By identity, the last SID of each participant of the room, and of the room itself."""
    late: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def simulator(self) -> Simulator:
        return self.world.simulators[VICTIM]

    def note(self) -> None:
        room = self.simulator.room("room")
        if room is not None:
            self.known["room"] = room.sid
            self.known |= {"agent" if "agent" in one.identity else one.identity: one.sid for one in
                           room.participants.values()}  # fmt: skip


hostile_events = st.builds(
    Hostile,
    event=st.sampled_from(EVENTS),
    about=st.sampled_from(["ana", "bob", "agent"]),
    after=st.integers(0, 5),
    delay=st.sampled_from([0.0, 0.0, 1.5]),
    is_collision=st.booleans(),
)
stories = st.builds(
    Story,
    scope=st.sampled_from(["room", "participant"]),
    withdraw=st.booleans(),
    recover=st.sampled_from(Recover),
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(GAPS)), min_size=1, max_size=6).map(
        lambda actions: [("join ana", 0.0), *actions]
    ),
    hostile=st.lists(hostile_events, min_size=1, max_size=6),
    is_mirrored=st.booleans(),
)


def act(simulator: Simulator, action: str) -> None:
    room = simulator.room("room")
    present = room.participants if room is not None else {}
    agents = [one.identity for one in simulator.agents("room")]
    match action.split():
        case ["join", identity]:
            simulator.join("room", identity)
        case ["leave", identity] if identity in present:
            simulator.leave("room", identity)
        case ["agent", _] if agents:
            simulator.leave("room", agents[0], DisconnectReason.CLIENT_INITIATED)
        case ["worker", _]:
            simulator.kill_worker(next(iter(simulator.workers.known("greeter"))))
            simulator.add_worker("greeter")
        case ["node", _] if room is not None:
            simulator.lose_node("room")
        case ["room", _] if room is not None:
            simulator.finish_room("room")
        case _:
            pass


async def send(scene: Scene, hostile: Hostile) -> None:
    world, sid = scene.world, scene.known.get(hostile.about, "PA_nobody")
    is_agent = hostile.about == "agent"
    collision = f"{VICTIM.removeprefix(HOSTILE)[1:]}/join/{sid}"
    body = FabricatedWebhook(
        event=hostile.event,
        event_id=collision if hostile.is_collision else f"EV_{hostile.event}_{sid}",
        at=world.clock.now(),
        room_name="room",
        room_sid=scene.known["room"],
        identity=f"agent-AJ_{sid}" if is_agent else hostile.about,
        sid=sid,
        kind=ParticipantKind.AGENT if is_agent else ParticipantKind.STANDARD,
        attributes={"lk.agent.name": "greeter"} if is_agent else {},
    ).body()
    simulator = world.simulators[HOSTILE]
    answer = await world.usher.post(body, {"Authorization": sign(body, simulator.key, simulator.secret)})
    assert answer.status == 200


def send_later(scene: Scene, hostile: Hostile) -> None:
    scene.late.append(asyncio.ensure_future(send(scene, hostile)))


@in_virtual_time
async def run(story: Story, database: Database, rows: list[Any], *, is_attacked: bool) -> None:
    settings_given = {"USHER_RECOVERY_BUDGET": "20"}
    async with World(database, sweep=5, projects=(VICTIM, HOSTILE), settings=settings_given) as world:
        scene = Scene(world)
        world.rule(scope=story.scope, withdraw=story.withdraw, recover=story.recover, answer_timeout_s=4)
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        for number, (action, gap) in enumerate(story.actions):
            await world.wait(gap)
            act(scene.simulator, action)
            scene.note()
            if not is_attacked:
                continue
            if story.is_mirrored:
                act(world.simulators[HOSTILE], action)
            for one in story.hostile:
                if one.after % len(story.actions) != number:
                    continue
                if one.delay:
                    world.loop.call_later(one.delay, send_later, scene, one)
                else:
                    await send(scene, one)
        await world.wait(SETTLED_S)
        await asyncio.gather(*scene.late)
        note(world.describe())
        rows += rows_of(world, VICTIM)


def rows_of(world: World, project: str) -> list[Any]:
    """Return the project's rows without what time and chance decide: ids, instants, durations in texts."""
    events = world.events(project=project)
    rows: list[Any] = [
        ("event", row["type"], row["room_name"], row["participant_identity"], row["participant_role"], row["outcome"])
        for row in events
        if row["participant_role"] != "agent"
    ]
    for row in world.dispatches(project=project):
        query = "SELECT * FROM dispatch_callers WHERE dispatch_id = :id ORDER BY participant_sid"
        callers = [(one["participant_sid"], one["left_at"] is None) for one in world.rows(query, id=row["id"])]
        query = "SELECT * FROM audit_log WHERE entity_id = :id ORDER BY id"
        story = [
            (one["from_state"], one["to_state"], _CHANGING.sub("…", one["reason"]))
            for one in world.rows(query, id=row["id"])
            if one["from_state"] != one["to_state"]  # the rest depends on when the sweep, which is for both, comes by
        ]
        facts = ("room_sid", "participant_identity", "participant_sid", "status", "cause", "attempts")
        rows.append(("dispatch", *(row[name] for name in facts), row["agent_sid"] is None, callers, story))
    return rows


def story_of(*hostile: Hostile, actions: Sequence[tuple[str, float]] = (("join ana", 0.0), ("join bob", 4.0))) -> Story:
    return Story("participant", withdraw=True, recover=Recover.ALWAYS, actions=actions, hostile=hostile)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@settings(
    max_examples=EXAMPLES or 15,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.generate),
    print_blob=False,
)
@given(story=stories)
@example(story=story_of(Hostile(EventType.ROOM_FINISHED, "ana")))
@example(story=story_of(Hostile(EventType.PARTICIPANT_LEFT, "ana")))
@example(story=story_of(Hostile(EventType.PARTICIPANT_LEFT, "ana", delay=1.5), actions=[
    ("join ana", 0.0), ("worker dies", 4.0)]))  # fmt: skip
@example(story=story_of(Hostile(EventType.PARTICIPANT_LEFT, "agent", after=1), actions=[
    ("join ana", 0.0), ("agent leaves", 4.0)]))  # fmt: skip
@example(story=story_of(Hostile(EventType.ROOM_STARTED, "ana", after=1, is_collision=True)))
@example(story=story_of(Hostile(EventType.ROOM_STARTED, "ana"), Hostile(EventType.ROOM_STARTED, "ana", after=1)))
@example(story=story_of(Hostile(EventType.PARTICIPANT_JOINED, "agent", after=1, delay=1.5)))
def test_a_project_cannot_change_what_happens_in_another(sqlite_template: Path, story: Story) -> None:
    outcomes: list[list[Any]] = []
    for is_attacked in (False, True):
        outcomes.append([])
        with copy_of(sqlite_template) as database:
            run(story, database, outcomes[-1], is_attacked=is_attacked)
    peaceful, attacked = outcomes
    assert attacked == peaceful
