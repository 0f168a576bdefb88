"""Recent events to try a rule on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.audit.lists.event_list import EventFilter, search_events
from app.audit.lists.paging import read_page
from app.db.tables import events
from app.livekit.participant.role import PROGRAMS, ROLE_OF_KIND
from app.livekit.vocabulary import EventType
from app.webhook.event import Event
from app.webhook.event_store import from_row
from app.webhook.trimmed import with_joins


def recent_events(connection: Connection, pattern: Any, limit: int) -> list[Event]:
    """Return the latest events of callers of the types that a pattern names, newest first.

    Of each type as many rows are read as for one page of a list.
    """
    named = pattern.get("event") if isinstance(pattern, Mapping) else None
    types = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    column = events.c
    types = types or [EventType.PARTICIPANT_JOINED]
    # Events of before roles were stored have a kind only.
    no_program = [column.participant_role.not_in(PROGRAMS), column.participant_kind.not_in(ROLE_OF_KIND)]
    search = search_events(EventFilter(types=tuple(types)), tuple(column.keys()), more=no_program)
    found = read_page(connection, search, from_row, limit, None).items
    return with_joins(connection, [event for event in found if event.has_body])
