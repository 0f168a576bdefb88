"""Rule sets of many shapes, and events that hit and miss them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.db.types import EventSource
from app.webhook.event import Event

NUMBER = "+15550000005"


@dataclass(frozen=True, slots=True)
class Shape:
    """A set of rules that differ by a number; the event below hits the sixth of them, if the set can be hit at all."""

    name: str
    pattern: Callable[[int], dict[str, Any]]
    is_typical: bool = False


def _attributes(**values: Any) -> dict[str, Any]:
    return {"participant": {"attributes": values}}


SHAPES = (
    Shape(
        "by dialled number",
        lambda i: {"participant": {"kind": ["SIP"], "attributes": {"sip.trunkPhoneNumber": [f"+1555{i:07d}"]}}},
        is_typical=True,
    ),
    Shape("by room prefix", lambda i: {"room": {"name": [{"prefix": f"support-{i:06d}-"}]}}, is_typical=True),
    Shape(
        "by department and language",
        lambda i: {"participant": {"metadata": {"department": [f"d{i}"], "language": ["es", "ca"]}}},
        is_typical=True,
    ),
    Shape("all under one number", lambda _: _attributes(**{"sip.trunkPhoneNumber": [NUMBER]})),
    Shape(
        "one number, distinguished by ranges",
        lambda i: {
            "participant": {
                "attributes": {"sip.trunkPhoneNumber": [NUMBER]},
                "metadata": {"score": [{"numeric": [">=", i, "<", i + 1]}]},
            }
        },
    ),
    Shape(
        "one common prefix",
        lambda i: {"room": {"name": [{"prefix": "support-"}]}, "participant": {"metadata": {"department": [f"d{i}"]}}},
    ),
    Shape("suffix only", lambda i: {"room": {"name": [{"suffix": f"-{i:06d}-x"}]}}),
    Shape("wildcard only", lambda i: {"room": {"name": [{"wildcard": f"support-*{i:06d}-*"}]}}),
    Shape("any case only", lambda i: {"participant": {"metadata": {"department": [{"equals-ignore-case": f"D{i}"}]}}}),
    Shape("range only", lambda i: {"participant": {"metadata": {"score": [{"numeric": [">", i - 1, "<=", i]}]}}}),
    Shape("above a bound only", lambda i: {"participant": {"metadata": {"score": [{"numeric": [">", 4 - i]}]}}}),
    Shape("anything-but only", lambda i: {"room": {"name": [{"anything-but": ["support-000005-x", f"x{i}"]}]}}),
    Shape("presence of a field only", lambda i: _attributes(**{f"flag{i}": [{"exists": True}]})),
    Shape("absence of a field only", lambda i: _attributes(**{f"flag{i}": [{"exists": False}]})),
    Shape("network only", lambda i: _attributes(address=[{"cidr": f"10.{i >> 8 & 255}.{i & 255}.0/24"}])),
    Shape(
        "one of two fields",
        lambda i: {
            "$or": [{"room": {"name": [f"room{i}"]}}, {"participant": {"metadata": {"department": [f"d{i}"]}}}],
        },
    ),
)


def rows(shape: Shape, count: int) -> list[dict[str, Any]]:
    """Return `count` rows of the shape, as an INSERT of the needed columns leaves them."""
    return [
        {"id": i + 1, "name": f"rule {i}", "pattern": shape.pattern(i), "agent_name": f"agent-{i % 10}"}
        for i in range(count)
    ]


def hit() -> Event:
    """Return a call that most shapes have exactly one rule for."""
    attributes = {"sip.trunkPhoneNumber": NUMBER, "flag5": "x", "address": "10.0.5.77"}
    return _event("support-000005-x", {"department": "d5", "language": "es", "score": 5}, attributes)


def miss() -> Event:
    """Return a call that hardly any rule is for."""
    attributes = {"sip.trunkPhoneNumber": "+34999999999", "address": "192.168.0.1"}
    return _event("elsewhere", {"department": "none", "language": "es", "score": -200_000}, attributes)


def _event(room: str, metadata: dict[str, Any], attributes: dict[str, str]) -> Event:
    """Return an event as large as a real phone call's."""
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    sip = {"sip.callID": "SCL_Xq", "sip.callStatus": "ringing", "sip.hostname": "h", "sip.ruleID": "SDR_1"}
    sip["sip.phoneNumber"] = "+34600111222"
    document: dict[str, Any] = {
        "event": "participant_joined",
        "id": "EV_1",
        "createdAt": 1795366441,
        "project": "default",
        "room": {
            "sid": "RM_1",
            "name": room,
            "metadata": "",
            "numParticipants": 1,
            "creationTime": 1795366441,
            "enabledCodecs": [{"mime": f"audio/{n}", "fmtpLine": ""} for n in range(10)],
        },
        "participant": {
            "sid": "PA_1",
            "identity": "sip_+34600111222",
            "state": "ACTIVE",
            "kind": "SIP",
            "role": "caller",
            "joinedAt": 1795366441,
            "permission": {"canPublish": True, "canSubscribe": True, "canPublishData": True},
            "metadata": metadata,
            "attributes": sip | attributes,
        },
    }
    return Event(
        id="event",
        livekit_id="EV_1",
        dedupe_key="PA_1",
        project="default",
        type="participant_joined",
        source=EventSource.WEBHOOK,
        room_name=room,
        room_sid="RM_1",
        participant_identity="sip_+34600111222",
        participant_sid="PA_1",
        participant_kind="SIP",
        participant_role="caller",
        phone_number="+34600111222",
        occurred_at=now,
        received_at=now,
        body=document,
        document=document,
        shareable=document,
    )
