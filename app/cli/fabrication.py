"""Webhooks made by hand: the JSON that LiveKit would send, and its signature."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.json_format import MessageToJson
from livekit.api import AccessToken
from livekit.protocol.models import DisconnectReason, ParticipantInfo, ParticipantPermission, Room, TrackInfo
from livekit.protocol.webhook import WebhookEvent

KINDS = tuple(ParticipantInfo.Kind.keys())
DISCONNECT_REASONS = tuple(DisconnectReason.keys())
EVENT_TYPES = (
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
)
_VALID_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Fabrication:
    """What a fabricated webhook tells of; texts that are empty are left out, as LiveKit does."""

    event: str
    event_id: str
    at: datetime
    room_name: str
    room_sid: str
    room_metadata: str = ""
    identity: str = ""
    sid: str = ""
    name: str = ""
    kind: str = "STANDARD"
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    disconnect_reason: str = ""

    def body(self) -> bytes:
        """Return the body in protojson: camelCase, defaults left out, 64-bit numbers as text."""
        stamp = int(self.at.timestamp() * 1000)
        room = Room(name=self.room_name, sid=self.room_sid)
        event = WebhookEvent(event=self.event, id=self.event_id, created_at=stamp // 1000)
        about_track = self.event.startswith("track_")
        if not about_track:
            room.metadata = self.room_metadata
            room.empty_timeout, room.departure_timeout = 300, 20
            room.creation_time, room.creation_time_ms = stamp // 1000, stamp
        event.room.CopyFrom(room)
        if about_track:
            # For tracks the server names room and participant only.
            event.participant.CopyFrom(ParticipantInfo(sid=self.sid, identity=self.identity))
            event.track.CopyFrom(TrackInfo(sid=f"TR_{self.sid[3:]}", mime_type="audio/opus"))
        elif self.event.startswith("participant_"):
            event.participant.CopyFrom(self._participant(stamp))
        text: str = MessageToJson(event, indent=None, ensure_ascii=False)
        return text.encode()

    def _participant(self, stamp: int) -> ParticipantInfo:
        has_left = self.event != "participant_joined"
        values: dict[str, Any] = {
            "sid": self.sid,
            "identity": self.identity,
            "name": self.name,
            "state": ParticipantInfo.DISCONNECTED if has_left else ParticipantInfo.ACTIVE,
            "metadata": self.metadata,
            "attributes": dict(self.attributes),
            "joined_at": stamp // 1000,
            "joined_at_ms": stamp,
            "version": 2,
            "kind": ParticipantInfo.Kind.Value(self.kind),
            "permission": ParticipantPermission(
                can_subscribe=True, can_publish=True, can_publish_data=True, agent=self.kind == "AGENT"
            ),
        }
        if has_left:
            values["disconnect_reason"] = DisconnectReason.Value(self.disconnect_reason or "CLIENT_INITIATED")
        return ParticipantInfo(**values)


def sign(body: bytes, key: str, secret: str) -> str:
    """Return the Authorization header with which LiveKit would send `body`."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token: str = AccessToken(key, secret).with_sha256(digest).with_ttl(_VALID_FOR).to_jwt()
    return token
