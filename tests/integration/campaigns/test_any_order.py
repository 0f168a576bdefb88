"""Callers, agents and webhooks in any order: in the end every caller who is there has one agent.

`USHER_EXAMPLES=500 pytest tests/integration/campaigns` tries that many other stories than the fixed ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from app.db.types import Recover
from app.livekit.vocabulary import DisconnectReason
from tests.conftest import Database, copy_of
from tests.simulator import Mishap, Unit
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

EXAMPLES = int(os.environ.get("USHER_EXAMPLES", "0"))
SETTLED_S = 45.0
TOGETHER_S = 12.0
"""How long two agents may meet: one that is leaving or was given up, and the next; the list of jobs is 5 s late."""

CALLERS = ("ana", "bob")
ACTIONS = (
    "join ana",
    "join bob",
    "leave ana",
    "leave bob",
    "agent leaves",
    "worker dies",
    "room closes",
    "webhooks off or on",
)
GAPS = (0.0, 0.05, 0.1, 0.3, 1.0, 4.0)
MISHAPS: tuple[tuple[Mishap, float] | None, ...] = (
    None, None, None, (Mishap.DELAY, 0.1), (Mishap.DELAY, 1.5), (Mishap.DELAY, 4.0),
    (Mishap.DUPLICATE, 0.0), (Mishap.DUPLICATE, 2.0), (Mishap.DROP, 0.0),
)  # fmt: skip


@dataclass(frozen=True)
class Story:
    """What happens, how long after the one before; what becomes of each webhook in turn; the rule."""

    scope: str
    withdraw: bool
    recover: Recover
    actions: Sequence[tuple[str, float]]
    mishaps: Sequence[tuple[Mishap, float] | None]


stories = st.builds(
    Story,
    scope=st.sampled_from(["room", "participant"]),
    withdraw=st.booleans(),
    recover=st.sampled_from(Recover),
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(GAPS)), min_size=1, max_size=8),
    mishaps=st.lists(st.sampled_from(MISHAPS), max_size=20),
)


async def act(world: World, action: str) -> None:
    simulator = world.simulator
    there = simulator.room("room")
    present = set(there.participants) if there is not None else set()
    match action.split():
        case ["join", identity]:
            simulator.join("room", identity)  # again, if there: LiveKit puts the old participant out
        case ["leave", identity] if identity in present:
            simulator.leave("room", identity)
        case ["agent", _] if world.agents("room"):
            simulator.leave("room", world.agents("room")[0], DisconnectReason.CLIENT_INITIATED)
        case ["worker", _]:
            simulator.kill_worker(next(iter(simulator.workers.known("greeter"))))
            simulator.add_worker("greeter")
        case ["room", _] if there is not None:
            simulator.finish_room("room")
        case ["webhooks", *_]:
            simulator.webhook_faults.outage = not simulator.webhook_faults.outage
        case _:
            pass


@in_virtual_time
async def tell(story: Story, database: Database) -> None:
    async with World(database, sweep=5, settings={"USHER_RECOVERY_BUDGET": "20"}) as world:
        world.rule(
            scope=story.scope, withdraw=story.withdraw, recover=story.recover, answer_timeout_s=4, max_attempts=20
        )
        world.simulator.add_worker("greeter")
        faults = world.simulator.webhook_faults
        faults.script(*story.mishaps)
        for action, gap in story.actions:
            await world.wait(gap)
            await act(world, action)
        faults.outage = False
        await world.wait(SETTLED_S)
        judge_end(world, story)


def judge_end(world: World, story: Story) -> None:
    note(world.describe())
    there = world.simulator.room("room")
    present = [identity for identity in CALLERS if there is not None and identity in there.participants]
    unit = Unit(story.scope)
    verdict = world.judge(unit=unit, tolerance=TOGETHER_S)
    assert not verdict.ghosts
    assert not verdict.doubled
    assert not verdict.lost
    wanted = len(present) if unit is Unit.PARTICIPANT else min(1, len(present))
    agents = sorted(world.agents("room"))
    live = world.dispatches(room_sid=there.sid) if there is not None else []
    joined = sorted(row["agent_identity"] for row in live if row["status"] == "joined")
    waiting = [row for row in world.dispatches() if row["status"] in {"pending", "sending", "dispatched"}]
    assert not waiting, "no dispatch waits for ever, or for nothing"
    assert joined == [identity for identity in agents if identity in joined], "who is noted is there"
    left_on_purpose = any(action == "agent leaves" for action, _ in story.actions)
    killed = any(action == "worker dies" for action, _ in story.actions)
    # One that left by itself may have handed its caller over to whoever joined after it.
    is_replaced = story.recover is Recover.ALWAYS and unit is Unit.PARTICIPANT
    if (is_replaced or not left_on_purpose) and (story.recover is not Recover.NEVER or not killed):
        assert len(agents) >= wanted, "every caller who is there has an agent"
        assert len(joined) >= wanted
    if story.withdraw:
        assert len(agents) <= wanted, "no agent stays without a caller"
    assert len(joined) == len(agents), "whose agent is whose is known"


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    print_blob=False,
)
@given(story=stories)
def test_in_the_end_every_caller_has_one_agent(sqlite_template: Path, story: Story) -> None:
    with copy_of(sqlite_template) as database:
        tell(story, database)
