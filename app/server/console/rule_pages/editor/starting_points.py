"""Rules to start from: the fields of a new rule for usual purposes, with what is to be filled in left empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.rules.rows.lines import Line
from app.rules.rows.operator import Operator


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A purpose, with the columns and conditions of its rule; `guide` names the page of the documentation."""

    key: str
    title: str
    text: str
    guide: str
    lines: tuple[Line, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)


STARTING_POINTS: Final = (
    StartingPoint(
        "language",
        "Language",
        "Callers who speak a language, by the metadata of their token.",
        "languages",
        (Line(field="participant.metadata.language"),),
    ),
    StartingPoint(
        "phone",
        "Phone number",
        "Callers who dialled one of your numbers.",
        "phone",
        (Line(field="participant.phone.called"),),
    ),
    StartingPoint(
        "room",
        "Room prefix",
        "Callers in rooms whose names begin alike.",
        "concepts",
        (Line(field="room.name", operator=Operator.BEGINS),),
    ),
    StartingPoint(
        "hours",
        "Business hours",
        "Callers of a weekday from nine to six; later rules get the others.",
        "hours",
        columns={"active_hours": "Mo-Fr 09:00-18:00"},
    ),
    StartingPoint(
        "vip",
        "VIP",
        "Callers of a plan, before all others: in the order of rules and in queues.",
        "vip",
        (Line(field="participant.metadata.plan", operator=Operator.IS_ANY_CASE),),
        {"priority": 10, "queue_priority": 10},
    ),
    StartingPoint(
        "share",
        "Share of callers",
        "A tenth of the callers, always the same ones, for a new version of an agent.",
        "rollout",
        columns={"priority": 50, "rollout_percent": 10},
    ),
    StartingPoint(
        "block",
        "Block list",
        "Phone numbers that are hung up on before any other rule is tried.",
        "actions",
        (Line(field="participant.phone.caller"),),
        {"priority": 1, "action": "remove"},
    ),
    StartingPoint(
        "rest",
        "Everybody else",
        "Every caller that no earlier rule has matched.",
        "concepts",
        columns={"priority": 1000},
    ),
)
"""In the order of the page."""


def starting_point(key: str) -> StartingPoint | None:
    """Return the starting point with this key."""
    return next((one for one in STARTING_POINTS if one.key == key), None)
