"""Recent events to try a rule on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.audit.lists.access_path import ByIndexedValue
from app.audit.lists.paging import Search, read_page
from app.db.tables import events
from app.livekit.vocabulary import MACHINE_KINDS, EventType
from app.webhook.event import Event
from app.webhook.event_store import from_row


def recent_events(connection: Connection, pattern: Any, limit: int) -> list[Event]:
    """Return the latest events of callers of the types that a pattern names, newest first.

    Of each type as many rows are read as for one page of a list.
    """
    named = pattern.get("event") if isinstance(pattern, Mapping) else None
    types = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    column = events.c
    paths = tuple(
        ByIndexedValue(column.type, one, column.id) for one in dict.fromkeys(types or [EventType.PARTICIPANT_JOINED])
    )
    is_caller = column.participant_kind.not_in(MACHINE_KINDS)
    search = Search(events, tuple(column.keys()), paths, (is_caller,), None, None)
    return list(read_page(connection, search, from_row, limit, None).items)
