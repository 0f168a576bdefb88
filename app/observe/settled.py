"""Which agents a check of a room has settled: pure."""

from __future__ import annotations

from collections.abc import Collection

from app.db.types import DispatchStatus
from app.observe.compare import JOB_LIST_LAG_S, Finding, Intentions
from app.observe.observation import RoomObservation


def settled_agents(intended: Intentions, seen: RoomObservation, findings: Collection[Finding]) -> frozenset[str]:
    """Return the SIDs of agents about which a later check of the room would find out nothing more.

    They are another application's, or ours with a job that LiveKit lists no longer.
    """
    if findings or any(one.status is not DispatchStatus.JOINED for one in intended.live):
        return frozenset()
    latest = seen.at.timestamp() - JOB_LIST_LAG_S
    return frozenset(
        one.sid
        for one in seen.participants
        if one.is_agent and 0 < one.joined_at <= latest and one.sid not in intended.ghosts
    )
