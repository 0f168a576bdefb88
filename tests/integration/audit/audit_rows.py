"""Rows of events and dispatches as delivery writes them, for tests of the read service; ids sort by their instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from app.db.record_ids import lowest_id_at
from app.db.tables import audit_log, dispatch_attempts, dispatch_callers, dispatches, events
from app.livekit.vocabulary import JOINS
from app.webhook.event_store import name_in

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_numbers = count()


def at(seconds: float) -> datetime:
    """Return the instant so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def make_id(instant: datetime) -> str:
    """Return an id of `instant`; of one instant, later ones are greater.

    Those of every other second are UUIDv7, as replicas of earlier releases make them during a rolling upgrade.
    """
    milliseconds = int(instant.timestamp() * 1000)
    if milliseconds // 1000 % 2:
        return f"{lowest_id_at(instant)}{next(_numbers):09d}"
    return str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | next(_numbers)))


def event_row(instant: datetime, **values: Any) -> dict[str, Any]:
    """Return an accepted join of ana at `instant`, but for `values`."""
    identity = values.get("id") or make_id(instant)
    name, participant = values.get("participant_identity", "ana"), values.get("participant_sid", f"PA_{identity}")
    row = {
        "id": identity,
        "livekit_id": f"EV_{identity}",
        "dedupe_key": identity,
        "project": "default",
        "type": "participant_joined",
        "source": "webhook",
        "room_name": "support-1",
        "room_sid": "RM_1",
        "participant_identity": name,
        "participant_sid": participant,
        "participant_kind": "STANDARD",
        "participant_role": "caller",
        "phone_number": None,
        "trunk_number": None,
        "occurred_at": instant,
        "received_at": instant,
        "outcome": "planned",
        "rules_version": 1,
        "decision": {"rules_version": 1, "matched": [{"rule_id": 1, "rule": "spanish"}]},
        **values,
    }
    participant_json = {"identity": name, "sid": participant, "kind": row["participant_kind"]}
    row.setdefault(
        "body",
        {
            "event": row["type"],
            "id": row["livekit_id"],
            "room": {"name": row["room_name"], "sid": row["room_sid"]},
            **({"participant": participant_json} if participant else {}),
        },
    )
    row.setdefault("participant_name", name_in(row["body"]) if row["type"] in JOINS else None)
    return row


def dispatch_row(instant: datetime, event: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """Return a dispatch made at `instant` for `event` that has ended, but for `values`."""
    identity = values.get("id") or make_id(instant)
    return {
        "id": identity,
        "event_id": event["id"],
        "rule_id": 1,
        "rule_name": "spanish",
        "rules_version": 1,
        **{
            name: event[name]
            for name in ("project", "room_name", "room_sid", "participant_identity", "participant_sid")
        },
        "agent_name": "support-es",
        "metadata": '{"language": "es"}',
        "attributes": {},
        "deployment": None,
        "scope": "room",
        "intent_key": identity,
        "status": "ended",
        "cause": "agent_left",
        "reason": "the agent left",
        "answer_timeout_s": 15,
        "max_attempts": 3,
        "fallbacks": None,
        "min_stay_s": 3,
        "recover": "never",
        "withdraw": False,
        "attempts": 1,
        "rung": 0,
        "asked_agent_name": None,
        "next_attempt_at": None,
        "queued_at": None,
        "placed_at": None,
        "livekit_dispatch_id": None,
        "job_id": None,
        "worker_id": None,
        "agent_identity": None,
        "agent_sid": None,
        "replaces": None,
        "replaces_kind": None,
        "handed_to": None,
        "request_key": None,
        "recoveries": 0,
        "created_at": instant,
        "dispatched_at": None,
        "joined_at": None,
        "ended_at": None,
        **values,
    }


def caller_row(
    dispatch: Mapping[str, Any], event: Mapping[str, Any], left_at: datetime | None = None
) -> dict[str, Any]:
    """Return the row that says that `dispatch` serves the participant of `event`."""
    return {
        "dispatch_id": dispatch["id"],
        "participant_sid": event["participant_sid"],
        "event_id": event["id"],
        "participant_identity": event["participant_identity"],
        "left_at": left_at,
    }


def change_row(
    instant: datetime, dispatch: Mapping[str, Any], before: str | None, after: str, *, reason: str, by: str = "usher"
) -> dict[str, Any]:
    """Return the audit line of one change of state."""
    return {
        "entity": "dispatch",
        "entity_id": dispatch["id"],
        "from_state": before,
        "to_state": after,
        "reason": reason,
        "changed_at": instant,
        "changed_by": by,
    }


def attempt_row(
    instant: datetime, dispatch: Mapping[str, Any], number: int, outcome: str, **values: Any
) -> dict[str, Any]:
    """Return one call to LiveKit that took 3 ms."""
    return {
        "dispatch_id": dispatch["id"],
        "number": number,
        "agent_name": dispatch["agent_name"],
        "started_at": instant,
        "finished_at": instant + timedelta(milliseconds=3),
        "outcome": outcome,
        "livekit_dispatch_id": None,
        "job_id": None,
        "error_code": None,
        "error_text": None,
        **values,
    }


def store(
    connection: Connection,
    *,
    event_rows: Sequence[Mapping[str, Any]] = (),
    dispatch_rows: Sequence[Mapping[str, Any]] = (),
    callers: Sequence[Mapping[str, Any]] = (),
    attempts: Sequence[Mapping[str, Any]] = (),
    changes: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Insert rows in the order in which their tables need them."""
    for table, rows in (
        (events, event_rows),
        (dispatches, dispatch_rows),
        (dispatch_callers, callers),
        (dispatch_attempts, attempts),
        (audit_log, changes),
    ):
        if rows:
            connection.execute(insert(table), [dict(row) for row in rows])
