"""What an observation of a room can say about a dispatch, or about something that no dispatch needs."""

from __future__ import annotations

from dataclasses import dataclass

from app.livekit.client import SeenParticipant
from app.outbox.dispatch import Dispatch


@dataclass(frozen=True, slots=True)
class RoomGone:
    """The session the dispatch was made for is over, even if its name is in use again."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class RoomUnlisted:
    """LiveKit lists no room of that name; that may be its own trouble."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class AgentLost:
    """The agent did not join anew in the time that it had after its LiveKit node was lost.

    `has_substitute`: LiveKit has launched the dispatch of an access token again, and its agent is in the room.
    """

    dispatch: Dispatch
    has_substitute: bool


@dataclass(frozen=True, slots=True)
class CallersGone:
    """None of the callers of the dispatch is in the room any more."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class Arrived:
    """The agent is in the room. For a dispatch that is `joined`: the job list says more, or names another agent."""

    dispatch: Dispatch
    agent: SeenParticipant
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None


@dataclass(frozen=True, slots=True)
class AgentGone:
    """The agent that had joined is not in the room any more.

    `is_displaced`: another agent has joined under its identity, which put it out.
    """

    dispatch: Dispatch
    is_displaced: bool = False


@dataclass(frozen=True, slots=True)
class NotOurs:
    """The job list says that the agent noted for the dispatch came by another one; its own is still awaited."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """LiveKit has our dispatch, whatever the call that made it seemed to say."""

    dispatch: Dispatch
    livekit_dispatch_id: str


@dataclass(frozen=True, slots=True)
class NotYetHere:
    """No agent so far; `detail` says why, as far as LiveKit shows it.

    `certain` is False while an agent that may be the one is there and the job list is too young to say whose it is.
    `is_over`: no worker took it, or its jobs have ended, so that no agent will come by it later.
    `is_futile`: LiveKit says that no worker can take it now, though one may later.
    """

    dispatch: Dispatch
    detail: str
    job_id: str | None
    certain: bool
    is_over: bool = False
    is_futile: bool = False


@dataclass(frozen=True, slots=True)
class Stray:
    """A dispatch of ours that is not needed (any more), with its agents; the id is empty once it is deleted."""

    livekit_dispatch_id: str
    agents: tuple[SeenParticipant, ...]
    why: str

    @property
    def agent_identities(self) -> tuple[str, ...]:
        """The identities of its agents."""
        return tuple(agent.identity for agent in self.agents)


Finding = (
    RoomGone | RoomUnlisted | AgentLost | CallersGone | Arrived | AgentGone | NotOurs | WrittenDown | NotYetHere | Stray
)
