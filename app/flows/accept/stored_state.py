"""What must be known before a batch of events is decided upon, and before its wishes become dispatches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from app.db.combined_query import Together
from app.db.tables import agent_limits
from app.flows.token_dispatches import OPEN_PROMISES, VALID_FOR, promised
from app.outbox.room_session import SERVED_UNDER_NAME
from app.rules.book.read_book import VERSION
from app.webhook.event import Event
from app.webhook.event_store import DEPARTED, KNOWN, Departures, sids_of

_LOST_FOR = timedelta(seconds=60)
_FIRST = Together([("version", VERSION), ("known", KNOWN)])
_AROUND = Together(
    [
        ("departed", DEPARTED),
        ("limited", select(agent_limits.c.agent_name)),
        ("promised", OPEN_PROMISES),
        *(("served", question) for question in SERVED_UNDER_NAME),
    ]
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of those whom a batch's wishes are for.

    `limited`: agents that may not all start at once. `promises`: by `promise_key`, rows of `token_dispatches`.
    `served`: by project, room name and agent, the sessions that such an agent serves or served until a moment ago.
    """

    gone: Departures
    limited: Collection[str]
    promises: Mapping[tuple[str, str, str, str], Mapping[str, Any]]
    served: Mapping[tuple[str, str, str], set[str]]


def recall(connection: Connection, batch: Sequence[Event]) -> tuple[int, set[str]]:
    """Return the version of the rules in the database, and the keys of those of `batch` that are stored already."""
    answers = _FIRST.ask(connection, {"keys": {event.dedupe_key for event in batch}})
    return int(answers["version"][0][0]), {key for key, *_ in answers["known"]}


def look_around(
    connection: Connection, wishing: Sequence[Event], batch: Sequence[Event], now: datetime
) -> Surroundings:
    """Return what is known of those for whom the events `wishing` of `batch` want agents."""
    rooms = {event.room_name for event in wishing}
    asked = {
        **sids_of(wishing),
        "room_names": rooms,
        "lost_since": now - _LOST_FOR,
        "promised_since": now - VALID_FOR,
    }
    answers = _AROUND.ask(connection, asked)
    served: dict[tuple[str, str, str], set[str]] = {}
    for project, room_name, agent_name, room_sid in answers["served"]:
        served.setdefault((project, room_name, agent_name), set()).add(room_sid)
    return Surroundings(
        gone=Departures.of(answers["departed"], batch),
        limited={name for name, *_ in answers["limited"]},
        promises=promised(connection, rooms, now) if answers["promised"] else {},
        served=served,
    )
