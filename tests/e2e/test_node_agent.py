"""An agent of LiveKit's Node SDK: dispatched, known and greeted by like one of the Python SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.harness.livekit.participants import Participant
from tests.harness.scene import Scene


def test_an_agent_of_the_node_sdk_comes(
    site: Scene, node_sdk: Path, note_arrival: Callable[[Participant], None]
) -> None:
    site.start_node_worker(node_sdk, "node-agent")
    site.usher.add_rule("node", {"room": {"name": ["node"]}}, "node-agent")
    ana = site.join("ana", "node", name="Ana")
    assert ana.wait_for_greeting(within=30) == "Hello Ana, this is Node."
    note_arrival(ana)
    dispatch = site.usher.wait_for_dispatch(room="node", identity="ana")
    [agent] = site.livekit.agents("node", "node-agent")
    assert dispatch["agent_identity"] == agent.identity
    assert agent.identity.startswith("agent-AJ_")
    assert agent.attributes["lk.agent.name"] == agent.attributes["lk.agent_name"] == "node-agent"
    assert json.loads(agent.attributes["job_metadata"])["rule"] == "node"
