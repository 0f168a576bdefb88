"""Each replica's clock offset and LiveKit state, its own and from heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.db.database_clock import machine_ahead_s
from app.flows.context import Context
from app.incidents.conditions.livekit_troubles import LiveKitState
from app.livekit.failures.trouble import Trouble

HeartbeatDetails = Mapping[str, Mapping[str, Any]]
"""By name what each process that serves with this database says of itself: `heartbeat_details`."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One process that serves; `ahead_s`: by how many seconds its machine's clock is ahead of the database's."""

    name: str
    ahead_s: float
    livekit: tuple[LiveKitState, ...]


def own_state(context: Context) -> ReplicaState:
    """Return the state of this process."""
    states = [
        LiveKitState(context.owner, name, one.was_called, one.trouble, one.recent_troubles)
        for name, one in context.clients.items()
    ]
    return ReplicaState(context.owner, machine_ahead_s(context.clock), tuple(states))


def to_heartbeat(state: ReplicaState) -> dict[str, Any]:
    """Return what other replicas are to know of this one."""
    livekit = {
        one.project: {
            "was_called": one.was_called,
            "trouble": None if one.trouble is None else one.trouble.to_json(),
            "recent": [trouble.to_json() for trouble in one.recent],
        }
        for one in state.livekit
    }
    return {"ahead_s": round(state.ahead_s, 3), "livekit": livekit}


def served_projects(details: HeartbeatDetails, context: Context) -> set[str]:
    """Return the LiveKit projects that this process or another that serves with this database has configured."""
    return set(context.clients).union(*(detail.get("livekit", ()) for detail in details.values()))


def states_of_others(details: HeartbeatDetails, context: Context) -> list[ReplicaState]:
    """Return the states of all other processes that serve with this database."""
    return [_from_heartbeat(name, detail, context) for name, detail in details.items() if name != context.owner]


def _from_heartbeat(name: str, detail: Mapping[str, Any], context: Context) -> ReplicaState:
    livekit = [
        LiveKitState(
            name,
            project,
            bool(one["was_called"]),
            one["trouble"] and Trouble.from_json(one["trouble"]),
            tuple(Trouble.from_json(trouble) for trouble in one.get("recent", ())),  # older versions write none
        )
        for project, one in detail.get("livekit", {}).items()
        if project in context.clients
    ]
    return ReplicaState(name, float(detail.get("ahead_s", 0.0)), tuple(livekit))
