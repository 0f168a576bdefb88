"""The ids of all rows that say something about a person: its own, and those of others in the same room sessions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, select, type_coerce

from app.audit.people.person import IDS_AT_ONCE, Person
from app.db.columns.written_types import WrittenJson
from app.db.tables import (
    audit_log,
    caller_actions,
    dispatch_callers,
    dispatches,
    events,
    routing_rules,
    token_dispatches,
)
from app.db.types import LIVE
from app.livekit.participant.role import PROGRAMS
from app.livekit.vocabulary import JOINS, LEAVINGS, EventType
from app.webhook.stored_body import body_of

PRESENT_FOR: Final = timedelta(hours=24)
"""A participant whose leaving was not reported counts as present for this long."""


@dataclass(frozen=True, slots=True)
class PersonRows:
    """Ids of rows; those of others are of the same room sessions. Actions are removals and transfers of callers."""

    own_events: tuple[str, ...]
    other_events: tuple[str, ...]
    own_dispatches: tuple[str, ...]
    other_dispatches: tuple[str, ...]
    own_actions: tuple[str, ...]
    other_actions: tuple[str, ...]
    own_promises: tuple[str, ...]
    other_promises: tuple[str, ...]
    audit_lines: tuple[int, ...]
    shared_rooms: frozenset[tuple[str, str]]
    """Room sessions in which other people were, too."""
    live_rooms: tuple[str, ...]
    """Names of the rooms in which the person is in a call now."""
    rules: tuple[str, ...]
    """Names of the rules that name the person; operators wrote them."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored about the person."""
        return not (self.own_events or self.own_dispatches or self.own_promises)


def rows_about(connection: Connection, person: Person, now: datetime) -> PersonRows:
    """Return the ids of the rows about `person`, each list oldest first."""
    rooms = dict.fromkeys(sid for _, sid in person.rooms)
    is_theirs = _is_theirs(person)
    session_events = [
        row
        for row in select_rows(connection, _EVENT_COLUMNS, events.c.room_sid, rooms)
        if (row["project"], row["room_sid"]) in person.rooms
    ]
    own = set(person.event_ids)
    others = [row for row in session_events if row["id"] not in own]
    made = select_rows(connection, _DISPATCH_COLUMNS, dispatches.c.participant_identity, person.identities)
    made += select_rows(connection, _DISPATCH_COLUMNS, dispatches.c.event_id, person.event_ids)
    made += select_rows(connection, _DISPATCH_COLUMNS, dispatches.c.room_sid, rooms)
    by_id = {row["id"]: row for row in made if person.project in {None, row["project"]}}
    own_dispatches = {key for key, row in by_id.items() if is_theirs(row) or row["event_id"] in own}
    session = {key for key, row in by_id.items() if (row["project"], row["room_sid"]) in person.rooms}
    names = {row["room_name"] for row in (*session_events, *by_id.values())}
    promises = select_rows(connection, _PROMISE_COLUMNS, token_dispatches.c.participant_identity, person.identities)
    promises += select_rows(connection, _PROMISE_COLUMNS, token_dispatches.c.room_name, names)
    promised = {row["id"]: row for row in promises if person.project in {None, row["project"]}}
    own_promises = {key for key, row in promised.items() if is_theirs(row)}
    acted = select_rows(connection, _ACTION_COLUMNS, caller_actions.c.room_sid, rooms)
    acted += select_rows(connection, _ACTION_COLUMNS, caller_actions.c.participant_identity, person.identities)
    actions = {row["id"]: row for row in acted if person.project in {None, row["project"]}}
    own_actions = {key for key, row in actions.items() if is_theirs(row) or row["event_id"] in own}
    of_sessions = {key for key, row in actions.items() if (row["project"], row["room_sid"]) in person.rooms}
    concerned = [*own, *(row["id"] for row in others), *by_id, *actions]
    lines = {row["id"] for row in select_rows(connection, (audit_log.c.id,), audit_log.c.entity_id, concerned)}
    return PersonRows(
        own_events=person.event_ids,
        other_events=tuple(sorted(row["id"] for row in others)),
        own_dispatches=tuple(sorted(own_dispatches)),
        other_dispatches=tuple(sorted(session - own_dispatches)),
        own_actions=tuple(sorted(own_actions)),
        other_actions=tuple(sorted(of_sessions - own_actions)),
        own_promises=tuple(sorted(own_promises)),
        other_promises=tuple(sorted(promised.keys() - own_promises)),
        audit_lines=tuple(sorted(lines)),
        shared_rooms=frozenset((row["project"], row["room_sid"]) for row in others if _is_person(row)),
        live_rooms=_live_rooms(connection, person, session_events, list(by_id.values()), now),
        rules=_rules_that_name(connection, person),
    )


_EVENT_COLUMNS: Final = tuple(
    events.c[name]
    for name in ("id", "project", "type", "room_sid", "room_name", "participant_sid", "participant_role", "received_at")
)
_DISPATCH_COLUMNS: Final = tuple(
    dispatches.c[name]
    for name in ("id", "project", "event_id", "room_sid", "room_name", "participant_identity", "status")
)
_ACTION_COLUMNS: Final = tuple(
    caller_actions.c[name] for name in ("id", "project", "event_id", "room_sid", "participant_identity")
)
_PROMISE_COLUMNS: Final = tuple(
    token_dispatches.c[name] for name in ("id", "project", "room_name", "participant_identity")
)


def _is_theirs(person: Person) -> Any:
    return lambda row: row["participant_identity"] in person.identities


def _is_person(row: Any) -> bool:
    return row["type"] in JOINS and row["participant_role"] not in PROGRAMS


def _live_rooms(
    connection: Connection, person: Person, session_events: Sequence[Any], made: Sequence[Any], now: datetime
) -> tuple[str, ...]:
    """Return where a live dispatch serves the person, or where it has joined and not been reported to have left."""
    serving = {
        row["dispatch_id"]
        for row in select_rows(
            connection,
            (dispatch_callers.c.dispatch_id, dispatch_callers.c.left_at),
            dispatch_callers.c.participant_sid,
            person.participant_sids,
        )
        if row["left_at"] is None
    }
    live = {
        row["room_name"]
        for row in made
        if row["status"] in LIVE and (row["id"] in serving or row["participant_identity"] in person.identities)
    }
    closed = {(row["project"], row["room_sid"]) for row in session_events if row["type"] == EventType.ROOM_FINISHED}
    gone = {row["participant_sid"] for row in session_events if row["type"] in LEAVINGS}
    live |= {
        row["room_name"]
        for row in session_events
        if row["type"] in JOINS
        and row["participant_sid"] in person.participant_sids - gone
        and (row["project"], row["room_sid"]) not in closed
        and now - row["received_at"] < PRESENT_FOR
    }
    return tuple(sorted(live))


def _rules_that_name(connection: Connection, person: Person) -> tuple[str, ...]:
    terms = {*person.identities, *person.phone_numbers, person.number} - {""}
    column = routing_rules.c
    documents = (type_coerce(each, WrittenJson()) for each in (column.pattern, column.metadata))
    query = select(column.name, column.description, *documents).order_by(column.id)
    return tuple(
        row.name for row in connection.execute(query) if any(term in " ".join(map(str, row)) for term in terms)
    )


def select_rows(
    connection: Connection, columns: Sequence[ColumnElement[Any]], column: ColumnElement[Any], values: Collection[str]
) -> list[Any]:
    """Return `columns` of the rows whose `column` is among `values`."""
    ordered = sorted(values)
    found: list[Any] = []
    for start in range(0, len(ordered), IDS_AT_ONCE):
        query = select(*columns).where(column.in_(ordered[start : start + IDS_AT_ONCE]))
        found += connection.execute(query).mappings().all()
    return found


def read_by_id(connection: Connection, table: Table, ids: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield whole rows of a table by `id`, in the order of ids; events with their whole bodies."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        query = select(table).where(table.c.id.in_(ids[start : start + IDS_AT_ONCE])).order_by(table.c.id)
        for row in connection.execute(query).mappings().all():
            yield {**row, "body": body_of(row)} if table is events else dict(row)


def rows_of(connection: Connection, table: Table, column: ColumnElement[Any], ids: Sequence[str]) -> list[Any]:
    """Return whole rows of a table whose `column` is among `ids`."""
    return select_rows(connection, tuple(table.c), column, ids)
