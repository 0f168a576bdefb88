"""Calls as CSV with columns for people, or as JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from app.audit.calls.call_head import CallHead
from app.audit.records.export import ExportFormat, export_records

COLUMNS: Final = (
    "joined_at",
    "caller",
    "name",
    "phone_number",
    "direction",
    "room",
    "project",
    "state",
    "outcomes",
    "rules",
    "agents_asked",
    "agent_joined_at",
    "seconds_to_agent",
    "left_at",
    "reason",
    "call",
    "called_number",
)


def export_calls(found: Iterable[CallHead], format_: ExportFormat, *, with_header: bool = True) -> Iterator[str]:
    """Yield the lines of an export of calls; JSON lines hold the calls as the API answers them.

    `with_header`: False for the pages after the first.
    """
    as_object = CallHead.to_json if format_ is ExportFormat.JSONL else _for_people
    return export_records(found, as_object, COLUMNS, format_, with_header=with_header)


def _for_people(call: CallHead) -> Mapping[str, Any]:
    document = call.to_json()
    return {
        **{
            name: document[name]
            for name in ("joined_at", "phone_number", "called_number", "direction", "project", "state")
        },
        **{name: document[name] for name in ("agent_joined_at", "left_at", "reason")},
        "caller": call.participant_identity,
        "name": call.participant_name,
        "room": call.room_name,
        "outcomes": ", ".join(call.outcomes),
        "rules": ", ".join(call.rules),
        "agents_asked": ", ".join(call.asked_agents),
        "seconds_to_agent": None if call.seconds_to_agent is None else round(call.seconds_to_agent, 3),
        "call": call.event_id,
    }
