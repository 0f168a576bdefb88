"""A call of the past, and its webhooks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app.db.record_ids import lowest_id_at
from app.db.types import EventSource
from app.livekit.fabricated_webhook import FabricatedWebhook
from app.livekit.vocabulary import EventType, ParticipantKind
from app.webhook.event import Event
from app.webhook.parse import build_event

DELAY = timedelta(milliseconds=9)
"""From what happens in a room until its webhook is stored."""


class Fate(StrEnum):
    """What became of a call."""

    SERVED = "served"
    NO_AGENT = "no_agent"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class PastCall:
    """A caller who joined at `at`; `number` is unique among the calls, and makes their ids.

    `seconds_to_agent` is until its agent joined; of other fates, until the caller left.
    """

    number: int
    at: datetime
    room_name: str
    identity: str
    fate: Fate
    seconds_to_agent: float
    stay_s: float
    name: str = ""
    metadata: str = ""
    kind: ParticipantKind = ParticipantKind.STANDARD
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def joined_at(self) -> datetime:
        """When the agent joined, if it did."""
        return self.at + timedelta(seconds=self.seconds_to_agent)

    @property
    def left_at(self) -> datetime:
        """When the caller left."""
        if self.fate is Fate.SERVED:
            return self.joined_at + timedelta(seconds=self.stay_s)
        return self.at + timedelta(seconds=self.seconds_to_agent)

    def livekit_id(self, prefix: str) -> str:
        """Return an id as LiveKit makes them; the same each time."""
        return f"{prefix}_demo{self.number:08d}"

    def id_at(self, instant: datetime, place: int) -> str:
        """Return an id of `instant`; `place` is unique among the rows of the call."""
        return f"{lowest_id_at(instant)}{self.number:07x}{place:02x}"

    def joins(self) -> Event:
        """Return the event of the caller's webhook."""
        return self._event(EventType.PARTICIPANT_JOINED, self.at, 1, self._caller())

    def leaves(self) -> Event:
        """Return the event of the webhook by which the caller left."""
        return self._event(EventType.PARTICIPANT_LEFT, self.left_at, 3, self._caller())

    def agent_joins(self, agent_name: str) -> Event:
        """Return the event of the agent's webhook."""
        agent = {
            "identity": f"agent-{self.livekit_id('AJ')}",
            "sid": self.livekit_id("PA_agent"),
            "kind": ParticipantKind.AGENT,
            "attributes": {"lk.agent.name": agent_name},
        }
        return self._event(EventType.PARTICIPANT_JOINED, self.joined_at, 2, agent)

    def _caller(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "sid": self.livekit_id("PA"),
            "name": self.name,
            "kind": self.kind,
            "metadata": self.metadata,
            "attributes": self.attributes,
        }

    def _event(self, event_type: EventType, at: datetime, place: int, participant: Mapping[str, Any]) -> Event:
        webhook = FabricatedWebhook(
            event=event_type,
            event_id=self.livekit_id(f"EV{place}"),
            at=at,
            room_name=self.room_name,
            room_sid=self.livekit_id("RM"),
            **participant,
        )
        received_at = at + DELAY
        return build_event(
            json.loads(webhook.body()),
            project="default",
            source=EventSource.WEBHOOK,
            received_at=received_at,
            event_id=self.id_at(received_at, place),
            is_immediate=False,
        )
