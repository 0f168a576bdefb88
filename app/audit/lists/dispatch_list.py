"""Lists of dispatches: the filters, and the index that serves each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, select, text

from app.audit.lists.access_path import (
    AccessPath,
    ByIndexedValue,
    ByPrimaryKey,
    BySelectiveCondition,
    ThroughOtherTable,
    ValuePath,
    as_filter,
)
from app.audit.lists.event_list import by_livekit_id, by_phone_number, forms_of_number
from app.audit.lists.filter_values import DEFAULT_LIMIT, refuse_unstorable
from app.audit.lists.latest_dispatches import paths_of_agent
from app.audit.lists.paging import Page, read_all, read_page
from app.audit.lists.path_rows import Search
from app.audit.records.record_types import DispatchSummary, columns_of
from app.db.tables import NOT_ENDED, dispatch_attempts, dispatch_callers, dispatches
from app.db.types import DispatchStatus
from app.outbox.dispatch import Dispatch
from app.webhook.name_digest import stored_forms

_NOT_ENDED: Final = cast("ColumnElement[bool]", text(NOT_ENDED))
"""In the text of the partial index: neither database concludes it from a bound value."""
_HASHED = ("participant_identity", "room_name")
"""Columns whose names may have been replaced by digests."""
_IDS = ("id", "event_id", "room_sid", "job_id", "agent_sid")


@dataclass(frozen=True, slots=True)
class DispatchFilter:
    """Which dispatches to list; a field that is None or empty does not filter.

    `agent` is the agent of the rule; `asked_agent` that, or the fallback that was asked last. `since` (inclusive) and
    `until` (exclusive) bound when the dispatch was created.
    `search` is exact: an identity, room name, phone number, agent, rule, or any id (dispatch, event, participant or
    room SID, LiveKit's dispatch and job; a participant SID also finds dispatches created for another caller that serve
    it, and those of an agent).
    """

    project: str | None = None
    projects: tuple[str, ...] | None = None
    statuses: tuple[DispatchStatus, ...] = ()
    identity: str | None = None
    room: str | None = None
    phone_number: str | None = None
    rule: str | None = None
    agent: str | None = None
    asked_agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None


def list_dispatches(
    connection: Connection, chosen: DispatchFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[DispatchSummary]:
    """Return a page of the dispatches that match `chosen`, newest first."""
    search = search_dispatches(chosen, columns_of(DispatchSummary))
    return read_page(connection, search, DispatchSummary.from_row, limit, cursor)


def newest_dispatches(connection: Connection, chosen: DispatchFilter) -> Iterator[DispatchSummary]:
    """Yield the dispatches that match `chosen` without their documents, newest first."""
    return read_all(connection, search_dispatches(chosen, columns_of(DispatchSummary)), DispatchSummary.from_row)


def iterate_dispatches(connection: Connection, chosen: DispatchFilter) -> Iterator[Dispatch]:
    """Yield all dispatches that match `chosen` with their documents, newest first, in bounded memory."""
    return read_all(connection, search_dispatches(chosen, columns_of(Dispatch)), Dispatch.from_row)


def search_dispatches(
    chosen: DispatchFilter, columns: tuple[str, ...], more: Sequence[ColumnElement[bool]] = ()
) -> Search:
    """Return the search for `chosen`: by the filter that leaves the fewest rows, the others applied to those.

    `more`: further conditions on the rows that are found.
    """
    refuse_unstorable(chosen)
    column = dispatches.c
    candidates: list[tuple[ValuePath, ...]] = []
    if chosen.search:
        candidates.append(_dispatch_search(chosen.search))
    if chosen.phone_number is not None:
        numbers = map(by_phone_number, forms_of_number(chosen.phone_number))
        candidates.append(tuple(map(_through_events, numbers)))
    for name, value in (
        ("participant_identity", chosen.identity),
        ("room_name", chosen.room),
        ("rule_name", chosen.rule),
        ("agent_name", chosen.agent),
    ):
        if value is not None:
            forms = stored_forms(value) if name in _HASHED else (value,)
            candidates.append(tuple(ByIndexedValue(column[name], form, column.id) for form in forms))
    if chosen.asked_agent is not None:
        candidates.append(tuple(paths_of_agent(chosen.asked_agent)))
    common = [*more]
    if DispatchStatus.ENDED in chosen.statuses:  # nearly all are
        common.append(column.status.in_(chosen.statuses))
    elif chosen.statuses:
        candidates.append(tuple(map(by_status, dict.fromkeys(chosen.statuses))))
    filters = [*(as_filter(paths) for paths in candidates[1:]), *common]
    if chosen.project is not None:
        filters.append(column.project == chosen.project)
    if chosen.projects is not None:
        filters.append(column.project.in_(chosen.projects))
    paths: tuple[AccessPath, ...] = candidates[0] if candidates else (ByPrimaryKey(column.id),)
    return Search(dispatches, columns, paths, tuple(filters), chosen.since, chosen.until)


def by_status(status: DispatchStatus) -> ByIndexedValue:
    """Return the access path to the dispatches in a state other than `ended`."""
    return ByIndexedValue(dispatches.c.status, status, dispatches.c.id, (_NOT_ENDED,))


def _dispatch_search(wanted: str) -> tuple[ValuePath, ...]:
    column = dispatches.c
    served = select(dispatch_callers.c.dispatch_id).where(dispatch_callers.c.participant_sid == wanted)
    attempt = dispatch_attempts.c
    attempted = select(attempt.dispatch_id).where(attempt.livekit_dispatch_id == wanted)
    forms = stored_forms(wanted)
    return (
        *(BySelectiveCondition(column[name] == wanted, column.id) for name in _IDS),
        *(ByIndexedValue(column[name], form, column.id) for name in _HASHED for form in forms),
        *(ByIndexedValue(column[name], wanted, column.id) for name in ("agent_name", "rule_name")),
        *(BySelectiveCondition(column.id.in_(of), column.id) for of in (served, attempted)),
        *(_through_events(by_phone_number(form)) for form in forms),
        _through_events(by_livekit_id(wanted)),
    )


def _through_events(first: ByIndexedValue | BySelectiveCondition) -> ThroughOtherTable:
    """Return the access path to dispatches by a value that only their events have."""
    return ThroughOtherTable(dispatches.c.event_id, first)
