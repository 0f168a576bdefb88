"""Rules to start from: the fields of a new rule for usual purposes, with what is to be filled in left empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from app.db.columns.action_types import RuleAction
from app.db.rule_columns import COLUMN
from app.rules.book.rule_book import Rule
from app.rules.rows.lines import Line
from app.rules.rows.operator import Operator


class Place(Enum):
    """Where in the matching order a rule must be for its purpose."""

    FIRST = auto()
    BEFORE_AGENTS = auto()
    """Before every rule that dispatches an agent."""
    LAST = auto()


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A purpose, with the columns and conditions of its rule; `guide` names the page of the documentation."""

    key: str
    title: str
    text: str
    guide: str
    lines: tuple[Line, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None

    def columns_beside(self, rules: Sequence[Rule]) -> dict[str, Any]:
        """Return the columns for a rule beside `rules`, which are in matching order: its priority suits its place."""
        columns = dict(self.columns)
        priority: int = columns.get("priority", COLUMN["priority"].default)
        match self.place:
            case Place.FIRST if rules:
                priority = min(priority, rules[0].priority - 1)
            case Place.BEFORE_AGENTS if agents := [one for one in rules if one.action is RuleAction.DISPATCH]:
                priority = min(priority, agents[0].priority - 1)
            case Place.LAST if rules:
                priority = max(priority, rules[-1].priority + 1)
            case _:
                return columns
        return columns | {"priority": max(COLUMN["priority"].least or 0, min(priority, COLUMN["priority"].most or 0))}

    @property
    def title_in_sentence(self) -> str:
        return self.title if self.title.isupper() else self.title.lower()


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
        "Callers of a plan, before all others that get an agent: in the order of rules and in queues.",
        "vip",
        (Line(field="participant.metadata.plan", operator=Operator.IS_ANY_CASE),),
        {"priority": 10, "queue_priority": 10},
        Place.BEFORE_AGENTS,
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
        Place.FIRST,
    ),
    StartingPoint(
        "rest",
        "Everybody else",
        "Every caller that no earlier rule has matched.",
        "concepts",
        columns={"priority": 1000},
        place=Place.LAST,
    ),
)
"""In the order of the page."""


def starting_point(key: str) -> StartingPoint | None:
    """Return the starting point with this key."""
    return next((one for one in STARTING_POINTS if one.key == key), None)
