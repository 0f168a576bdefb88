"""What the read service hands out: rows of events and dispatches, in the shape that every door shows them in.

`to_json` is the one JSON form: the API, `--json` and exports all print it. Times are text as `format_instant` writes
it; what is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, get_type_hints

from app.db.types import DispatchStatus, EventOutcome, EventSource, Scope, format_instant
from app.outbox.dispatch import Dispatch


def as_json(value: Any) -> Any:
    """Return `value` as JSON shows it; documents pass through unchanged."""
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, str) else value


_COLUMNS: dict[type[Any], tuple[str, ...]] = {}


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the columns that a record of `kind` is made of."""
    if kind not in _COLUMNS:
        _COLUMNS[kind] = tuple(get_type_hints(kind))
    return _COLUMNS[kind]


class _Row:
    """A record whose fields are columns."""

    __slots__ = ()

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Return the record in a row that has at least its columns."""
        values = {name: row[name] for name in columns_of(cls)}
        for name, kind in _enums_of(cls).items():
            values[name] = kind(values[name])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object with a key for each column."""
        return {name: as_json(getattr(self, name)) for name in columns_of(type(self))}


_ENUMS: dict[str, type[StrEnum]] = {kind.__name__: kind for kind in (EventSource, EventOutcome, DispatchStatus, Scope)}
_ENUMS_OF: dict[type[Any], dict[str, type[StrEnum]]] = {}


def _enums_of(kind: type[Any]) -> dict[str, type[StrEnum]]:
    """Return the columns that are enums."""
    if kind not in _ENUMS_OF:
        _ENUMS_OF[kind] = {field.name: _ENUMS[field.type] for field in fields(kind) if field.type in _ENUMS}
    return _ENUMS_OF[kind]


@dataclass(frozen=True, slots=True)
class EventSummary(_Row):
    """An event as lists show it: everything but its documents."""

    id: str
    livekit_id: str
    project: str
    type: str
    source: EventSource
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    participant_kind: str
    phone_number: str | None
    occurred_at: datetime
    received_at: datetime
    outcome: EventOutcome
    rules_version: int


@dataclass(frozen=True, slots=True)
class EventRecord(EventSummary):
    """A whole event. `body` is the webhook without its secrets; `decision` what was decided about it."""

    dedupe_key: str
    body: Mapping[str, Any]
    decision: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class DispatchSummary(_Row):
    """A dispatch as lists show it: everything but its documents and what only delivery needs."""

    id: str
    event_id: str
    rule_id: int
    rule_name: str
    rules_version: int
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    agent_name: str
    asked_agent_name: str | None
    scope: Scope
    status: DispatchStatus
    reason: str
    attempts: int
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None
    agent_identity: str | None
    recovers: str | None
    created_at: datetime
    dispatched_at: datetime | None
    joined_at: datetime | None
    ended_at: datetime | None

    @property
    def agent_asked(self) -> str:
        """The agent that was asked for last: the rule's, or its fallback."""
        return self.asked_agent_name or self.agent_name

    @property
    def seconds_to_agent(self) -> float | None:
        """How long the caller waited until the agent came; None when it has not."""
        if self.joined_at is None:
            return None
        return max(0.0, (self.joined_at - self.created_at).total_seconds())


@dataclass(frozen=True, slots=True)
class AttemptRecord(_Row):
    """One call to LiveKit. `outcome` is null while it is under way."""

    dispatch_id: str
    number: int
    agent_name: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    livekit_dispatch_id: str | None
    job_id: str | None
    error_code: str | None
    error_text: str | None


@dataclass(frozen=True, slots=True)
class AuditRecord(_Row):
    """One line of the audit log."""

    id: int
    entity: str
    entity_id: str
    from_state: str | None
    to_state: str
    reason: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class CallerRecord(_Row):
    """A participant whom a dispatch serves; `left_at` once it has left."""

    dispatch_id: str
    participant_sid: str
    event_id: str
    participant_identity: str
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class DispatchRecord:
    """A whole dispatch with its calls to LiveKit, its changes of state and those whom it serves, each oldest first."""

    dispatch: Dispatch
    calls: tuple[AttemptRecord, ...]
    changes: tuple[AuditRecord, ...]
    callers: tuple[CallerRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the columns of the dispatch and, beside them, `calls`, `changes` and `callers`."""
        lists = {"calls": self.calls, "changes": self.changes, "callers": self.callers}
        return {
            **dispatch_json(self.dispatch),
            **{name: [one.to_json() for one in entries] for name, entries in lists.items()},
        }


def dispatch_json(dispatch: Dispatch) -> dict[str, Any]:
    """Return all columns of a dispatch as a JSON object."""
    return {name: as_json(getattr(dispatch, name)) for name in columns_of(Dispatch)}
