"""Webhooks made by hand for `usher trigger`: the JSON and the signature that LiveKit would send."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf.json_format import MessageToJson
from livekit.api import AccessToken
from livekit.protocol.models import DisconnectReason as DisconnectReasonNumber
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, Room, TrackInfo
from livekit.protocol.webhook import WebhookEvent

from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.livekit.webhook_delivery import SIGNATURE_LIFE_S

FABRICATED_TYPES: Final = (
    EventType.ROOM_STARTED,
    EventType.ROOM_FINISHED,
    EventType.PARTICIPANT_JOINED,
    EventType.PARTICIPANT_LEFT,
    EventType.PARTICIPANT_CONNECTION_ABORTED,
    EventType.TRACK_PUBLISHED,
    EventType.TRACK_UNPUBLISHED,
)
_ROOM_EVENTS = frozenset({EventType.ROOM_STARTED, EventType.ROOM_FINISHED})
_TRACK_EVENTS = frozenset({EventType.TRACK_PUBLISHED, EventType.TRACK_UNPUBLISHED})


@dataclass(frozen=True, slots=True)
class FabricatedWebhook:
    """The contents of a webhook; empty texts are left out of the body, as LiveKit does. `event`: a fabricated type."""

    event: str
    event_id: str
    at: datetime
    room_name: str
    room_sid: str
    room_metadata: str = ""
    identity: str = ""
    sid: str = ""
    name: str = ""
    kind: str = ParticipantKind.STANDARD
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    disconnect_reason: str = ""

    def body(self) -> bytes:
        """Return the body in protojson: camelCase, defaults left out, 64-bit numbers as text."""
        stamp = int(self.at.timestamp() * 1000)
        room = Room(name=self.room_name, sid=self.room_sid)
        event = WebhookEvent(event=self.event, id=self.event_id, created_at=stamp // 1000)
        if self.event not in _TRACK_EVENTS:
            room.metadata = self.room_metadata
            room.empty_timeout, room.departure_timeout = 300, 20
            room.creation_time, room.creation_time_ms = stamp // 1000, stamp
        event.room.CopyFrom(room)
        if self.event in _TRACK_EVENTS:
            # For tracks the server names room and participant only.
            event.participant.CopyFrom(ParticipantInfo(sid=self.sid, identity=self.identity))
            event.track.CopyFrom(TrackInfo(sid=f"TR_{self.sid[3:]}", mime_type="audio/opus"))
        elif self.event not in _ROOM_EVENTS:
            event.participant.CopyFrom(self._participant(stamp))
        text: str = MessageToJson(event, indent=None, ensure_ascii=False)
        return text.encode()

    def _participant(self, stamp: int) -> ParticipantInfo:
        has_left = self.event != EventType.PARTICIPANT_JOINED
        is_agent = self.kind == ParticipantKind.AGENT
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
                can_subscribe=True, can_publish=True, can_publish_data=True, agent=is_agent
            ),
        }
        if has_left:
            reason = self.disconnect_reason or DisconnectReason.CLIENT_INITIATED
            values["disconnect_reason"] = DisconnectReasonNumber.Value(reason)
        return ParticipantInfo(**values)


def sign(body: bytes, key: str, secret: str) -> str:
    """Return the Authorization header with which LiveKit would send `body`."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token: str = AccessToken(key, secret).with_sha256(digest).with_ttl(timedelta(seconds=SIGNATURE_LIFE_S)).to_jwt()
    return token
