"""A queue on the real LiveKit: a caller waits for a place, is told the position, and is served when it is free."""

from __future__ import annotations

from tests.harness.livekit.participants import Participant
from tests.harness.polling import eventually
from tests.harness.scene import Scene

START_SECONDS = 15.0  # what an agent may need from its dispatch to its greeting, on a busy machine
HALL = {"room": {"name": [{"prefix": "hall"}]}}


def announced(caller: Participant) -> list[dict[str, str]]:
    """Return what was announced to a caller, each change once."""
    names = ("usher.state", "usher.position")
    seen = [{name: one[name] for name in names if one.get(name)} for one in caller.own_attributes()]
    return [one for place, one in enumerate(seen) if one and (place == 0 or one != seen[place - 1])]


def test_the_next_caller_is_served_when_the_one_before_leaves(site: Scene) -> None:
    site.start_worker("single")
    site.usher.change("INSERT INTO agents (agent_name, max_calls) VALUES ('single', 1)")
    site.usher.add_rule("hall", HALL, "single", announce=True)
    first = site.join("ana", "hall-1")
    first.wait_for_greeting(within=START_SECONDS)
    connected = {"usher.state": "connected"}
    eventually(lambda: connected in announced(first), within=START_SECONDS, what="the agent is announced")

    second = site.join("ben", "hall-2")
    queued = {"usher.state": "queued", "usher.position": "1"}
    eventually(lambda: queued in announced(second), within=START_SECONDS, what="the position is announced")
    third = site.join("eva", "hall-3")
    behind = {"usher.state": "queued", "usher.position": "2"}
    eventually(lambda: behind in announced(third), within=START_SECONDS, what="the position is announced")
    assert site.livekit.agents("hall-2") == []

    first.leave()
    second.wait_for_greeting(within=START_SECONDS)
    eventually(lambda: connected in announced(second), within=START_SECONDS, what="the agent is announced")
    eventually(lambda: queued in announced(third), within=START_SECONDS, what="the queue has moved")
    assert announced(second).index(queued) < announced(second).index(connected)
    assert site.livekit.agents("hall-3") == []

    second.leave()
    third.wait_for_greeting(within=START_SECONDS)
    for room in ("hall-1", "hall-2", "hall-3"):
        assert len(site.usher.dispatches(room=room)) == 1
