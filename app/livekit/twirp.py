"""`LiveKitClient` over HTTP with livekit-api; the SDK's errors are translated here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api
from livekit.protocol import agent_dispatch as dispatch_protocol

from app.clock import Clock, jitter
from app.livekit.access_token import AgentDispatches, Phones, Rooms
from app.livekit.answers import (
    outcome_of_removal,
    outcome_of_transfer,
    read_in_steps,
    seen_dispatch,
    seen_participant,
    seen_room,
    transfer_message,
)
from app.livekit.client import (
    TRANSFER_TIMEOUT_S,
    DispatchRequest,
    SeenDispatch,
    SeenParticipant,
    SeenRoom,
    TransferRequest,
)
from app.livekit.failures.call_record import CallRecord
from app.livekit.failures.error_answers import DATE
from app.livekit.failures.trouble import REFUSALS, Trouble, TroubleKind, failure_kind, refusal
from app.livekit.outcome import (
    Accepted,
    ActionOutcome,
    LiveKitTransientError,
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

PERMANENT: Final = frozenset({"invalid_argument", "malformed", "bad_route", "out_of_range", "unimplemented"})
"""Twirp codes that say that the request itself is wrong: it would be refused again."""
OVERLOADED: Final = frozenset({"resource_exhausted"})
"""Twirp codes below 500 of an overloaded server: the call had no effect, and may be repeated."""
READ_AGAIN_AFTER_S: Final = (0.05, 0.1, 0.2)
"""Seconds before each repetition of a read, ±50 %: if every third call fails, 1 % of the reads fail."""
RETRY_WITHIN_S: Final = 1.0
"""Seconds; a read that took longer to fail is not repeated. A dispatch call on a room that has closed takes 3 s."""
HEDGE_AFTER: Final = 0.2
"""Share of the timeout after which a read without an answer is sent a second time beside the first."""
DOWN_AFTER: Final = 10
"""Calls in a row that fail after which LiveKit counts as down, rather than single calls as failed."""


class LiveKitApi:
    """One LiveKit project over HTTP.

    `timeout_s` bounds a call with its repetitions. A `session` that is given is not closed by `close`.
    """

    def __init__(
        self,
        project: Project,
        timeout_s: float,
        metrics: Metrics,
        clock: Clock,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._project, self._timeout_s = project.name, timeout_s
        self._metrics = metrics
        self._clock = clock
        self._record = CallRecord(clock)
        self._own_session = None
        if session is None:
            session = self._own_session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),  # LiveKit sets no cookies; looking for them is 1/7 of a call
            )
        self._rooms = Rooms(session, project, clock)
        self._dispatches = AgentDispatches(session, project, clock)
        self._phones = Phones(session, project, clock)

    async def close(self) -> None:
        """Close the connections."""
        if self._own_session is not None:
            await self._own_session.close()

    @property
    def is_down(self) -> bool:
        return self._record.unanswered >= DOWN_AFTER

    @property
    def trouble(self) -> Trouble | None:
        return self._record.trouble

    @property
    def recent_troubles(self) -> tuple[Trouble, ...]:
        return self._record.recent

    @property
    def was_called(self) -> bool:
        return self._record.is_known

    async def create_dispatch(self, request: DispatchRequest) -> Outcome:
        message = dispatch_protocol.CreateAgentDispatchRequest(
            agent_name=request.agent_name,
            room=request.room_name,
            metadata=request.metadata,
            attributes=request.attributes,
            deployment=request.deployment or "",
            restart_policy=request.restart_policy.value,
        )
        outcome = await self._create(message)
        self._metrics.calls.labels(self._project, "CreateDispatch", type(outcome).__name__.lower()).inc()
        return outcome

    async def _create(self, message: dispatch_protocol.CreateAgentDispatchRequest) -> Outcome:
        async def create() -> dispatch_protocol.AgentDispatch:
            created = await self._dispatches.create_dispatch(message)
            if not created.id:
                raise DecodeError("LiveKit's answer names no dispatch id")
            return created

        created = await self._once(create, self._timeout_s)
        return created if isinstance(created, Rejected | Unknown | Unreachable) else Accepted(created.id)

    async def _once(self, call: Callable[[], Awaitable[T]], timeout_s: float) -> T | Rejected | Unknown | Unreachable:
        """Return the answer to a call that is made once, or how it failed."""
        try:
            # livekit-api 1.2.2 passes `timeout=None` with each request, which overrules the session's limit.
            async with asyncio.timeout(timeout_s):
                answer = await call()
        except api.TwirpError as error:
            # A transfer that the other side refused is answered with the SIP status, and perhaps with a status of 500.
            is_sip = isinstance(error, api.SipCallError)
            if is_sip:
                self._record.note_answer()
            else:
                self._note_error(error)
            if error.status >= 500 and not is_sip:
                return Unknown(error.code, error.message, is_answered=True)
            if error.code in OVERLOADED and not is_sip:
                return Unreachable(error.code, error.message)
            text = str(error) if is_sip else error.message
            return Rejected(error.code, text, permanent=error.code in PERMANENT)
        except aiohttp.ClientConnectorError as error:
            self._record.note_failure(failure_kind(error), str(error))
            return Unreachable("unreachable", str(error))
        except TimeoutError:
            self._record.note_failure(TroubleKind.UNREACHABLE, text := f"no answer within {timeout_s:g} s")
            return Unknown("timeout", text)
        except (aiohttp.ClientError, OSError) as error:
            self._record.note_failure(failure_kind(error), text := str(error) or type(error).__name__)
            return Unknown("connection", text)
        except Exception as error:  # noqa: BLE001 - the answer is not Twirp: the call may have had its effect
            text = str(error) if isinstance(error, DecodeError) else f"{type(error).__name__}: {error}"
            self._record.note_failure(failure_kind(error), text)
            return Unknown("unreadable", text)
        self._record.note_answer()
        return answer

    async def remove_once(self, room_name: str, identity: str) -> ActionOutcome:
        request = api.RoomParticipantIdentity(room=room_name, identity=identity)
        answer = await self._once(lambda: self._rooms.remove_participant(request), self._timeout_s)
        return self._counted("RemoveParticipant", outcome_of_removal(answer))

    async def transfer_once(self, request: TransferRequest) -> ActionOutcome:
        message, transfer = transfer_message(request), self._phones.transfer_sip_participant
        answer = await self._once(lambda: transfer(message, timeout=TRANSFER_TIMEOUT_S), TRANSFER_TIMEOUT_S)
        return self._counted("TransferSIPParticipant", outcome_of_transfer(answer))

    def _counted(self, method: str, outcome: ActionOutcome) -> ActionOutcome:
        self._metrics.calls.labels(self._project, method, type(outcome).__name__.lower()).inc()
        return outcome

    async def delete_dispatch(self, room_name: str, livekit_dispatch_id: str) -> None:
        with suppress(RoomNotFoundError):
            await self._ask("DeleteDispatch", lambda: self._dispatches.delete_dispatch(livekit_dispatch_id, room_name))

    async def list_dispatches(self, room_name: str) -> list[SeenDispatch]:
        listed = await self._ask("ListDispatch", lambda: self._dispatches.list_dispatch(room_name))
        return await read_in_steps(seen_dispatch, listed)

    async def find_room(self, room_name: str) -> SeenRoom | None:
        rooms = await self._list_rooms([room_name])
        return next((room for room in rooms if room.name == room_name), None)

    async def list_rooms(self) -> list[SeenRoom]:
        return await self._list_rooms([])

    async def _list_rooms(self, names: list[str]) -> list[SeenRoom]:
        request = api.ListRoomsRequest(names=names)
        listed = await self._ask("ListRooms", lambda: self._rooms.list_rooms(request))
        return await read_in_steps(seen_room, listed.rooms)

    async def list_participants(self, room_name: str) -> list[SeenParticipant]:
        request = api.ListParticipantsRequest(room=room_name)
        try:
            listed = await self._ask("ListParticipants", lambda: self._rooms.list_participants(request))
        except RoomNotFoundError:
            return []
        return await read_in_steps(seen_participant, listed.participants)

    async def remove_participant(self, room_name: str, identity: str) -> None:
        request = api.RoomParticipantIdentity(room=room_name, identity=identity)
        with suppress(RoomNotFoundError):
            await self._ask("RemoveParticipant", lambda: self._rooms.remove_participant(request))

    async def update_attributes(self, room_name: str, identity: str, attributes: Mapping[str, str]) -> None:
        request = api.UpdateParticipantRequest(room=room_name, identity=identity, attributes=dict(attributes))
        answer = await self._once(lambda: self._rooms.update_participant(request), self._timeout_s)
        if isinstance(answer, Rejected | Unknown | Unreachable):
            self._metrics.calls.labels(self._project, "UpdateParticipant", "failed").inc()
            raise LiveKitUnavailableError(f"UpdateParticipant: {answer.text}")
        self._metrics.calls.labels(self._project, "UpdateParticipant", "answered").inc()

    async def delete_room(self, room_name: str) -> None:
        request = api.DeleteRoomRequest(room=room_name)
        with suppress(RoomNotFoundError):
            await self._ask("DeleteRoom", lambda: self._rooms.delete_room(request))

    async def create_room(self, room_name: str) -> str:
        request = api.CreateRoomRequest(name=room_name, empty_timeout=60, departure_timeout=5)
        room = await self._ask("CreateRoom", lambda: self._rooms.create_room(request))
        return str(room.sid)

    async def _ask(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to an idempotent call, repeating it while it fails quickly."""
        began = self._clock.monotonic()
        for delay in READ_AGAIN_AFTER_S:
            try:
                return await self._ask_once(method, call, began)
            except LiveKitTransientError:
                if self.is_down or self._clock.monotonic() - began >= RETRY_WITHIN_S:
                    raise
            await asyncio.sleep(delay * (0.5 + jitter()))
        return await self._ask_once(method, call, began)

    async def _ask_once(self, method: str, call: Callable[[], Awaitable[T]], began: float) -> T:
        try:
            async with asyncio.timeout(self._timeout_s - (self._clock.monotonic() - began)):
                answer = await self._first_answer(call)
        except api.TwirpError as error:
            self._metrics.calls.labels(self._project, method, error.code).inc()
            is_passing = error.status >= 500 or error.code in OVERLOADED
            self._note_error(error)
            if error.code == "not_found":
                raise RoomNotFoundError(f"{method}: {error.message}") from error
            kind = LiveKitTransientError if is_passing else LiveKitUnavailableError
            raise kind(f"{method}: {error.code}: {error.message}", error.code) from error
        except TimeoutError as error:
            text = f"timed out after {self._timeout_s:g} s"
            self._note_failure(method, TroubleKind.UNREACHABLE, text)
            raise LiveKitTransientError(f"{method}: {text}") from error
        except (aiohttp.ClientError, OSError, DecodeError, ValueError) as error:
            text = str(error) or type(error).__name__
            self._note_failure(method, failure_kind(error), text)
            raise LiveKitTransientError(f"{method}: {text}") from error
        self._record.note_answer()
        self._metrics.calls.labels(self._project, method, "answered").inc()
        return answer

    async def _first_answer(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the first answer to a call that is sent again, beside the first, when it takes long."""
        calls = [asyncio.ensure_future(call())]
        try:
            done, _ = await asyncio.wait(calls, timeout=self._timeout_s * HEDGE_AFTER)
            if not done and not self.is_down:
                calls.append(asyncio.ensure_future(call()))
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    def _note_failure(self, method: str, kind: TroubleKind, text: str) -> None:
        self._record.note_failure(kind, text)
        self._metrics.calls.labels(self._project, method, "failed").inc()

    def _note_error(self, error: api.TwirpError) -> None:
        if error.code in REFUSALS:
            kind = refusal(error.message, error.metadata.get(DATE, ""), self._clock.now())
            self._record.note_failure(kind, error.message)
        elif error.status >= 500 or error.code in OVERLOADED:
            self._record.note_failure(TroubleKind.ERROR, f"{error.code}: {error.message}")
        else:
            self._record.note_answer()
