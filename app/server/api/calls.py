"""Events, dispatches, calls and explanations over the API."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from starlette.responses import Response

from app.audit import (
    CONTENT_TYPES,
    MAX_SEARCH,
    CallDirection,
    CallFilter,
    CallHead,
    CallOutcome,
    CallState,
    DispatchFilter,
    DispatchSummary,
    EventFilter,
    EventSummary,
    ExportFormat,
    Page,
    explain,
    get_dispatch,
    get_event,
    list_calls,
    list_dispatches,
    list_events,
    metadata_fields,
    timeline,
    unknown_dispatches,
    unknown_events,
    warnings_about_agents,
)
from app.db.rule_columns import COLUMN, MAX_AGENT_NAME
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.flows.operations.handover_order import Handover, HandoverOrder, read_handover
from app.server.access.own_projects import require_own
from app.server.api.framework.endpoint import ApiRequest, GivenInstant, Model, Text, idempotency_key
from app.server.call_stream import METADATA_PATTERN, stream_calls
from app.server.request_context import RequestContext


class PageQuery(Model):
    limit: int = Field(50, ge=1, le=200)
    cursor: Text | None = Field(None, description="`next_cursor` of the previous page")
    project: Text | None = None
    identity: Text | None = Field(None, description="exact identity of the participant")
    room: Text | None = Field(None, description="exact name of the room")
    phone_number: Text | None = Field(None, description="phone number of the caller, in any spelling")
    since: GivenInstant | None = Field(None, description="inclusive")
    until: GivenInstant | None = Field(None, description="exclusive")
    search: Text | None = Field(None, description="an exact identity, room name, phone number or id")


class EventsQuery(PageQuery):
    type: list[Text] = Field([], description="LiveKit's event types, such as participant_joined")
    source: EventSource | None = None
    outcome: list[EventOutcome] = Field([])


class DispatchesQuery(PageQuery):
    status: list[DispatchStatus] = Field([])
    rule: Text | None = Field(None, description="name of the rule")
    agent: Text | None = Field(None, description="agent of the rule")


class CallsQuery(PageQuery):
    q: Text | None = Field(
        None,
        max_length=MAX_SEARCH,
        description="what the identity, the caller's name, the room, an agent or a rule begins with, without case; a "
        "phone number in any spelling or its last 4 or more digits; or an id of Usher or LiveKit",
    )
    state: list[CallState] = Field([])
    outcome: CallOutcome | None = Field(None, description="what came of one of its dispatches")
    direction: CallDirection | None = Field(None, description="of phone calls")
    metadata: list[Annotated[str, Field(pattern=METADATA_PATTERN)]] = Field(
        [], description="`field=value` of the participant's metadata, top-level fields only"
    )
    rule: Text | None = Field(None, description="name of the rule")
    agent: Text | None = Field(None, description="an agent that was asked")
    format: Literal["json", "csv", "jsonl"] | None = Field(
        None, description="csv and jsonl stream the whole list from the cursor on; also by `Accept`"
    )


class ReferenceQuery(Model):
    of: Text = Field(
        min_length=1,
        description="an event id (ours or LiveKit's), a dispatch id, a participant SID, an identity or a phone number",
    )


class ReplayQuery(Model):
    dry_run: bool = Field(default=False, description="change nothing; answered as the replay would be if it is refused")


def _dispatch_id(text: str) -> str:
    if not _DISPATCH_ID.fullmatch(text):
        raise ValueError("must be the id of a dispatch: 1 to 64 letters, digits, - or _")
    return text


_DISPATCH_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
DispatchId = Annotated[
    str, AfterValidator(_dispatch_id), WithJsonSchema({"type": "string", "pattern": f"^{_DISPATCH_ID.pattern}$"})
]


class DispatchesOrder(Model):
    ids: list[DispatchId] = Field(min_length=1, max_length=500)
    dry_run: bool = Field(default=False, description="change nothing; the answer says what would be done and refused")


_MAX_WAIT_S: Final = 60
_ASK_EVERY_S: Final = 0.2
_COMMON = ("project", "identity", "room", "phone_number", "since", "until", "search")


def _common(request: ApiRequest) -> dict[str, Any]:
    chosen = {name: getattr(request.query, name) for name in _COMMON}
    return {**chosen, "projects": None if request.user.projects is None else tuple(sorted(request.user.projects))}


async def list_the_events(request: ApiRequest) -> Page[EventSummary]:
    query: EventsQuery = request.query
    chosen = EventFilter(
        **_common(request), types=tuple(query.type), source=query.source, outcomes=tuple(query.outcome)
    )
    return await request.context.read(lambda c: list_events(c, chosen, limit=query.limit, cursor=query.cursor))


async def read_event(request: ApiRequest) -> dict[str, Any]:
    record = await request.context.read(
        lambda connection: get_event(connection, request.identifier("event_id"), request.user.projects)
    )
    return record.to_json()


async def replay_an_event(request: ApiRequest) -> dict[str, Any]:
    operations = request.context.orchestrator.operations
    await require_own(request.context, request.user.projects, unknown_events, [request.identifier("event_id")], "event")
    if request.query.dry_run:
        await operations.check_replay(request.identifier("event_id"))
        return {"event_id": None, "status": "would_be_replayed", "outcome": None}
    event, acceptance = await operations.replay(request.identifier("event_id"), request.user.name)
    outcome = None if acceptance.outcome is None else str(acceptance.outcome)
    return {"event_id": event.id, "status": acceptance.status, "outcome": outcome}


async def list_the_dispatches(request: ApiRequest) -> Page[DispatchSummary]:
    query: DispatchesQuery = request.query
    chosen = DispatchFilter(**_common(request), statuses=tuple(query.status), rule=query.rule, agent=query.agent)
    return await request.context.read(lambda c: list_dispatches(c, chosen, limit=query.limit, cursor=query.cursor))


async def read_dispatch(request: ApiRequest) -> dict[str, Any]:
    record = await request.context.read(
        lambda connection: get_dispatch(connection, request.identifier("dispatch_id"), request.user.projects)
    )
    return record.to_json()


async def redrive_the_dispatches(request: ApiRequest) -> dict[str, Any]:
    await require_own(request.context, request.user.projects, unknown_dispatches, request.body.ids, "dispatch")
    done = await request.context.orchestrator.operations.redrive(
        list(dict.fromkeys(request.body.ids)), request.user.name, dry_run=request.body.dry_run
    )
    return {"done": done.done, "made": done.made, "refused": done.refused}


async def cancel_the_dispatches(request: ApiRequest) -> dict[str, Any]:
    await require_own(request.context, request.user.projects, unknown_dispatches, request.body.ids, "dispatch")
    done = await request.context.orchestrator.operations.cancel(
        list(dict.fromkeys(request.body.ids)), request.user.name, dry_run=request.body.dry_run
    )
    return {"done": done.done, "refused": done.refused, "left_over": done.left_over}


async def list_the_calls(request: ApiRequest) -> Page[CallHead] | Response:
    query: CallsQuery = request.query
    chosen = CallFilter(
        **_common(request),
        q=(query.q or "").strip() or None,
        states=frozenset(query.state),
        outcome=query.outcome,
        direction=query.direction,
        metadata=metadata_fields(query.metadata),
        rule=query.rule,
        agent=query.agent,
    )
    format_ = _export_format(request)
    if format_ is not None:
        return await stream_calls(request.context, chosen, format_, cursor=query.cursor)
    return await request.context.read(lambda c: list_calls(c, chosen, limit=query.limit, cursor=query.cursor))


def _export_format(request: ApiRequest) -> ExportFormat | None:
    """Return the format that the query names, or else the header `Accept`; None for JSON."""
    if request.query.format is not None:
        return None if request.query.format == "json" else ExportFormat(request.query.format)
    accepted = [one.partition(";")[0].strip() for one in request.http.headers.get("accept", "").split(",")]
    return next((one for one in ExportFormat if CONTENT_TYPES[one].partition(";")[0] in accepted), None)


async def read_call(request: ApiRequest) -> dict[str, Any]:
    found = await request.context.read(
        lambda connection: timeline(connection, request.identifier("reference"), request.user.projects)
    )
    return found.to_json()


async def explain_event(request: ApiRequest) -> dict[str, Any]:
    found = await request.context.read(lambda connection: explain(connection, request.query.of, request.user.projects))
    return found.to_json()


class HandoverQuery(Model):
    wait: Annotated[float, Field(ge=0, le=_MAX_WAIT_S)] = Field(0, description="seconds to wait for the outcome")


class HandoverBody(Model):
    agent_name: Text = Field(min_length=1, max_length=MAX_AGENT_NAME)
    context: Any = Field(None, description="JSON for the next agent, as `previous.context`")
    reason: Text = Field("", max_length=500, description="for the audit log")
    timeout_s: int | None = Field(
        None,
        ge=COLUMN["answer_timeout_s"].least,
        le=COLUMN["answer_timeout_s"].most,
        description="seconds that each attempt waits for the next agent; null: as for the first",
    )


class HandoverAnswer(BaseModel):
    dispatch_id: str = Field(description="of the next agent")
    replaces: str = Field(description="the dispatch of the first agent")
    status: Literal["under_way", "done", "failed"] = Field(
        description="`done`: the next agent joined, and the first is withdrawn; `failed`: the first keeps the call"
    )
    detail: str
    warnings: list[str]


async def hand_over_a_call(request: ApiRequest) -> dict[str, Any]:
    context, body = request.context, request.body
    order = HandoverOrder(
        request.identifier("reference"),
        body.agent_name,
        body.context,
        body.reason,
        body.timeout_s,
        idempotency_key(request),
    )
    warnings = await context.read(lambda connection: warnings_about_agents(connection, [body.agent_name]))
    found = await context.orchestrator.operations.hand_over(order, request.user.name)
    found = await _wait_for(context, found, request.query.wait)
    return {
        "dispatch_id": found.following.id,
        "replaces": found.first.id,
        "status": found.state,
        "detail": found.detail,
        "warnings": warnings,
    }


async def _wait_for(context: RequestContext, handover: Handover, wait_s: float) -> Handover:
    """Return the hand-over once it is decided, or as it is after `wait_s`."""
    clock, dispatch_id = context.flow_context.clock, handover.following.id
    deadline = clock.monotonic() + wait_s
    while handover.state == "under_way" and clock.monotonic() < deadline:
        await asyncio.sleep(_ASK_EVERY_S)
        handover = await context.read(lambda connection: read_handover(connection, dispatch_id))
    return handover
