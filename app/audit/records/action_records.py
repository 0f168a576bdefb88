"""Actions on callers as they are shown: each a dataclass that is a JSON document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, and_, or_, select

from app.audit.records.record_types import AuditRecord
from app.db.columns.action_types import CallerActionCause, CallerActionKind, CallerActionStatus
from app.db.tables import audit_log, caller_actions
from app.json_shape import Instant, JsonShape

_MOST = 200


@dataclass(frozen=True, slots=True)
class ActionRecord(JsonShape):
    """What LiveKit is to do with one participant. `answer` is what it said to the latest call.

    `dispatch_id` is null for the action of a rule, else it is the dispatch whose agents did not join.
    """

    id: str
    event_id: str
    dispatch_id: str | None
    rule_id: int
    rule_name: str
    rules_version: int
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    kind: CallerActionKind
    transfer_to: str | None
    status: CallerActionStatus
    cause: CallerActionCause
    reason: str
    answer: str
    attempts: int
    created_at: Instant
    called_at: Instant | None
    ended_at: Instant | None
    changes: tuple[AuditRecord, ...]

    @classmethod
    def of(cls, row: Mapping[Any, Any], changes: Sequence[AuditRecord]) -> Self:
        """Return the record of a row and its changes."""
        values = {name: row[name] for name in cls.__dataclass_fields__ if name != "changes"}
        values["kind"] = CallerActionKind(values["kind"])
        values["status"] = CallerActionStatus(values["status"])
        values["cause"] = CallerActionCause(values["cause"])
        return cls(**values, changes=tuple(changes))


def read_actions(
    connection: Connection, project: str, participant_sid: str, event_ids: Collection[str]
) -> list[ActionRecord]:
    """Return the actions on a participant, or those that its events caused, oldest first."""
    on_them = and_(caller_actions.c.participant_sid == participant_sid, caller_actions.c.project == project)
    is_own = or_(caller_actions.c.event_id.in_(event_ids), on_them)
    rows = connection.execute(select(caller_actions).where(is_own).order_by(caller_actions.c.id).limit(_MOST))
    return with_changes(connection, rows.mappings().all())


def with_changes(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> list[ActionRecord]:
    """Return the records of these rows, each with its changes of state, oldest first."""
    changes: dict[str, list[AuditRecord]] = {row["id"]: [] for row in rows}
    if changes:
        query = select(audit_log).where(audit_log.c.entity_id.in_(changes)).order_by(audit_log.c.id)
        for line in connection.execute(query).mappings():
            changes[line["entity_id"]].append(AuditRecord.from_row(line))
    return [ActionRecord.of(row, changes[row["id"]]) for row in rows]
