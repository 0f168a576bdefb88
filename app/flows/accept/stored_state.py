"""What a batch of events needs from the database: before it is stored, and before intents become dispatches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, select, text

from app.db.hot_statement import CombinedQuery
from app.db.tables import agents
from app.db.tables.agents import IS_LIMITED
from app.flows.token_dispatches import NO_PROMISES, VALID_FOR, VALID_PROMISES, Promises, promised
from app.outbox.room_session import LOST_IN_SESSIONS, SERVED_UNDER_NAME
from app.outbox.statements import LIVE_INTENTS
from app.rules.book.read_book import VERSION
from app.rules.lookups.read_lookups import LOOKUPS_VERSION
from app.webhook.event import Event
from app.webhook.event_store import DEPARTED, KNOWN, Gone, sids_of

_LOST_FOR = timedelta(seconds=60)
_OF_ALL: Sequence[tuple[str, Select[Any]]] = [
    ("version", VERSION),
    ("lookups", LOOKUPS_VERSION),
    ("known", KNOWN),
    ("lost", LOST_IN_SESSIONS),
]
_OF_PLANNED: Sequence[tuple[str, Select[Any]]] = [
    ("departed", DEPARTED),
    ("limited", select(agents.c.agent_name).where(text(IS_LIMITED))),
    ("live", LIVE_INTENTS),
    ("promised", VALID_PROMISES),
    *(("served", question) for question in SERVED_UNDER_NAME),
]
_BEFORE_STORING = CombinedQuery(_OF_ALL)
_BEFORE_ENQUEUING = CombinedQuery(_OF_PLANNED)
_BEFORE_STORING_PLANNED = CombinedQuery([*_OF_ALL, *_OF_PLANNED])


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the database knows about the participants that a batch wants agents for.

    `limited`: agents that may not all start at once. `live`: intent keys of the batch that a live dispatch has, not
    locked. `promises`: what token servers were promised for the rooms.
    `served`: by project, room name and agent, the sessions that such an agent serves or served until a moment ago.
    """

    gone: Gone
    limited: Collection[str]
    live: Collection[str]
    promises: Promises
    served: Mapping[tuple[str, str, str], Collection[str]]

    def served_elsewhere(self, event: Event, agent_name: str) -> bool:
        """Return whether such an agent serves, or just served, another session of the event's room name."""
        sessions = self.served.get((event.project, event.room_name, agent_name), ())
        return any(session != event.room_sid for session in sessions)


@dataclass(frozen=True, slots=True)
class Stored:
    """What decides how a batch is accepted. `versions`: of the rules and of the lookups.

    `dedupe_keys`: those of its events that are stored already.
    `lost`: ids of dispatches in its room sessions that ended because LiveKit did not list the room.
    `state`: of its planned events; None if there are none.
    """

    versions: tuple[int, int]
    dedupe_keys: set[str]
    lost: Collection[str]
    state: StoredState | None


def read_stored(
    connection: Connection,
    batch: Sequence[Event],
    planned: Sequence[Event],
    now: datetime,
    *,
    intent_keys: Collection[str],
) -> Stored:
    """Return, by one question, what is stored that concerns `batch`, of which rules want agents for `planned`."""
    asked: dict[str, Any] = {
        "keys": {event.dedupe_key for event in batch},
        "room_names": {event.room_name for event in batch if event.room_sid},
        "room_sids": {event.room_sid for event in batch if event.room_sid},
    }
    if planned:
        about_planned = _about_planned(planned, now, intent_keys)
        both = {name: asked.get(name, set()) | about_planned[name] for name in ("room_names", "room_sids")}
        answers = _BEFORE_STORING_PLANNED.run(connection, asked | about_planned | both)
    else:
        answers = _BEFORE_STORING.run(connection, asked)
    return Stored(
        versions=(int(answers["version"][0][0]), int(answers["lookups"][0][0])),
        dedupe_keys={key for key, *_ in answers["known"]},
        lost={dispatch_id for dispatch_id, *_ in answers["lost"]},
        state=_state(connection, answers, planned, batch, now) if planned else None,
    )


def read_state(
    connection: Connection,
    planned: Sequence[Event],
    batch: Sequence[Event],
    now: datetime,
    *,
    intent_keys: Collection[str],
) -> StoredState:
    """Return what is stored about the events `planned` of `batch`, those for which rules want agents."""
    answers = _BEFORE_ENQUEUING.run(connection, _about_planned(planned, now, intent_keys))
    return _state(connection, answers, planned, batch, now)


def _about_planned(planned: Sequence[Event], now: datetime, intent_keys: Collection[str]) -> dict[str, Any]:
    return {
        **sids_of(planned),
        "room_names": {event.room_name for event in planned},
        "intent_keys": intent_keys,
        "lost_since": now - _LOST_FOR,
        "promised_since": now - VALID_FOR,
    }


def _state(
    connection: Connection,
    answers: Mapping[str, Sequence[Sequence[Any]]],
    planned: Sequence[Event],
    batch: Sequence[Event],
    now: datetime,
) -> StoredState:
    served: dict[tuple[str, str, str], set[str]] = {}
    for project, room_name, agent_name, room_sid in answers["served"]:
        served.setdefault((project, room_name, agent_name), set()).add(room_sid)
    rooms = {event.room_name for event in planned}
    return StoredState(
        gone=Gone.of(answers["departed"], batch),
        limited={name for name, *_ in answers["limited"]},
        live={key for key, *_ in answers["live"]},
        promises=promised(connection, rooms, now) if answers["promised"] else NO_PROMISES,
        served=served,
    )
