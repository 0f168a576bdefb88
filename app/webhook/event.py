"""What a verified webhook becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.db.types import EventSource
from app.livekit.vocabulary import LEAVINGS
from app.translation import translatable

BODY_DROPPED: Final = translatable("the body of this webhook was dropped after USHER_RETENTION_BODIES_DAYS")


@dataclass(frozen=True, slots=True)
class Event:
    """One fact that a webhook reported or the sweep found, ready to be matched and stored.

    `body` is the verified webhook JSON without its secrets, exactly as it is stored in `events.body`.
    `document` is what rules match: the webhook prepared as `webhook.parse.prepare` says. `shareable` is what templates
    may hand to an agent: the same without the paths of `USHER_REDACT`. None of them is ever changed.
    Names that LiveKit did not send are empty strings. `type` and `participant_kind` are text as LiveKit sent it, also
    where `livekit.vocabulary` does not know it; `participant_role` is a `livekit.participant.role.Role`. Kind and role
    are empty as long as only the participant's SID is known (`webhook.trimmed`). Times are timezone-aware, UTC.
    """

    id: str
    livekit_id: str
    dedupe_key: str
    project: str
    type: str
    source: EventSource
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    participant_kind: str
    participant_role: str
    phone_number: str | None
    occurred_at: datetime
    received_at: datetime
    body: Mapping[str, Any]
    document: Mapping[str, Any]
    shareable: Mapping[str, Any]
    has_exact_room: bool = True
    """Whether `room_name` is the room's own: one with NUL or half a surrogate pair is stored with U+FFFD instead."""
    is_immediate: bool = True
    """Whether it was reported as it happened. Otherwise the caller may be gone: LiveKit is asked before a dispatch."""
    has_body: bool = True
    """Whether `body` is what LiveKit sent. Once it is dropped, `body` has only what the columns of the row say."""
    waiting_since: datetime | None = None
    """When its caller joined, by our clock, if that is known to have been before `received_at`."""
    lookups: Mapping[str, Any] | None = None
    """The answers of lookups by name, as they are stored; None where none was asked."""

    @property
    def shows_participant(self) -> bool:
        """Whether it names a participant that is in the room by then."""
        return bool(self.participant_sid) and self.type not in LEAVINGS
