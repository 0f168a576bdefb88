"""Lists of events: the filters, and the index that serves each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, Text, literal_column, select, text, union_all

from app.audit.lists.access_path import (
    AccessPath,
    ByIndexedValue,
    ByPrimaryKey,
    BySelectiveCondition,
    ByValueAndMinute,
    ValuePath,
    as_filter,
)
from app.audit.lists.filter_values import DEFAULT_LIMIT, refuse_unstorable
from app.audit.lists.paging import Page, read_all, read_page
from app.audit.lists.path_rows import Search
from app.audit.records.record_types import EventDetail, EventSummary, columns_of
from app.db.tables import (
    COMMON_OUTCOMES,
    COMMON_TYPES,
    HAS_IDENTITY,
    HAS_OTHER_KEY,
    IS_IGNORED_CALLER,
    MAX_RULE_NAME,
    MINUTE_OF_ID,
    RARE_OUTCOME,
    RARE_TYPE,
    events,
    ignoring_rule,
)
from app.db.types import EventOutcome, EventSource
from app.livekit.participant.phone import number_in
from app.livekit.participant.role import Role
from app.webhook.dedupe_keys import event_key
from app.webhook.name_digest import stored_forms

# The literal conditions of the partial indexes: neither database concludes them from bound values.
_RARE: Final = events.c.source != literal_column(f"'{EventSource.WEBHOOK}'")
_MINUTE: Final = cast("ColumnElement[str]", literal_column(str(MINUTE_OF_ID), Text))
_HAS_IDENTITY: Final = cast("ColumnElement[bool]", text(HAS_IDENTITY))
_HAS_OTHER_KEY: Final = cast("ColumnElement[bool]", text(HAS_OTHER_KEY))
_IS_IGNORED_CALLER: Final = cast("ColumnElement[bool]", text(IS_IGNORED_CALLER))
_RARE_TYPE: Final = cast("ColumnElement[bool]", text(RARE_TYPE))
_RARE_OUTCOME: Final = cast("ColumnElement[bool]", text(RARE_OUTCOME))


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
    candidates = _selective(chosen)
    if chosen.source is not None and chosen.source is not EventSource.WEBHOOK:
        candidates.append((ByIndexedValue(column.source, chosen.source, column.id, (_RARE,)),))
    common = [*more]
    if not COMMON_OUTCOMES.isdisjoint(chosen.outcomes):
        common.append(column.outcome.in_(chosen.outcomes))
    elif chosen.outcomes:
        candidates.append(tuple(map(by_outcome, dict.fromkeys(chosen.outcomes))))
    if not COMMON_TYPES.isdisjoint(chosen.types):
        common.append(column.type.in_(chosen.types))
    elif chosen.types:
        candidates.append(tuple(map(by_rare_type, dict.fromkeys(chosen.types))))
    filters = [*(as_filter(paths) for paths in (candidates if found_by else candidates[1:])), *common]
    if chosen.project is not None:
        filters.append(column.project == chosen.project)
    if chosen.projects is not None:
        filters.append(column.project.in_(chosen.projects))
    if chosen.source is EventSource.WEBHOOK:
        filters.append(column.source == chosen.source)
    paths: tuple[AccessPath, ...] = candidates[0] if candidates else (ByPrimaryKey(column.id),)
    paths = found_by or paths
    return Search(events, columns, paths, tuple(filters), chosen.since, chosen.until)


def _selective(chosen: EventFilter) -> list[tuple[ValuePath, ...]]:
    """Return the paths of the filters that leave few rows, the best first."""
    found: list[tuple[ValuePath, ...]] = []
    if chosen.search:
        found.append(_event_search(chosen.search))
    if chosen.phone_number is not None:
        found.append(tuple(map(by_phone_number, forms_of_number(chosen.phone_number))))
    for name, value in (("participant_identity", chosen.identity), ("room_name", chosen.room)):
        if value is not None:
            found.append(tuple(by_name(name, form) for form in stored_forms(value)))
    return found


def _event_search(wanted: str) -> tuple[ValuePath, ...]:
    column = events.c
    return (
        *(BySelectiveCondition(column[name] == wanted, column.id) for name in ("id", "participant_sid", "room_sid")),
        by_livekit_id(wanted),
        *(by_name(name, form) for name in ("participant_identity", "room_name") for form in stored_forms(wanted)),
        *map(by_phone_number, stored_forms(wanted)),
    )


def by_livekit_id(wanted: str) -> BySelectiveCondition:
    """Return the access path to the events with an id of LiveKit's (`EV_…`): a replay has that of its webhook, too."""
    stored = events.alias()
    has_id = select(stored.c.id).where(stored.c.livekit_id == wanted)
    by_key = has_id.where(stored.c.dedupe_key == event_key("default", wanted))
    return BySelectiveCondition(events.c.id.in_(union_all(by_key, has_id.where(_HAS_OTHER_KEY))), events.c.id)


def by_name(column: str, name: str) -> ByValueAndMinute:
    """Return the access path to the events of a `participant_identity` or in a `room_name`."""
    where = (_HAS_IDENTITY,) if column == "participant_identity" else ()
    return ByValueAndMinute(events.c[column], name, events.c.id, _MINUTE, where)


def by_outcome(outcome: EventOutcome) -> ByIndexedValue:
    """Return the access path to the events of an outcome that not every call has."""
    return ByIndexedValue(events.c.outcome, outcome, events.c.id, (_RARE_OUTCOME,))


def by_ignored_caller(role: Role) -> ByIndexedValue:
    """Return the access path to the joins of callers (or callees) that were ignored."""
    return ByIndexedValue(events.c.participant_role, role, events.c.id, (_IS_IGNORED_CALLER,))


def by_ignoring_rule(rule: str) -> ByIndexedValue:
    """Return the access path to the joins of callers (or callees) that a rule ignored."""
    return ByIndexedValue(ignoring_rule(), rule[:MAX_RULE_NAME], events.c.id, (_IS_IGNORED_CALLER,))


def by_rare_type(type_: str) -> ByIndexedValue:
    """Return the access path to the events of a type that not every call has."""
    return ByIndexedValue(events.c.type, type_, events.c.id, (_RARE_TYPE,))


def forms_of_number(number: str) -> tuple[str, ...]:
    """Return what a phone number, in any spelling, may be stored as: as given, in E.164, and that without its plus."""
    read = number_in(number)
    spellings = (number, read, read.removeprefix("+")) if read else (number,)
    return tuple(dict.fromkeys(form for one in spellings for form in stored_forms(one)))


def by_phone_number(number: str) -> ByIndexedValue:
    """Return the access path to the events of callers with a phone number."""
    column = events.c
    return ByIndexedValue(column.phone_number, number, column.id, (column.phone_number.is_not(None),))
