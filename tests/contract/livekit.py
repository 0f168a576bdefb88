"""One interface to the simulated LiveKit and to the real server, for contract tests.

Both are called through LiveKit's own SDK over HTTP, and both post their webhooks to the same kind of receiver.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from livekit import api
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo

from tests.harness.network.relay import Relay
from tests.harness.polling import GIVE_UP_S

WorkerKind = Literal[
    "greet",
    "refuse",
    "stall",
    "own_identity",
    "speak",
    "session",
    "finish",
    "raise",
    "remove_itself",
    "delete_room",
]
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Connection:
    """One participant's connection to a room."""

    identity: str
    sid: str
    room: str
    room_sid: str


class LiveKit(Protocol):
    """One server, its participants and its workers. `tempo`: how long a second of the real server is here."""

    key: str
    secret: str
    relay: Relay

    @property
    def tempo(self) -> float: ...

    @property
    def url(self) -> str: ...

    async def join(
        self,
        identity: str,
        room: str,
        *,
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        kind: str = "standard",
        kind_details: Sequence[str] = (),
        grants: Collection[str] = (),
        dispatches: Sequence[api.RoomAgentDispatch] = (),
    ) -> Connection:
        """Let a participant join; returns when it is ACTIVE. `grants`: `agent`, `hidden`, `recorder`."""
        ...

    async def publish_audio(self, connection: Connection) -> None: ...

    async def leave(self, connection: Connection) -> None: ...

    async def start_worker(self, agent_name: str, kind: WorkerKind = "greet") -> None:
        """Return when the server knows the worker. It may be one that an earlier test has started."""
        ...

    async def kill_worker(self, agent_name: str) -> None: ...

    async def restart(self) -> None:
        """Kill the server and start it again."""
        ...


class LiveKitWithRedis(LiveKit, Protocol):
    """A server that keeps its rooms in a Redis."""

    async def crash(self) -> None:
        """Kill server, callers and workers at once, and start the server again: nobody comes back by themselves."""
        ...

    async def lose_redis(self) -> None:
        """Empty the Redis under the running server."""
        ...

    async def stop_redis(self) -> None: ...


class Calls:
    """The calls that contract tests make, through LiveKit's own SDK."""

    def __init__(self, livekit: LiveKit, client: api.LiveKitAPI) -> None:
        self.livekit = livekit
        self.client = client

    def seconds(self, real: float) -> float:
        """Return what `real` seconds of the real server are here."""
        return real * self.livekit.tempo

    async def eventually(self, poll: Callable[[], Awaitable[Seen]], *, within: float, what: str) -> Seen:
        """Return the first truthy answer; fail after `within` real server's seconds, and at least GIVE_UP_S of ours."""
        deadline = asyncio.get_running_loop().time() + max(GIVE_UP_S, self.seconds(within))
        while True:
            late = asyncio.get_running_loop().time() >= deadline
            seen = await poll()
            if seen:
                return seen
            assert not late, f"{what}: not within {within:g} s; last seen: {seen!r}"
            await asyncio.sleep(0.01)

    async def never(self, poll: Callable[[], Awaitable[object]], *, during: float, what: str) -> None:
        """Fail as soon as `poll` answers something truthy; watch for `during` of the real server's seconds."""
        deadline = asyncio.get_running_loop().time() + self.seconds(during)
        while asyncio.get_running_loop().time() < deadline:
            seen = await poll()
            assert not seen, f"{what}: seen {seen!r}"
            await asyncio.sleep(self.seconds(0.2))

    async def dispatch(
        self, room: str, agent_name: str, metadata: object = None, attributes: Mapping[str, str] | None = None
    ) -> AgentDispatch:
        request = api.CreateAgentDispatchRequest(
            room=room, agent_name=agent_name, metadata=json.dumps(metadata or {}), attributes=attributes
        )
        return await self.client.agent_dispatch.create_dispatch(request)

    async def dispatches(self, room: str) -> list[AgentDispatch]:
        """Return the dispatches of named agents."""
        return [each for each in await self.client.agent_dispatch.list_dispatch(room) if each.agent_name]

    async def jobs(self, room: str, dispatch_id: str) -> list[Job]:
        return [job for each in await self.dispatches(room) if each.id == dispatch_id for job in each.state.jobs]

    async def participants(self, room: str) -> list[ParticipantInfo]:
        answer = await self.client.room.list_participants(api.ListParticipantsRequest(room=room))
        return list(answer.participants)

    async def agents(self, room: str) -> list[ParticipantInfo]:
        return [
            each
            for each in await self.participants(room)
            if each.kind == ParticipantInfo.Kind.AGENT and each.state == ParticipantInfo.State.ACTIVE
        ]

    async def room_names(self) -> set[str]:
        answer = await self.client.room.list_rooms(api.ListRoomsRequest())
        return {room.name for room in answer.rooms}

    async def webhooks(
        self, event: str, room: str, identity: str | None = None, *, times: int = 1
    ) -> list[dict[str, object]]:
        """Return the webhooks of that type once there are `times` of them."""

        async def poll() -> list[dict[str, object]]:
            found = [each.webhook for each in self.livekit.relay.deliveries(event, room=room, identity=identity)]
            return found if len(found) >= times else []

        return await self.eventually(poll, within=30, what=f"{event} ({times} of them) about {identity} in {room}")
