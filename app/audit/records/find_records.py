"""Finds one event or one dispatch by its id, or by whatever identifies a call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, select

from app.audit.lists.access_path import BySelectiveCondition, IdRange, IndexPath
from app.audit.lists.event_list import by_livekit_id, by_name, by_phone_number
from app.audit.records.record_types import (
    AttemptRecord,
    AuditRecord,
    CallerRecord,
    DispatchRecord,
    EventDetail,
    columns_of,
)
from app.db.tables import audit_log, dispatch_attempts, dispatch_callers, dispatches, events
from app.errors import NotFoundError
from app.livekit.vocabulary import JOINS, ParticipantKind
from app.outbox.dispatch import Dispatch
from app.strict_json import is_storable
from app.translation import translatable
from app.webhook.name_digest import stored_forms

R = TypeVar("R", AttemptRecord, CallerRecord)

Projects = Collection[str] | None
"""The LiveKit projects whose rows are found; None: all."""

_IDS_AT_ONCE = 100  # bound values of one statement, far below the limit of either database


def get_event(connection: Connection, event_id: str, projects: Projects = None) -> EventDetail:
    """Return the event with an id, ours or LiveKit's (`EV_…`); raises NotFoundError."""
    for path in (BySelectiveCondition(events.c.id == event_id, events.c.id), by_livekit_id(event_id)):
        record = _latest_event(connection, path, *_of(events, projects)) if is_storable(event_id) else None
        if record is not None:
            return record
    raise NotFoundError(translatable("no event has the id %(event_id)s", event_id=repr(event_id)))


def get_dispatch(connection: Connection, dispatch_id: str, projects: Projects = None) -> DispatchRecord:
    """Return the dispatch with an id, with its calls, changes and callers; raises NotFoundError."""
    found = read_dispatches(connection, [dispatch_id] if is_storable(dispatch_id) else [])
    if not found or (projects is not None and found[0].dispatch.project not in projects):
        raise NotFoundError(translatable("no dispatch has the id %(dispatch_id)s", dispatch_id=repr(dispatch_id)))
    return found[0]


def unknown_events(connection: Connection, ids: Sequence[str], projects: Projects = None) -> list[str]:
    """Return the ids that no event has."""
    return _unknown(connection, events, ids, projects)


def unknown_dispatches(connection: Connection, ids: Sequence[str], projects: Projects = None) -> list[str]:
    """Return the ids that no dispatch has."""
    return _unknown(connection, dispatches, ids, projects)


def _unknown(connection: Connection, table: Table, ids: Sequence[str], projects: Projects) -> list[str]:
    known: set[str] = set()
    for batch in _batches(ids):
        query = select(table.c.id).where(table.c.id.in_(batch), *_of(table, projects))
        known.update(connection.scalars(query))
    return [one for one in ids if one not in known]


def _of(table: Table, projects: Projects) -> list[ColumnElement[bool]]:
    """Return the condition that a row belongs to one of the projects."""
    return [] if projects is None else [table.c.project.in_(sorted(projects))]


def was_any_sent(connection: Connection, dispatch_ids: Sequence[str]) -> bool:
    """Return whether LiveKit was called for any of these dispatches."""
    for batch in _batches(dispatch_ids):
        called = select(dispatches.c.id).where(dispatches.c.id.in_(batch), dispatches.c.attempts > 0).limit(1)
        if connection.scalar(called) is not None:
            return True
    return False


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]


def find_event(connection: Connection, reference: str, projects: Projects = None) -> EventDetail:
    """Return the event that `reference` identifies; raises NotFoundError.

    `reference` is an event id (ours or LiveKit's), a dispatch id (the event it was created for), a participant SID, or
    an identity or phone number (its latest join). For an agent, the event that its dispatch was created for.
    """
    reference = reference.strip()
    forms = stored_forms(reference) if reference and is_storable(reference) else ()
    found = next((event for form in forms if (event := _find_event(connection, form, projects)) is not None), None)
    if found is None:
        raise NotFoundError(
            translatable(
                "nothing is stored about %(reference)s: it is not the id of an event or dispatch, nor the identity, "
                "SID or phone number of a participant",
                reference=repr(reference),
            )
        )
    if found.participant_kind == ParticipantKind.AGENT and found.participant_sid:
        event_id = connection.scalar(
            select(dispatches.c.event_id)
            .where(dispatches.c.agent_sid == found.participant_sid, dispatches.c.project == found.project)
            .order_by(dispatches.c.id.desc())
            .limit(1)
        )
        caller = (
            _latest_event(connection, BySelectiveCondition(events.c.id == event_id, events.c.id)) if event_id else None
        )
        return caller or found
    return found


def _find_event(connection: Connection, reference: str, projects: Projects) -> EventDetail | None:
    made_for = select(dispatches.c.event_id).where(dispatches.c.id == reference).scalar_subquery()
    column = events.c
    is_join = column.type.in_(JOINS)
    by_identity = by_name("participant_identity", reference)
    by_sid = BySelectiveCondition(column.participant_sid == reference, column.id)
    # In the order of likelihood.
    for path, filters in (
        (BySelectiveCondition(column.id == reference, column.id), ()),
        (BySelectiveCondition(column.id == made_for, column.id), ()),
        (by_livekit_id(reference), ()),
        (by_sid, (is_join,)),
        (by_sid, ()),
        (by_identity, (is_join,)),
        (by_phone_number(reference), (is_join,)),
        (by_identity, ()),
    ):
        found = _latest_event(connection, path, *filters, *_of(events, projects))
        if found is not None:
            return found
    return None


def _latest_event(connection: Connection, path: IndexPath, *filters: ColumnElement[bool]) -> EventDetail | None:
    query = select(*_columns(events, EventDetail)).where(*path.conditions(IdRange()), *filters)
    row = connection.execute(query.order_by(*path.order()).limit(1)).mappings().first()
    return EventDetail.from_row(row) if row is not None else None


def read_dispatches(connection: Connection, ids: Collection[str]) -> list[DispatchRecord]:
    """Return whole dispatches, oldest first; unknown ids are left out."""
    if not ids:
        return []
    query = select(dispatches).where(dispatches.c.id.in_(ids)).order_by(dispatches.c.id)
    found = [Dispatch.from_row(row) for row in connection.execute(query).mappings()]
    wanted = [dispatch.id for dispatch in found]
    calls = _by_dispatch(connection, dispatch_attempts.c.number, AttemptRecord, wanted)
    callers = _by_dispatch(connection, dispatch_callers.c.event_id, CallerRecord, wanted)
    changes: dict[str, list[AuditRecord]] = {}
    lines = select(audit_log).where(audit_log.c.entity_id.in_(wanted)).order_by(audit_log.c.id)
    for row in connection.execute(lines).mappings():
        changes.setdefault(row["entity_id"], []).append(AuditRecord.from_row(row))
    return [
        DispatchRecord(
            one,
            tuple(calls.get(one.id, ())),
            tuple(changes.get(one.id, ())),
            tuple(callers.get(one.id, ())),
        )
        for one in found
    ]


def _by_dispatch(
    connection: Connection, order: Column[Any], kind: type[R], wanted: Sequence[str]
) -> dict[str, list[R]]:
    """Return the rows of these dispatches in the table of the column `order`, by dispatch and in that order."""
    table = order.table
    query = select(table).where(table.c.dispatch_id.in_(wanted)).order_by(table.c.dispatch_id, order)
    grouped: dict[str, list[R]] = {}
    for row in connection.execute(query).mappings():
        grouped.setdefault(row["dispatch_id"], []).append(kind.from_row(row))
    return grouped


def _columns(table: Table, kind: type[Any]) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in columns_of(kind)]
