"""Lists of events and of dispatches: which filters there are, and which index serves each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, text

from app.audit.paging import Page, Search, Through, Way, read_all, read_page
from app.audit.records import (
    DispatchSummary,
    EventRecord,
    EventSummary,
    columns_of,
)
from app.db.tables import dispatch_callers, dispatches, events
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.errors import InvalidInputError, Problem
from app.outbox.dispatch import Dispatch
from app.rules.columns import UNSTORABLE

DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; what is None or empty does not matter.

    `since` (inclusive) and `until` (exclusive) go by when Usher received the event. `search` is exact: an identity,
    room name, phone number, or any id (ours, LiveKit's event id, participant or room SID).
    """

    project: str | None = None
    types: tuple[str, ...] = ()
    source: EventSource | None = None
    outcomes: tuple[EventOutcome, ...] = ()
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class DispatchFilter:
    """Which dispatches; what is None or empty does not matter.

    `agent` is the agent of the rule. `since` (inclusive) and `until` (exclusive) go by when the dispatch was made.
    `search` is exact: an identity, room name, phone number, agent, rule, or any id (dispatch, event, participant or
    room SID; of a participant also what serves it together with others).
    """

    project: str | None = None
    statuses: tuple[DispatchStatus, ...] = ()
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    rule: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


def list_events(
    connection: Connection, chosen: EventFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[EventSummary]:
    """Return a page of the events that `chosen` lets through, newest first."""
    return read_page(connection, search_events(chosen, columns_of(EventSummary)), EventSummary.from_row, limit, cursor)


def newest_events(connection: Connection, chosen: EventFilter) -> Iterator[EventSummary]:
    """Yield the events that `chosen` lets through without their documents, newest first."""
    return read_all(connection, search_events(chosen, columns_of(EventSummary)), EventSummary.from_row)


def iterate_events(connection: Connection, chosen: EventFilter) -> Iterator[EventRecord]:
    """Yield all events that `chosen` lets through with their documents, newest first, in bounded memory."""
    return read_all(connection, search_events(chosen, columns_of(EventRecord)), EventRecord.from_row)


def list_dispatches(
    connection: Connection, chosen: DispatchFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[DispatchSummary]:
    """Return a page of the dispatches that `chosen` lets through, newest first."""
    search = search_dispatches(chosen, columns_of(DispatchSummary))
    return read_page(connection, search, DispatchSummary.from_row, limit, cursor)


def newest_dispatches(connection: Connection, chosen: DispatchFilter) -> Iterator[DispatchSummary]:
    """Yield the dispatches that `chosen` lets through without their documents, newest first."""
    return read_all(connection, search_dispatches(chosen, columns_of(DispatchSummary)), DispatchSummary.from_row)


def iterate_dispatches(connection: Connection, chosen: DispatchFilter) -> Iterator[Dispatch]:
    """Yield all dispatches that `chosen` lets through with their documents, newest first, in bounded memory."""
    return read_all(connection, search_dispatches(chosen, columns_of(Dispatch)), Dispatch.from_row)


Ways = tuple[Way, ...]


def search_events(chosen: EventFilter, columns: tuple[str, ...]) -> Search:
    """Return how `chosen` is looked up: by the filter that leaves fewest rows, the others checked on those."""
    _refuse_unstorable(chosen)
    column = events.c
    candidates: list[Ways] = []
    if chosen.search:
        candidates.append(_event_search(chosen.search))
    if chosen.phone_number is not None:
        candidates.append((column.phone_number == chosen.phone_number,))
    if chosen.identity is not None:
        candidates.append((column.participant_identity == chosen.identity,))
    if chosen.room is not None:
        candidates.append((column.room_name == chosen.room,))
    if chosen.source is not None and chosen.source is not EventSource.WEBHOOK:
        # The second half is what the partial index says of itself; a bound value proves it to neither database.
        candidates.append((and_(column.source == chosen.source, text("events.source <> 'webhook'")),))
    if chosen.outcomes:
        candidates.append(tuple(column.outcome == one for one in dict.fromkeys(chosen.outcomes)))
    if chosen.types:
        candidates.append(tuple(column.type == one for one in dict.fromkeys(chosen.types)))
    remaining = [_check(ways) for ways in candidates[1:]]
    if chosen.project is not None:
        remaining.append(column.project == chosen.project)
    if chosen.source is EventSource.WEBHOOK:
        remaining.append(column.source == chosen.source)
    ways = candidates[0] if candidates else None
    return Search(events, columns, ways, tuple(remaining), chosen.since, chosen.until)


def _event_search(wanted: str) -> Ways:
    column = events.c
    return (
        column.id == wanted,
        column.participant_identity == wanted,
        column.room_name == wanted,
        column.phone_number == wanted,
        column.livekit_id == wanted,
        column.participant_sid == wanted,
        column.room_sid == wanted,
    )


def search_dispatches(chosen: DispatchFilter, columns: tuple[str, ...]) -> Search:
    """Return how `chosen` is looked up: by the filter that leaves fewest rows, the others checked on those."""
    _refuse_unstorable(chosen)
    column = dispatches.c
    candidates: list[Ways] = []
    if chosen.search:
        candidates.append(_dispatch_search(chosen.search))
    if chosen.phone_number is not None:
        candidates.append((_made_for(events.c.phone_number == chosen.phone_number),))
    if chosen.identity is not None:
        candidates.append((column.participant_identity == chosen.identity,))
    if chosen.room is not None:
        candidates.append((column.room_name == chosen.room,))
    if chosen.rule is not None:
        candidates.append((column.rule_name == chosen.rule,))
    if chosen.agent is not None:
        candidates.append((column.agent_name == chosen.agent,))
    if chosen.statuses:
        candidates.append(tuple(column.status == one for one in dict.fromkeys(chosen.statuses)))
    remaining = [_check(ways) for ways in candidates[1:]]
    if chosen.project is not None:
        remaining.append(column.project == chosen.project)
    ways = candidates[0] if candidates else None
    return Search(dispatches, columns, ways, tuple(remaining), chosen.since, chosen.until)


def _refuse_unstorable(chosen: EventFilter | DispatchFilter) -> None:
    """Raise for texts that no column can hold and that a database would refuse with an error of its own."""
    problems = []
    for name in columns_of(type(chosen)):
        value = getattr(chosen, name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and UNSTORABLE.search(text) for text in texts):
            problems.append(Problem(name, "has a NUL character or half a surrogate pair in it"))
    if problems:
        raise InvalidInputError("query", problems)


def _made_for(condition: ColumnElement[bool]) -> Through:
    """Return the way to dispatches by what only their events hold."""
    return Through(dispatches.c.event_id, events.c.id, condition)


def _check(ways: Ways) -> ColumnElement[bool]:
    """Return ways as a condition to be checked row by row."""
    return or_(
        *(exists().where(way.key == way.column, way.condition) if isinstance(way, Through) else way for way in ways)
    )


def _dispatch_search(wanted: str) -> Ways:
    column = dispatches.c
    served = select(dispatch_callers.c.dispatch_id).where(dispatch_callers.c.participant_sid == wanted)
    return (
        column.id == wanted,
        column.event_id == wanted,
        column.participant_identity == wanted,
        column.room_name == wanted,
        column.room_sid == wanted,
        column.agent_name == wanted,
        column.rule_name == wanted,
        column.id.in_(served),
        _made_for(events.c.phone_number == wanted),
        _made_for(events.c.livekit_id == wanted),
    )
