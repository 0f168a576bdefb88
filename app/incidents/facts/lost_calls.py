"""Reads the callers of the last minutes who got no agent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from app.audit.lists.access_path import IdRange
from app.audit.lists.dispatch_list import by_status
from app.audit.lists.event_list import by_outcome
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, events
from app.db.types import Cause, DispatchStatus, EventOutcome, EventSource, IncidentKind
from app.incidents.conditions.callers_without_agents import LostCall
from app.incidents.sighting import QUIET_S, caller_of
from app.outbox.dispatch import BESIDE

MAX_LOST: Final = 2_000
_LONGEST_WAIT: Final = timedelta(hours=1)
"""From the creation of a dispatch to its end without an agent, with all attempts and fallbacks."""
_OF_DISPATCH: Final = (
    "rule_name",
    "project",
    "event_id",
    "participant_sid",
    "ended_at",
    "created_at",
    "cause",
    "intent_key",
)


def read_lost_calls(connection: Connection, now: datetime) -> list[LostCall]:
    """Return the calls without an agent, those without a rule, and those whose rule failed (`RULE_BROKEN`)."""
    return [*_without_agent(connection, now), *_without_rule(connection, now)]


def _without_agent(connection: Connection, now: datetime) -> Iterator[LostCall]:
    column = dispatches.c
    since = now - timedelta(seconds=QUIET_S)
    for status in (DispatchStatus.NO_SHOW, DispatchStatus.FAILED):
        path = by_status(status)
        ids = IdRange(None, lowest_id_at(since - _LONGEST_WAIT))
        query = (
            select(*(column[name] for name in _OF_DISPATCH))
            .where(*path.conditions(ids))
            .order_by(*path.order())
            .limit(MAX_LOST)
        )
        for row in connection.execute(query):
            at = row.ended_at or row.created_at
            if at >= since:
                is_rules = row.cause == Cause.TEMPLATE_FAILED
                if row.intent_key.startswith(BESIDE) and not is_rules:
                    continue  # a hand-over that failed: the first agent has the caller
                kind = IncidentKind.RULE_BROKEN if is_rules else IncidentKind.NO_SHOW
                caller = caller_of(row.participant_sid, row.event_id)
                yield LostCall(kind, row.rule_name, row.project, row.event_id, caller, at)


def _without_rule(connection: Connection, now: datetime) -> Iterator[LostCall]:
    column = events.c
    path = by_outcome(EventOutcome.NO_MATCH)
    ids = IdRange(None, lowest_id_at(now - timedelta(seconds=QUIET_S)))
    query = (
        select(column.id, column.project, column.participant_sid, column.received_at, column.source)
        .where(*path.conditions(ids))
        .order_by(*path.order())
        .limit(MAX_LOST)
    )
    for row in connection.execute(query):
        if row.source != EventSource.REPLAY:
            caller = caller_of(row.participant_sid, row.id)
            yield LostCall(IncidentKind.NO_RULE, "", row.project, row.id, caller, row.received_at)
