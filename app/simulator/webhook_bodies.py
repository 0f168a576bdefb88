"""Webhook bodies as a real server writes them: protojson, camelCase, defaults left out, 64-bit numbers as text.

Written by hand for speed (protobuf's own printer takes 0.2 ms a body); the tests read them back with protobuf and hold
them against bodies recorded from a real server.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from app.simulator.entities import Participant, Presence, Room, Track

_CODECS = [
    {"mime": mime}
    for mime in (
        "audio/PCMU",
        "audio/PCMA",
        "audio/opus",
        "audio/red",
        "video/VP8",
        "video/H264",
        "video/VP9",
        "video/AV1",
        "video/H265",
        "video/rtx",
    )
]
_PERMISSION: dict[str, Any] = {"canSubscribe": True, "canPublish": True, "canPublishData": True}
_PERMISSIONS: dict[str, dict[str, Any]] = {
    ParticipantKind.SIP: {**_PERMISSION, "canUpdateMetadata": True},
    ParticipantKind.AGENT: {**_PERMISSION, "canUpdateMetadata": True, "agent": True},
}
_CAPABILITIES = ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"]


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def build_body(
    event: str, room: Room, participant: Participant | None, track: Track | None, *, event_id: str, at: datetime
) -> bytes:
    """Return the body of one webhook, as bytes to be signed and sent as they are."""
    body: dict[str, Any] = {"event": event}
    if track is not None and participant is not None:
        # For tracks the server names room and participant only.
        body["room"] = {"sid": room.sid, "name": room.name}
        body["participant"] = {"sid": participant.sid, "identity": participant.identity}
        body["track"] = _track(track)
    else:
        body["room"] = _room(room)
        if participant is not None:
            body["participant"] = _participant(participant)
    body["id"] = event_id
    body["createdAt"] = str(int(at.timestamp()))
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _room(room: Room) -> dict[str, Any]:
    stamp = milliseconds(room.created_at)
    said: dict[str, Any] = {
        "sid": room.sid,
        "name": room.name,
        "emptyTimeout": round(room.empty_timeout),
        "departureTimeout": round(room.departure_timeout),
        "maxParticipants": room.max_participants,
        "creationTime": str(stamp // 1000),
        "creationTimeMs": str(stamp),
        "turnPassword": room.turn_password,
        "enabledCodecs": _CODECS,
        "metadata": room.metadata,
    }
    return {key: value for key, value in said.items() if value}


def _participant(participant: Participant) -> dict[str, Any]:
    stamp = milliseconds(participant.joined_at)
    said: dict[str, Any] = {
        "sid": participant.sid,
        "identity": participant.identity,
        "state": participant.presence.name if participant.presence is not Presence.JOINING else None,
        "metadata": participant.metadata,
        "joinedAt": str(stamp // 1000),
        "joinedAtMs": str(stamp),
        "name": participant.name,
        "version": participant.version,
        "permission": _PERMISSIONS.get(participant.kind, _PERMISSION),
        "isPublisher": bool(participant.tracks),
        "kind": _kind(participant.kind),
        "attributes": participant.attributes,
        "disconnectReason": participant.leave_reason.value
        if participant.leave_reason is not DisconnectReason.UNKNOWN_REASON
        else None,
    }
    if participant.kind != ParticipantKind.SIP:
        said["clientProtocol"] = 2
        said["capabilities"] = _CAPABILITIES
    return {key: value for key, value in said.items() if value}


def _kind(kind: str) -> str | int | None:
    if kind == ParticipantKind.STANDARD:
        return None
    return int(kind) if kind.isdecimal() else str(kind)  # protojson writes the number of an unknown enum value


def _track(track: Track) -> dict[str, Any]:
    return {
        "sid": track.sid,
        "name": track.name,
        "source": "MICROPHONE",
        "mimeType": "audio/opus",
        "mid": "0",
        "codecs": [
            {"mimeType": "audio/opus", "mid": "0", "cid": "audio", "videoLayerMode": "ONE_SPATIAL_LAYER_PER_STREAM"}
        ],
        "stream": "camera",
        "version": {"unixMicro": str(int(track.published_at.timestamp() * 1_000_000))},
        "backupCodecPolicy": "SIMULCAST",
    }
