"""From verified bytes to an `Event`: the stored body without its secrets, and the document that rules see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from livekit.protocol.webhook import WebhookEvent

from app.db.types import EventSource
from app.errors import UnreadableWebhookError
from app.livekit.webhook_signature import Signature
from app.strict_json import JsonError, parse_storable_json
from app.webhook.event import Event

LATE_S = 5.0
"""A webhook signed longer ago than this is one of LiveKit's retries (after 1, 3, 7 and 15 s)."""
HELD_UP_S = 15.0
"""One made longer ago than this has waited behind another's retries; no room closes sooner after its last join."""
DROPPED_S = 120.0
"""LiveKit drops what it could not tell for 30 s: a greater age than this is that of a clock, not of the webhook."""

NAME_MAX = 600
"""Longest name or id taken: LiveKit allows 256 characters, an index of PostgreSQL 2,704 bytes."""

_LONG = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})


class _Shape:
    """What protojson does to one message: which numbers it sends as text, which defaults it leaves out."""

    def __init__(self, descriptor: Any, known: dict[str, _Shape]) -> None:
        known[descriptor.full_name] = self
        self.longs: set[str] = set()
        self.messages: dict[str, _Shape] = {}
        self.defaults: dict[str, Any] = {}
        for field in descriptor.fields:
            if field.message_type is not None:
                if not field.message_type.GetOptions().map_entry:
                    message = field.message_type
                    shape = known.get(message.full_name) or _Shape(message, known)
                    if shape.longs or shape.defaults or shape.messages:
                        self.messages[field.json_name] = shape
                continue
            if field.cpp_type in _LONG:
                self.longs.add(field.json_name)
            # An empty text stays absent, so that {"exists": false} tells a caller without metadata.
            if field.is_repeated or field.cpp_type == FieldDescriptor.CPPTYPE_STRING or field.containing_oneof:
                continue
            if field.enum_type is not None:
                self.defaults[field.json_name] = field.enum_type.values_by_number[0].name
            else:
                self.defaults[field.json_name] = field.default_value

    def prepare(self, message: Mapping[str, Any], *, fill: bool) -> dict[str, Any]:
        prepared = {**self.defaults, **message} if fill else dict(message)
        for name, value in message.items():
            if name in self.longs:
                prepared[name] = _as_number(value)
            elif name in self.messages:
                shape = self.messages[name]
                if isinstance(value, dict):
                    prepared[name] = shape.prepare(value, fill=True)
                elif isinstance(value, list):
                    prepared[name] = [
                        shape.prepare(entry, fill=True) if isinstance(entry, dict) else entry for entry in value
                    ]
        return prepared


_WEBHOOK = _Shape(WebhookEvent.DESCRIPTOR, {})


def parse(body: bytes, signature: Signature, received_at: datetime, event_id: str, redact: Sequence[str] = ()) -> Event:
    """Return the event in a verified `body`; raise `UnreadableWebhookError` when it is none.

    NUL and lone surrogates, which JSON may carry and databases may not, become U+FFFD.
    """
    content = _decode(body)
    return build_event(
        content,
        project=signature.project,
        source=EventSource.WEBHOOK,
        received_at=received_at,
        event_id=event_id,
        redact=redact,
        is_immediate=not _is_late(content, signature, received_at),
    )


def _is_late(content: Mapping[str, Any], signature: Signature, received_at: datetime) -> bool:
    """Return whether LiveKit repeated the webhook, or kept it while it repeated another of the same room."""
    now = received_at.timestamp()
    created_at = _as_number(content.get("createdAt"))
    signed_late = now - DROPPED_S < signature.signed_at <= now - LATE_S
    # Compared, not subtracted: what was sent may be beyond every float.
    return signed_late or (isinstance(created_at, int | float) and now - DROPPED_S < created_at <= now - HELD_UP_S)


def build_event(
    content: Mapping[str, Any],
    *,
    project: str,
    source: EventSource,
    received_at: datetime,
    event_id: str,
    redact: Sequence[str] = (),
    dedupe_key: str | None = None,
    is_immediate: bool = True,
) -> Event:
    """Return the event for webhook JSON from whatever source; the caller may say by what it is told from its like."""
    event_type = _text(content, "event", "event")
    if not event_type:
        raise UnreadableWebhookError("the body names no `event`: not a LiveKit webhook")
    body = _without_turn_password(content)
    room, participant = _message(body, "room"), _message(body, "participant")
    document = prepare(body, project)
    if redact:
        body = leave_out(body, redact)
    livekit_id = _text(content, "id", "id")
    sid = _text(participant, "sid", "participant.sid")
    if dedupe_key is None:
        dedupe_key = _dedupe_key(project, event_type, livekit_id, sid, content)
    attributes = _message(_message(body, "participant"), "attributes")
    phone_number = attributes.get("sip.phoneNumber")
    return Event(
        id=event_id,
        livekit_id=livekit_id,
        dedupe_key=dedupe_key,
        project=project,
        type=event_type,
        source=source,
        room_name=_text(room, "name", "room.name"),
        room_sid=_text(room, "sid", "room.sid"),
        participant_identity=_text(participant, "identity", "participant.identity"),
        participant_sid=sid,
        participant_kind=_text(participant, "kind", "participant.kind") or ("STANDARD" if participant else ""),
        phone_number=phone_number if isinstance(phone_number, str) and 0 < len(phone_number) <= NAME_MAX else None,
        occurred_at=_occurred_at(document, event_type, received_at),
        received_at=received_at,
        body=body,
        document=document,
        shareable=prepare(body, project) if redact else document,
        is_immediate=is_immediate,
    )


def prepare(body: Mapping[str, Any], project: str) -> dict[str, Any]:
    """Return the document that rules see: a prepared copy of the webhook JSON; `body` is not changed.

    `room.metadata` and `participant.metadata` are parsed when they hold JSON; 64-bit numbers sent as text become
    numbers; numbers, booleans and enums that protojson leaves out are filled with their defaults
    (`participant.kind` = STANDARD); `project` is added. Fields that the protocol does not know pass through.
    """
    document = _WEBHOOK.prepare(body, fill=False)
    for name in ("room", "participant"):
        message = document.get(name)
        if isinstance(message, dict) and isinstance(message.get("metadata"), str):
            message["metadata"] = _parsed(message["metadata"])
    document["project"] = project
    return document


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        content = parse_storable_json(raw)
    except JsonError as error:
        raise UnreadableWebhookError(f"the body cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableWebhookError("the body is not a JSON object")
    body: dict[str, Any] = content
    return body


def _without_turn_password(content: Mapping[str, Any]) -> dict[str, Any]:
    # The room also rides inside other messages (job.room).
    body = dict(content)
    for name, value in content.items():
        if isinstance(value, dict):
            if "turnPassword" in value:
                body[name] = {key: entry for key, entry in value.items() if key != "turnPassword"}
            if any(isinstance(entry, dict) and "turnPassword" in entry for entry in value.values()):
                body[name] = _without_turn_password(body[name])
    return body


def leave_out(value: Any, paths: Sequence[str]) -> Any:
    """Return a copy of webhook JSON without what is at `paths`, also inside metadata that holds JSON."""
    for path in paths:
        value = _without_path(value, path)
    return value


def _without_path(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_without_path(entry, path) for entry in value]
    if isinstance(value, str):  # metadata that holds JSON
        parsed = _parsed(value)
        if not isinstance(parsed, dict | list):
            return value
        return json.dumps(_without_path(parsed, path), ensure_ascii=False)
    if not isinstance(value, dict):
        return value
    copy = dict(value)
    # Names may hold dots themselves (attributes do), so every way of cutting the path is tried.
    copy.pop(path, None)
    for position, character in enumerate(path):
        if character == "." and path[:position] in copy:
            name = path[:position]
            copy[name] = _without_path(copy[name], path[position + 1 :])
    return copy


def _message(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableWebhookError(f"`{name}` is not an object: not a LiveKit webhook")
    return value


def _text(parent: Mapping[str, Any], name: str, path: str) -> str:
    value = parent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableWebhookError(f"`{path}` is not text: not a LiveKit webhook")
    if len(value) > NAME_MAX:
        raise UnreadableWebhookError(f"`{path}` is longer than {NAME_MAX} characters: not a LiveKit webhook")
    return value


def _dedupe_key(project: str, event_type: str, livekit_id: str, sid: str, content: Mapping[str, Any]) -> str:
    if event_type == "participant_joined" and sid:
        return join_key(project, sid)
    if livekit_id:
        return f"{project}/{livekit_id}"
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "replace")).hexdigest()
    return f"{project}/{digest}"


def join_key(project: str, participant_sid: str) -> str:
    """Return what tells one join from another, whether a webhook or the sweep saw it."""
    return f"{project}/join/{participant_sid}"


def _occurred_at(document: Mapping[str, Any], event_type: str, received_at: datetime) -> datetime:
    milliseconds = None
    if event_type == "participant_joined":
        milliseconds = _message(document, "participant").get("joinedAtMs")
    if not milliseconds:
        seconds = document.get("createdAt")
        milliseconds = seconds * 1000 if isinstance(seconds, int | float) else None
    if not isinstance(milliseconds, int | float) or milliseconds <= 0:
        return received_at
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return received_at


def _as_number(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isdecimal() and value.isascii():
        return int(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return parse_storable_json(text)
    except JsonError:
        return text
