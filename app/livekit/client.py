"""What Usher needs of LiveKit, as a protocol; `twirp.py` implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.livekit.failures.trouble import Trouble
from app.livekit.outcome import ActionOutcome, Outcome
from app.livekit.participant.role import Role
from app.livekit.vocabulary import ParticipantKind, RestartPolicy

RINGING_TIMEOUT_S: Final = 30
"""Seconds for which LiveKit lets the destination of a transfer ring: its own default, which the call states."""
TRANSFER_TIMEOUT_S: Final = RINGING_TIMEOUT_S + 2.0
"""Seconds after which a transfer has no answer; LiveKit is done with it by then."""

WebhookJson = Callable[[], Mapping[str, object]]
"""Makes the webhook JSON (protojson) of what LiveKit listed; only on demand, since it takes 0.1 ms."""


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """One CreateDispatch call."""

    room_name: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str | None
    restart_policy: RestartPolicy


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """One TransferSIPParticipant call: where the phone call of a participant is to go on."""

    room_name: str
    identity: str
    transfer_to: str


@dataclass(frozen=True, slots=True)
class SeenParticipant:
    """A participant as LiveKit lists it; `agent_name` is empty unless its attributes name an agent.

    `kind`: a `ParticipantKind` if it is known, else its number. `role`: see `participant/role.py`.
    `joined_at`: seconds since the epoch, 0 if unknown.
    """

    sid: str
    identity: str
    kind: str
    role: Role
    active: bool
    agent_name: str
    joined_at: float
    metadata: str
    attributes: Mapping[str, str]
    webhook_json: WebhookJson

    @property
    def is_agent(self) -> bool:
        """Whether it may have come by a dispatch: those have kind AGENT, bots that join by themselves may not."""
        return self.role is Role.AGENT and self.kind == ParticipantKind.AGENT


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job of a dispatch. `status`: a `JobStatus` if it is known, else its number; it proves nothing (README.md).

    `state_reason` says why it is in this state, if the server does: the name of a `JobStateReason`, or its number.

    `participant_identity` proves that the job's agent came, if a participant of that identity is in the room.
    """

    id: str
    status: str
    participant_identity: str
    worker_id: str
    error: str
    state_reason: str = ""


@dataclass(frozen=True, slots=True)
class SeenDispatch:
    """A dispatch as LiveKit lists it. `jobs` may stay empty for up to 5 s after a worker took it.

    `created_at`: seconds since the epoch, 0 if unknown.
    """

    id: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    jobs: Sequence[SeenJob]
    deleted: bool
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SeenRoom:
    """A room session as LiveKit lists it."""

    name: str
    sid: str
    num_participants: int
    webhook_json: WebhookJson


class LiveKitClient(Protocol):
    """One LiveKit project. Reads raise `LiveKitUnavailableError` when LiveKit does not answer."""

    @property
    def is_down(self) -> bool:
        """Whether all of the latest calls have failed or were refused the key, so that it is not only single calls."""
        ...

    @property
    def trouble(self) -> Trouble | None:
        """Why the latest calls failed; None while LiveKit answers."""
        ...

    @property
    def recent_troubles(self) -> tuple[Trouble, ...]:
        """Why calls of the last minute failed, whatever LiveKit has answered since."""
        ...

    @property
    def was_called(self) -> bool:
        """Whether a call has ended since the start, so that no `trouble` means that LiveKit answers."""
        ...

    async def create_dispatch(self, request: DispatchRequest) -> Outcome:
        """Ask for an agent; never raises, never repeats the call."""
        ...

    async def update_attributes(self, room_name: str, identity: str, attributes: Mapping[str, str]) -> None:
        """Set attributes of a participant, an empty one removes it; called once, and says nothing about `is_down`."""
        ...

    async def delete_dispatch(self, room_name: str, livekit_dispatch_id: str) -> None:
        """Delete a dispatch and end its jobs; no error if it is gone already."""
        ...

    async def list_dispatches(self, room_name: str) -> list[SeenDispatch]:
        """Return the dispatches of a room. For an unknown room LiveKit answers 503 after 3 s: find the room first."""
        ...

    async def find_room(self, room_name: str) -> SeenRoom | None:
        """Return the present session of that room name, or None."""
        ...

    async def list_rooms(self) -> list[SeenRoom]:
        """Return all room sessions."""
        ...

    async def list_participants(self, room_name: str) -> list[SeenParticipant]:
        """Return the participants of a room; none if there is no such room."""
        ...

    async def remove_participant(self, room_name: str, identity: str) -> None:
        """Remove a participant from a room; no error if it has left already."""
        ...

    async def remove_once(self, room_name: str, identity: str) -> ActionOutcome:
        """Remove a participant; never raises, never repeats the call: it names an identity, which may join again."""
        ...

    async def transfer_once(self, request: TransferRequest) -> ActionOutcome:
        """Transfer a phone call and return how that ended, within `TRANSFER_TIMEOUT_S`; never raises or repeats it."""
        ...

    async def delete_room(self, room_name: str) -> None:
        """Close a room; no error if it is closed already."""
        ...

    async def create_room(self, room_name: str) -> str:
        """Open a room that closes by itself soon after it empties, for a probe; return its SID."""
        ...
