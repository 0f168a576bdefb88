"""LiveKit's own answers, by its server SDK: the judge of what really happened. And access tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import jwt
from livekit import api
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo, Room

from tests.harness.livekit.endpoint import Endpoint

Answer = TypeVar("Answer")

AGENT = ParticipantInfo.Kind.AGENT
AGENT_NAME_ATTRIBUTES = ("lk.agent_name", "lk.agent.name")


def agent_name_of(participant: ParticipantInfo) -> str:
    """Return the name under which this agent was dispatched (server's attribute first, then the SDK's)."""
    return next((participant.attributes[key] for key in AGENT_NAME_ATTRIBUTES if key in participant.attributes), "")


class Administration:
    """The server API of one LiveKit server, call by call, without the event loop in the tests' way.

    `api_secret` stands in for the server's own, for who has a wrong one.
    """

    def __init__(self, server: Endpoint, *, api_secret: str | None = None) -> None:
        self.server = server
        self._api_secret = api_secret or server.api_secret

    def _ask(self, call: Callable[[api.LiveKitAPI], Awaitable[Answer]]) -> Answer:
        async def ask() -> Answer:
            server = self.server
            async with api.LiveKitAPI(server.http_url, server.api_key, self._api_secret) as livekit:
                return await call(livekit)

        return asyncio.run(ask())

    # Rooms and who is in them

    def create_room(self, name: str, **settings: Any) -> Room:
        return self._ask(lambda livekit: livekit.room.create_room(api.CreateRoomRequest(name=name, **settings)))

    def delete_room(self, name: str) -> None:
        self._ask(lambda livekit: livekit.room.delete_room(api.DeleteRoomRequest(room=name)))

    def room_names(self) -> set[str]:
        answer = self._ask(lambda livekit: livekit.room.list_rooms(api.ListRoomsRequest()))
        return {room.name for room in answer.rooms}

    def participants(self, room: str) -> list[ParticipantInfo]:
        """Return the participants of `room`; none when there is no such room."""
        try:
            answer = self._ask(lambda livekit: livekit.room.list_participants(api.ListParticipantsRequest(room=room)))
        except api.TwirpError as error:
            if error.code == api.TwirpErrorCode.NOT_FOUND:
                return []
            raise
        return list(answer.participants)

    def agents(self, room: str, agent_name: str | None = None) -> list[ParticipantInfo]:
        """Return the agents who are active in `room`, all or those of one name."""
        return [
            each
            for each in self.participants(room)
            if each.kind == AGENT
            and each.state == ParticipantInfo.State.ACTIVE
            and agent_name in {None, agent_name_of(each)}
        ]

    def update_participant(
        self, room: str, identity: str, *, metadata: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        request = api.UpdateParticipantRequest(
            room=room, identity=identity, metadata=metadata, attributes=dict(attributes or {})
        )
        self._ask(lambda livekit: livekit.room.update_participant(request))

    def remove_participant(self, room: str, identity: str) -> None:
        request = api.RoomParticipantIdentity(room=room, identity=identity)
        self._ask(lambda livekit: livekit.room.remove_participant(request))

    # Dispatches

    def create_dispatch(
        self, room: str, agent_name: str, metadata: object, *, attributes: Mapping[str, str] | None = None
    ) -> AgentDispatch:
        request = api.CreateAgentDispatchRequest(
            room=room, agent_name=agent_name, metadata=json.dumps(metadata), attributes=dict(attributes or {})
        )
        return self._ask(lambda livekit: livekit.agent_dispatch.create_dispatch(request))

    def dispatches(self, room: str) -> list[AgentDispatch]:
        """Return the dispatches of named agents; an unknown room raises, as LiveKit does."""
        listed = self._ask(lambda livekit: livekit.agent_dispatch.list_dispatch(room))
        return [each for each in listed if each.agent_name]

    def jobs(self, room: str, dispatch_id: str) -> list[Job]:
        return [job for each in self.dispatches(room) if each.id == dispatch_id for job in each.state.jobs]

    def delete_dispatch(self, room: str, dispatch_id: str) -> None:
        self._ask(lambda livekit: livekit.agent_dispatch.delete_dispatch(dispatch_id, room))

    # Access tokens

    def token(
        self,
        identity: str,
        room: str,
        *,
        metadata: object = None,
        attributes: Mapping[str, str] | None = None,
        name: str = "",
        kind: str = "standard",
        kind_details: Sequence[str] = (),
        grants: Collection[str] = (),
        dispatches: Sequence[api.RoomAgentDispatch] = (),
    ) -> str:
        """Return an access token; `metadata` goes in as it is when it is text, else as JSON.

        `kind` `sip` makes the server treat the participant as a phone caller. `grants` are names of `VideoGrants`
        (`agent`, `hidden`, `recorder`) besides the usual. `dispatches` go into the token's room
        configuration, as a token server does that wants LiveKit to send agents.
        """
        token = (
            api.AccessToken(self.server.api_key, self._api_secret)
            .with_identity(identity)
            .with_name(name)
            .with_kind(kind)  # type: ignore[arg-type]  # a Literal there
            .with_grants(
                api.VideoGrants(
                    room_join=True,
                    room=room,
                    can_update_own_metadata=True,
                    agent="agent" in grants,
                    hidden="hidden" in grants,
                    recorder="recorder" in grants,
                )
            )
        )
        if metadata is not None:
            token = token.with_metadata(metadata if isinstance(metadata, str) else json.dumps(metadata))
        if attributes:
            token = token.with_attributes(dict(attributes))
        if dispatches:
            token = token.with_room_config(api.RoomConfiguration(agents=dispatches))
        if not kind_details:
            return token.to_jwt()
        # The SDK has no method for it: LiveKit Cloud sets it on participants that it copies or makes.
        claims = jwt.decode(token.to_jwt(), self._api_secret, algorithms=["HS256"])
        return jwt.encode({**claims, "kindDetails": list(kind_details)}, self._api_secret, algorithm="HS256")
