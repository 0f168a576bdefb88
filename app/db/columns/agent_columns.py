"""The columns of `agents` that history records."""

from __future__ import annotations

from typing import Final

RECORDED_OF_AGENTS: Final = (
    "agent_name",
    "max_calls",
    "starts_per_second",
    "out_of_service_until",
    "substitute_agent_name",
    "note",
)
"""What `agent_changes.before` and `after` record of an agent."""
