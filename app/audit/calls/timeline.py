"""A call from its first webhook to its end, step by step, in sentences for operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, PlainSerializer
from sqlalchemy import Connection

from app.audit.calls.call import MAX_EVENTS, CallFacts, read_call
from app.audit.calls.call_head import CallHead
from app.audit.calls.decision_steps import action_step, decision_step, lookup_steps
from app.audit.calls.headline import headline
from app.audit.calls.step import (
    Step,
    StepKind,
    call_step,
    change_step,
    event_step,
    intervention_step,
)
from app.audit.records.action_records import ActionRecord
from app.audit.records.find_records import Projects
from app.audit.records.record_types import DispatchColumns, DispatchRecord, EventDetail
from app.db.types import DispatchStatus
from app.json_shape import JsonShape
from app.translation import gettext

__all__ = ["Step", "StepKind", "Timeline", "timeline", "timeline_of"]


def _columns(records: tuple[DispatchRecord, ...]) -> list[Any]:
    return [DispatchColumns(*record.dispatch) for record in records]


@dataclass(frozen=True, slots=True)
class CallSteps(JsonShape):
    """A call and its steps, oldest first. `summary` is one sentence."""

    call: CallHead
    summary: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Timeline(CallSteps):
    """A call, its steps, and the dispatches and actions that they are made of."""

    subject: Annotated[EventDetail, Field(exclude=True)]  # the event that was asked for
    dispatches: Annotated[
        tuple[DispatchRecord, ...], PlainSerializer(_columns, return_type=list[DispatchColumns], when_used="json")
    ]
    actions: tuple[ActionRecord, ...]


def timeline(connection: Connection, reference: str, projects: Projects = None) -> Timeline:
    """Return the timeline of the call that `reference` identifies; raises NotFoundError.

    `reference` is an event id (ours or LiveKit's), a dispatch id, a participant SID, or an identity or phone number,
    which stand for their latest call.
    """
    return timeline_of(read_call(connection, reference, projects))


def timeline_of(facts: CallFacts) -> Timeline:
    """Return the timeline of a call whose rows have been read."""
    call = facts.head
    # A replacement is created in the same instant as its predecessor ends.
    generations = {record.dispatch.id: record.dispatch.recoveries for record in facts.dispatches}
    steps = sorted(
        _steps(facts, call), key=lambda step: (step.at, generations.get(step.dispatch_id or "", 0), _rank(step))
    )
    dated: list[Step] = []
    for step in steps:
        before = dated[-1].at if dated else None
        dated.append(
            replace(
                step,
                seconds_since_previous=_seconds(before, step.at),
                seconds_since_joining=_seconds(call.joined_at, step.at) if step.at >= call.joined_at else None,
            )
        )
    return Timeline(call, headline(call, facts), tuple(dated), facts.subject, facts.dispatches, facts.actions)


def _rank(step: Step) -> int:
    """Return the order among steps of the same instant: a call follows the sending and precedes its outcome."""
    match step.kind:
        case StepKind.EVENT:
            return 0
        case StepKind.LOOKUP | StepKind.DECISION:
            return 1
        case StepKind.DISPATCH:
            return 2 if step.state is DispatchStatus.SENDING or "rule" in step.facts else 4
        case StepKind.CALL:
            return 3
        case StepKind.ACTION:
            return 5


def _steps(facts: CallFacts, call: CallHead) -> Iterator[Step]:
    for event in facts.events:
        yield event_step(event)
        yield from lookup_steps(event)
        decided = decision_step(event)
        if decided is not None:
            yield decided
    if len(facts.events) == MAX_EVENTS:
        last = facts.events[-1]
        yield Step(
            last.received_at,
            StepKind.EVENT,
            gettext("only the first %(events)s events are shown", events=MAX_EVENTS),
            event_id=last.id,
        )
    own = {event.id for event in facts.events}
    for event in facts.room_events:
        if event.id not in own:
            yield event_step(event)
    names = {record.dispatch.agent_sid: record.dispatch.agent_to_ask for record in facts.dispatches}
    joined_at = call.joined_at
    for event in facts.agent_events:
        if event.received_at >= joined_at:
            yield event_step(event, names.get(event.participant_sid, ""))
    yield from (action_step(action, change) for action in facts.actions for change in action.changes)
    yield from map(intervention_step, facts.interventions)
    for record in facts.dispatches:
        is_own = record.dispatch.event_id in own
        for step in _dispatch_steps(record):
            # What the dispatch did for earlier callers is not part of this call.
            if is_own or step.at >= joined_at:
                yield step


def _dispatch_steps(record: DispatchRecord) -> Iterator[Step]:
    for change in record.changes:
        yield change_step(record, change)
    for attempt in record.calls:
        yield call_step(record, attempt)


def _seconds(before: datetime | None, after: datetime) -> float | None:
    return None if before is None else round((after - before).total_seconds(), 6)
