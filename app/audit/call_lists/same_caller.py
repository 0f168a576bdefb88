"""The calls of one caller before and after a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from app.audit.call_lists.call_filter import CALLER_OUTCOMES
from app.audit.calls.call_head import CallHead
from app.audit.lists.access_path import ByIndexedValue, ByValueAndMinute, IdRange
from app.audit.lists.event_list import by_name, by_phone_number
from app.audit.records.find_records import Projects
from app.db.tables import events
from app.livekit.vocabulary import EventType

_MOST_EVENTS = 200
"""Events of the caller that are read in each direction; a call has some five."""


@dataclass(frozen=True, slots=True)
class SameCaller:
    """The event ids of the caller's previous and next call; None if there is none, or none near."""

    previous: str | None
    next: str | None


def calls_of_same_caller(connection: Connection, call: CallHead, projects: Projects = None) -> SameCaller:
    """Return the calls next to `call` of the same phone number or, without one, of the same identity."""
    column = events.c
    path: ByIndexedValue | ByValueAndMinute
    if call.phone_number:
        path = by_phone_number(call.phone_number)
    elif call.participant_identity:
        path = by_name("participant_identity", call.participant_identity)
    else:
        return SameCaller(None, None)

    def nearest(ids: IdRange, *, is_later: bool) -> str | None:
        order = [each.asc() for each in path.sorted_by] if is_later else [*path.order()]
        query = select(column.id, column.type, column.outcome, column.project, column.participant_sid)
        rows = connection.execute(query.where(*path.conditions(ids)).order_by(*order).limit(_MOST_EVENTS))
        return next((row.id for row in rows if _is_other_call(row, call, projects)), None)

    return SameCaller(
        nearest(IdRange(before=call.event_id), is_later=False), nearest(IdRange(least=call.event_id), is_later=True)
    )


def _is_other_call(row: Row[*tuple[Any, ...]], call: CallHead, projects: Projects) -> bool:
    return (
        row.type == EventType.PARTICIPANT_JOINED
        and row.outcome in CALLER_OUTCOMES
        and row.participant_sid != call.participant_sid
        and (projects is None or row.project in projects)
    )
