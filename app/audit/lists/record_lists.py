"""Lists of events and of dispatches: which filters there are, and which index serves each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, literal_column, or_, select

from app.audit.lists.access_path import ByKey, ByName, ByValue, Through, Way
from app.audit.lists.paging import Page, Search, read_all, read_page
from app.audit.records import (
    DispatchSummary,
    EventDetail,
    EventSummary,
    columns_of,
)
from app.db.tables import dispatch_callers, dispatches, events
from app.db.types import DispatchStatus, EventOutcome, EventSource
from app.errors import InvalidInputError, Problem
from app.outbox.dispatch import Dispatch
from app.strict_json import UNSTORABLE_MESSAGE, is_storable

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


def iterate_events(connection: Connection, chosen: EventFilter) -> Iterator[EventDetail]:
    """Yield all events that `chosen` lets through with their documents, newest first, in bounded memory."""
    return read_all(connection, search_events(chosen, columns_of(EventDetail)), EventDetail.from_row)


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


_RARE = events.c.source != literal_column(f"'{EventSource.WEBHOOK}'")
Ways = tuple[ByValue | ByName | Through, ...]


def search_events(chosen: EventFilter, columns: tuple[str, ...]) -> Search:
    """Return how `chosen` is looked up: by the filter that leaves fewest rows, the others checked on those."""
    _refuse_unstorable(chosen)
    column = events.c
    candidates: list[Ways] = []
    if chosen.search:
        candidates.append(_event_search(chosen.search))
    if chosen.phone_number is not None:
        candidates.append((_by_number(chosen.phone_number),))
    for name, value in (("participant_identity", chosen.identity), ("room_name", chosen.room)):
        if value is not None:
            candidates.append((ByValue(column[name], value, column.id),))
    if chosen.source is not None and chosen.source is not EventSource.WEBHOOK:
        # What the partial index says of itself; a bound value proves it to neither database.
        candidates.append((ByValue(column.source, chosen.source, column.id, (_RARE,)),))
    if chosen.outcomes:
        candidates.append(tuple(ByValue(column.outcome, one, column.id) for one in dict.fromkeys(chosen.outcomes)))
    if chosen.types:
        candidates.append(tuple(ByValue(column.type, one, column.id) for one in dict.fromkeys(chosen.types)))
    remaining = [_check(ways) for ways in candidates[1:]]
    if chosen.project is not None:
        remaining.append(column.project == chosen.project)
    if chosen.source is EventSource.WEBHOOK:
        remaining.append(column.source == chosen.source)
    ways: tuple[Way, ...] = candidates[0] if candidates else (ByKey(column.id),)
    return Search(events, columns, ways, tuple(remaining), chosen.since, chosen.until)


def _event_search(wanted: str) -> Ways:
    column = events.c
    return (
        *(ByName(column[name] == wanted, column.id) for name in ("id", "livekit_id", "participant_sid", "room_sid")),
        *(ByValue(column[name], wanted, column.id) for name in ("participant_identity", "room_name")),
        _by_number(wanted),
    )


def _by_number(number: str) -> ByValue:
    column = events.c
    return ByValue(column.phone_number, number, column.id, (column.phone_number.is_not(None),))


def search_dispatches(chosen: DispatchFilter, columns: tuple[str, ...]) -> Search:
    """Return how `chosen` is looked up: by the filter that leaves fewest rows, the others checked on those."""
    _refuse_unstorable(chosen)
    column = dispatches.c
    candidates: list[Ways] = []
    if chosen.search:
        candidates.append(_dispatch_search(chosen.search))
    if chosen.phone_number is not None:
        candidates.append((_through_events(_by_number(chosen.phone_number)),))
    for name, value in (
        ("participant_identity", chosen.identity),
        ("room_name", chosen.room),
        ("rule_name", chosen.rule),
        ("agent_name", chosen.agent),
    ):
        if value is not None:
            candidates.append((ByValue(column[name], value, column.id),))
    if chosen.statuses:
        candidates.append(tuple(ByValue(column.status, one, column.id) for one in dict.fromkeys(chosen.statuses)))
    remaining = [_check(ways) for ways in candidates[1:]]
    if chosen.project is not None:
        remaining.append(column.project == chosen.project)
    ways: tuple[Way, ...] = candidates[0] if candidates else (ByKey(column.id),)
    return Search(dispatches, columns, ways, tuple(remaining), chosen.since, chosen.until)


def _dispatch_search(wanted: str) -> Ways:
    column = dispatches.c
    served = select(dispatch_callers.c.dispatch_id).where(dispatch_callers.c.participant_sid == wanted)
    by_value = ("participant_identity", "room_name", "agent_name", "rule_name")
    return (
        *(ByName(column[name] == wanted, column.id) for name in ("id", "event_id", "room_sid")),
        *(ByValue(column[name], wanted, column.id) for name in by_value),
        ByName(column.id.in_(served), column.id),
        _through_events(_by_number(wanted)),
        _through_events(ByName(events.c.livekit_id == wanted, events.c.id)),
    )


def _through_events(first: ByValue | ByName) -> Through:
    """Return the way to dispatches by what only their events hold."""
    return Through(dispatches.c.event_id, first)


def _check(ways: Ways) -> ColumnElement[bool]:
    """Return ways as a condition on a row at hand."""
    return or_(*(way.check() for way in ways))


def _refuse_unstorable(chosen: EventFilter | DispatchFilter) -> None:
    """Raise for texts that no column can hold and that a database would refuse with an error of its own."""
    problems = []
    for name in columns_of(type(chosen)):
        value = getattr(chosen, name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, str) and not is_storable(one) for one in texts):
            problems.append(Problem(name, UNSTORABLE_MESSAGE))
    if problems:
        raise InvalidInputError("query", problems)
