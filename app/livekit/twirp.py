"""SDK door 2: `LiveKitClient` on livekit-api, and the only place that sees its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from livekit import api
from livekit.protocol import agent_dispatch as dispatch_protocol

from app.clock import jitter
from app.livekit.access_token import AgentDispatches, Rooms
from app.livekit.answers import seen_dispatch, seen_participant, seen_room
from app.livekit.client import DispatchRequest, SeenDispatch, SeenParticipant, SeenRoom
from app.livekit.outcome import (
    Accepted,
    LiveKitTroubledError,
    LiveKitUnavailableError,
    Outcome,
    Rejected,
    RoomNotFoundError,
    Unknown,
    Unreachable,
)
from app.metrics import Metrics
from app.settings import Project

T = TypeVar("T")

# Twirp codes that say the request itself is wrong: it would be refused again.
_PERMANENT = frozenset({"invalid_argument", "malformed", "bad_route", "out_of_range", "unimplemented"})
# Twirp codes below 500 that an overloaded server gives: no verdict about the request, and no effect.
_NOT_NOW = frozenset({"resource_exhausted"})
_PAUSES_S = (0.05, 0.1, 0.2)
"""Before a question is asked again, ±50 %: of a LiveKit that fails every third call, 1 % of them get no answer."""
_QUICK_S = 1.0
"""What took longer to fail is not asked again: a dispatch call on a room that has just closed takes 3 s to say so."""
_HANGS_AFTER = 0.2
"""The share of its time-out after which a question that has no answer is asked a second time beside the first."""
_DOWN_AFTER = 10
"""So many calls in a row without an answer, and it is not single ones that fail."""


class LiveKitApi:
    """One LiveKit project over HTTP. The SDK's own retry is off: it would repeat a POST that took effect.

    `timeout_s` holds for a call with its repetitions.
    """

    def __init__(self, project: Project, timeout_s: float, metrics: Metrics) -> None:
        self._project = project
        self._timeout_s = timeout_s
        self._metrics = metrics
        self._unanswered = 0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),  # LiveKit sets none; looking for them takes a seventh of a call
        )
        secret = project.api_secret.get_secret_value()
        self._rooms = Rooms(self._session, project.url, project.api_key, secret, failover=False)
        self._dispatches = AgentDispatches(self._session, project.url, project.api_key, secret, failover=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    @property
    def is_down(self) -> bool:
        return self._unanswered >= _DOWN_AFTER

    async def create_dispatch(self, request: DispatchRequest) -> Outcome:
        message = dispatch_protocol.CreateAgentDispatchRequest(
            agent_name=request.agent_name,
            room=request.room_name,
            metadata=request.metadata,
            attributes=request.attributes,
            deployment=request.deployment or "",
            # Where Usher replaces a vanished agent, LiveKit Cloud must not: that would be one too many.
            restart_policy=dispatch_protocol.JRP_NEVER if request.recovered_by_us else dispatch_protocol.JRP_ON_FAILURE,
        )
        outcome = await self._create(message)
        self._note(answered=isinstance(outcome, Accepted | Rejected))
        self._metrics.calls.labels("CreateDispatch", type(outcome).__name__.lower()).inc()
        return outcome

    async def _create(self, message: dispatch_protocol.CreateAgentDispatchRequest) -> Outcome:
        try:
            # livekit-api 1.2.2 passes `timeout=None` with each request, which overrules the session's limit.
            async with asyncio.timeout(self._timeout_s):
                created = await self._dispatches.create_dispatch(message)
        except api.TwirpError as error:
            if error.status >= 500:
                return Unknown(error.code, error.message, is_answered=True)
            if error.code in _NOT_NOW:
                return Unreachable(error.code, error.message)
            return Rejected(error.code, error.message, permanent=error.code in _PERMANENT)
        except aiohttp.ClientConnectorError as error:
            return Unreachable("unreachable", str(error))
        except TimeoutError:
            return Unknown("timeout", f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Unknown("connection", str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - an answer that is no Twirp: the call may have had its effect
            return Unknown("unreadable", f"{type(error).__name__}: {error}")
        if not created.id:
            return Unknown("unreadable", "LiveKit's answer names no dispatch id")
        return Accepted(created.id)

    async def delete_dispatch(self, room_name: str, livekit_dispatch_id: str) -> None:
        delete = self._dispatches.delete_dispatch
        try:
            await self._ask("DeleteDispatch", lambda: delete(livekit_dispatch_id, room_name))
        except RoomNotFoundError:
            return

    async def list_dispatches(self, room_name: str) -> list[SeenDispatch]:
        listed = await self._ask("ListDispatch", lambda: self._dispatches.list_dispatch(room_name))
        return [seen_dispatch(entry) for entry in listed]

    async def find_room(self, room_name: str) -> SeenRoom | None:
        rooms = await self._list_rooms([room_name])
        return next((room for room in rooms if room.name == room_name), None)

    async def list_rooms(self) -> list[SeenRoom]:
        return await self._list_rooms([])

    async def _list_rooms(self, names: list[str]) -> list[SeenRoom]:
        request = api.ListRoomsRequest(names=names)
        listed = await self._ask("ListRooms", lambda: self._rooms.list_rooms(request))
        return [seen_room(room) for room in listed.rooms]

    async def list_participants(self, room_name: str) -> list[SeenParticipant]:
        request = api.ListParticipantsRequest(room=room_name)
        try:
            listed = await self._ask("ListParticipants", lambda: self._rooms.list_participants(request))
        except RoomNotFoundError:
            return []
        return [seen_participant(participant) for participant in listed.participants]

    async def remove_participant(self, room_name: str, identity: str) -> None:
        request = api.RoomParticipantIdentity(room=room_name, identity=identity)
        try:
            await self._ask("RemoveParticipant", lambda: self._rooms.remove_participant(request))
        except RoomNotFoundError:
            return

    async def delete_room(self, room_name: str) -> None:
        request = api.DeleteRoomRequest(room=room_name)
        try:
            await self._ask("DeleteRoom", lambda: self._rooms.delete_room(request))
        except RoomNotFoundError:
            return

    async def create_room(self, room_name: str) -> str:
        request = api.CreateRoomRequest(name=room_name, empty_timeout=60, departure_timeout=5)
        room = await self._ask("CreateRoom", lambda: self._rooms.create_room(request))
        return str(room.sid)

    async def _ask(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a call that may be repeated: it changes nothing, or nothing the second time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for pause in _PAUSES_S:
            try:
                return await self._ask_once(method, call, began + self._timeout_s)
            except LiveKitTroubledError:
                if self.is_down or loop.time() - began >= _QUICK_S:
                    raise
            await asyncio.sleep(pause * (0.5 + jitter()))
        return await self._ask_once(method, call, began + self._timeout_s)

    async def _ask_once(self, method: str, call: Callable[[], Awaitable[T]], until: float) -> T:
        try:
            async with asyncio.timeout_at(until):
                answer = await self._first_answer(call)
        except api.TwirpError as error:
            self._metrics.calls.labels(method, error.code).inc()
            passing = error.status >= 500 or error.code in _NOT_NOW
            self._note(answered=not passing)
            if error.code == "not_found":
                raise RoomNotFoundError(f"{method}: {error.message}") from error
            kind = LiveKitTroubledError if passing else LiveKitUnavailableError
            raise kind(f"{method}: {error.code}: {error.message}") from error
        except TimeoutError as error:
            self._failed(method)
            raise LiveKitTroubledError(f"{method}: timed out after {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._failed(method)
            raise LiveKitTroubledError(f"{method}: {str(error) or type(error).__name__}") from error
        self._note(answered=True)
        self._metrics.calls.labels(method, "answered").inc()
        return answer

    async def _first_answer(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await a call; while it hangs another is made, and whichever ends first counts: a caller waits for it."""
        calls = [asyncio.ensure_future(call())]
        try:
            done, _ = await asyncio.wait(calls, timeout=self._timeout_s * _HANGS_AFTER)
            if not done and not self.is_down:
                calls.append(asyncio.ensure_future(call()))
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    def _failed(self, method: str) -> None:
        self._note(answered=False)
        self._metrics.calls.labels(method, "failed").inc()

    def _note(self, *, answered: bool) -> None:
        self._unanswered = 0 if answered else self._unanswered + 1
