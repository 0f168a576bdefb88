"""What a look at a room can say about a dispatch, or about something that no dispatch needs."""

from __future__ import annotations

from dataclasses import dataclass

from app.livekit.client import SeenParticipant
from app.outbox.dispatch import Dispatch


@dataclass(frozen=True, slots=True)
class RoomGone:
    """The session the dispatch was made for is over, even if its name is in use again."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class CallersGone:
    """Nobody whom the dispatch serves is in the room any more."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class Arrived:
    """The agent is in the room. For a dispatch that is `joined` already: the job list tells more, or another agent."""

    dispatch: Dispatch
    agent: SeenParticipant
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None


@dataclass(frozen=True, slots=True)
class AgentGone:
    """The agent that had joined is not in the room any more."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class NotOurs:
    """The agent taken for the dispatch's came by another dispatch, says the job list; ours is still awaited."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """LiveKit has our dispatch, whatever the call that made it seemed to say."""

    dispatch: Dispatch
    livekit_dispatch_id: str


@dataclass(frozen=True, slots=True)
class NotYetHere:
    """No agent so far; `detail` says why as far as LiveKit tells.

    `certain` is False while an agent that may be the one is there and the job list is too young to tell whose it is.
    `is_over`: nobody took it, or whoever did has ended his job, so that no agent will come by it later.
    """

    dispatch: Dispatch
    detail: str
    job_id: str | None
    certain: bool
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Stray:
    """A dispatch of ours that nobody needs (any more), with the agents it has brought; the id is empty once deleted."""

    livekit_dispatch_id: str
    agent_identities: tuple[str, ...]
    why: str


Finding = RoomGone | CallersGone | Arrived | AgentGone | NotOurs | WrittenDown | NotYetHere | Stray
