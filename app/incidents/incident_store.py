"""Reads and writes incidents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, text, update

from app.audit.lists.paging import Page, decode_cursor, encode_cursor
from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.record_ids import lowest_id_at
from app.db.tables import incidents
from app.db.types import IncidentKind
from app.errors import ConflictError, NotFoundError
from app.incidents.changes import MAX_OPEN, Changes
from app.incidents.incident import Incident
from app.incidents.sighting import Sighting
from app.translation import translatable

LONGEST_MUTE: Final = timedelta(days=3650)
_PRUNED_AT_ONCE: Final = 500
_IS_OPEN = text("closed_at IS NULL")  # in the words of the partial index


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents to list; None is any."""

    is_open: bool | None = None
    kinds: tuple[IncidentKind, ...] = ()
    subject: str | None = None
    projects: Collection[str] | None = None


def open_incidents(connection: Connection, projects: Collection[str] | None = None) -> list[Incident]:
    """Return the open incidents, the oldest first, `MAX_OPEN` at most; of all projects or of `projects`."""
    query = select(incidents).where(_IS_OPEN, *_of(projects)).order_by(incidents.c.id).limit(MAX_OPEN)
    return [Incident.from_row(row) for row in connection.execute(query).mappings()]


def count_open(connection: Connection, now: datetime) -> dict[IncidentKind, int]:
    """Return how many open incidents of each kind are not muted; 0 for a kind without any."""
    column = incidents.c
    is_muted = and_(column.muted_until.is_not(None), column.muted_until > now)
    query = select(column.kind, func.count()).where(_IS_OPEN, ~is_muted).group_by(column.kind)
    return dict.fromkeys(IncidentKind, 0) | {IncidentKind(kind): count for kind, count in connection.execute(query)}


def list_incidents(
    connection: Connection, wanted: IncidentFilter, *, limit: int, cursor: str | None = None
) -> Page[Incident]:
    """Return one page, newest first."""
    query = select(incidents).where(*_of(wanted.projects)).order_by(incidents.c.id.desc()).limit(limit + 1)
    if wanted.is_open is not None:
        query = query.where(_IS_OPEN if wanted.is_open else incidents.c.closed_at.is_not(None))
    if wanted.kinds:
        query = query.where(incidents.c.kind.in_([str(kind) for kind in wanted.kinds]))
    if wanted.subject is not None:
        query = query.where(incidents.c.subject == wanted.subject)
    if cursor is not None:
        query = query.where(incidents.c.id < decode_cursor(cursor))
    found = [Incident.from_row(row) for row in connection.execute(query).mappings()]
    return Page(tuple(found[:limit]), encode_cursor(found[limit - 1].id) if len(found) > limit else None, None)


def get_incident(connection: Connection, incident_id: str, projects: Collection[str] | None = None) -> Incident:
    """Return the incident with this id; NotFoundError if there is none, or it is of no project in `projects`."""
    query = select(incidents).where(incidents.c.id == incident_id, *_of(projects))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no incident has the id %(incident_id)s", incident_id=repr(incident_id)))
    return Incident.from_row(row)


def mute_incident(
    connection: Connection,
    incident_id: str,
    until: datetime | None,
    *,
    by: str,
    now: datetime,
    projects: Collection[str] | None = None,
) -> Incident:
    """Mute an open incident until an instant, or unmute it with None; raises ConflictError if it is closed."""
    incident = get_incident(connection, incident_id, projects)
    if not incident.is_open:
        raise ConflictError(translatable("this incident is closed; another one of its kind opens unmuted"))
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(muted_until=until, updated_at=now))
    state = "unmuted" if until is None else "muted"
    append(connection, [AuditEntry("incident", incident_id, "open", state, incident.title, now, by)])
    return get_incident(connection, incident_id)


def _of(projects: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the condition that keeps to these projects: of an incident of none in particular it is not known whose."""
    return [] if projects is None else [incidents.c.project.in_(projects)]


@dataclass(frozen=True, slots=True)
class Written:
    """The incidents that a transaction has opened and closed."""

    opened: Sequence[Incident] = ()
    closed: Sequence[Incident] = ()


def write_changes(connection: Connection, changes: Changes, now: datetime) -> Written:
    """Write what has changed; an incident that opens again while its mute lasts is muted."""
    opened = [_open(connection, sighting, now) for sighting in changes.opened]
    for incident, count, detail in changes.updated:
        row = {"count": count, "detail": dict(detail), "updated_at": now}
        connection.execute(update(incidents).where(incidents.c.id == incident.id).values(row))
    ids = [one.id for one in changes.closed]
    if ids:
        closing = update(incidents).where(incidents.c.id.in_(ids), _IS_OPEN)
        connection.execute(closing.values(closed_at=now, updated_at=now))
    entries = [AuditEntry("incident", one.id, None, "open", one.title, now, "usher") for one in opened]
    entries += [AuditEntry("incident", one.id, "open", "closed", one.title, now, "usher") for one in changes.closed]
    append(connection, entries)
    return Written(opened, [replace(one, closed_at=now, updated_at=now) for one in changes.closed])


def _open(connection: Connection, sighting: Sighting, now: datetime) -> Incident:
    kind, subject, project = sighting.key
    row = {
        "id": new_id(),
        "kind": str(kind),
        "subject": subject,
        "project": project,
        "opened_at": now,
        "updated_at": now,
        "closed_at": None,
        "count": sighting.count,
        "detail": dict(sighting.detail),
        "muted_until": _mute_of_last(connection, sighting, now),
    }
    connection.execute(insert(incidents).values(row))
    return Incident.from_row(row)


def _mute_of_last(connection: Connection, sighting: Sighting, now: datetime) -> datetime | None:
    kind, subject, project = sighting.key
    column = incidents.c
    query = (
        select(column.muted_until)
        .where(column.kind == str(kind), column.subject == subject, column.project == project)
        .order_by(column.id.desc())
        .limit(1)
    )
    until: datetime | None = connection.scalar(query)
    return until if until is not None and until > now else None


def prune_incidents(connection: Connection, before: datetime) -> None:
    """Delete some of the closed incidents that opened before `before`, with what was sent about them."""
    column = incidents.c
    old = (
        select(column.id)
        .where(column.id < lowest_id_at(before), column.closed_at.is_not(None), column.closed_at < before)
        .order_by(column.id)
        .limit(_PRUNED_AT_ONCE)
    )
    connection.execute(delete(incidents).where(column.id.in_(old)))
