"""What Usher needs of LiveKit, as a protocol; `livekit.py` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.livekit.outcome import Outcome

WebhookJson = Callable[[], Mapping[str, object]]
"""What LiveKit listed, as webhooks write it (protojson): made when asked for, a tenth of a millisecond each."""


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """One CreateDispatch call."""

    room_name: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str | None
    recovered_by_us: bool


@dataclass(frozen=True, slots=True)
class SeenParticipant:
    """A participant as LiveKit lists it; `agent_name` is empty unless it is an agent that says so.

    `joined_at`: seconds since the epoch, 0 if LiveKit does not say.
    """

    sid: str
    identity: str
    kind: str
    active: bool
    agent_name: str
    joined_at: float
    metadata: str
    attributes: Mapping[str, str]
    webhook_json: WebhookJson


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job of a dispatch. Its status is no proof of anything (LIVEKIT.md); its identity is, when it names a guest."""

    id: str
    status: str
    participant_identity: str
    worker_id: str
    error: str


@dataclass(frozen=True, slots=True)
class SeenDispatch:
    """A dispatch as LiveKit lists it. `jobs` may stay empty for up to 5 s after a worker took it."""

    id: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    jobs: Sequence[SeenJob]
    deleted: bool


@dataclass(frozen=True, slots=True)
class SeenRoom:
    """A room session as LiveKit lists it."""

    name: str
    sid: str
    num_participants: int
    webhook_json: WebhookJson


class LiveKitClient(Protocol):
    """One LiveKit project. Questions raise `LiveKitUnavailableError` when they get no answer."""

    @property
    def is_down(self) -> bool:
        """Whether none of the latest calls was answered, so that it is not single calls that fail."""
        ...

    async def create_dispatch(self, request: DispatchRequest) -> Outcome:
        """Ask for an agent; never raises, never repeats the call."""
        ...

    async def delete_dispatch(self, room_name: str, livekit_dispatch_id: str) -> None:
        """Take a dispatch back and end its jobs; one that is gone already is fine."""
        ...

    async def list_dispatches(self, room_name: str) -> list[SeenDispatch]:
        """List the dispatches of a room. On an unknown room LiveKit takes 3 s and answers 503: ask for it first."""
        ...

    async def find_room(self, room_name: str) -> SeenRoom | None:
        """Return the present session under that name."""
        ...

    async def list_rooms(self) -> list[SeenRoom]:
        """List all room sessions."""
        ...

    async def list_participants(self, room_name: str) -> list[SeenParticipant]:
        """List the participants of a room; none when there is no such room."""
        ...

    async def remove_participant(self, room_name: str, identity: str) -> None:
        """Take a participant out of a room; one that has left already is fine."""
        ...

    async def delete_room(self, room_name: str) -> None:
        """Close a room; one that is closed already is fine."""
        ...

    async def create_room(self, room_name: str) -> str:
        """Open a room that closes by itself soon after it empties, for a probe; return its SID."""
        ...
