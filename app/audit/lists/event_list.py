"""Lists of events: the filters, and the index that serves each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, literal_column

from app.audit.lists.access_path import (
    AccessPath,
    ByIndexedValue,
    ByPrimaryKey,
    BySelectiveCondition,
    ValuePath,
    as_filter,
)
from app.audit.lists.filter_values import DEFAULT_LIMIT, refuse_unstorable
from app.audit.lists.paging import Page, read_all, read_page
from app.audit.lists.path_rows import Search
from app.audit.records.record_types import EventDetail, EventSummary, columns_of
from app.db.tables import events
from app.db.types import EventOutcome, EventSource
from app.webhook.name_digest import stored_forms

_RARE = events.c.source != literal_column(f"'{EventSource.WEBHOOK}'")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; a field that is None or empty does not filter.

    `since` (inclusive) and `until` (exclusive) bound when Usher received the event. `search` is exact: an identity,
    room name, phone number, or any id (ours, LiveKit's event id, participant or room SID).
    """

    project: str | None = None
    projects: tuple[str, ...] | None = None
    types: tuple[str, ...] = ()
    source: EventSource | None = None
    outcomes: tuple[EventOutcome, ...] = ()
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


def list_events(
    connection: Connection, chosen: EventFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[EventSummary]:
    """Return a page of the events that match `chosen`, newest first."""
    return read_page(connection, search_events(chosen, columns_of(EventSummary)), EventSummary.from_row, limit, cursor)


def newest_events(connection: Connection, chosen: EventFilter) -> Iterator[EventSummary]:
    """Yield the events that match `chosen` without their documents, newest first."""
    return read_all(connection, search_events(chosen, columns_of(EventSummary)), EventSummary.from_row)


def iterate_events(connection: Connection, chosen: EventFilter) -> Iterator[EventDetail]:
    """Yield all events that match `chosen` with their documents, newest first, in bounded memory."""
    return read_all(connection, search_events(chosen, columns_of(EventDetail)), EventDetail.from_row)


def search_events(
    chosen: EventFilter,
    columns: tuple[str, ...],
    found_by: tuple[AccessPath, ...] = (),
    more: Sequence[ColumnElement[bool]] = (),
) -> Search:
    """Return the search for `chosen`: by the filter that leaves the fewest rows, the others applied to those.

    `found_by`: the paths to follow, if the caller knows better ones; `more`: further conditions on what is found.
    """
    refuse_unstorable(chosen)
    column = events.c
    candidates: list[tuple[ValuePath, ...]] = []
    if chosen.search:
        candidates.append(_event_search(chosen.search))
    if chosen.phone_number is not None:
        candidates.append(tuple(map(by_phone_number, stored_forms(chosen.phone_number))))
    for name, value in (("participant_identity", chosen.identity), ("room_name", chosen.room)):
        if value is not None:
            candidates.append(tuple(ByIndexedValue(column[name], form, column.id) for form in stored_forms(value)))
    if chosen.source is not None and chosen.source is not EventSource.WEBHOOK:
        # The literal condition of the partial index: neither database concludes it from a bound value.
        candidates.append((ByIndexedValue(column.source, chosen.source, column.id, (_RARE,)),))
    if chosen.outcomes:
        candidates.append(
            tuple(ByIndexedValue(column.outcome, one, column.id) for one in dict.fromkeys(chosen.outcomes))
        )
    if chosen.types:
        candidates.append(tuple(ByIndexedValue(column.type, one, column.id) for one in dict.fromkeys(chosen.types)))
    filters = [*(as_filter(paths) for paths in (candidates if found_by else candidates[1:])), *more]
    if chosen.project is not None:
        filters.append(column.project == chosen.project)
    if chosen.projects is not None:
        filters.append(column.project.in_(chosen.projects))
    if chosen.source is EventSource.WEBHOOK:
        filters.append(column.source == chosen.source)
    paths: tuple[AccessPath, ...] = candidates[0] if candidates else (ByPrimaryKey(column.id),)
    paths = found_by or paths
    return Search(events, columns, paths, tuple(filters), chosen.since, chosen.until)


def _event_search(text: str) -> tuple[ValuePath, ...]:
    column = events.c
    return (
        *(
            BySelectiveCondition(column[name] == text, column.id)
            for name in ("id", "livekit_id", "participant_sid", "room_sid")
        ),
        *(
            ByIndexedValue(column[name], form, column.id)
            for name in ("participant_identity", "room_name")
            for form in stored_forms(text)
        ),
        *map(by_phone_number, stored_forms(text)),
    )


def by_phone_number(number: str) -> ByIndexedValue:
    """Return the access path to the events of callers with a phone number."""
    column = events.c
    return ByIndexedValue(column.phone_number, number, column.id, (column.phone_number.is_not(None),))
