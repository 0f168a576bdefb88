"""Rows, events and random rule books."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from app.db.types import EventSource
from app.livekit.participant.role import is_trimmed, role_in_webhook
from app.webhook.event import Event

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday

TEXTS = ("", "support", "support-1", "support-es-7", "sales-1", "Sales-1", "lobby", "es", "ca", "+15557654321", "a*b")
NUMBERS = (0, 1, 2, 5, 41.5, 300, -3)
PATHS = (
    "event",
    "project",
    "room.name",
    "room.numParticipants",
    "participant.kind",
    "participant.identity",
    "participant.attributes.sip.trunkPhoneNumber",
    "participant.metadata.department",
    "participant.metadata.score",
    "participant.metadata.tags",
    "participant.metadata.orders.state",
    "participant.metadata.orders.id",
)
KNOWN = {
    "event": ("participant_joined", "room_started"),
    "participant.kind": ("STANDARD", "SIP", "AGENT", "EGRESS"),
    "project": ("default",),
}


def make_row(rule_id: int, pattern: Any, **columns: Any) -> dict[str, Any]:
    """Return what an INSERT of the needed columns leaves in the table."""
    return {"id": rule_id, "name": f"rule {rule_id}", "pattern": pattern, "agent_name": "agent", **columns}


def make_event(document: dict[str, Any], occurred_at: datetime = NOON) -> Event:
    """Return an event that shows rules this document, with the role of its participant as every prepared one has it."""
    room, participant = document.get("room", {}), document.get("participant") or {}
    role = participant.get("role") or (role_in_webhook(participant).value if participant else "")
    if is_trimmed(document.get("event", ""), participant):
        role = ""
    if role:
        document = {**document, "participant": {**participant, "role": role}}
    return Event(
        id="event",
        livekit_id="EV_1",
        dedupe_key="EV_1",
        project="default",
        type=document.get("event", ""),
        source=EventSource.WEBHOOK,
        room_name=room.get("name", ""),
        room_sid="RM_1",
        participant_identity=participant.get("identity", ""),
        participant_sid="PA_1",
        participant_kind=participant.get("kind", ""),
        participant_role=role,
        phone_number=None,
        occurred_at=occurred_at,
        received_at=occurred_at,
        body=document,
        document=document,
        shareable=document,
    )


def random_document(random: Random) -> dict[str, Any]:
    """Return a prepared webhook, of a join more often than not."""
    orders = [
        {"id": random.choice(NUMBERS), "state": random.choice(["open", "shut"])} for _ in range(random.randint(0, 3))
    ]
    participant = {
        "identity": random.choice(TEXTS),
        "kind": random.choice(KNOWN["participant.kind"]),
        "attributes": {"sip.trunkPhoneNumber": random.choice(TEXTS), "lang": random.choice(TEXTS)},
        "metadata": random.choice(
            [
                "plain text",
                {
                    "department": random.choice(TEXTS),
                    "score": random.choice(NUMBERS),
                    "tags": random.sample(TEXTS, random.randint(0, 3)),
                    "orders": orders,
                },
            ]
        ),
    }
    document: dict[str, Any] = {
        "event": random.choice(["participant_joined", "participant_joined", "room_started"]),
        "project": "default",
        "room": {"name": random.choice(TEXTS), "numParticipants": random.choice(NUMBERS)},
    }
    if document["event"] == "participant_joined":
        document["participant"] = participant
    return document


def random_value(random: Random, path: str) -> Any:
    """Return a value or a match type for a field."""
    text = random.choice(KNOWN.get(path, TEXTS))
    number = random.choice(NUMBERS)
    return random.choice(
        [
            text,
            text,
            number,
            {"prefix": text[: random.randint(0, len(text))]},
            {"suffix": text[random.randint(0, len(text)) :]},
            {"equals-ignore-case": text.upper()},
            {"prefix": {"equals-ignore-case": text[:3].upper()}},
            {"suffix": {"equals-ignore-case": text[3:].upper()}},
            {"wildcard": f"{text[:2].replace('*', '')}*"},
            {"wildcard": f"*{text[1:4].replace('*', '')}*" if text[1:4].replace("*", "") else "*"},
            {"anything-but": text},
            {"anything-but": [number, 7]},
            {"anything-but": {"prefix": text or "x"}},
            {"numeric": [">", number]},
            {"numeric": ["<=", number]},
            {"numeric": ["=", number]},
            {"numeric": [">=", number, "<", number + random.choice([0.5, 1, 40])]},
            {"exists": True},
            {"exists": False},
        ]
    )


def random_pattern(random: Random, depth: int = 1) -> dict[str, Any]:
    """Return a pattern on the fields that callers have."""
    pattern: dict[str, Any] = {}
    for path in random.sample(PATHS, random.randint(1, 3)):
        *steps, last = path.split(".") if "sip." not in path else [*path.split(".")[:2], "sip.trunkPhoneNumber"]
        node = pattern
        for step in steps:
            node = node.setdefault(step, {})
        node[last] = [random_value(random, path) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    if depth and random.random() < 0.2:
        pattern["$or"] = [random_pattern(random, depth - 1) for _ in range(2)]
    return pattern


def random_row(random: Random, rule_id: int) -> dict[str, Any]:
    """Return a row that may be disabled, out of hours, rolled out in part, or go on to later rules."""
    return make_row(
        rule_id,
        random_pattern(random),
        priority=random.choice([10, 100, 100, 100, 200]),
        enabled=random.random() < 0.9,
        on_match=random.choice(["stop", "continue", "continue"]),
        rollout_percent=random.choice([100, 100, 50, 0]),
        active_hours=random.choice([None, None, "Mo-Fr 09:00-18:00", "Sa-Su"]),
    )
