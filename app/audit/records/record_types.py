"""Stored events, dispatches and what belongs to them, as they are shown: each a dataclass that is a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, make_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self, get_type_hints

from pydantic import Field

from app.db.columns.action_types import RuleAction
from app.db.types import Cause, DispatchStatus, EventOutcome, EventSource, ReplacesKind, Scope
from app.json_shape import Instant, JsonShape, shape_of
from app.outbox.dispatch import Dispatch, asked_agent
from app.webhook.event_store import trunk_id_in
from app.webhook.stored_body import body_of

_COLUMNS: dict[type[Any], tuple[str, ...]] = {}


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the columns of a record type."""
    if kind not in _COLUMNS:
        _COLUMNS[kind] = tuple(get_type_hints(kind))
    return _COLUMNS[kind]


class _Row(JsonShape):
    """A record whose fields are columns."""

    __slots__ = ()

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Return the record of a row that has at least its columns."""
        values = {name: row[name] for name in columns_of(cls)}
        for name, kind in _enums_of(cls).items():
            values[name] = kind(values[name])
        return cls(**values)


_ENUMS: dict[str, type[StrEnum]] = {
    kind.__name__: kind for kind in (EventSource, EventOutcome, DispatchStatus, Cause, Scope)
}
_ENUMS_OF: dict[type[Any], dict[str, type[StrEnum]]] = {}


def _enums_of(kind: type[Any]) -> dict[str, type[StrEnum]]:
    """Return the columns that are enums."""
    if kind not in _ENUMS_OF:
        _ENUMS_OF[kind] = {field.name: _ENUMS[field.type] for field in fields(kind) if field.type in _ENUMS}
    return _ENUMS_OF[kind]


@dataclass(frozen=True, slots=True)
class EventSummary(_Row):
    """An event without its documents."""

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
    participant_role: str
    phone_number: str | None
    occurred_at: Instant
    received_at: Instant
    outcome: EventOutcome
    rules_version: int


@dataclass(frozen=True, slots=True)
class EventDetail(EventSummary):
    """A whole event. `body` is the webhook without its secrets; `decision` what was decided about it.

    `body` is null once it is dropped (USHER_RETENTION_BODIES_DAYS), `decision` if no rule matched an ignored event.
    `lookups`: what each lookup answered, by name; null where none was asked. `participant_name` is that of a join, and
    `trunk_number` our number in that of a phone participant; null in events of earlier releases.
    """

    dedupe_key: str
    body: Mapping[str, Any] | None
    decision: Mapping[str, Any] | None
    lookups: Mapping[str, Any] | None = None
    participant_name: str | None = None
    trunk_number: str | None = None

    @property
    def trunk_id(self) -> str | None:
        """LiveKit's id of the SIP trunk of a phone participant; None once the body is dropped."""
        return trunk_id_in(self.body or {}, self.participant_kind)

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Return the event of a row that has at least its columns."""
        return super(EventDetail, cls).from_row({**row, "body": body_of(row)})  # super(): slots make another class


def decided_because(decision: Any) -> str:
    """Return the reason that is stored in `events.decision`, in English; empty if there is none."""
    return str(decision.get("reason") or "") if isinstance(decision, Mapping) else ""


def ignored_by(decision: Any) -> str:
    """Return the rule that ignored an event, by the decision stored with it; empty if none did."""
    matched = decision.get("matched") if isinstance(decision, Mapping) else None
    first = matched[0] if isinstance(matched, list) and matched else None
    if isinstance(first, Mapping) and first.get("action") == RuleAction.IGNORE:
        return str(first.get("rule") or "")
    return ""


@dataclass(frozen=True, slots=True)
class DispatchSummary(_Row):
    """A dispatch without its documents and without what only delivery needs."""

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
    rung: int
    asked_agent_name: str | None
    scope: Scope
    status: DispatchStatus
    cause: Cause
    reason: str
    attempts: int
    livekit_dispatch_id: str | None
    job_id: str | None
    worker_id: str | None
    agent_identity: str | None
    replaces: str | None
    replaces_kind: ReplacesKind | None
    created_at: Instant
    waiting_since: Annotated[Instant | None, Field(description="when the caller joined; null: at `created_at`")]
    dispatched_at: Instant | None
    joined_at: Instant | None
    ended_at: Instant | None

    @property
    def agent_asked(self) -> str:
        """The agent of the latest attempt: the rule's, or a fallback."""
        return asked_agent(self.agent_name, self.asked_agent_name)

    @property
    def seconds_to_agent(self) -> float | None:
        """How long the caller waited until the agent joined; None if none has."""
        if self.joined_at is None:
            return None
        return max(0.0, (self.joined_at - self.waits_since).total_seconds())

    @property
    def waits_since(self) -> datetime:
        """When its caller began to wait for it."""
        return self.waiting_since or self.created_at


@dataclass(frozen=True, slots=True)
class AttemptRecord(_Row):
    """One call to LiveKit. `outcome` is null until it is answered."""

    dispatch_id: str
    number: int
    agent_name: str
    started_at: Instant
    finished_at: Instant | None
    outcome: str | None
    livekit_dispatch_id: str | None
    job_id: str | None
    error_code: str | None
    error_text: str | None
    joined_at: Instant | None
    left_at: Instant | None


@dataclass(frozen=True, slots=True)
class AuditRecord(_Row):
    """One line of the audit log."""

    id: int
    entity: str
    entity_id: str
    from_state: str | None
    to_state: str
    reason: str
    changed_at: Instant
    changed_by: str


@dataclass(frozen=True, slots=True)
class CallerRecord(_Row):
    """A participant that a dispatch serves; `left_at` is null until it leaves."""

    dispatch_id: str
    participant_sid: str
    event_id: str
    participant_identity: str
    left_at: Instant | None


def _columns_of_dispatch() -> list[tuple[str, Any]]:
    shown = {datetime: Instant, datetime | None: Instant | None}
    return [(name, shown.get(kind, kind)) for name, kind in get_type_hints(Dispatch).items()]


DispatchColumns: Any = make_dataclass(
    "DispatchColumns", _columns_of_dispatch(), bases=(JsonShape,), namespace={"__doc__": None}, frozen=True, slots=True
)
"""A dispatch with all its columns, as JSON."""

DispatchDetail: Any = make_dataclass(
    "DispatchDetail",
    [
        ("calls", tuple[AttemptRecord, ...]),
        ("changes", tuple[AuditRecord, ...]),
        ("callers", tuple[CallerRecord, ...]),
    ],
    bases=(DispatchColumns,),
    namespace={"__doc__": None},
    frozen=True,
    slots=True,
)
"""The JSON of a `DispatchRecord`."""


@dataclass(frozen=True, slots=True)
class DispatchRecord:
    """A whole dispatch with its calls to LiveKit, its changes of state and its callers, each oldest first."""

    dispatch: Dispatch
    calls: tuple[AttemptRecord, ...]
    changes: tuple[AuditRecord, ...]
    callers: tuple[CallerRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the columns of the dispatch and, beside them, `calls`, `changes` and `callers`."""
        document: dict[str, Any] = DispatchDetail(*self.dispatch, self.calls, self.changes, self.callers).to_json()
        return document

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Return the record of such an object."""
        detail = shape_of(DispatchDetail).validate_python(document)
        dispatch = Dispatch(*(getattr(detail, name) for name in columns_of(Dispatch)))
        return cls(dispatch, detail.calls, detail.changes, detail.callers)


def dispatch_json(dispatch: Dispatch) -> dict[str, Any]:
    """Return all columns of a dispatch as a JSON object."""
    document: dict[str, Any] = DispatchColumns(*dispatch).to_json()
    return document
