"""Twirp over ASGI: routes, tokens, scripted faults, and answers in protobuf or JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError, Message
from livekit.protocol import agent_dispatch as dispatch_protocol
from livekit.protocol import room as room_protocol
from livekit.protocol import sip as sip_protocol
from starlette.types import Receive, Scope, Send

from app.simulator.api.access import ALL_GRANTS, TokenRefusedError, read_grants
from app.simulator.api.connection import cut
from app.simulator.api.faults import Fault, FaultKind, Faults
from app.simulator.api.service import Call, Service, ServiceError
from app.simulator.ledger import Ledger
from app.simulator.schedule import Schedule

PREFIX = "/twirp/livekit."

HTTP_STATUS = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "dataloss": 500,
}
"""Of the Twirp specification (v7)."""

_PROTOBUF, _JSON = "application/protobuf", "application/json"

Handler = Callable[[Any, Call], Any]


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    request: type[Message]
    handler: Handler


@dataclass(frozen=True, slots=True)
class Exchange:
    """The two ends of one request, and the form of its messages."""

    receive: Receive
    send: Send
    form: str


@dataclass(slots=True)
class TwirpApplication:
    """The server API as an ASGI application. `authenticate` False and `faults` left alone: as fast as it goes."""

    service: Service
    faults: Faults
    ledger: Ledger
    schedule: Schedule
    keys: Mapping[str, str]
    authenticate: bool = True
    observers: list[Callable[[str], None]] = field(default_factory=list)
    """Called with the method's name when a call arrives; what they raise fails the call with 500."""
    objections: list[str] = field(default_factory=list)
    """What observers have raised so far, for callers hide failed calls well."""
    _methods: dict[str, _Method] = field(init=False)

    def __post_init__(self) -> None:
        service = self.service
        dispatch, room = "AgentDispatchService", "RoomService"
        self._methods = {
            f"{PREFIX}{owner}/{name}": _Method(name, request, handler)
            for owner, name, request, handler in (
                (dispatch, "CreateDispatch", dispatch_protocol.CreateAgentDispatchRequest, service.create_dispatch),
                (dispatch, "ListDispatch", dispatch_protocol.ListAgentDispatchRequest, service.list_dispatch),
                (dispatch, "DeleteDispatch", dispatch_protocol.DeleteAgentDispatchRequest, service.delete_dispatch),
                (room, "ListRooms", room_protocol.ListRoomsRequest, service.list_rooms),
                (room, "ListParticipants", room_protocol.ListParticipantsRequest, service.list_participants),
                (room, "GetParticipant", room_protocol.RoomParticipantIdentity, service.get_participant),
                (room, "RemoveParticipant", room_protocol.RoomParticipantIdentity, service.remove_participant),
                (
                    "SIP",
                    "TransferSIPParticipant",
                    sip_protocol.TransferSIPParticipantRequest,
                    service.transfer_sip_participant,
                ),
                (room, "UpdateParticipant", room_protocol.UpdateParticipantRequest, service.update_participant),
                (room, "CreateRoom", room_protocol.CreateRoomRequest, service.create_room),
                (room, "DeleteRoom", room_protocol.DeleteRoomRequest, service.delete_room),
            )
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self.schedule.monotonic()
        path: str = scope["path"]
        method = self._methods.get(path)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        form = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        body = await _read(receive)
        if method is None or scope["method"] != "POST" or form not in (_PROTOBUF, _JSON):
            return await _fail(send, "bad_route", _no_route(scope["method"], path, form))
        entry = self.ledger.enter_call(method.name, "", asked)
        try:
            self._announce(method.name)
            request = _parse(method, form, body)
            named = (getattr(request, name, "") for name in ("room", "room_name", "name"))
            entry.room = next(filter(None, named), "")
            grants = (
                read_grants(headers.get(b"authorization", b"").decode("latin-1"), self.keys)
                if self.authenticate
                else ALL_GRANTS
            )
            call = Call(grants, asked, headers.get(b"x-livekit-request-id", b"").decode("latin-1"))

            async def run() -> Message:
                answer: Message | Awaitable[Message] = method.handler(request, call)
                return await answer if inspect.isawaitable(answer) else answer

            fault = self.faults.next(method.name)
            if fault is None:
                return await _answer(send, form, await run())
            entry.answered = fault.kind.value
            return await self._misbehave(Exchange(receive, send, form), run, fault)
        except TokenRefusedError as error:
            entry.answered = "refused_token"
            return await _send(send, 401, b"text/plain; charset=utf-8", str(error).encode())
        except ServiceError as error:
            entry.answered = error.code
            return await _fail(send, error.code, error.message, error.details)

    def _announce(self, method: str) -> None:
        for observer in self.observers:
            try:
                observer(method)
            except Exception as error:
                self.objections.append(f"{method}: {error}")
                raise ServiceError("internal", f"an observer objects: {error}") from error

    async def _misbehave(self, exchange: Exchange, run: Callable[[], Awaitable[Message]], fault: Fault) -> None:
        kind = fault.kind
        if kind in (FaultKind.LATE, FaultKind.SLOW):
            await self.schedule.sleep(fault.seconds)
        answer: Message | None = None
        if kind.takes_effect:
            made = len(self.ledger.dispatches)
            answer = await run()
            for entry in self.ledger.dispatches[made:]:
                entry.answered = kind.value
        if kind in (FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER):
            await self.schedule.sleep(fault.seconds)
        if kind in (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER):
            return await cut(exchange.receive, exchange.send)
        if kind is FaultKind.ERROR_AFTER or answer is None:
            return await _fail(exchange.send, fault.code, fault.message)
        return await _answer(exchange.send, exchange.form, answer)


def _parse(method: _Method, form: str, body: bytes) -> Message:
    request = method.request()
    try:
        if form == _PROTOBUF:
            request.ParseFromString(body)
        else:
            Parse(body, request, ignore_unknown_fields=True)
    except DecodeError as error:
        raise ServiceError("malformed", "the protobuf request could not be decoded") from error
    except (ParseError, UnicodeDecodeError) as error:
        raise ServiceError("malformed", "the json request could not be decoded") from error
    return request


def _no_route(verb: str, path: str, form: str) -> str:
    if verb != "POST":
        return f'unsupported method "{verb}" (only POST is allowed)'
    if path.startswith(PREFIX) and form not in (_PROTOBUF, _JSON):
        return f'unexpected Content-Type: "{form}"'
    return f'no handler for path "{path}"'


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _answer(send: Send, form: str, message: Message) -> None:
    if form == _PROTOBUF:
        await _send(send, 200, b"application/protobuf", message.SerializeToString())
    else:
        text = MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        await _send(send, 200, b"application/json", text.encode())


async def _fail(send: Send, code: str, message: str, details: Mapping[str, str] | None = None) -> None:
    body = json.dumps({"code": code, "msg": message, **({"meta": dict(details)} if details else {})}).encode()
    await _send(send, HTTP_STATUS.get(code, 500), b"application/json", body)


async def _send(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
