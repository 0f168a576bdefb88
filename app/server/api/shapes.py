"""What the API's answers look like, for the OpenAPI document; the answers themselves are made by `to_json`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, Field, create_model

from app.audit import AttemptRecord, AuditRecord, CallerRecord, DispatchSummary, EventRecord, EventSummary
from app.db.types import DispatchStatus
from app.outbox.dispatch import Dispatch

T = TypeVar("T")


class PageOf(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="ask with this as `cursor` for what follows; null at the end")
    searched_back_to: datetime | None = Field(
        description="when the search was cut to keep it quick: nothing else is newer than this; go on with the cursor"
    )


def _columns(kind: type[Any]) -> dict[str, Any]:
    return {name: (hint, ...) for name, hint in get_type_hints(kind).items()}


EventDetail: Any = create_model("EventDetail", **_columns(EventRecord))
DispatchDetail: Any = create_model(
    "DispatchDetail",
    **_columns(Dispatch),
    calls=(list[AttemptRecord], ...),
    changes=(list[AuditRecord], ...),
    callers=(list[CallerRecord], ...),
)


class EventPage(PageOf[EventSummary]):
    pass


class DispatchPage(PageOf[DispatchSummary]):
    pass


class DispatchesChanged(BaseModel):
    done: list[str]
    refused: dict[str, str] = Field(description="by dispatch id, why nothing was done")


class Replayed(BaseModel):
    event_id: str = Field(description="of the new event")
    status: Literal["accepted", "duplicate", "ignored"]
    outcome: str | None


class CallHead(BaseModel):
    event_id: str
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    participant_kind: str
    phone_number: str | None
    joined_at: datetime
    left_at: datetime | None
    agent_joined_at: datetime | None
    agents: list[str]
    state: str
    reason: str
    seconds_to_agent: float | None


class Step(BaseModel):
    at: datetime
    kind: str
    title: str
    reason: str
    by: str
    event_id: str | None
    dispatch_id: str | None
    state: DispatchStatus | None
    facts: dict[str, Any]
    seconds_since_previous: float | None
    seconds_since_joining: float | None


DispatchColumns: Any = create_model("DispatchColumns", **_columns(Dispatch))


class Timeline(BaseModel):
    call: CallHead
    summary: str
    steps: list[Step]
    dispatches: list[DispatchColumns]


class TriedRule(BaseModel):
    rule_id: int
    rule: str
    outcome: str
    words: str
    priority: int | None
    agent_name: str | None
    path: str | None = None
    expected: str | None = None
    found: list[str] | None = None
    shadowed_by: str | None = None
    detail: str | None = None


class Explanation(BaseModel):
    event: EventDetail
    rules_version: int = Field(description="of the rule book that decided")
    matched: list[str]
    rules: list[TriedRule] = Field(description="every rule of that book in matching order")
    doubt: str = Field(description="why this may not be what was decided then; empty when it is")
    present_version: int
    matching_now: list[TriedRule] | None = Field(description="of the present rule book, when it is another")
    timeline: Timeline


class CallPage(PageOf[CallHead]):
    pass
