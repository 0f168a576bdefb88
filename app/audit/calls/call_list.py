"""Lists of calls: joins of participants, each with the state of its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.audit.calls.call import CallDispatch, CallHead, CallState, head_of
from app.audit.lists.dispatch_list import DispatchFilter, list_dispatches
from app.audit.lists.event_list import EventFilter, list_events
from app.audit.lists.filter_values import DEFAULT_LIMIT
from app.audit.lists.paging import Page
from app.audit.records.record_types import EventSummary, columns_of
from app.db.tables import dispatch_callers, dispatches, events
from app.db.types import Cause, DispatchStatus, EventOutcome, ReplacesKind
from app.livekit.vocabulary import EventType
from app.outbox.dispatch import asked_agent
from app.outbox.states import WAITING

CALLER_OUTCOMES = (EventOutcome.PLANNED, EventOutcome.SERVED, EventOutcome.NO_MATCH, EventOutcome.LOOKING_UP)
"""Outcomes of the join of a caller, as opposed to an agent or another machine."""

_STATUSES: dict[CallState, tuple[DispatchStatus, ...]] = {
    CallState.WAITING: tuple(sorted(WAITING)),
    CallState.NO_SHOW: (DispatchStatus.NO_SHOW,),
    CallState.FAILED: (DispatchStatus.FAILED,),
    CallState.ANSWERED: (DispatchStatus.JOINED,),
    CallState.ABANDONED: (DispatchStatus.CANCELLED,),
    CallState.CANCELLED: (DispatchStatus.CANCELLED,),
    CallState.ENDED: (DispatchStatus.ENDED,),
}


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; a field that is None does not filter. `search`, `since` and `until` as for dispatches."""

    project: str | None = None
    projects: tuple[str, ...] | None = None
    state: CallState | None = None
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    rule: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


def list_calls(
    connection: Connection, chosen: CallFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[CallHead]:
    """Return a page of the calls that match `chosen`, newest first.

    Filtered by state, rule or agent, the list follows dispatches: a call with two of them may be on two pages.
    """
    if chosen.state in {CallState.NO_MATCH, CallState.IGNORED} or not (chosen.state or chosen.rule or chosen.agent):
        return _by_events(connection, chosen, limit, cursor)
    return _by_dispatches(connection, chosen, limit, cursor)


def _by_events(connection: Connection, chosen: CallFilter, limit: int, cursor: str | None) -> Page[CallHead]:
    outcomes: tuple[EventOutcome, ...] = CALLER_OUTCOMES
    if chosen.state is CallState.NO_MATCH:
        outcomes = (EventOutcome.NO_MATCH,)
    elif chosen.state is CallState.IGNORED:
        outcomes = (EventOutcome.IGNORED,)
    page = list_events(
        connection,
        EventFilter(
            project=chosen.project,
            projects=chosen.projects,
            types=(EventType.PARTICIPANT_JOINED,),
            outcomes=outcomes,
            identity=chosen.identity,
            room=chosen.room,
            phone_number=chosen.phone_number,
            since=chosen.since,
            until=chosen.until,
            search=chosen.search,
        ),
        limit=limit,
        cursor=cursor,
    )
    return Page(tuple(_calls(connection, page.items)), page.next_cursor, page.searched_back_to)


def _by_dispatches(connection: Connection, chosen: CallFilter, limit: int, cursor: str | None) -> Page[CallHead]:
    page = list_dispatches(
        connection,
        DispatchFilter(
            project=chosen.project,
            projects=chosen.projects,
            statuses=_STATUSES[chosen.state] if chosen.state else (),
            identity=chosen.identity,
            room=chosen.room,
            phone_number=chosen.phone_number,
            rule=chosen.rule,
            agent=chosen.agent,
            since=chosen.since,
            until=chosen.until,
            search=chosen.search,
        ),
        limit=limit,
        cursor=cursor,
    )
    wanted = list(dict.fromkeys(dispatch.event_id for dispatch in page.items))
    query = select(*(events.c[name] for name in columns_of(EventSummary))).where(events.c.id.in_(wanted))
    found = {row["id"]: EventSummary.from_row(row) for row in connection.execute(query).mappings()}
    calls = _calls(connection, [found[event_id] for event_id in wanted if event_id in found])
    # A dispatch alone does not show whether the caller left, or whether another dispatch decides the state.
    if chosen.state is not None:
        calls = [call for call in calls if call.state is chosen.state]
    return Page(tuple(calls), page.next_cursor, page.searched_back_to)


_OF_DISPATCH = (
    "id",
    "agent_name",
    "asked_agent_name",
    "status",
    "cause",
    "reason",
    "joined_at",
    "replaces",
    "replaces_kind",
)


def _calls(connection: Connection, joins: Sequence[EventSummary]) -> list[CallHead]:
    """Return the calls that began with these events, in their order."""
    ids = [join.id for join in joins]
    rows: dict[str, dict[str, Mapping[Any, Any]]] = {join_id: {} for join_id in ids}
    left: dict[str, datetime] = {}
    if ids:
        columns = [dispatches.c[name] for name in _OF_DISPATCH]
        own = select(dispatches.c.event_id, *columns).where(dispatches.c.event_id.in_(ids))
        for row in connection.execute(own).mappings():
            rows[row["event_id"]][row["id"]] = row
        serving = (
            select(dispatch_callers.c.event_id, dispatch_callers.c.left_at, *columns)
            .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
            .where(dispatch_callers.c.event_id.in_(ids))
        )
        for row in connection.execute(serving).mappings():
            rows[row["event_id"]][row["id"]] = row
            if row["left_at"] is not None:
                left[row["event_id"]] = row["left_at"]
    return [head_of(join, join, _dispatches_of(rows[join.id]), left.get(join.id)) for join in joins]


def _dispatches_of(rows: Mapping[str, Mapping[Any, Any]]) -> list[CallDispatch]:
    """Return the dispatches of a call, oldest first; `rows` by id."""
    redriven = {row["replaces"] for row in rows.values() if row["replaces_kind"] == ReplacesKind.REDRIVE}
    return [
        CallDispatch(
            asked_agent(row["agent_name"], row["asked_agent_name"]),
            DispatchStatus(row["status"]),
            Cause(row["cause"]),
            row["reason"],
            row["joined_at"],
            key in redriven,
        )
        for key, row in sorted(rows.items())
    ]
