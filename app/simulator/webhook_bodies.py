"""Webhook bodies as a real server writes them: protojson, camelCase, defaults left out, 64-bit numbers as text.

Written by hand for speed (protobuf's own printer takes 0.2 ms a body); the tests read them back with protobuf and hold
them against bodies recorded from a real server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.livekit.vocabulary import DisconnectReason, JobStatus, ParticipantKind
from app.simulator.entities import Dispatch, Job, Participant, Presence, Room, Track

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
_GRANTS: Final = ("hidden", "recorder", "agent")
_CAPABILITIES = ["CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"]


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def build_body(
    event: str,
    room: Room,
    participant: Participant | None,
    track: Track | None,
    *,
    event_id: str,
    at: datetime,
    job: Mapping[str, Any] | None = None,
    end_reason: str = "",
) -> bytes:
    """Return the body of one webhook, as bytes to be signed and sent as they are."""
    body: dict[str, Any] = {"event": event}
    if track is not None and participant is not None:
        # For tracks the server names room and participant only.
        body["room"] = {"sid": room.sid, "name": room.name}
        body["participant"] = {"sid": participant.sid, "identity": participant.identity}
        body["track"] = _track(track)
    elif job is not None:
        # What LiveKit Cloud sends of a job is not recorded: this is the protocol's Job, which holds the room.
        body["job"] = {**job, "room": _room(room)}
    else:
        body["room"] = _room(room)
        if participant is not None:
            body["participant"] = _participant(participant)
    body["id"] = event_id
    body["createdAt"] = str(int(at.timestamp()))
    if end_reason:
        body["roomEndReason"] = end_reason
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
        "permission": _permission(participant),
        "isPublisher": bool(participant.tracks),
        "kind": _kind(participant.kind),
        "kindDetails": list(participant.kind_details),
        "attributes": participant.attributes,
        "disconnectReason": participant.leave_reason.value
        if participant.leave_reason is not DisconnectReason.UNKNOWN_REASON
        else None,
    }
    if participant.kind != ParticipantKind.SIP:
        said["clientProtocol"] = 2
        said["capabilities"] = _CAPABILITIES
    return {key: value for key, value in said.items() if value}


def _permission(participant: Participant) -> dict[str, Any]:
    usual = _PERMISSIONS.get(participant.kind, _PERMISSION)
    granted = {name: True for name in _GRANTS if getattr(participant.grants, name)}
    return {**usual, **granted} if granted else usual


def job_body(dispatch: Dispatch, job: Job) -> dict[str, Any]:
    """Return the `job` of an `agent_job_*` webhook, without its room."""
    state: dict[str, Any] = {
        "status": None if job.status is JobStatus.PENDING else job.status.value,
        "error": job.error,
        "startedAt": _nanoseconds(job.assigned_at),
        "endedAt": _nanoseconds(job.ended_at) if job.ended_at else None,
        "updatedAt": _nanoseconds(job.updated_at),
        "participantIdentity": job.identity,
        "workerId": job.worker_id,
        "reason": job.reason,
    }
    said = {
        "id": job.id,
        "dispatchId": dispatch.id,
        "metadata": dispatch.metadata,
        "agentName": dispatch.agent_name,
        "state": {key: value for key, value in state.items() if value},
        "deployment": dispatch.deployment,
        "attributes": dict(dispatch.attributes),
    }
    return {key: value for key, value in said.items() if value}


def _nanoseconds(instant: datetime) -> str:
    return str(int(instant.timestamp() * 1_000_000_000))


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
