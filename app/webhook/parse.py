"""Verified webhook bytes as an `Event`: the stored body without its secrets, and the document that rules match."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.db.types import EventSource
from app.errors import UnreadableWebhookError
from app.livekit.attributes import PHONE_NUMBER
from app.livekit.participant.phone import phone_of
from app.livekit.participant.role import CALLER_ROLES, PHONE_KINDS, Role, is_trimmed, role_in_webhook, was_dialled
from app.livekit.protojson import prepare_webhook
from app.livekit.vocabulary import EventType, ParticipantKind
from app.livekit.webhook_delivery import Signature, is_delayed
from app.strict_json import JsonError, parse_json, parse_storable_json
from app.webhook.dedupe_keys import event_key, join_key, quoted
from app.webhook.event import Event
from app.webhook.lookup_answers import LOOKUP
from app.webhook.metadata import parsed_metadata
from app.webhook.redaction import leave_out, without_secrets

NAME_MAX = 600
"""Most characters of a name or id: LiveKit allows 256, and an index of PostgreSQL holds 2,704 bytes."""


def parse(body: bytes, signature: Signature, received_at: datetime, event_id: str, redact: Sequence[str] = ()) -> Event:
    """Return the event in a verified `body`; raise `UnreadableWebhookError` if there is none.

    NUL and lone surrogates, which databases cannot store, become U+FFFD.
    """
    content = _decode(body)
    content.pop(LOOKUP, None)  # which answers of lookups alone fill
    return build_event(
        content,
        project=signature.project,
        source=EventSource.WEBHOOK,
        received_at=received_at,
        event_id=event_id,
        redact=redact,
        has_exact_room=not _is_room_altered(content, body),
        is_immediate=not is_delayed(signature.signed_at, content.get("createdAt"), received_at.timestamp()),
    )


def _is_room_altered(content: Mapping[str, Any], body: bytes) -> bool:
    room = content.get("room")
    name = room.get("name") if isinstance(room, dict) else None
    if not isinstance(name, str) or "\ufffd" not in name:
        return False
    return bool(parse_json(body)["room"]["name"] != name)


def build_event(
    content: Mapping[str, Any],
    *,
    project: str,
    source: EventSource,
    received_at: datetime,
    event_id: str,
    redact: Sequence[str] = (),
    dedupe_key: str | None = None,
    has_exact_room: bool = True,
    is_immediate: bool = True,
) -> Event:
    """Return a new event for webhook JSON from any source; raise `UnreadableWebhookError` if it is not a webhook's.

    `redact`: paths that are left out of `body` and `shareable`. `dedupe_key` takes the place of the computed key.
    """
    event_type = _text(content, "event", "event")
    if not event_type:
        raise UnreadableWebhookError("the body names no `event`: not a LiveKit webhook")
    body = without_secrets(content)
    participant = _message(body, "participant")
    # Webhooks about a job name the room there.
    room = _message(body, "room") or _message(_message(body, "job"), "room", "job.")
    document = prepare(body, project)
    role = _message(document, "participant").get("role", "")
    if redact:
        body = leave_out(body, redact)
    livekit_id = _text(content, "id", "id")
    sid = _text(participant, "sid", "participant.sid")
    if dedupe_key is None:
        dedupe_key = _key_of(project, event_type, livekit_id, sid, content)
    kind = _kind(document) if role else ""
    phone_number = _message(_message(body, "participant"), "attributes", "participant.").get(PHONE_NUMBER)
    if kind not in PHONE_KINDS or not isinstance(phone_number, str) or not 0 < len(phone_number) <= NAME_MAX:
        phone_number = None  # any other caller can choose its attributes
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
        participant_kind=kind,
        participant_role=role,
        phone_number=phone_number,
        occurred_at=_occurred_at(document, event_type, received_at),
        received_at=received_at,
        body=body,
        document=document,
        shareable=prepare(body, project, role=role) if redact else document,
        has_exact_room=has_exact_room,
        is_immediate=is_immediate,
    )


def prepare(body: Mapping[str, Any], project: str, *, role: str = "") -> dict[str, Any]:
    """Return the document that rules match: a prepared copy of the webhook JSON; `body` is not changed.

    `room.metadata` and `participant.metadata` are parsed if they hold a JSON object or array; 64-bit numbers sent as
    text become numbers; enum numbers become their names; numbers, booleans and enums that protojson leaves out get
    their defaults (`participant.kind` = STANDARD); `project`, `participant.role` and `participant.phone` are added.
    Fields and enum values that are not known pass through. A trimmed participant (`is_trimmed`) is left as it is.
    `role`: as it was decided when the body still had all its fields.
    """
    document = prepare_webhook(body)
    room, participant = document.get("room"), document.get("participant")
    if isinstance(room, dict) and isinstance(room.get("metadata"), str):
        room["metadata"] = parsed_metadata(room["metadata"])
    if isinstance(participant, dict) and (sent := body["participant"]):
        if is_trimmed(body.get("event", ""), sent):
            document["participant"] = dict(sent)
        else:
            _prepare_participant(participant, role)
    document["project"] = project
    return document


def _prepare_participant(participant: dict[str, Any], role: str) -> None:
    if isinstance(metadata := participant.get("metadata"), str):
        participant["metadata"] = parsed_metadata(metadata)
    participant["role"] = role or role_in_webhook(participant).value
    kind, attributes = participant.get("kind"), participant.get("attributes")
    if type(kind) is str and kind in PHONE_KINDS and isinstance(attributes, dict):
        known = participant["role"] in CALLER_ROLES
        outbound = participant["role"] == Role.CALLEE if known else was_dialled(kind, attributes)
        phone = phone_of(attributes, outbound=outbound)
        if phone is not None:
            participant["phone"] = phone


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        content = parse_storable_json(raw)
    except JsonError as error:
        raise UnreadableWebhookError(f"the body cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableWebhookError("the body is not a JSON object")
    body: dict[str, Any] = content
    return body


def _message(parent: Mapping[str, Any], name: str, above: str = "") -> Mapping[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableWebhookError(f"`{above}{name}` is not an object: not a LiveKit webhook")
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


def _kind(document: Mapping[str, Any]) -> str:
    # The document has the name where the body has a number.
    return _text(_message(document, "participant"), "kind", "participant.kind") or ParticipantKind.STANDARD.value


def _key_of(project: str, event_type: str, livekit_id: str, sid: str, content: Mapping[str, Any]) -> str:
    if event_type == EventType.PARTICIPANT_JOINED and sid:
        return join_key(project, sid)
    if livekit_id:
        return event_key(project, quoted(livekit_id))
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8", "replace")).hexdigest()
    return event_key(project, digest)


def _occurred_at(document: Mapping[str, Any], event_type: str, received_at: datetime) -> datetime:
    milliseconds = None
    if event_type == EventType.PARTICIPANT_JOINED:
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
