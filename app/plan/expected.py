"""The agents that a participant will get when it joins: for token servers that put dispatches into the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.db.types import EventSource
from app.livekit.vocabulary import EventType
from app.plan.build import DispatchPlan, build_plan
from app.rules.book.evaluate import evaluate
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event
from app.webhook.parse import build_event


@dataclass(frozen=True, slots=True)
class Expected:
    """A participant as its token will describe it; metadata are the texts of the token."""

    project: str
    room_name: str
    room_metadata: str
    identity: str
    name: str
    kind: str
    metadata: str
    attributes: Mapping[str, str]


def expect(book: RuleBook, event: Event, max_bytes: int) -> DispatchPlan:
    """Return the plan that an expected join would have now; pure."""
    return build_plan(evaluate(book, event), event, max_bytes)


def expected_join(expected: Expected, *, now: datetime, event_id: str, redact: Sequence[str] = ()) -> Event:
    """Return the join of `expected` as an event, with what is at the paths `redact` left out of what is stored."""
    participant: dict[str, Any] = {
        "identity": expected.identity,
        "name": expected.name,
        "kind": expected.kind,
        "metadata": expected.metadata,
        "attributes": dict(expected.attributes),
        "state": "ACTIVE",
    }
    content = {
        "event": EventType.PARTICIPANT_JOINED.value,
        "room": {"name": expected.room_name, "metadata": expected.room_metadata},
        "participant": {name: value for name, value in participant.items() if value},
    }
    return build_event(
        content,
        project=expected.project,
        source=EventSource.WEBHOOK,
        received_at=now,
        event_id=event_id,
        redact=redact,
    )
