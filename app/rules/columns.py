"""The columns of `routing_rules` that people write: which are needed, what the others are when left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.db.tables import RULE_COLUMNS
from app.db.types import OnMatch, Scope
from app.livekit.vocabulary import EventType

REQUIRED: Final = ("name", "pattern", "agent_name")
"""All that an INSERT needs."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "description": "",
    "enabled": True,
    "priority": 100,
    "metadata": None,
    "attributes": None,
    "deployment": None,
    "scope": str(Scope.ROOM),
    "on_match": str(OnMatch.STOP),
    "rollout_percent": 100,
    "rollout_key": "participant.identity",
    "active_hours": None,
    "timezone": "UTC",
    "holidays": None,
    "answer_timeout_s": 15,
    "max_attempts": 3,
    "fallback_agent_name": None,
    "recover": False,
    "withdraw": False,
    "objective_percent": None,
    "objective_s": None,
}
"""The database's own defaults, as Python values."""

WRITABLE: Final = tuple(str(column) for column in RULE_COLUMNS if column != "id")
"""Every column that a person writes, in the order of the table."""

STAMPS: Final = ("created_at", "updated_at", "updated_by")
"""Written by the database."""

DOCUMENTS: Final = ("pattern", "metadata", "attributes")
"""The columns that hold JSON."""


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the writable columns of `row` in their order, with the defaults of those that are left out."""
    return {column: row[column] if column in row else DEFAULTS.get(column) for column in WRITABLE}


def matching_order(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the key by which rules are tried; what plain SQL put in instead of a number comes last."""
    priority, rule_id = row.get("priority", DEFAULTS["priority"]), row.get("id") or 0
    return (priority if isinstance(priority, int) else 2**31, rule_id if isinstance(rule_id, int) else 0)


def full_pattern(pattern: Any) -> Any:
    """Return a rule's pattern with what `{}` leaves unsaid: every join.

    The bare language refuses an empty object, as event-ruler does. A rule's pattern that does not name `event` means
    `["participant_joined"]`, so an empty one still asks for something, and is how people write the last rule of all.
    """
    return {"event": [EventType.PARTICIPANT_JOINED.value]} if pattern == {} else pattern
