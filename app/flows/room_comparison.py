"""Compares a room with the database outside of the writer, which a room of thousands would hold up.

What is found is written later, in transactions of the writer, and only as far as it is still true then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from app.db.any_of import any_of
from app.db.tables import dispatches
from app.flows.context import Context
from app.livekit.client import SeenParticipant
from app.observe.compare import (
    AgentGone,
    Arrived,
    CallersGone,
    Finding,
    Intentions,
    RoomGone,
    Stray,
    WrittenDown,
    compare,
)
from app.observe.intentions import read_intentions
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import read_locked, waiting_callers
from app.outbox.room_session import callers_since

_NOTED = select(dispatches.c.id, dispatches.c.agent_sid, dispatches.c.project, dispatches.c.status).where(
    dispatches.c.agent_sid.is_not(None), any_of(dispatches.c.agent_sid, "agent_sids")
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What LiveKit showed of a room, what was stored about it right after that, and what follows from both."""

    seen: RoomObservation
    intended: Intentions
    findings: Sequence[Finding]
    by_sid: dict[str, SeenParticipant] = field(default_factory=dict)
    """Who is in the room."""
    by_dispatch: dict[str, Arrived | WrittenDown] = field(default_factory=dict)
    """What LiveKit has of a dispatch that waits."""

    def __post_init__(self) -> None:
        ghosts = self.intended.ghosts
        self.by_sid.update((one.sid, one) for one in self.seen.participants if one.sid not in ghosts)
        for finding in self.findings:
            if isinstance(finding, Arrived | WrittenDown):
                self.by_dispatch[finding.dispatch.id] = finding

    def present(self, newcomers: Collection[str]) -> set[str]:
        """Return the SIDs of those who are in the room; `newcomers` were reported after it was asked for."""
        return self.by_sid.keys() | set(self.intended.newcomers) | set(newcomers)


async def compare_room(context: Context, seen: RoomObservation) -> Comparison:
    """Return the comparison of `seen` with what is committed now; made in a thread."""
    return await context.read(lambda connection: _compare(connection, seen))


def _compare(connection: Connection, seen: RoomObservation) -> Comparison:
    intended = read_intentions(connection, seen)
    return Comparison(seen, intended, compare(intended, seen))


def still_true(
    connection: Connection, comparison: Comparison, findings: Sequence[Finding]
) -> tuple[list[Finding], set[str]]:
    """Return those of `findings` whose dispatches have not changed since, locked, and who is in the room by now.

    Strays are none of a dispatch: what they say held when the comparison was made, and is checked before an agent is
    removed.
    """
    ids = {one.dispatch.id for one in findings if not isinstance(one, Stray)}
    now = read_locked(connection, ids)
    present = comparison.present(callers_since(connection, ids, comparison.seen.at))
    served = waiting_callers(connection, {one.dispatch.id for one in findings if isinstance(one, CallersGone)})
    noted = _noted(connection, comparison.seen, [one for one in findings if isinstance(one, Arrived)])
    leaving = {one.dispatch.id for one in findings if isinstance(one, AgentGone)}
    noted = {sid: dispatch_id for sid, dispatch_id in noted.items() if dispatch_id not in leaving}
    valid: list[Finding] = []
    for finding in findings:
        if not isinstance(finding, Stray):
            dispatch = finding.dispatch
            if now.get(dispatch.id) != dispatch:
                continue
            if isinstance(finding, CallersGone) and not present.isdisjoint(served.get(dispatch.id, ())):
                continue
            if isinstance(finding, Arrived) and noted.get(finding.agent.sid, dispatch.id) != dispatch.id:
                continue
        valid.append(finding)
    return valid, present


def about_one(connection: Connection, comparison: Comparison, current: Dispatch) -> list[Finding]:
    """Return what the comparison says of one dispatch as it is `current`, which it may not have known: in few steps.

    Whether its agent is there, or LiveKit has it, is said as of the comparison.
    """
    seen = comparison.seen
    served = waiting_callers(connection, [current.id])
    newcomers = callers_since(connection, [current.id], seen.at)
    callers = tuple(comparison.by_sid[sid] for sid in served.get(current.id, ()) if sid in comparison.by_sid)
    intended = Intentions([current], served, newcomers)
    findings = compare(intended, replace(seen, participants=callers, dispatches=None))
    known = comparison.by_dispatch.get(current.id)
    if known is None or any(isinstance(one, RoomGone | CallersGone) for one in findings):
        return findings
    if isinstance(known, Arrived) and _noted(connection, seen, [known]).get(known.agent.sid, current.id) != current.id:
        return findings
    return [*findings, replace(known, dispatch=current)]


def _noted(connection: Connection, seen: RoomObservation, arrivals: Collection[Arrived]) -> dict[str, str]:
    """Return by the SIDs of agents that have arrived the live dispatches that they are noted for by now."""
    if not arrivals:
        return {}
    rows = connection.execute(_NOTED, {"agent_sids": {one.agent.sid for one in arrivals}})
    return {row.agent_sid: row.id for row in rows if row.project == seen.project and row.status == "joined"}
