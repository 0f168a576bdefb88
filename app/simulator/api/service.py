"""The answers of AgentDispatchService, RoomService and SIP, as livekit-server 1.13.5 gives them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from livekit.protocol import agent_dispatch as dispatch_protocol
from livekit.protocol import models
from livekit.protocol import room as room_protocol
from livekit.protocol import sip as sip_protocol

from app.livekit.vocabulary import DisconnectReason
from app.simulator.api.access import Grants
from app.simulator.api.messages import dispatch_message, participant_message, room_message
from app.simulator.dispatches import Dispatches
from app.simulator.entities import Dispatch, DispatchOrder, Participant, Room
from app.simulator.phones import STATUS, Phones
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule
from app.simulator.timing import Limits, Timing

_LISTED_AT_ONCE = 250
_DEPLOYMENT = re.compile(r"[A-Za-z0-9.-]{0,63}")


class ServiceError(Exception):
    """An answer that is an error: a Twirp code, LiveKit's text, and what it adds to them."""

    def __init__(self, code: str, message: str, details: Mapping[str, str] | None = None) -> None:
        self.code = code
        self.message = message
        self.details = details or {}
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Call:
    """What a method gets besides its request."""

    grants: Grants
    asked: float
    request_id: str = ""


@dataclass(slots=True)
class Service:
    """The methods by name, in `app.simulator.methods`; each raises ServiceError or returns its message."""

    schedule: Schedule
    timing: Timing
    rooms: Rooms
    dispatches: Dispatches
    phones: Phones
    limits: Limits = field(default_factory=Limits)
    keeps_attributes: bool = True
    """False: a server before 1.13.2, which silently drops the attributes of dispatches."""
    nodes_unknown_until: float = float("-inf")
    """Monotonic seconds: until then Redis knows no node, for it has lost its data."""

    async def create_dispatch(
        self, request: dispatch_protocol.CreateAgentDispatchRequest, call: Call
    ) -> dispatch_protocol.AgentDispatch:
        _need(call.grants.administrates(request.room))
        if not _DEPLOYMENT.fullmatch(request.deployment):
            raise ServiceError("invalid_argument", "invalid deployment")
        self._check_sizes(request.metadata, request.attributes)
        await self._need_node(request.room)
        order = DispatchOrder(
            request.agent_name,
            request.metadata,
            dict(request.attributes),
            request.deployment,
            request.restart_policy,
        )
        dispatch = self.dispatches.create(request.room, order, asked=call.asked, request_id=call.request_id)
        return self._dispatch(dispatch)

    async def list_dispatch(
        self, request: dispatch_protocol.ListAgentDispatchRequest, call: Call
    ) -> dispatch_protocol.ListAgentDispatchResponse:
        _need(call.grants.administrates(request.room))
        room = await self._room_of_dispatches(request.room)
        wanted = [d for d in room.dispatches.values() if request.dispatch_id in ("", d.id)]
        return dispatch_protocol.ListAgentDispatchResponse(agent_dispatches=[self._dispatch(d) for d in wanted])

    async def delete_dispatch(
        self, request: dispatch_protocol.DeleteAgentDispatchRequest, call: Call
    ) -> dispatch_protocol.AgentDispatch:
        _need(call.grants.administrates(request.room))
        room = await self._room_of_dispatches(request.room)
        dispatch = self.dispatches.delete(room, request.dispatch_id)
        if dispatch is None:
            raise ServiceError("not_found", "dispatch ID not found")
        return self._dispatch(dispatch)

    def list_rooms(self, request: room_protocol.ListRoomsRequest, call: Call) -> room_protocol.ListRoomsResponse:
        _need(call.grants.room_list)
        rooms = [room for room in self.rooms.by_name.values() if not room.unlisted]
        wanted = set(request.names)
        return room_protocol.ListRoomsResponse(
            rooms=[room_message(room) for room in rooms if not wanted or room.name in wanted]
        )

    async def list_participants(
        self, request: room_protocol.ListParticipantsRequest, call: Call
    ) -> room_protocol.ListParticipantsResponse:
        """No participants, and no error, for an unknown room; ghosts as they were: it is the store that answers."""
        _need(call.grants.administrates(request.room))
        room = self.rooms.stored(request.room)
        people = [each for each in room.participants.values() if not each.unlisted] if room is not None else []
        answer = room_protocol.ListParticipantsResponse()
        for start in range(0, len(people), _LISTED_AT_ONCE):
            if start:
                await asyncio.sleep(0)  # a real server answers other calls meanwhile
            answer.participants.extend(participant_message(each) for each in people[start : start + _LISTED_AT_ONCE])
        return answer

    def get_participant(self, request: room_protocol.RoomParticipantIdentity, call: Call) -> models.ParticipantInfo:
        return participant_message(self._participant(request.room, request.identity, call)[1])

    async def remove_participant(
        self, request: room_protocol.RoomParticipantIdentity, call: Call
    ) -> room_protocol.RemoveParticipantResponse:
        """Remove a participant; a ghost cannot be removed, for no node serves it."""
        room, participant = self._participant(request.room, request.identity, call)
        await self._need_connected(participant)
        self.rooms.leave(room, participant, DisconnectReason.PARTICIPANT_REMOVED)
        return room_protocol.RemoveParticipantResponse()

    async def transfer_sip_participant(
        self, request: sip_protocol.TransferSIPParticipantRequest, call: Call
    ) -> sip_protocol.TransferSIPParticipantResponse:
        """Transfer a phone call and answer when that has ended, as livekit-sip does for REFER."""
        _need(call.grants.sip_call)
        room, participant = self._participant(request.room_name, request.participant_identity, call)
        if not request.transfer_to.startswith(("tel:", "sip:")):
            raise ServiceError("invalid_argument", "transfer_to must be a tel: or sip: URI")
        if STATUS not in participant.attributes:
            raise ServiceError("internal", "no SIP session associated with participant")
        if participant.attributes[STATUS] != "active":
            raise ServiceError("failed_precondition", "can't transfer non established call")
        if not await self.phones.transfer(room, participant, request.transfer_to):
            raise ServiceError(
                "unavailable", "call transfer failed", {"sip_status_code": "486", "sip_status": "Busy Here"}
            )
        return sip_protocol.TransferSIPParticipantResponse()

    async def update_participant(
        self, request: room_protocol.UpdateParticipantRequest, call: Call
    ) -> models.ParticipantInfo:
        self._check_sizes(request.metadata, request.attributes)
        _, participant = self._participant(request.room, request.identity, call)
        await self._need_connected(participant)
        self.rooms.update(
            participant, metadata=request.metadata, name=request.name, attributes=dict(request.attributes)
        )
        return participant_message(participant)

    def create_room(self, request: room_protocol.CreateRoomRequest, call: Call) -> models.Room:
        _need(call.grants.room_create)
        if len(request.name) > self.limits.room_name:
            raise ServiceError(
                "invalid_argument", f"room name length exceeds limits: max length {self.limits.room_name}"
            )
        self._check_sizes(request.metadata, {})
        room = self.rooms.find(request.name)
        if room is not None:
            room = self.dispatches.room(request.name)
        else:
            room = self.rooms.open(
                request.name,
                empty_timeout=request.empty_timeout,
                departure_timeout=request.departure_timeout,
                max_participants=request.max_participants,
                metadata=request.metadata,
            )
            orders = tuple(
                DispatchOrder(each.agent_name, each.metadata, dict(each.attributes), each.deployment)
                for each in request.agents
            )
            self.dispatches.automatic(room, orders)
        return room_message(room)

    def delete_room(self, request: room_protocol.DeleteRoomRequest, call: Call) -> room_protocol.DeleteRoomResponse:
        _need(call.grants.room_create)
        if self.rooms.stored(request.room) is None:
            raise ServiceError("not_found", "requested room does not exist")
        room = self.dispatches.room(request.room)
        self.rooms.finish(room, DisconnectReason.ROOM_DELETED)
        return room_protocol.DeleteRoomResponse()

    def _dispatch(self, dispatch: Dispatch) -> dispatch_protocol.AgentDispatch:
        return dispatch_message(dispatch, self.schedule.monotonic(), attributes=self.keeps_attributes)

    async def _room_of_dispatches(self, name: str) -> Room:
        room = self.rooms.find(name)
        if room is None or not room.on_node:
            await self._no_response()
        return room

    async def _need_node(self, name: str) -> None:
        now = self.schedule.monotonic()
        if now < self.nodes_unknown_until:
            raise ServiceError("unknown", "could not find any available nodes")
        room = self.rooms.find(name)
        if room is not None and not room.on_node and now < room.lost_at + self.timing.node_availability:
            await self._no_response()

    async def _need_connected(self, participant: Participant) -> None:
        if participant.ghost:
            await self._no_response()

    async def _no_response(self) -> NoReturn:
        # No node serves it on the servers' internal bus, which only a timeout shows (LiveKit #4488).
        await self.schedule.sleep(self.timing.unknown_room_wait)
        raise ServiceError("unavailable", "no response from servers")

    def _participant(self, room_name: str, identity: str, call: Call) -> tuple[Room, Participant]:
        _need(call.grants.administrates(room_name))
        room = self.rooms.stored(room_name)
        participant = room.participants.get(identity) if room is not None else None
        if room is None or participant is None or participant.unlisted:
            raise ServiceError("not_found", "participant does not exist")
        return room, participant

    def _check_sizes(self, metadata: str, attributes: Mapping[str, str]) -> None:
        if len(metadata.encode()) > self.limits.metadata:
            raise ServiceError("invalid_argument", "metadata size exceeds limits")
        if sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items()) > self.limits.attributes:
            raise ServiceError("invalid_argument", "attribute size exceeds limits")


def _need(allowed: bool) -> None:
    if not allowed:
        raise ServiceError("unauthenticated", "permissions denied")
