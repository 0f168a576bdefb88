"""What an agent does in its room once it has arrived: publish, close its session, say a last word, leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.livekit.vocabulary import DisconnectReason
from app.simulator.agents.workers import Behaviour
from app.simulator.entities import Participant, Presence, Room
from app.simulator.ledger import Ledger
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule
from app.simulator.timing import Timing

CLOSES_SESSION = frozenset(
    {DisconnectReason.CLIENT_INITIATED, DisconnectReason.ROOM_DELETED, DisconnectReason.USER_REJECTED}
)
"""Leavings of its caller after which an `AgentSession` closes. Source: livekit-agents, `voice/room_io`."""


@dataclass(slots=True)
class _Session:
    agent: Participant
    caller: str | None
    """Identity of the participant it talks with."""


@dataclass(slots=True)
class AgentStays:
    """Carries out the part of a worker's behaviour that is its agent's."""

    schedule: Schedule
    timing: Timing
    rooms: Rooms
    ledger: Ledger
    _sessions: dict[str, _Session] = field(default_factory=dict)
    """Open ones that end with their caller, by participant SID of the agent."""

    def __post_init__(self) -> None:
        self.rooms.left.append(self._close_sessions)

    def begin(self, room: Room, agent: Participant, behaviour: Behaviour) -> None:
        """Start what `behaviour` says for an agent that has just arrived."""
        if behaviour.publishes_after is not None:
            self.schedule.call_later(behaviour.publishes_after, lambda: self._publish(room, agent))
        if behaviour.session_ends_with_caller:
            callers = [each for each in room.independent() if each.presence is Presence.ACTIVE]
            self._sessions[agent.sid] = _Session(agent, callers[0].identity if callers else None)
        if behaviour.leaves_after is not None:
            self.schedule.call_later(behaviour.leaves_after, lambda: self._leave(room, agent, behaviour))

    def time_out(self, room: Room, agent: Participant) -> None:
        """Let an agent whose process is dead leave once its connection has timed out."""
        if agent.pending is not None:
            agent.pending.cancel()
        agent.pending = self.schedule.call_later(
            self.timing.connection_timeout, lambda: self.rooms.leave(room, agent, DisconnectReason.CONNECTION_TIMEOUT)
        )

    def _there(self, room: Room, agent: Participant) -> bool:
        return not agent.ghost and room.participants.get(agent.identity) is agent

    def _publish(self, room: Room, agent: Participant) -> None:
        if self._there(room, agent):
            self.rooms.publish_track(room, agent)

    def _leave(self, room: Room, agent: Participant, behaviour: Behaviour) -> None:
        if not self._there(room, agent):
            return
        if behaviour.says_on_leaving:
            self.rooms.update(agent, attributes=behaviour.says_on_leaving)
        if behaviour.leaves_with is DisconnectReason.CONNECTION_TIMEOUT:
            self.ledger.agent_gone(agent.sid, self.schedule.monotonic(), "KILLED")
            self.time_out(room, agent)
        elif behaviour.leaves_with is DisconnectReason.ROOM_DELETED:
            self.rooms.finish(room, DisconnectReason.ROOM_DELETED)
        else:
            self.rooms.leave(room, agent, behaviour.leaves_with)

    def _close_sessions(self, room: Room, participant: Participant) -> None:
        self._sessions.pop(participant.sid, None)
        if participant.dependent or participant.leave_reason not in CLOSES_SESSION:
            return
        for agent in room.connected():
            session = self._sessions.get(agent.sid)
            if session is not None and session.caller in (None, participant.identity):
                del self._sessions[agent.sid]
                self.ledger.agent_mute(agent.sid, self.schedule.monotonic())
