"""What a LiveKit server holds in memory: rooms, participants, dispatches and their jobs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from app.livekit.vocabulary import DisconnectReason, JobStatus, ParticipantKind
from app.simulator.schedule import Timer

_ALPHABET = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
# From any byte to a letter: a hundred thousand names a second would be half of a benchmark's time otherwise.
_LETTERS = (_ALPHABET * 5)[:256]


class Presence(IntEnum):
    """`ParticipantInfo.State`."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


@dataclass(frozen=True, slots=True)
class Grants:
    """What a participant's access token allows beyond the usual (`ParticipantPermission`)."""

    agent: bool = False
    recorder: bool = False
    hidden: bool = False


@dataclass(slots=True)
class Track:
    sid: str
    name: str
    published_at: datetime


@dataclass(slots=True)
class Participant:
    sid: str
    identity: str
    kind: str
    joined_at: datetime
    name: str = ""
    metadata: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    presence: Presence = Presence.JOINING
    version: int = 1
    tracks: list[Track] = field(default_factory=list)
    leave_reason: DisconnectReason = DisconnectReason.UNKNOWN_REASON
    pending: Timer | None = None
    """What makes it ACTIVE, or gives up on it."""
    grants: Grants = field(default_factory=Grants)
    kind_details: tuple[str, ...] = ()
    """Names of `ParticipantInfo.KindDetail`."""
    ghost: bool = False
    """Its node is lost: Redis lists it as it was, no node knows it, and no webhook will say that it is gone."""
    unlisted: bool = False
    """Redis lost it: connected, and not in ListParticipants."""

    @property
    def dependent(self) -> bool:
        """Whether a room with only such in it counts as empty."""
        if self.kind in (ParticipantKind.AGENT, ParticipantKind.EGRESS):
            return True
        return self.grants.agent or self.grants.recorder


@dataclass(slots=True)
class Job:
    id: str
    dispatch_id: str
    worker_id: str
    identity: str
    status: JobStatus
    assigned_at: datetime
    updated_at: datetime
    listed_from: float
    """Monotonic seconds; before, ListDispatch does not show it."""
    error: str = ""
    reason: str = ""
    """Name of a `JobStateReason`; a self-hosted server gives none."""
    ended_at: datetime | None = None
    sid: str = ""
    """The agent's participant SID once it has come to the room."""
    coming: Timer | None = None
    """Its joining, while that is scheduled."""

    @property
    def running(self) -> bool:
        return self.status is JobStatus.RUNNING


@dataclass(frozen=True, slots=True)
class DispatchOrder:
    """The request of CreateDispatch."""

    agent_name: str
    metadata: str = ""
    attributes: Mapping[str, str] | None = None
    deployment: str = ""
    restart_policy: int = 0


@dataclass(slots=True)
class Dispatch:
    id: str
    room_name: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str
    restart_policy: int
    created_at: datetime
    names_known: float = 0.0
    """Monotonic seconds: when the server will know all its workers' names, and list this dispatch's jobs."""
    jobs: list[Job] = field(default_factory=list)
    deleted: bool = False


@dataclass(slots=True)
class Room:
    sid: str
    name: str
    created_at: datetime
    turn_password: str
    empty_timeout: float
    departure_timeout: float
    max_participants: int = 0
    metadata: str = ""
    by_dispatch: bool = False
    """Opened by CreateDispatch, not by a participant or by CreateRoom."""
    ever_joined: bool = False
    on_node: bool = True
    """False: its node is lost; Redis has the room, and whoever needs it next makes it again with the same SID."""
    lost_at: float = float("-inf")
    """Monotonic seconds: when its node was lost."""
    unlisted: bool = False
    """Redis lost it: it lives on its node, and is not in ListRooms."""
    own_dispatches: tuple[DispatchOrder, ...] = ()
    """Of its configuration (the token that opened it); launched again each time that the room is made."""
    participants: dict[str, Participant] = field(default_factory=dict)
    dispatches: dict[str, Dispatch] = field(default_factory=dict)
    closing: Timer | None = None

    def connected(self) -> list[Participant]:
        """Return the participants that its node knows."""
        return [each for each in self.participants.values() if not each.ghost]

    def independent(self) -> list[Participant]:
        """Return the participants that keep the room open."""
        return [each for each in self.connected() if not each.dependent]


class Identifiers:
    """Names as LiveKit makes them: a prefix and twelve characters. A seed makes them repeatable."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str) -> str:
        return prefix + self._letters(12)

    def password(self) -> str:
        return self._letters(44)

    def _letters(self, count: int) -> str:
        return self._random.randbytes(count).translate(_LETTERS).decode("ascii")
